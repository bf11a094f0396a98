#include "byhand.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstdio>
#include <stdexcept>
#include <utility>

#include "../library/safetensors.h"

namespace modelconform {
namespace {

constexpr std::size_t kValuesShown = 8;

// "/args/10" after "/args/2": runs of digits compare as numbers, by length and then by digit.
bool natural_less(const std::string& a, const std::string& b) {
  const auto is_digit = [](char c) { return std::isdigit(static_cast<unsigned char>(c)) != 0; };
  std::size_t i = 0;
  std::size_t j = 0;
  while (i < a.size() && j < b.size()) {
    if (is_digit(a[i]) && is_digit(b[j])) {
      std::size_t end_a = i;
      std::size_t end_b = j;
      while (end_a < a.size() && is_digit(a[end_a])) ++end_a;
      while (end_b < b.size() && is_digit(b[end_b])) ++end_b;
      if (end_a - i != end_b - j) return end_a - i < end_b - j;
      const int order = a.compare(i, end_a - i, b, j, end_b - j);
      if (order != 0) return order < 0;
      i = end_a;
      j = end_b;
    } else {
      if (a[i] != b[j]) return a[i] < b[j];
      ++i;
      ++j;
    }
  }
  return a.size() - i < b.size() - j;
}

std::vector<Leaf> inputs_of(const ByHand& request) {
  std::vector<Leaf> inputs;
  for (const Tensor& tensor : request.ones) inputs.push_back({"", tensor});
  if (!request.inputs_file.empty()) {
    std::vector<Leaf> read;
    for (const auto& [key, tensor] : read_tensors(request.inputs_file))
      read.push_back({key, tensor});
    std::sort(read.begin(), read.end(),
              [](const Leaf& a, const Leaf& b) { return natural_less(a.key, b.key); });
    inputs.insert(inputs.end(), read.begin(), read.end());
  }
  return inputs;
}

Call tree_call(std::vector<Leaf> inputs) {
  static const std::string kKeyword = "/kwargs/";
  Call call;
  for (Leaf& leaf : inputs) {
    if (leaf.key.rfind(kKeyword, 0) == 0) {
      std::string name = leaf.key.substr(kKeyword.size());
      call.kwargs.emplace_back(std::move(name), Tree{std::move(leaf)});
    } else {
      call.args.push_back(Tree{std::move(leaf)});
    }
  }
  return call;
}

Call flat_call(std::vector<Leaf> inputs, const std::vector<std::string>& names) {
  if (inputs.size() != names.size()) {
    std::string text = "the model takes " + std::to_string(names.size()) + " inputs (";
    for (const std::string& name : names) text += (&name == &names.front() ? "" : ", ") + name;
    throw std::invalid_argument(text + "), " + std::to_string(inputs.size()) + " were given");
  }
  const auto has_name = [&names](const Leaf& leaf) {
    return std::find(names.begin(), names.end(), leaf.key) != names.end();
  };
  const bool by_name = std::all_of(inputs.begin(), inputs.end(), has_name);
  Call call;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    std::string name = by_name ? inputs[i].key : names[i];
    call.feeds.emplace_back(std::move(name), std::move(inputs[i]));
  }
  return call;
}

void print_line(int depth, const std::string& label, const std::string& text) {
  const std::string indent(static_cast<std::size_t>(2 * depth), ' ');
  std::printf("%s%s%s%s\n", indent.c_str(), label.c_str(), label.empty() ? "" : ": ", text.c_str());
}

// Prints one node a line, as YAML would: what is inside is indented.
class Printer {
 public:
  Printer(std::string label, int depth) : label_(std::move(label)), depth_(depth) {}

  void operator()(const None&) const { print_line(depth_, label_, "None"); }
  void operator()(bool value) const { print_line(depth_, label_, value ? "true" : "false"); }
  void operator()(std::int64_t value) const { print_line(depth_, label_, std::to_string(value)); }
  void operator()(double value) const { print_line(depth_, label_, std::to_string(value)); }
  void operator()(const std::string& value) const { print_line(depth_, label_, '"' + value + '"'); }
  void operator()(const Leaf& leaf) const {
    print_line(depth_, label_, describe(leaf.tensor));
    print_line(depth_ + 1, "", first_values(leaf.tensor, kValuesShown));
  }
  void operator()(const List& list) const { print_items("list", list.items); }
  void operator()(const Tuple& tuple) const { print_items("tuple", tuple.items); }
  void operator()(const Dict& dict) const {
    print_line(depth_, label_, "dict of " + std::to_string(dict.items.size()));
    for (const auto& [key, item] : dict.items) {
      const auto* number = std::get_if<std::int64_t>(&key);
      const std::string label =
          number != nullptr ? std::to_string(*number) : std::get<std::string>(key);
      std::visit(Printer(label, depth_ + 1), item.node);
    }
  }

 private:
  void print_items(const std::string& kind, const std::vector<Tree>& items) const {
    print_line(depth_, label_, kind + " of " + std::to_string(items.size()));
    for (std::size_t i = 0; i < items.size(); ++i) {
      std::visit(Printer(std::to_string(i), depth_ + 1), items[i].node);
    }
  }

  std::string label_;
  int depth_;
};

}  // namespace

Tensor parse_ones(const std::string& text) {
  const std::size_t colon = text.find(':');
  const DType dtype =
      colon == std::string::npos ? DType::kFloat32 : dtype_from_name(text.substr(colon + 1));
  const std::string sizes = text.substr(0, colon);
  Shape shape;
  const char* at = sizes.data();
  const char* end = at + sizes.size();
  while (at != end) {
    std::int64_t size = -1;
    const auto [stop, problem] = std::from_chars(at, end, size);
    const bool more = stop != end;
    if (problem != std::errc{} || size < 0 || (more && (*stop != ',' || stop + 1 == end))) {
      throw std::invalid_argument("'" + text + "' isn't a shape like 1,3,224,224 or 1,16:int64");
    }
    shape.push_back(size);
    at = more ? stop + 1 : stop;
  }
  return ones(dtype, std::move(shape));
}

void run_by_hand(Engine& engine, const ByHand& request) {
  const auto model = engine.load({request.model, "", request.libraries});
  const bool flat = engine.description().layout == Layout::kFlat;
  const Call call =
      flat ? flat_call(inputs_of(request), model->input_names()) : tree_call(inputs_of(request));
  const Result result = model->run(call);
  std::printf("ok\n");
  std::visit(Printer("", 0), result.outputs.node);
}

}  // namespace modelconform
