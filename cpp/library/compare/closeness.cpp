#include "closeness.h"

#include <algorithm>
#include <cmath>

namespace modelconform {

Closeness closeness_of(const Pairing& pairing, double rtol, double atol) {
  Closeness close;
  for (std::size_t i = 0; i < pairing.size(); ++i) {
    const double error = std::fabs(pairing.error(i));
    const double size = std::fabs(pairing.expected(i));
    const double beyond = error - (atol + rtol * size);
    close.max_abs = std::max(close.max_abs, error);
    if (beyond > close.beyond) {
      close.beyond = beyond;
      close.position = i;
    }
    if (beyond > 0.0) {
      ++close.count;
      close.atol = std::max(close.atol, error - rtol * size);
      close.rtol = std::max(close.rtol, (error - atol) / size);
    }
  }
  return close;
}

double cosine_of(const Pairing& pairing) {
  double dot = 0.0;
  double length = 0.0;
  double r_length = 0.0;
  for (std::size_t i = 0; i < pairing.size(); ++i) {
    if (pairing.code(i) != kOrdinary) continue;
    const double y = pairing.value(i);
    const double r = pairing.expected(i);
    dot += y * r;
    length += y * y;
    r_length += r * r;
  }
  if (length == 0.0 || r_length == 0.0) return length == r_length ? 1.0 : 0.0;
  const double cosine = dot / std::sqrt(length) / std::sqrt(r_length);
  return std::isfinite(cosine) ? std::clamp(cosine, -1.0, 1.0) : 0.0;
}

double right_bits_of(const Pairing& pairing) {
  constexpr double kMost = 60.0;
  double signal = 0.0;
  double error = 0.0;
  for (std::size_t i = 0; i < pairing.size(); ++i) {
    if (pairing.code(i) != kOrdinary) continue;
    signal += pairing.expected(i) * pairing.expected(i);
    error += pairing.error(i) * pairing.error(i);
  }
  if (error == 0.0) return kMost;
  if (signal == 0.0 || !std::isfinite(error)) return -kMost;
  return std::clamp(0.5 * (std::log2(signal) - std::log2(error)), -kMost, kMost);
}

}  // namespace modelconform
