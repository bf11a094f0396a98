// What was thrown, as the "error" of an answer.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace modelconform {

nlohmann::json failure(const std::string& type, std::string message, std::string details);
// Of the exception that is being handled.
nlohmann::json current_failure();

}  // namespace modelconform
