// Models that are written in C++, with torch::nn, and take their weights from a state_dict.
#pragma once

#include <memory>

#include "../harness/engine.h"

namespace modelconform {

std::unique_ptr<Engine> make_frontend_engine(const Settings& settings);

}  // namespace modelconform
