// What rtol, atol, cosine similarity and bits make of a result.
#pragma once

#include <cstddef>
#include <limits>

#include "groups.h"
#include "measure.h"

namespace modelconform {

// What a pass with rtol and atol found: how many elements are beyond, the worst, and what would do.
struct Closeness {
  std::size_t count = 0;
  std::size_t position = 0;
  double beyond = -std::numeric_limits<double>::infinity();
  double rtol = 0.0;
  double atol = 0.0;
  double max_abs = 0.0;
};

Closeness closeness_of(const Pairing& pairing, double rtol, double atol);

// 1 where both are zero everywhere.
double cosine_of(const Pairing& pairing);

// Where so many bits are asked for of a tensor, no group may have fewer than that.
constexpr double kLeastAsked = 2.0;
constexpr double kLeastOfGroup = 1.0;

// log2(rms(r) / rms(y - r)), at most 60 either way: of the tensor, and the fewest of a group that
// tells anything (60 without one).
struct RightBits {
  double bits = 0.0;
  double least = 0.0;
  std::size_t group = 0;
};

RightBits right_bits_of(const Pairing& pairing, const OutputReference& reference);

// -log2(|y - r| / |r|) of the worst of the numbers from 1e30 on, which no group holds: they are
// masks, of which none may be lost. What float16 has no room for may be its largest number.
struct HugeBits {
  double bits = 0.0;
  std::size_t position = 0;
};

HugeBits huge_bits_of(const Pairing& pairing);

// The element of a group that is off by most.
std::size_t worst_of_group(const Pairing& pairing, const Layout& layout, std::size_t group);

}  // namespace modelconform
