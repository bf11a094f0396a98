// TorchScript modules and AOTInductor's packages in libtorch.
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/serialization/import.h>
#include <torch/cuda.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "../engine.h"
#include "../libtorch/aoti.h"
#include "../libtorch/errors.h"
#include "../libtorch/script_trainable.h"
#include "../libtorch/setup.h"
#include "../libtorch/training.h"
#include "../libtorch/values.h"

namespace modelconform {
namespace {

using c10::IValue;
using c10::TypePtr;

class LibtorchEngine : public Engine {
 public:
  explicit LibtorchEngine(const Settings& settings) : device_(settings.device) {
    load_cuda(device_);
    set_threads(settings.threads);
  }

  Description description() const override {
    return {"libtorch-cpp", library_version(), Layout::kTree, torch_devices()};
  }

  void load(const Model& model) override {
    open_libraries(model.libraries);
    set_precision(model.precision);
    model_ = model;
    in_torch([&] {
      if (is_package(model)) {
        package_ = std::make_unique<AotiPackage>(model.file, device_);
      } else {
        module_ = torch::jit::load(model.file, device_);
      }
    });
  }

  std::vector<std::string> input_names() const override { return {}; }

  Result run(const Call& call) override {
    return in_torch([&] { return run_in_torch(call); });
  }

  // deepcopy(), not clone(): docs/architecture.md, "Threads and instances".
  std::unique_ptr<Engine> clone() override {
    return in_torch([&] {
      std::unique_ptr<LibtorchEngine> copy(new LibtorchEngine(device_));
      if (package_) {
        copy->package_ = std::make_unique<AotiPackage>(model_.file, device_);
      } else {
        copy->module_ = module_->deepcopy();
      }
      return copy;
    });
  }

  // From the file, so that no training sees what another one or a run has left.
  Trained train(const Training& training) override {
    return in_torch([&] {
      ScriptTrainable model(torch::jit::load(model_.file, device_));
      return modelconform::train(model, training, device_);
    });
  }

  void unload() override {
    module_.reset();
    package_.reset();
  }

 private:
  explicit LibtorchEngine(const c10::Device& device) : device_(device) {}

  // By hand nobody says the format.
  static bool is_package(const Model& model) {
    static const std::string kSuffix = ".pt2";
    const std::string& file = model.file;
    if (!model.format.empty()) return model.format == "aoti";
    return file.size() >= kSuffix.size() &&
           file.compare(file.size() - kSuffix.size(), kSuffix.size(), kSuffix) == 0;
  }

  Result run_in_torch(const Call& call) {
    // Not InferenceMode: a model may itself ask for gradients inside.
    const at::NoGradGuard no_grad;
    share_threads();
    if (package_) return package_->run(call);
    const auto forward = module_->get_method("forward");
    const auto& schema = forward.function().getSchema();

    ArgumentMaker maker(device_);
    std::vector<IValue> args;
    for (const Tree& tree : call.args) {
      const std::size_t position = args.size() + 1;  // after self
      const bool declared = position < schema.arguments().size();
      args.push_back(maker.make(
          tree, declared ? schema.arguments()[position].type() : TypePtr(c10::AnyType::get())));
    }
    std::unordered_map<std::string, IValue> kwargs;
    for (const auto& [name, tree] : call.kwargs) {
      const auto position = schema.argumentIndexWithName(name);
      kwargs[name] = maker.make(
          tree, position ? schema.arguments()[*position].type() : TypePtr(c10::AnyType::get()));
    }

    synchronize();
    const auto start = std::chrono::steady_clock::now();
    const IValue outputs = forward(std::move(args), kwargs);
    synchronize();
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;

    Result result;
    result.seconds = elapsed.count();
    result.outputs = from_ivalue(outputs);
    for (const auto& [key, tensor] : maker.tensors()) {
      result.passed.push_back({key, from_torch(tensor)});
    }
    return result;
  }

  void synchronize() const {
    if (device_.is_cuda()) torch::cuda::synchronize();
  }

  c10::Device device_;
  Model model_;                               // as it was asked for
  std::optional<torch::jit::Module> module_;  // this one is loaded,
  std::unique_ptr<AotiPackage> package_;      // or that one
};

}  // namespace

std::unique_ptr<Engine> make_engine(const Settings& settings) {
  return in_torch([&] { return std::make_unique<LibtorchEngine>(settings); });
}

}  // namespace modelconform
