#include "wire.h"

#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <limits>

#include "fields.h"

namespace modelconform {
namespace {

// Trees are walked by recursion, and a request could nest until the stack ends.
constexpr int kDeepestTree = 200;

// Enough of a wrong request to recognise it.
std::string excerpt(const Json& json) {
  std::string text = json.dump(-1, ' ', false, Json::error_handler_t::replace);
  if (text.size() > 200) text = text.substr(0, 200) + "...";
  return text;
}

double parse_float(const Json& json) {
  if (json.is_string()) {
    const auto& text = json.get_ref<const std::string&>();
    char* end = nullptr;
    const double value = std::strtod(text.c_str(), &end);
    if (!text.empty() && end == text.c_str() + text.size()) return value;
  }
  throw RequestError("a tree's 'float' is a text such as \"0x1.8p+0\", \"inf\" or \"nan\", not " +
                     excerpt(json));
}

Tree parse_value(const Json& json) {
  if (json.is_boolean()) return {json.get<bool>()};
  if (json.is_string()) return {json.get<std::string>()};
  const bool fits = !json.is_number_unsigned() ||
                    json.get<std::uint64_t>() <=
                        static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  if (json.is_number_integer() && fits) return {json.get<std::int64_t>()};
  throw RequestError("a tree's 'value' is a bool, a string or a 64-bit integer, not " +
                     excerpt(json));
}

DictKey parse_key(const Json& json) {
  if (json.is_string()) return json.get<std::string>();
  if (json.is_number_integer()) return json.get<std::int64_t>();
  throw RequestError("a key in a tree's 'dict' is a string or an integer, not " + excerpt(json));
}

Tree parse_tree(const Json& json, const FindTensor& find, int depth);

std::vector<Tree> parse_items(const Json& json, const FindTensor& find, int depth) {
  if (!json.is_array()) throw RequestError("a tree's items are a list, not " + excerpt(json));
  std::vector<Tree> items;
  for (const Json& item : json) items.push_back(parse_tree(item, find, depth));
  return items;
}

Dict parse_dict(const Json& json, const FindTensor& find, int depth) {
  Dict dict;
  if (!json.is_array()) throw RequestError("a tree's 'dict' is a list, not " + excerpt(json));
  for (const Json& item : json) {
    if (!item.is_array() || item.size() != 2) {
      throw RequestError("an item of a tree's 'dict' is [KEY, TREE], not " + excerpt(item));
    }
    dict.items.emplace_back(parse_key(item[0]), parse_tree(item[1], find, depth));
  }
  return dict;
}

Tree parse_tree(const Json& json, const FindTensor& find, int depth) {
  if (depth > kDeepestTree) {
    throw RequestError("a tree is nested deeper than " + std::to_string(kDeepestTree));
  }
  if (!json.is_object() || json.size() != 1) {
    throw RequestError("a tree is an object with one key, not " + excerpt(json));
  }
  const std::string& kind = json.begin().key();
  const Json& content = json.begin().value();
  if (kind == "tensor") {
    if (!content.is_string())
      throw RequestError("a tree's 'tensor' is a key, not " + excerpt(content));
    const auto& key = content.get_ref<const std::string&>();
    return {Leaf{key, find(key)}};
  }
  if (kind == "list") return {List{parse_items(content, find, depth + 1)}};
  if (kind == "tuple") return {Tuple{parse_items(content, find, depth + 1)}};
  if (kind == "dict") return {parse_dict(content, find, depth + 1)};
  if (kind == "none") return {None{}};
  if (kind == "value") return parse_value(content);
  if (kind == "float") return {parse_float(content)};
  throw RequestError("a tree of an unknown kind '" + kind + "'");
}

std::string key_text(const DictKey& key) {
  if (const auto* number = std::get_if<std::int64_t>(&key)) return std::to_string(*number);
  return std::get<std::string>(key);
}

Json items_to_json(const std::vector<Tree>& items) {
  Json json = Json::array();
  for (const Tree& item : items) json.push_back(tree_to_json(item));
  return json;
}

struct ToJson {
  Json operator()(const None&) const { return {{"none", true}}; }
  Json operator()(bool value) const { return {{"value", value}}; }
  Json operator()(std::int64_t value) const { return {{"value", value}}; }
  Json operator()(const std::string& value) const { return {{"value", value}}; }
  Json operator()(double value) const {
    std::array<char, 40> text{};
    std::snprintf(text.data(), text.size(), "%a", value);
    return {{"float", text.data()}};
  }
  Json operator()(const Leaf& leaf) const { return {{"tensor", leaf.key}}; }
  Json operator()(const List& list) const { return {{"list", items_to_json(list.items)}}; }
  Json operator()(const Tuple& tuple) const { return {{"tuple", items_to_json(tuple.items)}}; }
  Json operator()(const Dict& dict) const {
    Json items = Json::array();
    for (const auto& [key, item] : dict.items) {
      Json pair = Json::array();
      std::visit([&pair](const auto& name) { pair.push_back(name); }, key);
      pair.push_back(tree_to_json(item));
      items.push_back(std::move(pair));
    }
    return {{"dict", std::move(items)}};
  }
};

}  // namespace

bool LineReader::fill() {
  std::array<char, 1 << 16> chunk;
  ssize_t got = 0;
  do {
    got = ::read(descriptor_, chunk.data(), chunk.size());
  } while (got < 0 && errno == EINTR);
  if (got <= 0) return false;
  buffer_.append(chunk.data(), static_cast<std::size_t>(got));
  return true;
}

std::optional<std::string> LineReader::next() {
  std::size_t searched = 0;
  bool too_long = false;
  for (;;) {
    const std::size_t end = buffer_.find('\n', searched);
    if (end != std::string::npos) {
      std::string line = buffer_.substr(0, end);
      buffer_.erase(0, end + 1);
      if (!too_long && line.size() <= kLongestLine) return line;
      throw RequestError("a line is longer than " + std::to_string(kLongestLine) + " bytes");
    }
    searched = buffer_.size();
    if (searched > kLongestLine) {
      too_long = true;
      buffer_.clear();
      searched = 0;
    }
    // What stands before the end of input without a line's end is a request cut off: it is dropped.
    if (!fill()) return std::nullopt;
  }
}

bool write_line(int descriptor, std::string line) {
  line += '\n';
  std::size_t written = 0;
  while (written < line.size()) {
    const ssize_t put = ::write(descriptor, line.data() + written, line.size() - written);
    if (put < 0 && errno != EINTR) return false;
    if (put > 0) written += static_cast<std::size_t>(put);
  }
  return true;
}

Tree tree_from_json(const Json& json, const FindTensor& find) { return parse_tree(json, find, 0); }

void OutputKeys::assign(Tree& tree, std::size_t run) { assign(tree, std::to_string(run)); }

void OutputKeys::assign(Tree& tree, const std::string& path) {
  if (auto* leaf = std::get_if<Leaf>(&tree.node)) {
    // {"a/b": x, "a": {"b": y}} and {1: x, "1": y} give one path twice.
    leaf->key = path;
    for (int n = 2; !used_.insert(leaf->key).second; ++n) {
      leaf->key = path + "~" + std::to_string(n);
    }
    tensors_.emplace_back(leaf->key, leaf->tensor);
  } else if (auto* dict = std::get_if<Dict>(&tree.node)) {
    for (auto& [key, item] : dict->items) assign(item, path + "/" + key_text(key));
  } else {
    std::vector<Tree>* items = nullptr;
    if (auto* list = std::get_if<List>(&tree.node)) items = &list->items;
    if (auto* tuple = std::get_if<Tuple>(&tree.node)) items = &tuple->items;
    for (std::size_t i = 0; items != nullptr && i < items->size(); ++i) {
      assign((*items)[i], path + "/" + std::to_string(i));
    }
  }
}

Json tree_to_json(const Tree& tree) { return std::visit(ToJson{}, tree.node); }

}  // namespace modelconform
