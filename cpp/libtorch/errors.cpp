#include "errors.h"

namespace modelconform {

// The names that the same errors have in Python.
std::string torch_error_type(const c10::Error& error) {
  if (dynamic_cast<const c10::OutOfMemoryError*>(&error) != nullptr) return "OutOfMemoryError";
  if (dynamic_cast<const c10::IndexError*>(&error) != nullptr) return "IndexError";
  if (dynamic_cast<const c10::ValueError*>(&error) != nullptr) return "ValueError";
  if (dynamic_cast<const c10::TypeError*>(&error) != nullptr) return "TypeError";
  if (dynamic_cast<const c10::NotImplementedError*>(&error) != nullptr) {
    return "NotImplementedError";
  }
  return "RuntimeError";
}

// The interpreter puts a traceback through the model's own lines before what happened.
EngineError error_from_interpreter(const std::string& text) {
  const std::string mark = "\nRuntimeError: ";
  const std::size_t at = text.rfind(mark);
  if (at == std::string::npos) return {"RuntimeError", text};
  return {"RuntimeError", text.substr(at + mark.size()), text};
}

}  // namespace modelconform
