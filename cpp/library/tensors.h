// Tensors as they travel: a dtype, a shape and bytes, without any engine's types.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace modelconform {

enum class DType {
  kBool,
  kUInt8,
  kInt8,
  kUInt16,
  kInt16,
  kUInt32,
  kInt32,
  kUInt64,
  kInt64,
  kFloat16,
  kBFloat16,
  kFloat32,
  kFloat64,
  kComplex64,
  kComplex128,
  kFloat8E4M3FN,
  kFloat8E5M2,
};

std::string_view dtype_name(DType dtype);      // PyTorch's: "float32"
DType dtype_from_name(std::string_view name);  // throws std::invalid_argument
std::size_t element_size(DType dtype);         // in bytes

using Shape = std::vector<std::int64_t>;

struct Tensor {
  DType dtype = DType::kFloat32;
  Shape shape;
  // The dimensions from the slowest to the fastest stride, of the tensor that this one stands for.
  // Empty: row-major. The bytes below are in row-major order of `shape` either way.
  Shape order;
  const std::byte* data = nullptr;    // not necessarily aligned: read it with memcpy
  std::shared_ptr<const void> owner;  // keeps `data` alive

  std::size_t size_in_bytes() const;
};

// The dimensions of a row-major tensor in order of their strides: 0, 1, ...
Shape row_major(std::size_t dimensions);
// Strides in elements of a dense tensor of this shape whose dimensions are laid out in this order.
Shape strides_of(const Shape& shape, const Shape& order);
// The other direction: empty where the strides are row-major.
Shape order_of(const Shape& shape, const Shape& strides);

// A tensor of its own memory, filled with zeros; `bytes` is where to write.
struct OwnedTensor {
  Tensor tensor;
  std::byte* bytes;
};
OwnedTensor allocate(DType dtype, Shape shape);
OwnedTensor writable_copy(const Tensor& tensor);
Tensor ones(DType dtype, Shape shape);

// dtype, shape and every byte; NaNs of the same bits are equal, 0 and -0 are not.
bool same_bits(const Tensor& a, const Tensor& b);

std::string shape_text(const Shape& shape);                     // "[1, 1000]"
std::string describe(const Tensor& tensor);                     // "float32 [1, 1000]"
std::string first_values(const Tensor& tensor, std::size_t n);  // "0.0345 -0.4521 ..."

}  // namespace modelconform
