// The loop of a worker: a request a line, an answer a line, until `quit` or the end of input.
#pragma once

#include <memory>

#include "engine.h"

namespace modelconform {

// Answers requests from `input` on `output` (file descriptors). Whatever an engine throws becomes
// an answer; the loop ends by `quit`, by the end of input, or where nobody reads the answers. The
// model that is loaded then stays where the caller keeps it.
void serve(Engine& engine, std::unique_ptr<LoadedModel>& model, int input, int output);

}  // namespace modelconform
