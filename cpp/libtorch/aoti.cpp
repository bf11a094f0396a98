#include "aoti.h"

#include <ATen/core/Tensor.h>
#include <ATen/core/jit_type.h>
#include <dlfcn.h>
#include <torch/csrc/inductor/aoti_package/model_package_loader.h>

#include <charconv>
#include <cstdlib>
#include <exception>
#include <utility>
#include <vector>

#include "setup.h"
#include "values.h"

namespace modelconform {
namespace {

using Loader = torch::inductor::AOTIModelPackageLoader;

// The name that inductor gives to a package's model unless told otherwise.
constexpr const char* kModelName = "model";
// Said of a refusal, since users mostly leave the check off. workers/python/aoti.py says the same.
constexpr const char* kWithoutCheck =
    " (AOTI_RUNTIME_CHECK_INPUTS=1; without it, the package reads such an input as if it fitted)";
// So many calls run at once, others wait. The weights are shared; an instance is 0.1 ms to make.
constexpr std::size_t kRunners = 8;

std::string value_of(const std::unordered_map<std::string, std::string>& map,
                     const std::string& key) {
  const auto found = map.find(key);
  return found == map.end() ? "" : found->second;
}

bool processor_has(const std::string& instructions) {
#if defined(__x86_64__)
  if (instructions.rfind("AVX512", 0) == 0) return __builtin_cpu_supports("avx512f") != 0;
  if (instructions.rfind("AVX2", 0) == 0) return __builtin_cpu_supports("avx2") != 0;
#else
  (void)instructions;
#endif
  return true;
}

// A package is linked against libtorch as a whole and says of no folder where that is. This program
// is linked against parts of it and knows the folder. (On a CUDA build this loads what is CUDA's,
// which TorchScript on the CPU does without: setup.cpp.)
void open_libtorch() {
#if defined(__APPLE__)
  const char* name = "@rpath/libtorch.dylib";
#else
  const char* name = "libtorch.so";
#endif
  if (::dlopen(name, RTLD_LAZY | RTLD_GLOBAL) == nullptr) {
    throw EngineError("ImportError",
                      std::string("cannot open what packages are linked against: ") + ::dlerror());
  }
}

std::vector<at::Tensor> inputs_of(const Call& call, ArgumentMaker& maker) {
  std::vector<at::Tensor> inputs;
  const auto add = [&](const Tree& tree) {
    if (!std::holds_alternative<Leaf>(tree.node)) return;
    inputs.push_back(maker.make(tree, c10::AnyType::get()).toTensor());
  };
  for (const auto& [name, leaf] : call.feeds) add(Tree{leaf});
  if (!call.feeds.empty()) return inputs;
  for (const Tree& tree : call.args) add(tree);
  for (const auto& [name, tree] : call.kwargs) add(tree);
  return inputs;
}

std::vector<at::Tensor> checked_run(Loader& loader, const std::vector<at::Tensor>& inputs) {
  try {
    return loader.run(inputs);
  } catch (const std::exception& error) {
    const std::string text = error.what();
    if (text.find("input_handles[") == std::string::npos) throw;
    throw EngineError("RuntimeError", text.substr(0, text.find('\n')) + kWithoutCheck);
  }
}

const at::Tensor& output_at(const std::vector<at::Tensor>& outputs, const std::string& place) {
  std::size_t index = 0;
  const char* end = place.data() + place.size();
  const auto [stop, problem] = std::from_chars(place.data(), end, index);
  if (problem != std::errc() || stop != end || index >= outputs.size() ||
      !outputs[index].defined()) {
    throw EngineError("IndexError", "the package returns " + std::to_string(outputs.size()) +
                                        " values, and no tensor at place '" + place + "'");
  }
  return outputs[index];
}

Tree tree_of(const std::vector<at::Tensor>& outputs, const std::vector<std::string>& fetches) {
  if (fetches.empty()) {
    List list;
    for (const at::Tensor& output : outputs) {
      // At the place of a None there is no tensor.
      list.items.push_back(output.defined() ? Tree{Leaf{"", from_torch(output)}} : Tree{None{}});
    }
    return {list};
  }
  Dict dict;
  for (const std::string& place : fetches) {
    dict.items.emplace_back(place, Tree{Leaf{"", from_torch(output_at(outputs, place))}});
  }
  return {dict};
}

}  // namespace

// workers/python/aoti.py says the same.
std::string unsuitable(const std::unordered_map<std::string, std::string>& metadata,
                       const std::string& device) {
  const std::string compiled_for = value_of(metadata, "AOTI_DEVICE_KEY");
  if (!compiled_for.empty() && compiled_for != device) {
    return "the package was compiled for " + compiled_for + ", this is " + device +
           ": export it on the device that it runs on";
  }
  const std::string needed = value_of(metadata, "AOTI_CPU_ISA");
  if (processor_has(needed)) return "";
  return "the package was compiled for a processor with " + needed +
         ", which this one lacks: export it on this one";
}

AotiPackage::AotiPackage(const std::string& file, const c10::Device& device) : device_(device) {
  const auto metadata = Loader::load_metadata_from_package(file, kModelName);
  const std::string problem = unsuitable(metadata, c10::DeviceTypeName(device.type(), true));
  if (!problem.empty()) throw EngineError("RuntimeError", problem);
  open_libtorch();
  // The package's code reads this at its first run. Without it, inputs of another shape or layout
  // are computed with as if they had the ones that were exported.
  ::setenv("AOTI_RUNTIME_CHECK_INPUTS", "1", /*overwrite=*/1);
  loader_ = std::make_unique<Loader>(file, kModelName, /*run_single_threaded=*/false, kRunners,
                                     device.index());
}

AotiPackage::~AotiPackage() = default;

Result AotiPackage::run(const Call& call) const {
  ArgumentMaker maker(device_);
  const std::vector<at::Tensor> inputs = inputs_of(call, maker);
  Result result;
  const auto outputs =
      timed(device_, result.seconds, [&] { return checked_run(*loader_, inputs); });
  result.outputs = tree_of(outputs, call.fetches);
  result.passed = maker.passed();
  return result;
}

}  // namespace modelconform
