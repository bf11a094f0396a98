// Groups of elements: the whole tensor, and every index of every axis whose slices are large.
#pragma once

#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

#include "../tensors.h"

namespace modelconform {

// Elements; below that a root mean square says little about a group.
constexpr std::size_t kSmallestGroup = 64;

// Group 0 is the whole tensor; then come the indices of each axis that has groups, in turn.
class Layout {
 public:
  explicit Layout(Shape shape);
  // Complex tensors are compared as real pairs: a last axis of 2.
  Layout(Shape shape, DType dtype);

  const Shape& shape() const { return shape_; }
  std::size_t size() const { return size_; }
  std::size_t groups() const { return groups_; }
  // The axis and the index of a group; nothing for the whole tensor.
  std::optional<std::pair<std::size_t, std::int64_t>> name(std::size_t group) const;
  std::vector<double> counts() const;
  // The index of an element by its position in the flat tensor.
  Shape index(std::size_t position) const;

  // The sum of value(position) over each group, elements taken in the order of memory.
  template <typename Value>
  std::vector<double> sums(const Value& value) const {
    std::vector<double> totals(groups_);
    Shape index(shape_.size());
    for (std::size_t position = 0; position < size_; ++position) {
      const double one = value(position);
      totals[0] += one;
      std::size_t first = 1;
      for (const std::size_t axis : axes_) {
        totals[first + static_cast<std::size_t>(index[axis])] += one;
        first += static_cast<std::size_t>(shape_[axis]);
      }
      advance(index);
    }
    return totals;
  }

 private:
  void advance(Shape& index) const {
    for (std::size_t axis = shape_.size(); axis-- > 0;) {
      if (++index[axis] < shape_[axis]) return;
      index[axis] = 0;
    }
  }

  Shape shape_;
  std::size_t size_ = 1;
  std::vector<std::size_t> axes_;
  std::size_t groups_ = 1;
};

}  // namespace modelconform
