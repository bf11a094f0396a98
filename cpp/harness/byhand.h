// Running a model by hand: `modelconform-libtorch resnet.pt --ones 1,3,224,224`.
#pragma once

#include <string>
#include <vector>

#include "engine.h"

namespace modelconform {

struct ByHand {
  std::string model;
  std::vector<Tensor> ones;  // one an argument
  std::string inputs_file;   // safetensors; empty: none
  std::vector<std::string> libraries;
};

// "1,3,224,224" or "1,16:int64"; throws std::invalid_argument.
Tensor parse_ones(const std::string& text);

// Prints `ok`, then what the model returned. Throws what the engine throws.
void run_by_hand(Engine& engine, const ByHand& request);

}  // namespace modelconform
