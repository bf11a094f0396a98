// One pass over a tensor that measures it against its reference.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "../numbers.h"
#include "../reference.h"
#include "groups.h"

namespace modelconform {

// What an element is, where it isn't ordinary (0).
enum Code : std::uint8_t {
  kOrdinary = 0,
  kAsEager = 1,  // eager is NaN or infinite: so must the result be, and no number is compared
  kLeftOut =
      2,  // only float64 is NaN or infinite: the result must be finite, no number is compared
  kUnstable = 3,  // eager's noisy runs disagree: the result must be finite, no number is compared
  kRelative = 4,  // |r| >= 1e30: compared by element, left out of all groups
  kWild = 5,      // eager's runs are NaN or infinite, not all of them alike: nothing is compared
};

constexpr double kMostBits = 60.0;   // for a result without any error
constexpr double kMostLost = 999.0;  // for an error beyond all measure

// Significant bits, the error that is none, and the rtol of a case without a float64 reference.
struct FloatFormat {
  int precision;
  double tiny;
  double lenient;
};
std::optional<FloatFormat> float_format(DType dtype);  // none for integers and bool

// A tensor's numbers as one row, complex ones as pairs.
class Row {
 public:
  explicit Row(const Tensor& tensor)
      : dtype_(real_dtype(tensor.dtype)),
        step_(element_size(dtype_)),
        size_(tensor.size_in_bytes() / step_),
        data_(tensor.data) {}

  std::size_t size() const { return size_; }
  double operator[](std::size_t i) const { return number_at(dtype_, data_ + i * step_); }
  DType dtype() const { return dtype_; }
  const std::byte* at(std::size_t i) const { return data_ + i * step_; }

 private:
  DType dtype_;
  std::size_t step_;
  std::size_t size_;
  const std::byte* data_;
};

// A result beside its reference, element by element.
class Pairing {
 public:
  Pairing(const Tensor& values, const OutputReference& reference);

  std::size_t size() const { return values_.size(); }
  Code code(std::size_t i) const;
  double value(std::size_t i) const { return values_[i]; }
  double eager(std::size_t i) const { return eager_[i]; }
  // What an element is compared with: float64's number, or else eager's; never NaN or infinite.
  double expected(std::size_t i) const;
  // y - r; 0 where nothing is compared, the largest number where that overflows.
  double error(std::size_t i) const;
  // The error that counts as 2^0.
  double floor(std::size_t i) const { return (*floor_)[i]; }
  // Whether the result is NaN or infinite and the model isn't, or the other way round.
  bool is_strange(std::size_t i) const;
  bool has_strange() const;

 private:
  Row values_;
  Row eager_;
  std::optional<Row> r_;
  std::optional<Row> floor_;
  std::optional<Row> codes_;
};

struct Measured : Numbers {
  std::size_t loss_group = 0;  // with the greatest loss
  std::optional<std::size_t> worst_position;
};

// For a reference of kind kFloat and a result without anything strange.
Measured measure(const Pairing& pairing, const OutputReference& reference);

}  // namespace modelconform
