// Optimizers by name, and what a checkpoint holds of them. Included by train_loop.cpp alone.
#pragma once

#include <ATen/ops/scalar_tensor.h>
#include <torch/optim/adam.h>
#include <torch/optim/adamw.h>
#include <torch/optim/sgd.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "../harness/engine.h"
#include "../harness/training.h"

namespace modelconform {

namespace optim = torch::optim;

// Sets what a request gives; `known` are its options besides the learning rate.
template <typename Options>
Options with_options(
    const Training& training,
    const std::map<std::string, std::function<void(Options&, double)>>& known = {}) {
  const auto lr = training.options.find("lr");
  if (lr == training.options.end()) {
    throw EngineError("ValueError", training.optimizer + " needs an 'lr'");
  }
  Options options(lr->second);
  for (const auto& [name, value] : training.options) {
    if (name == "lr") continue;
    if (name == "weight_decay") {
      options.weight_decay(value);
    } else if (known.count(name) > 0) {
      known.at(name)(options, value);
    } else {
      throw EngineError("ValueError", training.optimizer + " has no option '" + name + "'");
    }
  }
  return options;
}

// By what name a checkpoint holds a part of an optimizer's state; the tensors as they are.
using State = std::map<std::string, at::Tensor>;

// An optimizer and what a checkpoint holds of it, by parameter.
struct Optimizer {
  std::unique_ptr<optim::Optimizer> optimizer;
  std::function<State(const optim::OptimizerParamState&)> state;
  std::function<std::unique_ptr<optim::OptimizerParamState>(const State&)> restored;
};

inline const at::Tensor& part(const State& state, const std::string& name) {
  const auto found = state.find(name);
  if (found == state.end()) {
    throw EngineError("ValueError", "the checkpoint lacks an optimizer's " + name);
  }
  return found->second;
}

template <typename ParamState>
inline Optimizer adam_like(std::unique_ptr<optim::Optimizer> optimizer) {
  return {std::move(optimizer),
          [](const optim::OptimizerParamState& any) -> State {
            const auto& state = static_cast<const ParamState&>(any);
            return {{"step", at::scalar_tensor(state.step(), at::kLong)},
                    {"exp_avg", state.exp_avg()},
                    {"exp_avg_sq", state.exp_avg_sq()}};
          },
          [](const State& parts) {
            auto state = std::make_unique<ParamState>();
            state->step(part(parts, "step").item<std::int64_t>());
            state->exp_avg(part(parts, "exp_avg"));
            state->exp_avg_sq(part(parts, "exp_avg_sq"));
            return state;
          }};
}

inline Optimizer make_optimizer(const Training& training,
                                const std::vector<at::Tensor>& parameters) {
  if (training.optimizer == "sgd") {
    const auto options = with_options<optim::SGDOptions>(
        training, {{"momentum", [](optim::SGDOptions& o, double value) { o.momentum(value); }}});
    return {std::make_unique<optim::SGD>(parameters, options),
            [](const optim::OptimizerParamState& any) -> State {
              const auto& state = static_cast<const optim::SGDParamState&>(any);
              if (!state.momentum_buffer().defined()) return {};
              return {{"momentum_buffer", state.momentum_buffer()}};
            },
            [](const State& parts) {
              auto state = std::make_unique<optim::SGDParamState>();
              state->momentum_buffer(part(parts, "momentum_buffer"));
              return state;
            }};
  }
  if (training.optimizer == "adam") {
    return adam_like<optim::AdamParamState>(
        std::make_unique<optim::Adam>(parameters, with_options<optim::AdamOptions>(training)));
  }
  if (training.optimizer == "adamw") {
    return adam_like<optim::AdamWParamState>(
        std::make_unique<optim::AdamW>(parameters, with_options<optim::AdamWOptions>(training)));
  }
  throw EngineError("ValueError", "no optimizer is called " + training.optimizer);
}

}  // namespace modelconform
