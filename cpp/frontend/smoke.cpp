// The smoke model in C++, see pytest_modelconform/workers/host/smoke.py.
#include <modelconform/frontend.h>

struct SmokeImpl : torch::nn::Module {
  SmokeImpl() { weight = register_parameter("weight", torch::zeros({1})); }

  // Any shape.
  torch::Tensor forward(torch::Tensor x) { return x * weight + 1.0; }

  torch::Tensor weight;
};
TORCH_MODULE(Smoke);
MODELCONFORM_MODEL(Smoke)
