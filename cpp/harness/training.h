// What a `train` request asks for, and what comes of it (docs/architecture.md, "The wire").
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "../library/tree.h"

namespace modelconform {

// The state of a training after so many steps, in a tensor file.
struct Checkpoint {
  std::int64_t step = 0;
  std::string file;
};

struct Training {
  // Samples along the first dimension.
  std::vector<Tensor> inputs;
  Tensor target;
  std::string loss;         // a function of torch.nn.functional; empty: loss_module
  std::string loss_module;  // a TorchScript file, called with the model's output and the target
  std::string optimizer;
  std::map<std::string, double> options;  // what isn't here is as the optimizer has it by default
  std::int64_t steps = 1;                 // the last one's number, counted from the beginning
  std::int64_t batch_size = 1;
  std::int64_t seed = 0;
  bool gradients = false;  // only those after one backward pass
  std::optional<Checkpoint> checkpoint;
  std::optional<Checkpoint> resume;
};

// outputs: a dict of "loss" and "gradients" (none where a parameter has none), or of "loss" (of
// every step that was made), "parameters" and "buffers", these by name.
struct Trained {
  double seconds = 0;
  Tree outputs;
};

}  // namespace modelconform
