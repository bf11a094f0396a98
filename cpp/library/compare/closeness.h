// What rtol, atol, cosine similarity and bits make of a result.
#pragma once

#include <cstddef>
#include <limits>

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

// log2(rms(r) / rms(y - r)), at most 60 either way.
double right_bits_of(const Pairing& pairing);

}  // namespace modelconform
