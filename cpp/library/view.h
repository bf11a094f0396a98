// Tensors over memory that somebody else owns, such as an inference engine.
#pragma once

#include <complex>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

#include "tensors.h"

namespace modelconform {

// The dtype of a C++ type; float16, bfloat16 and float8 have none.
template <typename T>
constexpr DType dtype_of() {
  if constexpr (std::is_same_v<T, bool>) {
    return DType::kBool;
  } else if constexpr (std::is_same_v<T, float>) {
    return DType::kFloat32;
  } else if constexpr (std::is_same_v<T, double>) {
    return DType::kFloat64;
  } else if constexpr (std::is_same_v<T, std::complex<float>>) {
    return DType::kComplex64;
  } else if constexpr (std::is_same_v<T, std::complex<double>>) {
    return DType::kComplex128;
  } else {
    static_assert(std::is_integral_v<T>, "no dtype is made of this type");
    switch (sizeof(T)) {
      case 1:
        return std::is_signed_v<T> ? DType::kInt8 : DType::kUInt8;
      case 2:
        return std::is_signed_v<T> ? DType::kInt16 : DType::kUInt16;
      case 4:
        return std::is_signed_v<T> ? DType::kInt32 : DType::kUInt32;
      default:
        return std::is_signed_v<T> ? DType::kInt64 : DType::kUInt64;
    }
  }
}

// A tensor of this row-major memory, which has to live at least as long.
inline Tensor view(DType dtype, const void* data, Shape shape) {
  Tensor tensor;
  tensor.dtype = dtype;
  tensor.shape = std::move(shape);
  tensor.data = static_cast<const std::byte*>(data);
  return tensor;
}

template <typename T>
Tensor view(const T* data, Shape shape) {
  return view(dtype_of<T>(), data, std::move(shape));
}

// A tensor's elements, row-major. Throws std::invalid_argument if they are of another type.
template <typename T>
T* elements(const OwnedTensor& tensor) {
  if (tensor.tensor.dtype != dtype_of<T>()) {
    throw std::invalid_argument("the tensor is " + describe(tensor.tensor) + ", not of " +
                                std::string(dtype_name(dtype_of<T>())));
  }
  return reinterpret_cast<T*>(tensor.bytes);
}

}  // namespace modelconform
