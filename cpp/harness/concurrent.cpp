#include "concurrent.h"

#include <algorithm>
#include <barrier>
#include <mutex>
#include <thread>
#include <utility>

namespace modelconform {
namespace {

bool is_known(const std::vector<Tree>& known, const Tree& outputs) {
  return std::any_of(known.begin(), known.end(),
                     [&](const Tree& tree) { return same_bits(tree, outputs); });
}

}  // namespace

SerialResults run_serially(LoadedModel& model, const std::vector<Call>& calls,
                           std::size_t repeats) {
  SerialResults results(calls.size());
  for (std::size_t i = 0; i < calls.size(); ++i) {
    for (std::size_t n = 0; n < repeats; ++n) {
      Result result = model.run(calls[i]);
      if (!is_known(results[i], result.outputs)) results[i].push_back(std::move(result.outputs));
    }
  }
  return results;
}

Trial run_at_once(const std::vector<LoadedModel*>& instances, const std::vector<Call>& calls,
                  const SerialResults& serial) {
  Trial trial;
  std::mutex trial_mutex;
  std::barrier start(static_cast<std::ptrdiff_t>(instances.size()));

  const auto call_once = [&](LoadedModel& model, std::size_t call) {
    try {
      Result result = model.run(calls[call]);
      const bool same = is_known(serial[call], result.outputs);
      const std::lock_guard lock(trial_mutex);
      ++trial.results;
      if (same) return;
      ++trial.different;
      trial.deviations.add(call, std::move(result.outputs), serial[call].front());
    } catch (...) {
      const std::lock_guard lock(trial_mutex);
      ++trial.failed;
      if (trial.first_failure == nullptr) trial.first_failure = std::current_exception();
    }
  };

  std::vector<std::thread> threads;
  std::exception_ptr not_started;
  for (std::size_t number = 0; number < instances.size(); ++number) {
    try {
      threads.emplace_back([&, number] {
        start.arrive_and_wait();
        for (std::size_t i = 0; i < calls.size(); ++i) {
          call_once(*instances[number], (number + i) % calls.size());
        }
      });
    } catch (...) {
      not_started = std::current_exception();
      // The others wait for all that were meant to start.
      for (; number < instances.size(); ++number) start.arrive_and_drop();
    }
  }
  for (std::thread& thread : threads) thread.join();
  if (not_started != nullptr) std::rethrow_exception(not_started);
  return trial;
}

std::vector<std::unique_ptr<LoadedModel>> make_clones(LoadedModel& model, std::size_t count) {
  std::vector<std::unique_ptr<LoadedModel>> clones;
  while (clones.size() < count) {
    std::unique_ptr<LoadedModel> clone = model.clone();
    if (clone == nullptr) return {};
    clones.push_back(std::move(clone));
  }
  return clones;
}

}  // namespace modelconform
