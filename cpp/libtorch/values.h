// Tensors and trees to libtorch's values and back.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/ivalue.h>

#include <map>
#include <string>
#include <vector>

#include "../harness/engine.h"

namespace modelconform {

at::ScalarType to_scalar_type(DType dtype);
DType from_scalar_type(at::ScalarType type);

// Of its own memory, with the strides that the tensor stands for.
at::Tensor to_torch(const Tensor& tensor, const c10::Device& device);
// A copy in row-major order that says how the tensor lies in memory; throws for one that isn't
// dense.
Tensor from_torch(const at::Tensor& tensor);
Tree from_ivalue(const c10::IValue& value);

// Makes a call's arguments. Containers in TorchScript are typed, and what is empty doesn't tell its
// type, so each tree is made to fit the type that the module's signature declares. Where the two
// don't fit, the tree is passed as it is, and libtorch says what it expected.
class ArgumentMaker {
 public:
  explicit ArgumentMaker(const c10::Device& device) : device_(device) {}

  c10::IValue make(const Tree& tree, const c10::TypePtr& type);

  // The tensors that were made, by key, as they are now: after the call.
  std::vector<Leaf> passed() const;

 private:
  class Maker;

  c10::Device device_;
  std::map<std::string, at::Tensor> tensors_;
};

}  // namespace modelconform
