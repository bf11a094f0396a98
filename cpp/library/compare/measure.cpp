#include "measure.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace modelconform {
namespace {

// Of a number that may be 0 or infinite; the result is finite.
double log2_of(double value) {
  if (!(value > 0.0)) return -1100.0;
  return std::isinf(value) ? 1100.0 : std::log2(value);
}

// log2 of an error in units of the noise, within what is shown.
double lost(double ratio) { return std::clamp(log2_of(ratio), -kMostBits, kMostLost); }

std::optional<Row> row_of(const std::optional<Tensor>& tensor) {
  return tensor ? std::optional<Row>(*tensor) : std::nullopt;
}

}  // namespace

std::optional<FloatFormat> float_format(DType dtype) {
  switch (real_dtype(dtype)) {
    case DType::kFloat64:
      return FloatFormat{53, 0x1p-1022, 1e-10};
    case DType::kFloat32:
      return FloatFormat{24, 0x1p-126, 1e-4};
    case DType::kFloat16:
      return FloatFormat{11, 0x1p-24, 1e-2};
    case DType::kBFloat16:
      return FloatFormat{8, 0x1p-126, 5e-2};
    case DType::kFloat8E4M3FN:
      return FloatFormat{4, 0x1p-9, 0.25};
    case DType::kFloat8E5M2:
      return FloatFormat{3, 0x1p-16, 0.5};
    default:
      return std::nullopt;
  }
}

Pairing::Pairing(const Tensor& values, const OutputReference& reference)
    : values_(values),
      eager_(reference.eager),
      r_(row_of(reference.r)),
      floor_(row_of(reference.floor)),
      codes_(row_of(reference.codes)) {}

Code Pairing::code(std::size_t i) const {
  return codes_ ? static_cast<Code>(std::to_integer<std::uint8_t>(*codes_->at(i))) : kOrdinary;
}

double Pairing::expected(std::size_t i) const {
  if (r_) return (*r_)[i];
  return code(i) == kAsEager || code(i) == kWild ? 0.0 : eager_[i];
}

double Pairing::error(std::size_t i) const {
  const Code what = code(i);
  if (what != kOrdinary && what != kRelative) return 0.0;
  constexpr double kMost = std::numeric_limits<double>::max();
  return std::clamp(values_[i] - expected(i), -kMost, kMost);
}

bool Pairing::is_strange(std::size_t i) const {
  const double y = values_[i];
  const Code what = code(i);
  if (what == kWild) return false;
  if (what != kAsEager) return !std::isfinite(y);
  return y != eager_[i] && !(std::isnan(y) && std::isnan(eager_[i]));
}

bool Pairing::has_strange() const {
  for (std::size_t i = 0; i < size(); ++i) {
    if (is_strange(i)) return true;
  }
  return false;
}

Measured measure(const Pairing& pairing, const OutputReference& reference) {
  const Layout layout(reference.shape, reference.dtype);
  Measured found;
  double max_abs = 0.0;
  double worst = 0.0;
  const std::vector<double> sums = layout.sums([&](std::size_t i) {
    const double error = pairing.error(i);
    const double ratio = std::fabs(error) / pairing.floor(i);
    max_abs = std::max(max_abs, std::fabs(error));
    if (ratio > worst) {
      worst = ratio;
      found.worst_position = i;
    }
    return pairing.code(i) == kRelative ? 0.0 : error * error;
  });
  const std::vector<double> counts = reference.counts.empty() ? layout.counts() : reference.counts;
  const auto rms = [&](std::size_t g) { return std::sqrt(sums[g] / std::max(counts[g], 1.0)); };
  double loss = -1.0;
  for (std::size_t group = 0; group < layout.groups(); ++group) {
    const double here = rms(group) / reference.noise[group];
    if (here > loss) {
      loss = here;
      found.loss_group = group;
    }
  }
  const double signal = reference.signal.empty() ? 0.0 : reference.signal[0];
  if (signal != 0.0) {
    found.bits = std::clamp(log2_of(signal) - log2_of(rms(0)), -kMostLost, kMostBits);
  }
  found.loss = lost(loss);
  found.worst = lost(worst);
  found.max_abs = max_abs;
  return found;
}

}  // namespace modelconform
