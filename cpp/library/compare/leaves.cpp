#include "leaves.h"

#include <algorithm>
#include <set>

#include "words.h"

namespace modelconform {
namespace {

struct Collector {
  Leaves& leaves;
  std::string path;

  void go_on(const Tree& tree, const std::string& step) const {
    std::visit(Collector{leaves, path + "[" + step + "]"}, tree.node);
  }
  void items(const std::vector<Tree>& trees) const {
    for (std::size_t i = 0; i < trees.size(); ++i) go_on(trees[i], std::to_string(i));
  }

  void operator()(const Leaf& leaf) const { leaves.emplace_back(path, leaf.tensor); }
  void operator()(const List& list) const { items(list.items); }
  void operator()(const Tuple& tuple) const { items(tuple.items); }
  void operator()(const Dict& dict) const {
    for (const auto& [key, tree] : dict.items) {
      const auto* number = std::get_if<std::int64_t>(&key);
      go_on(tree, number ? std::to_string(*number) : quoted(std::get<std::string>(key)));
    }
  }
  template <typename T>
  void operator()(const T&) const {}  // None and plain values hold no tensor
};

std::string tensors_text(std::size_t count) {
  return std::to_string(count) + " tensor" + (count == 1 ? "" : "s");
}

std::string list_text(const std::vector<std::string>& paths) {
  constexpr std::size_t kMost = 8;
  std::vector<std::string> names;
  for (std::size_t i = 0; i < std::min(paths.size(), kMost); ++i) {
    names.push_back("output" + paths[i]);
  }
  if (paths.size() > kMost) names.push_back(std::to_string(paths.size() - kMost) + " more");
  if (names.size() == 1) return names[0];
  const std::string last = names.back();
  names.pop_back();
  return joined(names, ", ") + " and " + last;
}

std::vector<std::string> without(const std::vector<std::string>& paths,
                                 const std::vector<std::string>& others) {
  std::vector<std::string> rest;
  for (const std::string& path : paths) {
    const bool is_there = std::find(others.begin(), others.end(), path) != others.end();
    const bool is_known = std::find(rest.begin(), rest.end(), path) != rest.end();
    if (!is_there && !is_known) rest.push_back(path);
  }
  return rest;
}

}  // namespace

Leaves leaves_of(const Tree& tree) {
  Leaves leaves;
  std::visit(Collector{leaves, ""}, tree.node);
  return leaves;
}

std::string compare_leaves(const std::vector<std::string>& expected,
                           const std::vector<std::string>& actual) {
  std::vector<std::string> faults;
  const auto missing = without(expected, actual);
  if (!missing.empty()) {
    faults.push_back(list_text(missing) + (missing.size() == 1 ? " is" : " are") + " missing");
  }
  const auto extra = without(actual, expected);
  if (!extra.empty()) {
    faults.push_back(list_text(extra) + (extra.size() == 1 ? " is" : " are") +
                     " not among the model's");
  }
  std::set<std::string> twice;
  for (const std::string& path : actual) {
    if (std::count(actual.begin(), actual.end(), path) > 1) twice.insert(path);
  }
  if (!twice.empty()) {
    faults.push_back(list_text({twice.begin(), twice.end()}) +
                     (twice.size() == 1 ? " comes" : " come") + " twice");
  }
  if (faults.empty()) return "";
  const std::string returns = "returns " + tensors_text(actual.size());
  if (actual.size() == expected.size()) {
    return returns + ", as the model does, but " + joined(faults, ", and ");
  }
  return returns + ", the model returns " + std::to_string(expected.size()) + ": " +
         joined(faults, ", and ");
}

}  // namespace modelconform
