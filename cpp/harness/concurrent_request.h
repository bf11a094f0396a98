// The answer to `concurrent`.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "engine.h"

namespace modelconform {

nlohmann::json answer_concurrent(const Engine& engine, LoadedModel& model,
                                 const nlohmann::json& request);

}  // namespace modelconform
