#include "closeness.h"

#include <algorithm>
#include <cmath>

namespace modelconform {
namespace {

// Half of the difference of their logarithms, of two sums of squares.
double bits_between(double signal, double error) {
  if (error == 0.0) return kMostBits;
  if (signal == 0.0 || !std::isfinite(error)) return -kMostBits;
  return std::clamp(0.5 * (std::log2(signal) - std::log2(error)), -kMostBits, kMostBits);
}

}  // namespace

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

RightBits right_bits_of(const Pairing& pairing, const OutputReference& reference) {
  // Of the tensor's rms: what is smaller has no step of its own in a format of 8 bits by tensor.
  constexpr double kStepless = 0x1p-12;
  constexpr double kFaithful = 0x1p2;  // times the noise
  const Layout layout(reference.shape, reference.dtype);
  const auto over_ordinary = [&](const auto& term) {
    return layout.sums([&](std::size_t i) { return pairing.code(i) == kOrdinary ? term(i) : 0.0; });
  };
  const auto squared = [](double value) { return value * value; };
  const auto signal = over_ordinary([&](std::size_t i) { return squared(pairing.expected(i)); });
  const auto error = over_ordinary([&](std::size_t i) { return squared(pairing.error(i)); });
  const auto counts = over_ordinary([](std::size_t) { return 1.0; });
  RightBits found{bits_between(signal[0], error[0]), kMostBits, 0};
  const double whole = signal[0] / std::max(counts[0], 1.0);
  for (std::size_t group = 1; group < layout.groups(); ++group) {
    const bool is_tail = !(signal[group] / counts[group] > whole * squared(kStepless));
    if (counts[group] < static_cast<double>(kSmallestGroup) || is_tail) continue;
    if (!reference.noise.empty() &&
        std::sqrt(error[group] / counts[group]) <= kFaithful * reference.noise[group]) {
      continue;
    }
    const double bits = bits_between(signal[group], error[group]);
    if (bits < found.least) {
      found.least = bits;
      found.group = group;
    }
  }
  return found;
}

HugeBits huge_bits_of(const Pairing& pairing) {
  constexpr double kSaturated = 65504.0;
  double worst = 0.0;
  HugeBits found{kMostBits, 0};
  for (std::size_t i = 0; i < pairing.size(); ++i) {
    if (pairing.code(i) != kRelative) continue;
    const double r = pairing.expected(i);
    const bool is_saturated = pairing.value(i) == std::copysign(kSaturated, r);
    const double relative = is_saturated ? 0.0 : std::fabs(pairing.error(i)) / std::fabs(r);
    if (relative > worst) {
      worst = relative;
      found.position = i;
    }
  }
  if (worst > 0.0) found.bits = std::clamp(0.0 - std::log2(worst), -kMostBits, kMostBits);
  return found;
}

std::size_t worst_of_group(const Pairing& pairing, const Layout& layout, std::size_t group) {
  const auto name = layout.name(group);
  std::size_t worst = 0;
  double greatest = -1.0;
  for (std::size_t i = 0; i < pairing.size(); ++i) {
    if (name && layout.index(i)[name->first] != name->second) continue;
    if (const double error = std::fabs(pairing.error(i)); error > greatest) {
      greatest = error;
      worst = i;
    }
  }
  return worst;
}

}  // namespace modelconform
