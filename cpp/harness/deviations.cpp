#include "deviations.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <variant>

#include "../library/numbers.h"

namespace modelconform {
namespace {

constexpr std::size_t kMostDeviations = 16;
constexpr std::size_t kMostBytes = std::size_t{64} << 20;
constexpr double kUnlike = std::numeric_limits<double>::infinity();

// The largest difference, in units of the other's root mean square; infinite where only one is NaN
// or infinite, and for tensors of another dtype or shape.
double tensor_distance(const Tensor& one, const Tensor& other) {
  if (one.dtype != other.dtype || one.shape != other.shape) return kUnlike;
  const DType dtype = real_dtype(other.dtype);
  const std::size_t step = element_size(dtype);
  const std::size_t count = other.size_in_bytes() / step;
  double largest = 0.0;
  double squares = 0.0;
  for (std::size_t i = 0; i < count; ++i) {
    const double a = number_at(dtype, one.data + i * step);
    const double b = number_at(dtype, other.data + i * step);
    if (a == b || (std::isnan(a) && std::isnan(b))) {
      if (std::isfinite(b)) squares += b * b;
      continue;
    }
    if (!std::isfinite(a) || !std::isfinite(b)) return kUnlike;
    largest = std::max(largest, std::fabs(a - b));
    squares += b * b;
  }
  if (largest == 0.0) return 0.0;
  return squares > 0.0 ? largest / std::sqrt(squares / static_cast<double>(count)) : kUnlike;
}

struct TreeDistance {
  double operator()(const None&, const None&) const { return 0.0; }
  double operator()(const Leaf& a, const Leaf& b) const {
    return tensor_distance(a.tensor, b.tensor);
  }
  double operator()(const List& a, const List& b) const { return of_items(a.items, b.items); }
  double operator()(const Tuple& a, const Tuple& b) const { return of_items(a.items, b.items); }
  double operator()(const Dict& a, const Dict& b) const {
    if (a.items.size() != b.items.size()) return kUnlike;
    double largest = 0.0;
    for (std::size_t i = 0; i < a.items.size(); ++i) {
      if (a.items[i].first != b.items[i].first) return kUnlike;
      largest = std::max(largest, between(a.items[i].second, b.items[i].second));
    }
    return largest;
  }
  template <typename T>
  double operator()(const T& a, const T& b) const {
    return a == b ? 0.0 : kUnlike;
  }
  template <typename T, typename U>
  double operator()(const T&, const U&) const {
    return kUnlike;
  }

  static double between(const Tree& a, const Tree& b) {
    return std::visit(TreeDistance{}, a.node, b.node);
  }
  static double of_items(const std::vector<Tree>& a, const std::vector<Tree>& b) {
    if (a.size() != b.size()) return kUnlike;
    double largest = 0.0;
    for (std::size_t i = 0; i < a.size(); ++i) largest = std::max(largest, between(a[i], b[i]));
    return largest;
  }
};

std::size_t bytes_of(const Tree& tree) {
  std::size_t bytes = 0;
  if (const auto* leaf = std::get_if<Leaf>(&tree.node)) bytes = leaf->tensor.size_in_bytes();
  if (const auto* list = std::get_if<List>(&tree.node)) {
    for (const Tree& item : list->items) bytes += bytes_of(item);
  }
  if (const auto* tuple = std::get_if<Tuple>(&tree.node)) {
    for (const Tree& item : tuple->items) bytes += bytes_of(item);
  }
  if (const auto* dict = std::get_if<Dict>(&tree.node)) {
    for (const auto& [_, item] : dict->items) bytes += bytes_of(item);
  }
  return bytes;
}

}  // namespace

void Deviations::add(std::size_t call, Tree outputs, const Tree& usual) {
  const bool is_known = std::any_of(kept_.begin(), kept_.end(), [&](const Kept& kept) {
    return kept.deviation.call == call && same_bits(kept.deviation.outputs, outputs);
  });
  if (is_known) return;
  const double distance = TreeDistance::between(outputs, usual);
  const std::size_t bytes = bytes_of(outputs);
  kept_.push_back({{call, std::move(outputs)}, distance, bytes});
  bytes_ += bytes;
  while (kept_.size() > 1 && (kept_.size() > kMostDeviations || bytes_ > kMostBytes)) {
    leave_out_the_nearest();
  }
}

void Deviations::leave_out_the_nearest() {
  const auto nearest = std::min_element(
      kept_.begin(), kept_.end(),
      [](const Kept& one, const Kept& other) { return one.distance < other.distance; });
  bytes_ -= nearest->bytes;
  kept_.erase(nearest);
}

std::vector<Deviation> Deviations::take() {
  std::vector<Deviation> found;
  for (Kept& kept : kept_) found.push_back(std::move(kept.deviation));
  kept_.clear();
  bytes_ = 0;
  return found;
}

}  // namespace modelconform
