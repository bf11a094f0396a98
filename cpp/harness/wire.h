// The wire: lines in, lines out, and how trees look in JSON (docs/architecture.md, "The wire").
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "../library/tree.h"

namespace modelconform {

constexpr int kProtocol = 1;
constexpr std::size_t kLongestLine = std::size_t{16} << 20;

// A request that can't be understood, as opposed to one that fails.
struct RequestError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

class LineReader {
 public:
  explicit LineReader(int descriptor) : descriptor_(descriptor) {}

  // The next line without its end, nothing at the end of input. Throws RequestError for a line that
  // is too long, which is then behind.
  std::optional<std::string> next();

 private:
  bool fill();

  int descriptor_;
  std::string buffer_;
};

// False where nobody reads any more.
bool write_line(int descriptor, std::string line);

// Resolves the key of a tensor in the request's file. Throws for an unknown one.
using FindTensor = std::function<Tensor(const std::string& key)>;
Tree tree_from_json(const nlohmann::json& json, const FindTensor& find);

// Gives each tensor of a run's outputs a key of its own, "0/boxes": run, then path.
class OutputKeys {
 public:
  void assign(Tree& tree, std::size_t run);
  // The tensors with keys so far.
  std::vector<std::pair<std::string, Tensor>> tensors() const { return tensors_; }

 private:
  void assign(Tree& tree, const std::string& path);

  std::set<std::string> used_;
  std::vector<std::pair<std::string, Tensor>> tensors_;
};

nlohmann::json tree_to_json(const Tree& tree);

}  // namespace modelconform
