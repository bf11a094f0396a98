#include "concurrent_request.h"

#include <algorithm>
#include <cstdio>
#include <exception>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../library/safetensors.h"
#include "calls.h"
#include "concurrent.h"
#include "failure.h"
#include "fields.h"

namespace modelconform {
namespace {

std::vector<std::size_t> counts_field(const Json& request, const std::string& name) {
  std::vector<std::size_t> counts;
  for (const Json& count : as_list(field(request, name), name)) {
    counts.push_back(count_of(count, "an item of '" + name + "'", 256));
  }
  return counts;
}

// As many as the largest of these counts asks for; none where there are none to have, which the
// reply then says.
std::vector<std::unique_ptr<LoadedModel>> clones_for(LoadedModel& model,
                                                     const std::vector<std::size_t>& counts,
                                                     Json& reply) {
  if (counts.empty()) return {};
  try {
    auto clones = make_clones(model, *std::max_element(counts.begin(), counts.end()));
    reply["clonable"] = !clones.empty();
    return clones;
  } catch (...) {
    reply["clonable"] = false;
    reply["clone_error"] = current_failure();
    return {};
  }
}

Json to_json(Trial trial, const SerialResults& serial, const char* instance, std::size_t count,
             OutputKeys& keys) {
  Json json = {{"instance", instance},
               {"threads", count},
               {"results", trial.results},
               {"different", trial.different},
               {"failed", trial.failed}};
  const auto named = [&](Tree tree) {
    keys.assign(tree, keys.tensors().size());
    return tree_to_json(tree);
  };
  for (Deviation& deviation : trial.deviations.take()) {
    json["deviations"].push_back({{"call", deviation.call},
                                  {"outputs", named(std::move(deviation.outputs))},
                                  {"serial", named(serial[deviation.call].front())}});
  }
  if (trial.first_failure != nullptr) {
    try {
      std::rethrow_exception(trial.first_failure);
    } catch (...) {
      json["error"] = current_failure();
    }
  }
  return json;
}

}  // namespace

Json answer_concurrent(const Engine& engine, LoadedModel& model, const Json& request) {
  const std::vector<std::size_t> threads = counts_field(request, "threads");
  const std::vector<std::size_t> clone_counts = counts_field(request, "clones");
  const std::string outputs_file = text_field(request, "outputs");
  const std::vector<Call> calls = read_calls(request, engine.description().layout);
  const SerialResults serial = run_serially(model, calls, repeats_of(request));

  Json reply = {{"trials", Json::array()}};
  OutputKeys keys;
  const auto attempt = [&](const char* name, const std::vector<LoadedModel*>& instances) {
    // The last words of a worker that doesn't come back from it.
    std::fprintf(stderr, "running from %zu threads at once on %s\n", instances.size(),
                 name == std::string_view("one") ? "one instance" : name);
    reply["trials"].push_back(
        to_json(run_at_once(instances, calls, serial), serial, name, instances.size(), keys));
  };
  for (const std::size_t count : threads) {
    attempt("one", std::vector<LoadedModel*>(count, &model));
  }
  const std::vector<std::unique_ptr<LoadedModel>> clones = clones_for(model, clone_counts, reply);
  for (const std::size_t count : clone_counts) {
    if (clones.empty()) break;
    std::vector<LoadedModel*> instances;
    for (std::size_t i = 0; i < count; ++i) instances.push_back(clones[i].get());
    attempt("clones", instances);
  }
  write_tensors(outputs_file, keys.tensors());
  return reply;
}

}  // namespace modelconform
