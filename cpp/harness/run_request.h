// The answer to `run`.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "engine.h"

namespace modelconform {

// nullptr where none is loaded, which is said of requests that are right otherwise.
nlohmann::json answer_run(const Engine& engine, LoadedModel* model, const nlohmann::json& request);

}  // namespace modelconform
