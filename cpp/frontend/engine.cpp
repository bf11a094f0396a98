// Models that are written in C++, with torch::nn, and take their weights from a state_dict.
#include "engine.h"

#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "../libtorch/errors.h"
#include "../libtorch/setup.h"
#include "../libtorch/train_loop.h"
#include "../libtorch/values.h"
#include "module.h"
#include "weights.h"

namespace modelconform {
namespace {

using c10::IValue;

class FrontendModel : public LoadedModel {
 public:
  FrontendModel(const Model& model, const c10::Device& device)
      : module_(make_module(model, device)), model_(model), device_(device) {}

  Result run(const Call& call) override {
    return in_torch([&] { return run_in_torch(call); });
  }

  // Not Module::clone(), which only modules that derive from Cloneable have: constructed anew.
  std::unique_ptr<LoadedModel> clone() override {
    return std::make_unique<FrontendModel>(model_, device_);
  }

  // Constructed anew, so that no training sees what another one or a run has left.
  std::optional<Trained> train(const Training& training) override {
    const std::unique_ptr<FrontendModule> module = make_module(model_, device_);
    return in_torch([&] { return modelconform::train(*module, training, device_); });
  }

 private:
  Result run_in_torch(const Call& call) {
    // Not InferenceMode: a model may itself ask for gradients inside.
    const at::NoGradGuard no_grad;
    share_threads();
    ArgumentMaker maker(device_);
    std::vector<IValue> args = arguments(call, maker);
    Result result;
    result.outputs = from_ivalue(
        timed(device_, result.seconds, [&] { return module_->forward(std::move(args)); }));
    result.passed = maker.passed();
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

  std::unique_ptr<FrontendModule> module_;
  Model model_;  // as it was asked for
  c10::Device device_;
};

class FrontendEngine : public Engine {
 public:
  explicit FrontendEngine(const Settings& settings) : device_(settings.device) {
    load_cuda(device_);
    set_threads(settings.threads);
  }

  Description description() const override {
    return {"cpp-frontend", library_version(), Layout::kTree, torch_devices()};
  }

  std::unique_ptr<LoadedModel> load(const Model& model) override {
    set_precision(model.precision);
    return std::make_unique<FrontendModel>(model, device_);
  }

  void release() override {
    in_torch([&] { release_memory(device_); });
  }

 private:
  c10::Device device_;
};

}  // namespace

std::unique_ptr<Engine> make_frontend_engine(const Settings& settings) {
  return in_torch([&] { return std::make_unique<FrontendEngine>(settings); });
}

}  // namespace modelconform
