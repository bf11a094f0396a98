// A TorchScript module as a model that can be trained.
#pragma once

#include <torch/csrc/jit/api/module.h>

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "trainable.h"

namespace modelconform {

class ScriptTrainable : public Trainable {
 public:
  explicit ScriptTrainable(torch::jit::Module module) : module_(std::move(module)) {}

  Named parameters() override { return named(module_.named_parameters()); }
  Named buffers() override { return named(module_.named_buffers()); }
  void train(bool on) override { module_.train(on); }
  c10::IValue forward(std::vector<c10::IValue> args) override {
    return module_.forward(std::move(args));
  }

 private:
  // A tensor that two submodules share is there once, under its first name, as in Python.
  template <typename List>
  static Named named(const List& list) {
    Named found;
    std::set<const void*> known;
    for (const auto& [name, tensor] : list) {
      if (known.insert(tensor.unsafeGetTensorImpl()).second) found.emplace_back(name, tensor);
    }
    return found;
  }

  torch::jit::Module module_;
};

}  // namespace modelconform
