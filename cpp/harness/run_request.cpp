#include "run_request.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "../library/safetensors.h"
#include "calls.h"
#include "fields.h"

namespace modelconform {
namespace {

void note_changes(const std::vector<Leaf>& passed, const Inputs& inputs,
                  std::vector<std::string>& changed) {
  for (const Leaf& leaf : passed) {
    const bool known = std::find(changed.begin(), changed.end(), leaf.key) != changed.end();
    if (!known && !same_bits(leaf.tensor, inputs.at(leaf.key))) changed.push_back(leaf.key);
  }
}

const std::size_t* find_same(const std::vector<std::pair<std::size_t, Tree>>& runs,
                             const Tree& outputs) {
  for (const auto& [number, earlier] : runs) {
    if (same_bits(earlier, outputs)) return &number;
  }
  return nullptr;
}

}  // namespace

Json answer_run(const Engine& engine, LoadedModel* model, const Json& request) {
  const std::size_t repeats = repeats_of(request);
  const std::string outputs_file = text_field(request, "outputs");
  const auto inputs = read_tensors(text_field(request, "inputs"));
  const Call call = read_call(request, inputs, engine.description().layout);
  if (model == nullptr) throw RequestError("no model is loaded");

  Json runs = Json::array();
  // Runs that differ from all before them; the others are named by number, not kept.
  std::vector<std::pair<std::size_t, Tree>> distinct;
  std::vector<std::string> changed;
  OutputKeys keys;
  for (std::size_t n = 0; n < repeats; ++n) {
    Result result = model->run(call);
    note_changes(result.passed, inputs, changed);
    Json entry = {{"seconds", result.seconds}};
    if (const std::size_t* earlier = find_same(distinct, result.outputs)) {
      entry["same_as"] = *earlier;
    } else {
      keys.assign(result.outputs, n);
      entry["outputs"] = tree_to_json(result.outputs);
      distinct.emplace_back(n, std::move(result.outputs));
    }
    runs.push_back(std::move(entry));
  }
  write_tensors(outputs_file, keys.tensors());
  return {{"runs", std::move(runs)}, {"inputs_changed", changed}};
}

}  // namespace modelconform
