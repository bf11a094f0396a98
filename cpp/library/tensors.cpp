#include "tensors.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <limits>
#include <numeric>

#include "numbers.h"

namespace modelconform {
namespace {

struct DTypeRow {
  DType dtype;
  std::string_view name;
  std::size_t size;
};

constexpr std::array kDTypes{
    DTypeRow{DType::kBool, "bool", 1},
    DTypeRow{DType::kUInt8, "uint8", 1},
    DTypeRow{DType::kInt8, "int8", 1},
    DTypeRow{DType::kUInt16, "uint16", 2},
    DTypeRow{DType::kInt16, "int16", 2},
    DTypeRow{DType::kUInt32, "uint32", 4},
    DTypeRow{DType::kInt32, "int32", 4},
    DTypeRow{DType::kUInt64, "uint64", 8},
    DTypeRow{DType::kInt64, "int64", 8},
    DTypeRow{DType::kFloat16, "float16", 2},
    DTypeRow{DType::kBFloat16, "bfloat16", 2},
    DTypeRow{DType::kFloat32, "float32", 4},
    DTypeRow{DType::kFloat64, "float64", 8},
    DTypeRow{DType::kComplex64, "complex64", 8},
    DTypeRow{DType::kComplex128, "complex128", 16},
    DTypeRow{DType::kFloat8E4M3FN, "float8_e4m3fn", 1},
    DTypeRow{DType::kFloat8E5M2, "float8_e5m2", 1},
};

const DTypeRow& row_of(DType dtype) { return kDTypes.at(static_cast<std::size_t>(dtype)); }

std::string float_text(double value) {
  std::array<char, 40> text{};
  std::snprintf(text.data(), text.size(), "%.4f", value);
  // Four digits after the point say nothing about 1e-7 or 1e9.
  const double magnitude = std::fabs(value);
  if (value != 0 && std::isfinite(value) && (magnitude < 1e-3 || magnitude >= 1e6)) {
    std::snprintf(text.data(), text.size(), "%.4e", value);
  }
  return text.data();
}

std::string value_text(DType dtype, const std::byte* at) {
  switch (dtype) {
    case DType::kBool:
      return load_as<std::uint8_t>(at) != 0 ? "true" : "false";
    case DType::kUInt8:
      return std::to_string(load_as<std::uint8_t>(at));
    case DType::kInt8:
      return std::to_string(load_as<std::int8_t>(at));
    case DType::kUInt16:
      return std::to_string(load_as<std::uint16_t>(at));
    case DType::kInt16:
      return std::to_string(load_as<std::int16_t>(at));
    case DType::kUInt32:
      return std::to_string(load_as<std::uint32_t>(at));
    case DType::kInt32:
      return std::to_string(load_as<std::int32_t>(at));
    case DType::kUInt64:
      return std::to_string(load_as<std::uint64_t>(at));
    case DType::kInt64:
      return std::to_string(load_as<std::int64_t>(at));
    case DType::kComplex64:
    case DType::kComplex128:
      return float_text(number_at(dtype, at)) + "+" +
             float_text(number_at(dtype, at + element_size(dtype) / 2)) + "j";
    default:
      return float_text(number_at(dtype, at));
  }
}

// The bytes of the number 1, which happen to be the same in each element.
std::vector<std::byte> one_of(DType dtype) {
  std::vector<std::byte> bytes(element_size(dtype));
  const auto set = [&bytes](auto value) { std::memcpy(bytes.data(), &value, sizeof value); };
  switch (dtype) {
    case DType::kFloat16:
      set(std::uint16_t{0x3c00});
      break;
    case DType::kBFloat16:
      set(std::uint16_t{0x3f80});
      break;
    case DType::kFloat32:
    case DType::kComplex64:
      set(1.0F);
      break;
    case DType::kFloat64:
    case DType::kComplex128:
      set(1.0);
      break;
    case DType::kFloat8E4M3FN:
      set(std::uint8_t{0x38});
      break;
    case DType::kFloat8E5M2:
      set(std::uint8_t{0x3c});
      break;
    default:
      bytes[0] = std::byte{1};  // integers and bool, little-endian
  }
  return bytes;
}

}  // namespace

std::string_view dtype_name(DType dtype) { return row_of(dtype).name; }

DType dtype_from_name(std::string_view name) {
  for (const DTypeRow& row : kDTypes) {
    if (row.name == name) return row.dtype;
  }
  std::string known;
  for (const DTypeRow& row : kDTypes) known += " " + std::string(row.name);
  throw std::invalid_argument("no dtype is called '" + std::string(name) + "'; there are" + known);
}

std::size_t element_size(DType dtype) { return row_of(dtype).size; }

std::size_t Tensor::size_in_bytes() const {
  std::size_t bytes = element_size(dtype);
  for (const std::int64_t size : shape) bytes *= static_cast<std::size_t>(size);
  return bytes;
}

Shape row_major(std::size_t dimensions) {
  Shape order(dimensions);
  std::iota(order.begin(), order.end(), 0);
  return order;
}

Shape strides_of(const Shape& shape, const Shape& order) {
  Shape strides(shape.size());
  const Shape slowest_first = order.empty() ? row_major(shape.size()) : order;
  std::int64_t stride = 1;
  for (auto dimension = slowest_first.rbegin(); dimension != slowest_first.rend(); ++dimension) {
    const auto i = static_cast<std::size_t>(*dimension);
    strides[i] = stride;
    stride *= std::max<std::int64_t>(shape[i], 1);
  }
  return strides;
}

Shape order_of(const Shape& shape, const Shape& strides) {
  // A dimension of size 1 may claim any stride; it has no say in whether the tensor is row-major.
  std::int64_t last = std::numeric_limits<std::int64_t>::max();
  bool is_row_major = true;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] == 0) return {};
    if (shape[i] == 1) continue;
    is_row_major = is_row_major && strides[i] <= last;
    last = strides[i];
  }
  if (is_row_major) return {};
  Shape order = row_major(shape.size());
  std::stable_sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) {
    return strides[static_cast<std::size_t>(a)] > strides[static_cast<std::size_t>(b)];
  });
  return order;
}

OwnedTensor allocate(DType dtype, Shape shape) {
  Tensor tensor;
  tensor.dtype = dtype;
  tensor.shape = std::move(shape);
  // Engines ask for aligned memory, and for some even where there is nothing to read.
  constexpr std::size_t kAlignment = 64;
  const std::size_t size = std::max<std::size_t>(tensor.size_in_bytes(), 1);
  auto* bytes = static_cast<std::byte*>(::operator new(size, std::align_val_t{kAlignment}));
  std::memset(bytes, 0, size);
  tensor.owner = std::shared_ptr<const void>(
      bytes, [](void* at) { ::operator delete(at, std::align_val_t{kAlignment}); });
  tensor.data = bytes;
  return {std::move(tensor), bytes};
}

OwnedTensor writable_copy(const Tensor& tensor) {
  OwnedTensor copy = allocate(tensor.dtype, tensor.shape);
  const std::size_t size = tensor.size_in_bytes();
  if (size > 0) std::memcpy(copy.bytes, tensor.data, size);
  return copy;
}

Tensor ones(DType dtype, Shape shape) {
  OwnedTensor tensor = allocate(dtype, std::move(shape));
  const std::vector<std::byte> one = one_of(dtype);
  for (std::size_t at = 0; at < tensor.tensor.size_in_bytes(); at += one.size()) {
    std::memcpy(tensor.bytes + at, one.data(), one.size());
  }
  return tensor.tensor;
}

bool same_bits(const Tensor& a, const Tensor& b) {
  if (a.dtype != b.dtype || a.shape != b.shape) return false;
  const std::size_t size = a.size_in_bytes();
  return size == 0 || std::memcmp(a.data, b.data, size) == 0;
}

std::string shape_text(const Shape& shape) {
  std::string text = "[";
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (i > 0) text += ", ";
    text += std::to_string(shape[i]);
  }
  return text + "]";
}

std::string describe(const Tensor& tensor) {
  return std::string(dtype_name(tensor.dtype)) + " " + shape_text(tensor.shape);
}

std::string first_values(const Tensor& tensor, std::size_t n) {
  const std::size_t element = element_size(tensor.dtype);
  const std::size_t count = tensor.size_in_bytes() / element;
  std::string text;
  for (std::size_t i = 0; i < std::min(count, n); ++i) {
    if (i > 0) text += " ";
    text += value_text(tensor.dtype, tensor.data + i * element);
  }
  return count > n ? text + " ..." : text;
}

}  // namespace modelconform
