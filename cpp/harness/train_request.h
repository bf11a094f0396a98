// The answer to `train`.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "engine.h"

namespace modelconform {

nlohmann::json answer_train(const Engine& engine, LoadedModel& model,
                            const nlohmann::json& request);

}  // namespace modelconform
