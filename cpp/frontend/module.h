// What a case's library (a model in C++, compiled at the user's) gives to the harness.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <string>
#include <utility>
#include <vector>

#include "../libtorch/trainable.h"

namespace modelconform {

class FrontendModule : public Trainable {
 public:
  // Parameters and buffers by all their names, as a state_dict has them: a tensor that two modules
  // share is there twice.
  virtual std::vector<std::pair<std::string, at::Tensor>> state() = 0;
  virtual void to(const c10::Device& device) = 0;

  // Names of forward's parameters in Python, in order: what messages call the arguments.
  void name_arguments(std::vector<std::string> names) { names_ = std::move(names); }

 protected:
  const std::vector<std::string>& argument_names() const { return names_; }

 private:
  std::vector<std::string> names_;
};

// Of this type is the one function of a case's library, which constructs the module anew.
using MakeFrontendModule = FrontendModule*();
constexpr const char* kMakeFrontendModule = "modelconform_frontend_make";

}  // namespace modelconform
