#include "calls.h"

#include "../library/safetensors.h"
#include "fields.h"

namespace modelconform {

Call read_call(const Json& request, const Inputs& inputs, Layout layout) {
  const FindTensor find = [&inputs](const std::string& key) {
    const auto tensor = inputs.find(key);
    if (tensor == inputs.end()) throw RequestError("the input file has no tensor '" + key + "'");
    return tensor->second;
  };
  Call call;
  if (layout == Layout::kTree) {
    for (const Json& tree : as_list(field(request, "args"), "args")) {
      call.args.push_back(tree_from_json(tree, find));
    }
    for (const auto& [name, tree] : pairs_field(request, "kwargs")) {
      call.kwargs.emplace_back(name, tree_from_json(tree, find));
    }
  }
  // An engine of modules may also have models that are graphs.
  if (layout == Layout::kFlat || request.contains("feeds")) {
    for (const auto& [name, key] : pairs_field(request, "feeds")) {
      const std::string text = as_text(key, "the key of feed '" + name + "'");
      call.feeds.emplace_back(name, Leaf{text, find(text)});
    }
    call.fetches = texts_field(request, "fetches");
  }
  return call;
}

std::vector<Call> read_calls(const Json& request, Layout layout) {
  std::vector<Call> calls;
  for (const Json& call : as_list(field(request, "calls"), "calls")) {
    calls.push_back(read_call(call, read_tensors(text_field(call, "inputs")), layout));
  }
  if (calls.empty()) throw RequestError("'calls' is empty");
  return calls;
}

std::size_t count_of(const Json& json, const std::string& name, std::size_t largest) {
  if (json.is_number_integer()) {
    const auto count = json.get<std::int64_t>();
    if (count >= 1 && count <= static_cast<std::int64_t>(largest)) {
      return static_cast<std::size_t>(count);
    }
  }
  throw RequestError(name + " is a number from 1 to " + std::to_string(largest));
}

std::size_t repeats_of(const Json& request) {
  return request.contains("repeats") ? count_of(request["repeats"], "'repeats'", 1000) : 1;
}

}  // namespace modelconform
