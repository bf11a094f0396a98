// Our dtypes beside an engine's: each engine has one table, which is looked up in both directions.
#pragma once

#include <array>
#include <optional>
#include <utility>

#include "../library/tensors.h"

namespace modelconform {

template <typename Theirs, std::size_t Size>
class DTypeTable {
 public:
  // Each row as {ours, theirs}.
  constexpr explicit DTypeTable(const std::array<std::pair<DType, Theirs>, Size>& rows)
      : rows_(rows) {}

  std::optional<Theirs> theirs(DType ours) const {
    for (const auto& row : rows_) {
      if (row.first == ours) return row.second;
    }
    return std::nullopt;
  }

  std::optional<DType> ours(const Theirs& theirs) const {
    for (const auto& row : rows_) {
      if (row.second == theirs) return row.first;
    }
    return std::nullopt;
  }

 private:
  std::array<std::pair<DType, Theirs>, Size> rows_;
};

}  // namespace modelconform
