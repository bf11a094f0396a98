#include "failure.h"

#include <cxxabi.h>

#include <cstdlib>
#include <exception>
#include <memory>
#include <typeinfo>
#include <utility>

#include "../library/safetensors.h"
#include "engine.h"
#include "fields.h"

namespace modelconform {
namespace {

// Longer than any message that a person reads; libraries quote whole graphs in theirs.
constexpr std::size_t kLongestMessage = std::size_t{64} << 10;

std::string type_name(const std::exception& error) {
  int status = 0;
  const std::unique_ptr<char, decltype(&std::free)> name(
      abi::__cxa_demangle(typeid(error).name(), nullptr, nullptr, &status), &std::free);
  return name != nullptr ? name.get() : typeid(error).name();
}

}  // namespace

Json failure(const std::string& type, std::string message, std::string details) {
  for (std::string* text : {&message, &details}) {
    text->erase(text->find_last_not_of(" \n") + 1);
    if (text->size() > kLongestMessage) *text = text->substr(0, kLongestMessage) + " (cut off)";
  }
  return {{"type", type}, {"message", std::move(message)}, {"details", std::move(details)}};
}

Json current_failure() {
  try {
    throw;
  } catch (const EngineError& error) {
    return failure(error.type, error.what(), error.details);
  } catch (const RequestError& error) {
    return failure("RequestError", error.what(), "");
  } catch (const TensorFileError& error) {
    return failure("TensorFileError", error.what(), "");
  } catch (const std::exception& error) {
    return failure(type_name(error), error.what(), "");
  } catch (...) {
    return failure("unknown", "something was thrown that is no std::exception", "");
  }
}

}  // namespace modelconform
