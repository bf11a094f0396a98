// The loop of a worker: a request a line, an answer a line, until `quit` or the end of input.
#pragma once

#include "engine.h"

namespace modelconform {

// Answers requests from `input` on `output` (file descriptors). Whatever an engine throws becomes
// an answer; the loop ends by `quit`, by the end of input, or where nobody reads the answers.
void serve(Engine& engine, int input, int output);

}  // namespace modelconform
