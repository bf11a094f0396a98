#include "numbers.h"

#include <cmath>
#include <cstdint>
#include <limits>

namespace modelconform {
namespace {

// A float of `exponent_bits` and `mantissa_bits` after the sign. float8_e4m3fn alone has no
// infinity: all ones is NaN, and its largest exponent is an ordinary one.
double small_float(std::uint32_t bits, int exponent_bits, int mantissa_bits, bool has_infinity) {
  const std::uint32_t largest_exponent = (1U << exponent_bits) - 1;
  const std::uint32_t largest_mantissa = (1U << mantissa_bits) - 1;
  const std::uint32_t exponent = (bits >> mantissa_bits) & largest_exponent;
  const std::uint32_t mantissa = bits & largest_mantissa;
  const double sign = (bits >> (exponent_bits + mantissa_bits)) & 1U ? -1.0 : 1.0;
  const int bias = (1 << (exponent_bits - 1)) - 1;
  if (exponent == largest_exponent) {
    if (has_infinity && mantissa == 0) return sign * std::numeric_limits<double>::infinity();
    if (has_infinity || mantissa == largest_mantissa) {
      return std::numeric_limits<double>::quiet_NaN();
    }
  }
  if (exponent == 0) return sign * std::ldexp(mantissa, 1 - bias - mantissa_bits);
  return sign * std::ldexp(mantissa + (1U << mantissa_bits),
                           static_cast<int>(exponent) - bias - mantissa_bits);
}

template <typename T>
double as_double(const std::byte* at) {
  return static_cast<double>(load_as<T>(at));
}

}  // namespace

bool is_complex(DType dtype) { return dtype == DType::kComplex64 || dtype == DType::kComplex128; }

DType real_dtype(DType dtype) {
  if (dtype == DType::kComplex64) return DType::kFloat32;
  return dtype == DType::kComplex128 ? DType::kFloat64 : dtype;
}

double number_at(DType dtype, const std::byte* at) {
  switch (dtype) {
    case DType::kBool:
      return load_as<std::uint8_t>(at) != 0 ? 1.0 : 0.0;
    case DType::kUInt8:
      return as_double<std::uint8_t>(at);
    case DType::kInt8:
      return as_double<std::int8_t>(at);
    case DType::kUInt16:
      return as_double<std::uint16_t>(at);
    case DType::kInt16:
      return as_double<std::int16_t>(at);
    case DType::kUInt32:
      return as_double<std::uint32_t>(at);
    case DType::kInt32:
      return as_double<std::int32_t>(at);
    case DType::kUInt64:
      return as_double<std::uint64_t>(at);
    case DType::kInt64:
      return as_double<std::int64_t>(at);
    case DType::kFloat16:
      return small_float(load_as<std::uint16_t>(at), 5, 10, true);
    case DType::kBFloat16:
      return small_float(load_as<std::uint16_t>(at), 8, 7, true);
    case DType::kFloat32:
    case DType::kComplex64:
      return as_double<float>(at);
    case DType::kFloat64:
    case DType::kComplex128:
      return as_double<double>(at);
    case DType::kFloat8E4M3FN:
      return small_float(load_as<std::uint8_t>(at), 4, 3, false);
    case DType::kFloat8E5M2:
      return small_float(load_as<std::uint8_t>(at), 5, 2, true);
  }
  return 0.0;
}

}  // namespace modelconform
