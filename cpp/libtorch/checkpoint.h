// The state of a training in a tensor file: model/NAME, optimizer/NAME.PART, step, and rng, which
// is the state of the CPU's generator. The same in
// pytest_modelconform/workers/host/train/checkpoint.py. Included by train_loop.cpp alone.
#pragma once

#include <ATen/CPUGeneratorImpl.h>

#include <map>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "../harness/training.h"
#include "../library/safetensors.h"
#include "optimizers.h"
#include "trainable.h"
#include "values.h"

namespace modelconform {

inline std::string listed(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

inline const std::string kModel = "model/";
inline const std::string kOptimizer = "optimizer/";

inline Trainable::Named all_of(Trainable& model) {
  Trainable::Named named = model.parameters();
  for (auto& buffer : model.buffers()) named.push_back(std::move(buffer));
  return named;
}

inline void write_checkpoint(const Checkpoint& checkpoint, Trainable& model,
                             const Optimizer& optimizer) {
  std::vector<std::pair<std::string, Tensor>> tensors;
  for (const auto& [name, value] : all_of(model)) {
    tensors.emplace_back(kModel + name, from_torch(value));
  }
  const auto& states = optimizer.optimizer->state();
  for (const auto& [name, value] : model.parameters()) {
    const auto found = states.find(value.unsafeGetTensorImpl());
    if (found == states.end()) continue;
    for (const auto& [part, tensor] : optimizer.state(*found->second)) {
      tensors.emplace_back(kOptimizer + name + "." + part, from_torch(tensor));
    }
  }
  tensors.emplace_back("step", from_torch(at::scalar_tensor(checkpoint.step, at::kLong)));
  at::Generator generator = at::detail::getDefaultCPUGenerator();
  const std::scoped_lock lock(generator.mutex());
  tensors.emplace_back("rng", from_torch(generator.get_state()));
  write_tensors(checkpoint.file, std::move(tensors));
}

// What is wrong with the names of a checkpoint's model, or "".
inline std::string misfit(const Trainable::Named& named,
                          const std::map<std::string, Tensor>& file) {
  std::vector<std::string> missing;
  std::vector<std::string> shapes;
  std::set<std::string> known;
  for (const auto& [name, value] : named) {
    known.insert(kModel + name);
    const auto found = file.find(kModel + name);
    if (found == file.end()) {
      missing.push_back(name);
    } else if (found->second.shape != value.sizes().vec()) {
      shapes.push_back(name + " (" + describe(found->second) + ", the model has " +
                       c10::str(value.sizes()) + ")");
    }
  }
  std::vector<std::string> unexpected;
  for (const auto& [key, tensor] : file) {
    if (key.rfind(kModel, 0) == 0 && known.count(key) == 0) {
      unexpected.push_back(key.substr(kModel.size()));
    }
  }
  std::string text;
  if (!missing.empty()) text += " lacks " + listed(missing) + ";";
  if (!unexpected.empty()) text += " has " + listed(unexpected) + ", which the model has not;";
  if (!shapes.empty()) text += " has other shapes: " + listed(shapes) + ";";
  return text.empty() ? "" : text.substr(0, text.size() - 1);
}

inline void read_checkpoint(const Checkpoint& checkpoint, Trainable& model,
                            const Optimizer& optimizer, const c10::Device& device) {
  const auto file = read_tensors(checkpoint.file);
  if (const std::string fault = misfit(all_of(model), file); !fault.empty()) {
    throw EngineError("ValueError", "the checkpoint" + fault);
  }
  {
    const at::NoGradGuard no_grad;
    for (const auto& [name, value] : all_of(model)) {
      at::Tensor(value).copy_(to_torch(file.at(kModel + name), device));
    }
  }
  auto& states = optimizer.optimizer->state();
  for (const auto& [name, value] : model.parameters()) {
    const std::string prefix = kOptimizer + name + ".";
    State parts;
    for (auto entry = file.lower_bound(prefix);
         entry != file.end() && entry->first.rfind(prefix, 0) == 0; ++entry) {
      const std::string part = entry->first.substr(prefix.size());
      // Not those of a parameter whose name goes on after the dot: "a" and "a.step".
      if (part.find('.') == std::string::npos) parts[part] = to_torch(entry->second, device);
    }
    // A parameter that got no gradient yet has no state.
    if (!parts.empty()) states[value.unsafeGetTensorImpl()] = optimizer.restored(parts);
  }
  if (const auto rng = file.find("rng"); rng != file.end()) {
    at::Generator generator = at::detail::getDefaultCPUGenerator();
    const std::scoped_lock lock(generator.mutex());
    generator.set_state(to_torch(rng->second, at::kCPU));
  }
}

}  // namespace modelconform
