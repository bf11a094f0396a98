#include "weights.h"

#include <ATen/core/grad_mode.h>
#include <dlfcn.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <utility>
#include <vector>

#include "../library/safetensors.h"
#include "../library/tensors.h"
#include "../libtorch/errors.h"
#include "../libtorch/values.h"

namespace modelconform {
namespace {

using Named = std::vector<std::pair<std::string, at::Tensor>>;

// Never closed: code of it may still be referred to (thread-local destructors, say). A library that
// is opened again costs nothing.
MakeFrontendModule* open(const std::string& path) {
  // Local: two cases may both have a class NetImpl.
  void* library = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    throw EngineError("ImportError", std::string("cannot open the case's library: ") + ::dlerror());
  }
  void* symbol = ::dlsym(library, kMakeFrontendModule);
  if (symbol == nullptr) {
    throw EngineError("ImportError",
                      "the C++ source names no model: say MODELCONFORM_MODEL(Net) after it");
  }
  return reinterpret_cast<MakeFrontendModule*>(symbol);
}

std::unique_ptr<FrontendModule> construct(const std::string& library) {
  MakeFrontendModule* make = open(library);
  const std::string what = "the C++ module can't be constructed: ";
  try {
    return in_torch([&] { return std::unique_ptr<FrontendModule>(make()); });
  } catch (const EngineError& error) {
    throw EngineError(error.type, what + error.what(), error.details);
  }
}

// Not Module::to(dtype), which casts buffers of integers, too. As in workers/host/cast.py, complex
// numbers follow float64 only.
void cast(const Named& state, DType dtype) {
  const at::ScalarType real = to_scalar_type(dtype);
  for (auto [name, tensor] : state) {
    at::ScalarType wanted = tensor.scalar_type();
    if (tensor.is_floating_point()) wanted = real;
    if (tensor.is_complex() && real == at::kDouble) wanted = at::kComplexDouble;
    if (wanted != tensor.scalar_type()) tensor.set_data(tensor.to(wanted));
  }
}

std::string name_of(const at::Tensor& tensor) {
  return std::string(dtype_name(from_scalar_type(tensor.scalar_type())));
}

std::string text_of(c10::IntArrayRef shape) {
  std::string text;
  for (const std::int64_t length : shape) {
    text += (text.empty() ? "" : ", ") + std::to_string(length);
  }
  return "[" + text + "]";
}

// One kind of fault: "missing in the file: a, b".
void list(std::string& text, const std::string& what, const std::vector<std::string>& names) {
  if (names.empty()) return;
  text += (text.empty() ? "" : "; ") + what + ": ";
  for (std::size_t i = 0; i < names.size(); ++i) text += (i == 0 ? "" : ", ") + names[i];
}

// Copies a tensor of the file, at once where the module's is laid out like it: there may be
// gigabytes.
void pour(const at::Tensor& tensor, const Tensor& stored) {
  if (tensor.is_cpu() && tensor.is_contiguous() && stored.order.empty()) {
    if (tensor.nbytes() > 0) std::memcpy(tensor.mutable_data_ptr(), stored.data, tensor.nbytes());
  } else {
    tensor.copy_(to_torch(stored, at::kCPU));
  }
}

// Copies each tensor of the file into the module's tensor of that name.
void pour(const Named& state, const std::map<std::string, Tensor>& file,
          const std::vector<std::string>& computed) {
  std::vector<std::string> missing, unexpected, shapes, dtypes;
  std::vector<std::pair<at::Tensor, const Tensor*>> pairs;
  for (const auto& [name, tensor] : state) {
    const auto stored = file.find(name);
    if (stored == file.end()) {
      // What Python's module computes itself, C++'s does, too.
      const bool known = std::find(computed.begin(), computed.end(), name) != computed.end();
      if (!known) missing.push_back(name);
    } else if (stored->second.shape != tensor.sizes().vec()) {
      shapes.push_back(name + " is " + text_of(tensor.sizes()) + " in C++, " +
                       text_of(stored->second.shape) + " in the file");
    } else if (to_scalar_type(stored->second.dtype) != tensor.scalar_type()) {
      dtypes.push_back(name + " is " + name_of(tensor) + " in C++, " +
                       std::string(dtype_name(stored->second.dtype)) + " in the file");
    } else {
      pairs.emplace_back(tensor, &stored->second);
    }
  }
  for (const auto& [name, tensor] : file) {
    const auto same = [&name = name](const auto& item) { return item.first == name; };
    if (std::none_of(state.begin(), state.end(), same)) unexpected.push_back(name);
  }
  std::string faults;
  list(faults, "missing in the file", missing);
  list(faults, "unexpected (not in the C++ module)", unexpected);
  list(faults, "shape differs", shapes);
  list(faults, "dtype differs", dtypes);
  if (!faults.empty()) throw EngineError("StateDictError", faults);
  for (auto& [tensor, stored] : pairs) pour(tensor, *stored);
}

}  // namespace

std::unique_ptr<FrontendModule> make_module(const Model& model, const c10::Device& device) {
  if (!model.frontend) {
    throw EngineError("ValueError", "'load' names no library that has the model in C++");
  }
  const Frontend& frontend = *model.frontend;
  const auto file = read_tensors(model.file);
  std::unique_ptr<FrontendModule> module = construct(frontend.library);
  in_torch([&] {
    const at::NoGradGuard no_grad;
    module->to(device);
    const Named state = module->state();
    cast(state, dtype_from_name(frontend.dtype));
    pour(state, file, frontend.computed);
    module->train(frontend.training);
  });
  module->name_arguments(frontend.arguments);
  return module;
}

}  // namespace modelconform
