// The tensors of a structure, by path.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "../tree.h"

namespace modelconform {

using Leaves = std::vector<std::pair<std::string, Tensor>>;

// Paths are written as in Python: "" for a bare tensor, "[0]", "[0]['boxes']".
Leaves leaves_of(const Tree& tree);

// In words, which tensors are missing, too many or twice; empty if none.
std::string compare_leaves(const std::vector<std::string>& expected,
                           const std::vector<std::string>& actual);

}  // namespace modelconform
