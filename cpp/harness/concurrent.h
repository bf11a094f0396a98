// The same calls from several threads at once, as a server makes them, compared bit for bit with
// what they return one after another.
#pragma once

#include <cstddef>
#include <exception>
#include <memory>
#include <vector>

#include "deviations.h"
#include "engine.h"

namespace modelconform {

// The distinct results of each call, in the order in which they came: some engines give other bits
// in their first runs, and each of these is one that a server may see.
using SerialResults = std::vector<std::vector<Tree>>;

SerialResults run_serially(LoadedModel& model, const std::vector<Call>& calls, std::size_t repeats);

// What came of one trial.
struct Trial {
  std::size_t results = 0;    // that were returned and compared
  std::size_t different = 0;  // of these
  std::size_t failed = 0;     // calls that threw
  Deviations deviations;      // the different ones
  std::exception_ptr first_failure;
};

// One thread for each of `instances`, the same model or several; they start together, and each
// makes every call once, beginning with another one than its neighbours so that different inputs
// are under way at the same time. What is thrown in a thread is kept; a thread that can't be
// started throws here.
Trial run_at_once(const std::vector<LoadedModel*>& instances, const std::vector<Call>& calls,
                  const SerialResults& serial);

// So many instances, or none where the model can't be cloned. Throws what cloning throws.
std::vector<std::unique_ptr<LoadedModel>> make_clones(LoadedModel& model, std::size_t count);

}  // namespace modelconform
