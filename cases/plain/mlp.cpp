// See mlp.py.
#include <modelconform/frontend.h>

struct MlpImpl : torch::nn::Module {
  MlpImpl(int64_t inputs, int64_t hidden, int64_t outputs)
      : fc1(register_module("fc1", torch::nn::Linear(inputs, hidden))),
        fc2(register_module("fc2", torch::nn::Linear(hidden, outputs))),
        drop(register_module("drop", torch::nn::Dropout(0.1))) {}

  // x (..., inputs) -> (..., outputs)
  torch::Tensor forward(torch::Tensor x) {
    return drop(fc2(drop(torch::nn::functional::gelu(fc1(x)))));
  }

  torch::nn::Linear fc1, fc2;
  torch::nn::Dropout drop;
};
TORCH_MODULE(Mlp);
MODELCONFORM_MODEL(Mlp, 24, 96, 24)
