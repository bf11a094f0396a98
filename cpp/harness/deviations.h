// Results that a call never returned while nothing ran beside it.
#pragma once

#include <cstddef>
#include <vector>

#include "../library/tree.h"

namespace modelconform {

struct Deviation {
  std::size_t call;  // its position among the calls
  Tree outputs;
};

// Keeps the distinct ones, in the order in which they came: one may be within a tolerance, and
// another one wrong. So that they don't fill the memory, there are at most 16, and of 64 MiB, or a
// single one that is larger; then those go that are nearest to what the call usually returns.
class Deviations {
 public:
  // usual: a result of the same call.
  void add(std::size_t call, Tree outputs, const Tree& usual);

  bool empty() const { return kept_.empty(); }
  std::vector<Deviation> take();

 private:
  struct Kept {
    Deviation deviation;
    double distance;
    std::size_t bytes;
  };

  void leave_out_the_nearest();

  std::vector<Kept> kept_;
  std::size_t bytes_ = 0;
};

}  // namespace modelconform
