// What a model takes and returns: tensors in lists, tuples and mappings, nested as it likes.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "tensors.h"

namespace modelconform {

struct Tree;

struct None {};
struct List {
  std::vector<Tree> items;
};
struct Tuple {
  std::vector<Tree> items;
};
using DictKey = std::variant<std::int64_t, std::string>;
struct Dict {
  std::vector<std::pair<DictKey, Tree>> items;
};
// A tensor and its key in the tensor file; the key of an output is given when it is written.
struct Leaf {
  std::string key;
  Tensor tensor;
};

struct Tree {
  std::variant<None, bool, std::int64_t, double, std::string, Leaf, List, Tuple, Dict> node;
};

// Same structure, keys and plain values, and tensors of the same bits. Keys of leaves don't count.
bool same_bits(const Tree& a, const Tree& b);

}  // namespace modelconform
