// Files of tensors: safetensors, with what that format can't say in its metadata
// (docs/architecture.md, "Tensor files").
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "tensors.h"

namespace modelconform {

// A tensor file that can't be read, or can't be written.
struct TensorFileError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// A file that is in memory already. The tensors refer to these bytes, which `owner` keeps alive;
// `name` is what errors call it.
std::map<std::string, Tensor> parse_tensors(const std::string& name,
                                            std::span<const std::byte> bytes,
                                            std::shared_ptr<const void> owner);

// The tensors refer to the file, which stays mapped as long as one of them lives.
std::map<std::string, Tensor> read_tensors(const std::string& path);
void write_tensors(const std::string& path, std::vector<std::pair<std::string, Tensor>> tensors);

}  // namespace modelconform
