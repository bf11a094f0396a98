// libtorch's exceptions as ours.
#pragma once

#include <c10/util/Exception.h>
#include <torch/csrc/jit/runtime/jit_exception.h>

#include <exception>
#include <string>

#include "../harness/engine.h"

namespace modelconform {

std::string torch_error_type(const c10::Error& error);  // as in Python: "IndexError"
EngineError error_from_interpreter(const std::string& text);

// Runs a step and turns libtorch's exceptions into ours: what happened apart from the stack trace.
template <typename Step>
auto in_torch(const Step& step) -> decltype(step()) {
  try {
    return step();
  } catch (const EngineError&) {
    throw;
  } catch (const c10::Error& error) {
    throw EngineError(torch_error_type(error), error.what_without_backtrace(),
                      error.backtrace() ? error.backtrace()->get() : "");
  } catch (const torch::jit::JITException& error) {
    // What the model itself raised, by its qualified name: "builtins.ValueError".
    const std::string type = error.getPythonClassName().value_or("RuntimeError");
    throw EngineError(type.substr(type.rfind('.') + 1),
                      error.getOriginalMsg().value_or(error.what()), error.what());
  } catch (const std::exception& error) {
    throw error_from_interpreter(error.what());
  }
}

}  // namespace modelconform
