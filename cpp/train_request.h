// The answer to `train`.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "engine.h"

namespace modelconform {

nlohmann::json answer_train(Engine& engine, const nlohmann::json& request);

}  // namespace modelconform
