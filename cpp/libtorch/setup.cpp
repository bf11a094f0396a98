#include "setup.h"

#include <ATen/Context.h>
#include <ATen/DeviceAccelerator.h>
#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <dlfcn.h>
#include <torch/cuda.h>
#include <unistd.h>

#include <utility>

namespace modelconform {

// A CUDA build keeps what is CUDA's in a library that nothing in this program refers to, because it
// takes a second and hundreds of megabytes to load: it is loaded where there is a GPU to use it.
void load_cuda(const c10::Device& device) {
  const bool has_driver = ::access("/dev/nvidiactl", F_OK) == 0 || ::access("/dev/dxg", F_OK) == 0;
  if (!device.is_cuda() && !has_driver) return;
  const void* library = ::dlopen("libtorch_cuda.so", RTLD_LAZY | RTLD_GLOBAL);
  const std::string problem = library == nullptr ? ::dlerror() : "";
  if (device.is_cuda() && library == nullptr) {
    throw EngineError("RuntimeError", "this libtorch can't use CUDA: " + problem);
  }
  if (device.is_cuda() && !torch::cuda::is_available()) {
    throw EngineError("RuntimeError", "libtorch finds no CUDA device");
  }
}

// Of a GPU: what its allocator keeps for tensors to come.
void release_memory(const c10::Device& device) {
  if (device.is_cuda()) at::accelerator::emptyCache();
}

// TF32 on GPUs, and bfloat16 on CPUs that have it; for the whole process, until the next load.
void set_precision(Precision precision) {
  const bool fast = precision == Precision::kFast;
  at::Context& context = at::globalContext();
  context.setAllowTF32CuBLAS(fast);
  context.setAllowTF32CuDNN(fast);
  context.setAllowFP16ReductionCuBLAS(fast);
  context.setAllowBF16ReductionCuBLAS(fast);
  // Last: allowing TF32 sets this to "high".
  context.setFloat32MatmulPrecision(fast ? "medium" : "highest");
}

// Asks the library itself: the headers only know what this was built with.
std::string library_version() {
  const std::string config = at::show_config();
  const std::string field = "TORCH_VERSION=";
  const std::size_t start = config.find(field);
  if (start == std::string::npos) return "unknown";
  const std::size_t from = start + field.size();
  return config.substr(from, config.find_first_of(", \n", from) - from);
}

void set_threads(int threads) {
  at::set_num_threads(threads);
  at::set_num_interop_threads(1);
}

void share_threads() {
  // libtorch does so itself before its own parallel loops, but not before those of oneDNN and MKL.
  thread_local bool done = false;
  if (!std::exchange(done, true)) at::init_num_threads();
}

void open_libraries(const std::vector<std::string>& libraries) {
  for (const std::string& library : libraries) {
    // Global, because each library may need the symbols of the one before.
    if (::dlopen(library.c_str(), RTLD_LAZY | RTLD_GLOBAL) == nullptr) {
      throw EngineError("ImportError",
                        std::string("cannot open a library of operators: ") + ::dlerror());
    }
  }
}

void synchronize(const c10::Device& device) {
  if (device.is_cuda()) torch::cuda::synchronize();
}

std::vector<std::string> torch_devices() {
  std::vector<std::string> devices = {"cpu"};
  if (torch::cuda::is_available()) devices.emplace_back("cuda");
  return devices;
}

}  // namespace modelconform
