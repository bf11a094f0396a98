#include "train_request.h"

#include <map>
#include <optional>
#include <string>

#include "../library/safetensors.h"
#include "fields.h"
#include "training.h"

namespace modelconform {
namespace {

Tensor tensor_of(const Json& tree, const std::map<std::string, Tensor>& data,
                 const std::string& name) {
  if (!tree.is_object() || !tree.contains("tensor")) {
    throw RequestError(name + " is {\"tensor\": KEY}: only tensors have samples");
  }
  const std::string key = as_text(tree["tensor"], "the key of " + name);
  const auto found = data.find(key);
  if (found == data.end()) throw RequestError("the data file has no tensor '" + key + "'");
  if (found->second.shape.empty() || found->second.shape.front() == 0) {
    throw RequestError("tensor '" + key + "' has no samples along a first dimension");
  }
  return found->second;
}

std::int64_t at_least(std::int64_t least, const Json& request, const std::string& name) {
  const std::int64_t number = number_field(request, name);
  if (number < least) throw RequestError("'" + name + "' is at least " + std::to_string(least));
  return number;
}

std::optional<Checkpoint> checkpoint_field(const Json& request, const std::string& name,
                                           std::int64_t steps) {
  if (!request.contains(name)) return std::nullopt;
  const Checkpoint checkpoint{at_least(1, request[name], "step"),
                              text_field(request[name], "file")};
  if (checkpoint.step > steps) throw RequestError("the step of '" + name + "' is after the last");
  return checkpoint;
}

void read_optimizer(const Json& request, Training& training) {
  const Json& optimizer = field(request, "optimizer");
  training.optimizer = text_field(optimizer, "name");
  for (const auto& [name, value] : optimizer.items()) {
    if (name == "name") continue;
    if (!value.is_number()) throw RequestError("the optimizer's '" + name + "' is a number");
    training.options[name] = value.get<double>();
  }
}

Training read_training(const Json& request) {
  Training training;
  const auto data = read_tensors(text_field(request, "data"));
  for (const Json& tree : as_list(field(request, "inputs"), "inputs")) {
    training.inputs.push_back(tensor_of(tree, data, "an item of 'inputs'"));
  }
  training.target = tensor_of(field(request, "target"), data, "'target'");
  for (const Tensor& input : training.inputs) {
    if (input.shape.front() != training.target.shape.front()) {
      throw RequestError("the inputs have " + std::to_string(input.shape.front()) +
                         " samples, the target has " +
                         std::to_string(training.target.shape.front()));
    }
  }
  const bool named = request.contains("loss");
  (named ? training.loss : training.loss_module) =
      text_field(request, named ? "loss" : "loss_module");
  training.batch_size = at_least(1, request, "batch_size");
  training.seed = number_field(request, "seed");
  training.gradients = request.value("gradients", false);
  if (training.gradients) return training;
  read_optimizer(request, training);
  training.steps = at_least(1, request, "steps");
  training.checkpoint = checkpoint_field(request, "checkpoint", training.steps);
  training.resume = checkpoint_field(request, "resume", training.steps);
  return training;
}

}  // namespace

std::optional<Trained> LoadedModel::train(const Training&) { return std::nullopt; }

Json answer_train(const Engine& engine, LoadedModel& model, const Json& request) {
  const std::string file = text_field(request, "outputs");
  std::optional<Trained> trained = model.train(read_training(request));
  if (!trained) {
    throw EngineError("NotImplementedError", engine.description().name + " doesn't train");
  }
  OutputKeys keys;
  keys.assign(trained->outputs, 0);
  write_tensors(file, keys.tensors());
  return {{"seconds", trained->seconds}, {"outputs", tree_to_json(trained->outputs)}};
}

}  // namespace modelconform
