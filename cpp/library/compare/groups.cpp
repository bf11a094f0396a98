#include "groups.h"

#include "../numbers.h"

namespace modelconform {
namespace {

Shape with_pairs(Shape shape, DType dtype) {
  if (is_complex(dtype)) shape.push_back(2);
  return shape;
}

}  // namespace

Layout::Layout(Shape shape) : shape_(std::move(shape)) {
  for (const std::int64_t length : shape_) size_ *= static_cast<std::size_t>(length);
  for (std::size_t axis = 0; axis < shape_.size(); ++axis) {
    const auto length = static_cast<std::size_t>(shape_[axis]);
    if (length > 1 && size_ / length >= kSmallestGroup) {
      axes_.push_back(axis);
      groups_ += length;
    }
  }
}

Layout::Layout(Shape shape, DType dtype) : Layout(with_pairs(std::move(shape), dtype)) {}

std::optional<std::pair<std::size_t, std::int64_t>> Layout::name(std::size_t group) const {
  std::size_t first = 1;
  for (const std::size_t axis : axes_) {
    const auto length = static_cast<std::size_t>(shape_[axis]);
    if (group >= first && group < first + length) {
      return std::pair{axis, static_cast<std::int64_t>(group - first)};
    }
    first += length;
  }
  return std::nullopt;
}

std::vector<double> Layout::counts() const {
  std::vector<double> counts{static_cast<double>(size_)};
  for (const std::size_t axis : axes_) {
    const auto length = static_cast<std::size_t>(shape_[axis]);
    counts.insert(counts.end(), length, static_cast<double>(size_ / length));
  }
  return counts;
}

Shape Layout::index(std::size_t position) const {
  Shape index(shape_.size());
  auto rest = static_cast<std::int64_t>(position);
  for (std::size_t axis = shape_.size(); axis-- > 0;) {
    index[axis] = rest % shape_[axis];
    rest /= shape_[axis];
  }
  return index;
}

}  // namespace modelconform
