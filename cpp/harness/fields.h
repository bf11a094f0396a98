// Reads the fields of a request. All throw RequestError naming the field.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "wire.h"

namespace modelconform {

using Json = nlohmann::json;

inline const Json& field(const Json& request, const std::string& name) {
  const auto found = request.find(name);
  if (found == request.end()) throw RequestError("the request has no '" + name + "'");
  return *found;
}

inline std::string as_text(const Json& json, const std::string& name) {
  if (!json.is_string()) throw RequestError("'" + name + "' is a text, not a " + json.type_name());
  return json.get<std::string>();
}

inline const Json& as_list(const Json& json, const std::string& name) {
  if (!json.is_array()) throw RequestError("'" + name + "' is a list, not a " + json.type_name());
  return json;
}

inline std::string text_field(const Json& request, const std::string& name) {
  return as_text(field(request, name), name);
}

inline std::int64_t number_field(const Json& request, const std::string& name) {
  const Json& json = field(request, name);
  if (!json.is_number_integer()) {
    throw RequestError("'" + name + "' is an integer, not a " + json.type_name());
  }
  return json.get<std::int64_t>();
}

inline std::vector<std::string> texts_field(const Json& request, const std::string& name) {
  std::vector<std::string> texts;
  for (const Json& text : as_list(field(request, name), name)) {
    texts.push_back(as_text(text, "an item of '" + name + "'"));
  }
  return texts;
}

// [[NAME, X], ...], as JSON objects would lose the order.
inline std::vector<std::pair<std::string, Json>> pairs_field(const Json& request,
                                                             const std::string& name) {
  std::vector<std::pair<std::string, Json>> pairs;
  for (const Json& pair : as_list(field(request, name), name)) {
    if (!pair.is_array() || pair.size() != 2 || !pair[0].is_string()) {
      throw RequestError("an item of '" + name + "' is no [NAME, ...]");
    }
    pairs.emplace_back(pair[0].get<std::string>(), pair[1]);
  }
  return pairs;
}

}  // namespace modelconform
