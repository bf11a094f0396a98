// Models that are written in C++, with torch::nn, and take their weights from a state_dict.
#include <ATen/core/grad_mode.h>
#include <torch/cuda.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "../engine.h"
#include "../frontend/module.h"
#include "../frontend/weights.h"
#include "../libtorch/errors.h"
#include "../libtorch/setup.h"
#include "../libtorch/training.h"
#include "../libtorch/values.h"

namespace modelconform {
namespace {

using c10::IValue;

class FrontendEngine : public Engine {
 public:
  explicit FrontendEngine(const Settings& settings) : device_(settings.device) {
    load_cuda(device_);
    set_threads(settings.threads);
  }

  Description description() const override {
    return {"cpp-frontend", library_version(), Layout::kTree, torch_devices()};
  }

  void load(const Model& model) override {
    set_precision(model.precision);
    module_ = make_module(model, device_);
    model_ = model;
  }

  std::vector<std::string> input_names() const override { return {}; }

  Result run(const Call& call) override {
    return in_torch([&] { return run_in_torch(call); });
  }

  // Not Module::clone(), which only modules that derive from Cloneable have: constructed anew.
  std::unique_ptr<Engine> clone() override {
    std::unique_ptr<FrontendEngine> copy(new FrontendEngine(device_));
    copy->module_ = make_module(model_, device_);
    copy->model_ = model_;
    return copy;
  }

  // Constructed anew, so that no training sees what another one or a run has left.
  Trained train(const Training& training) override {
    const std::unique_ptr<FrontendModule> model = make_module(model_, device_);
    return in_torch([&] { return modelconform::train(*model, training, device_); });
  }

  void unload() override { module_.reset(); }

 private:
  explicit FrontendEngine(const c10::Device& device) : device_(device) {}

  Result run_in_torch(const Call& call) {
    // Not InferenceMode: a model may itself ask for gradients inside.
    const at::NoGradGuard no_grad;
    share_threads();
    ArgumentMaker maker(device_);
    std::vector<IValue> args = arguments(call, maker);

    synchronize();
    const auto start = std::chrono::steady_clock::now();
    const IValue outputs = module_->forward(std::move(args));
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

  // C++ has no keyword arguments: they go where Python's forward has them, with None in between.
  std::vector<IValue> arguments(const Call& call, ArgumentMaker& maker) const {
    std::vector<IValue> args;
    for (const Tree& tree : call.args) args.push_back(maker.make(tree, c10::AnyType::get()));
    const std::vector<std::string>& names = model_.frontend->arguments;
    for (const auto& [name, tree] : call.kwargs) {
      const auto place = std::find(names.begin(), names.end(), name);
      if (place == names.end()) {
        throw EngineError("TypeError",
                          "the case passes " + name +
                              " by name, and Python's forward has no parameter of that "
                              "name: its place in C++ is not known");
      }
      const auto position = static_cast<std::size_t>(place - names.begin());
      if (args.size() <= position) args.resize(position + 1);
      args[position] = maker.make(tree, c10::AnyType::get());
    }
    return args;
  }

  void synchronize() const {
    if (device_.is_cuda()) torch::cuda::synchronize();
  }

  c10::Device device_;
  Model model_;
  std::unique_ptr<FrontendModule> module_;
};

}  // namespace

std::unique_ptr<Engine> make_engine(const Settings& settings) {
  return in_torch([&] { return std::make_unique<FrontendEngine>(settings); });
}

}  // namespace modelconform
