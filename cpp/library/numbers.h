// Single numbers in a tensor's bytes.
#pragma once

#include <cstddef>
#include <cstring>

#include "tensors.h"

namespace modelconform {

template <typename T>
T load_as(const std::byte* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

bool is_complex(DType dtype);
// What a complex number is a pair of; any other dtype is its own.
DType real_dtype(DType dtype);

// The number at `at`, false and true as 0 and 1; of a complex one the real part. Integers beyond
// 2^53 are rounded.
double number_at(DType dtype, const std::byte* at);

}  // namespace modelconform
