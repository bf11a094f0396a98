// TorchScript modules and AOTInductor's packages in libtorch.
#include "engine.h"

#include <ATen/core/grad_mode.h>

#include <optional>
#include <string>
#include <utility>

#include "aoti.h"
#include "errors.h"
#include "script.h"
#include "setup.h"
#include "train_loop.h"

namespace modelconform {
namespace {

// Runs a call in what stands for a model: a module or a package.
template <typename Runner>
Result run_in_torch(const Runner& runner, const Call& call) {
  return in_torch([&] {
    // Not InferenceMode: a model may itself ask for gradients inside.
    const at::NoGradGuard no_grad;
    share_threads();
    return runner.run(call);
  });
}

class ScriptModel : public LoadedModel {
 public:
  ScriptModel(std::unique_ptr<ScriptModule> module, const Model& model, const c10::Device& device)
      : module_(std::move(module)), model_(model), device_(device) {}

  Result run(const Call& call) override { return run_in_torch(*module_, call); }

  // deepcopy(), not clone(): docs/architecture.md, "Threads and instances".
  std::unique_ptr<LoadedModel> clone() override {
    return in_torch(
        [&] { return std::make_unique<ScriptModel>(module_->deepcopy(), model_, device_); });
  }

  // From the file, so that no training sees what another one or a run has left.
  std::optional<Trained> train(const Training& training) override {
    return in_torch([&] {
      const auto model = load_trainable_script(model_.file, device_);
      return modelconform::train(*model, training, device_);
    });
  }

 private:
  std::unique_ptr<ScriptModule> module_;
  Model model_;  // as it was asked for
  c10::Device device_;
};

class PackageModel : public LoadedModel {
 public:
  PackageModel(const std::string& file, const c10::Device& device)
      : package_(file, device), file_(file), device_(device) {}

  Result run(const Call& call) override { return run_in_torch(package_, call); }

  std::unique_ptr<LoadedModel> clone() override {
    return in_torch([&] { return std::make_unique<PackageModel>(file_, device_); });
  }

 private:
  AotiPackage package_;
  std::string file_;
  c10::Device device_;
};

// By hand nobody says the format.
bool is_package(const Model& model) {
  if (!model.format.empty()) return model.format == "aoti";
  return model.file.ends_with(".pt2");
}

class LibtorchEngine : public Engine {
 public:
  explicit LibtorchEngine(const Settings& settings) : device_(settings.device) {
    load_cuda(device_);
    set_threads(settings.threads);
  }

  Description description() const override {
    return {"libtorch-cpp", library_version(), Layout::kTree, torch_devices()};
  }

  std::unique_ptr<LoadedModel> load(const Model& model) override {
    open_libraries(model.libraries);
    set_precision(model.precision);
    return in_torch([&]() -> std::unique_ptr<LoadedModel> {
      if (is_package(model)) return std::make_unique<PackageModel>(model.file, device_);
      return std::make_unique<ScriptModel>(std::make_unique<ScriptModule>(model.file, device_),
                                           model, device_);
    });
  }

  void release() override {
    in_torch([&] { release_memory(device_); });
  }

 private:
  c10::Device device_;
};

}  // namespace

std::unique_ptr<Engine> make_libtorch_engine(const Settings& settings) {
  return in_torch([&] { return std::make_unique<LibtorchEngine>(settings); });
}

}  // namespace modelconform
