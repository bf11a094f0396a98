// The calls of a request: arguments as trees of tensors in a file.
#pragma once

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "engine.h"

namespace modelconform {

using Inputs = std::map<std::string, Tensor>;

Call read_call(const nlohmann::json& request, const Inputs& inputs, Layout layout);
// Those of `concurrent`, each with a file of its own.
std::vector<Call> read_calls(const nlohmann::json& request, Layout layout);
// How often, or how many: bounded, so that a slip doesn't take the machine.
std::size_t count_of(const nlohmann::json& json, const std::string& name, std::size_t largest);
std::size_t repeats_of(const nlohmann::json& request);

}  // namespace modelconform
