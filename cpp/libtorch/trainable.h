// A model that can be trained: a TorchScript module, or one that is written in C++.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/ivalue.h>

#include <string>
#include <utility>
#include <vector>

namespace modelconform {

class Trainable {
 public:
  using Named = std::vector<std::pair<std::string, at::Tensor>>;

  Trainable() = default;
  Trainable(const Trainable&) = delete;
  Trainable& operator=(const Trainable&) = delete;
  virtual ~Trainable() = default;

  // By the names that they have in Python's state_dict, in the order in which the module registered
  // them: that is the order in which an optimizer sees them. The tensors are the model's own.
  virtual Named parameters() = 0;
  virtual Named buffers() = 0;
  // Module::train(): batch norms and dropouts behave as in training.
  virtual void train(bool on) = 0;
  // Called with positional arguments, in the caller's grad mode.
  virtual c10::IValue forward(std::vector<c10::IValue> args) = 0;
};

}  // namespace modelconform
