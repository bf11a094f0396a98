#include "imprecise.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "words.h"

namespace modelconform {
namespace {

// The least effective bits of what is close, and the most that an element and a group may be off:
// relative to the greater of itself and the tensor's root mean square, and to its own.
struct Scale {
  double bits;
  double element;
  double group;
};

// A group may be off by so many of the tensor's last place, however small it is.
constexpr double kUnits = 8.0;

// That of pytest_modelconform/compare/imprecise.py, which says where the numbers are from.
std::optional<Scale> scale_of(DType dtype) {
  switch (real_dtype(dtype)) {
    case DType::kFloat64:
      return Scale{45.0, 0x1p-43, 0x1p-20};
    case DType::kFloat32:
      return Scale{16.0, 0x1p-14, 0x1p-6};
    case DType::kFloat16:
      return Scale{8.0, 0x1p-6, 0x1p-4};
    default:
      return std::nullopt;
  }
}

// Magnitudes are looked at in bands of so many powers of two: a factor of 16.
constexpr int kBand = 4;

// Sums of squares over the elements of a magnitude.
struct Sums {
  double signal = 0.0;
  double error = 0.0;
};

// By bands of |r|: band b holds 2^(4b) <= |r| < 2^(4b + 4). Without zeros and what is compared by
// itself.
std::map<int, Sums> by_magnitude(const Pairing& pairing) {
  std::map<int, Sums> bands;
  for (std::size_t i = 0; i < pairing.size(); ++i) {
    const double r = pairing.expected(i);
    if (r == 0.0 || pairing.code(i) != kOrdinary) continue;
    const int band = static_cast<int>(
        std::floor(static_cast<double>(std::ilogb(r)) / static_cast<double>(kBand)));
    const double error = pairing.error(i);
    bands[band].signal += r * r;
    bands[band].error += error * error;
  }
  return bands;
}

}  // namespace

bool is_close(const Pairing& pairing, const OutputReference& reference, const Numbers& numbers) {
  const auto scale = scale_of(reference.dtype);
  if (!scale || reference.reduced || reference.signal.empty() || !numbers.bits) return false;
  const double rms = reference.signal[0];
  if (*numbers.bits < scale->bits || !(rms > 0.0)) return false;
  for (std::size_t i = 0; i < pairing.size(); ++i) {
    const double size = std::max(std::fabs(pairing.expected(i)), rms);
    if (std::fabs(pairing.error(i)) > scale->element * size) return false;
  }
  const Layout layout(reference.shape, reference.dtype);
  const std::vector<double> sums = layout.sums([&](std::size_t i) {
    const double error = pairing.code(i) == kRelative ? 0.0 : pairing.error(i);
    return error * error;
  });
  const std::vector<double> counts = reference.counts.empty() ? layout.counts() : reference.counts;
  const double least = kUnits * std::ldexp(rms, -float_format(reference.dtype)->precision);
  for (std::size_t group = 0; group < layout.groups(); ++group) {
    const double off = std::sqrt(sums[group] / std::max(counts[group], 1.0));
    if (off > std::max(scale->group * reference.signal[group], least)) return false;
  }
  return true;
}

std::string what_is_lost(const Pairing& pairing, const Numbers& numbers) {
  const double bits = numbers.bits.value_or(0.0);
  const std::string said = "right to " + general(std::floor(bits)) + " bits of the tensor's scale";
  // Of all values below the end of a band: the greatest below which half of the bits are gone.
  struct Below {
    int band;
    double kept;
  };
  std::optional<Below> found;
  Sums below;
  for (const auto& [band, sums] : by_magnitude(pairing)) {
    below.signal += sums.signal;
    below.error += sums.error;
    if (!(sums.signal > 0.0) || !(below.error > 0.0)) continue;
    const double kept = std::log2(below.signal) / 2 - std::log2(below.error) / 2;
    if (kept <= bits / 2) found = Below{band, kept};
  }
  if (!found) return said;
  const double end = std::ldexp(1.0, (found->band + 1) * kBand);
  return said + "; values below " + formatted("%.0e", end) + " keep " +
         general(std::max(std::floor(found->kept), 0.0)) + " bits";
}

}  // namespace modelconform
