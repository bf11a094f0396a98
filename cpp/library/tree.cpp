#include "tree.h"

#include <algorithm>
#include <cstring>

namespace modelconform {
namespace {

bool same_items(const std::vector<Tree>& a, const std::vector<Tree>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const Tree& x, const Tree& y) { return same_bits(x, y); });
}

struct SameBits {
  bool operator()(const None&, const None&) const { return true; }
  bool operator()(double a, double b) const { return std::memcmp(&a, &b, sizeof a) == 0; }
  bool operator()(const Leaf& a, const Leaf& b) const { return same_bits(a.tensor, b.tensor); }
  bool operator()(const List& a, const List& b) const { return same_items(a.items, b.items); }
  bool operator()(const Tuple& a, const Tuple& b) const { return same_items(a.items, b.items); }
  bool operator()(const Dict& a, const Dict& b) const {
    return std::equal(a.items.begin(), a.items.end(), b.items.begin(), b.items.end(),
                      [](const auto& x, const auto& y) {
                        return x.first == y.first && same_bits(x.second, y.second);
                      });
  }
  template <typename T>
  bool operator()(const T& a, const T& b) const {
    return a == b;
  }
  template <typename T, typename U>
  bool operator()(const T&, const U&) const {
    return false;
  }
};

}  // namespace

bool same_bits(const Tree& a, const Tree& b) { return std::visit(SameBits{}, a.node, b.node); }

}  // namespace modelconform
