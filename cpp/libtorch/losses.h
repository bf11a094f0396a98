// Loss functions by name, or from a file. Included by train_loop.cpp alone: libtorch's headers are
// slow to compile.
#pragma once

#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/serialization/import.h>
#include <torch/nn/functional/loss.h>

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "../harness/engine.h"
#include "../harness/training.h"

namespace modelconform {

namespace functional = torch::nn::functional;

// With the defaults of torch::nn::functional, which are part of what is tried.
inline const std::map<std::string, std::function<at::Tensor(const at::Tensor&, const at::Tensor&)>>
    kLosses = {
        {"mse_loss",
         [](const at::Tensor& y, const at::Tensor& t) { return functional::mse_loss(y, t); }},
        {"l1_loss",
         [](const at::Tensor& y, const at::Tensor& t) { return functional::l1_loss(y, t); }},
        {"smooth_l1_loss",
         [](const at::Tensor& y, const at::Tensor& t) { return functional::smooth_l1_loss(y, t); }},
        {"huber_loss",
         [](const at::Tensor& y, const at::Tensor& t) { return functional::huber_loss(y, t); }},
        {"cross_entropy",
         [](const at::Tensor& y, const at::Tensor& t) { return functional::cross_entropy(y, t); }},
        {"nll_loss",
         [](const at::Tensor& y, const at::Tensor& t) { return functional::nll_loss(y, t); }},
        {"binary_cross_entropy_with_logits",
         [](const at::Tensor& y, const at::Tensor& t) {
           return functional::binary_cross_entropy_with_logits(y, t);
         }},
};

using Loss = std::function<at::Tensor(const c10::IValue& output, const at::Tensor& target)>;

inline Loss make_loss(const Training& training, const c10::Device& device) {
  if (!training.loss_module.empty()) {
    auto module =
        std::make_shared<torch::jit::Module>(torch::jit::load(training.loss_module, device));
    return [module](const c10::IValue& output, const at::Tensor& target) {
      const c10::IValue loss = module->forward({output, target});
      if (!loss.isTensor()) throw EngineError("TypeError", "the loss module returns no tensor");
      return loss.toTensor();
    };
  }
  const auto found = kLosses.find(training.loss);
  if (found == kLosses.end()) throw EngineError("ValueError", "no loss is called " + training.loss);
  return [function = found->second, name = training.loss](const c10::IValue& output,
                                                          const at::Tensor& target) {
    if (!output.isTensor()) {
      throw EngineError("TypeError",
                        name + " takes a tensor, the model returns a " + output.tagKind());
    }
    return function(output.toTensor(), target);
  };
}

inline void check_loss(const at::Tensor& loss) {
  if (loss.dim() != 0) {
    throw EngineError("RuntimeError", "the loss is a tensor of shape " + c10::str(loss.sizes()) +
                                          "; a number, without dimensions, has a gradient");
  }
  if (!loss.requires_grad()) {
    throw EngineError("RuntimeError",
                      "the loss depends on no parameter that requires a gradient: was the model "
                      "exported without gradients?");
  }
}

}  // namespace modelconform
