// What a libtorch process sets up once, and with each model.
#pragma once

#include <c10/core/Device.h>

#include <string>
#include <vector>

#include "../engine.h"

namespace modelconform {

void load_cuda(const c10::Device& device);
void set_threads(int threads);
// Gives the calling thread the number of threads that was set, which OpenMP keeps for each thread.
void share_threads();
void set_precision(Precision precision);
void open_libraries(const std::vector<std::string>& libraries);
std::string library_version();
std::vector<std::string> torch_devices();

}  // namespace modelconform
