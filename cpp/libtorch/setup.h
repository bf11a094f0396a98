// What a libtorch process sets up once, and with each model.
#pragma once

#include <c10/core/Device.h>

#include <chrono>
#include <string>
#include <vector>

#include "../harness/engine.h"

namespace modelconform {

void load_cuda(const c10::Device& device);
void release_memory(const c10::Device& device);
void set_threads(int threads);
// Gives the calling thread the number of threads that was set, which OpenMP keeps for each thread.
void share_threads();
void set_precision(Precision precision);
void open_libraries(const std::vector<std::string>& libraries);
std::string library_version();
std::vector<std::string> torch_devices();
// Waits until a device has done what it was given.
void synchronize(const c10::Device& device);

// The result of a step; `seconds` is how long it took, the device's work included.
template <typename Step>
auto timed(const c10::Device& device, double& seconds, const Step& step) {
  synchronize(device);
  const auto start = std::chrono::steady_clock::now();
  auto result = step();
  synchronize(device);
  seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return result;
}

}  // namespace modelconform
