// TorchScript modules and AOTInductor's packages in libtorch.
#pragma once

#include <memory>

#include "../harness/engine.h"

namespace modelconform {

std::unique_ptr<Engine> make_libtorch_engine(const Settings& settings);

}  // namespace modelconform
