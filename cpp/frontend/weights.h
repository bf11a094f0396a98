// A state_dict into a module that is written in C++.
#pragma once

#include <c10/core/Device.h>

#include <memory>
#include <string>

#include "../harness/engine.h"
#include "module.h"

namespace modelconform {

// Constructs the module of a case's library and pours the file's tensors into it by name. Throws
// one EngineError that lists all that is missing, unexpected or of another shape or dtype.
std::unique_ptr<FrontendModule> make_module(const Model& model, const c10::Device& device);

}  // namespace modelconform
