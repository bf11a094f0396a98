// The module of PyTorch's C++ tutorials, see net.py.
#include <modelconform/frontend.h>

struct NetImpl : torch::nn::Module {
  NetImpl(int64_t N, int64_t M) {
    W = register_parameter("W", torch::empty({N, M}));
    b = register_parameter("b", torch::empty(M));
  }

  // x (batch, N) -> (batch, M)
  torch::Tensor forward(torch::Tensor x) { return torch::addmm(b, x, W); }

  torch::Tensor W, b;
};
TORCH_MODULE(Net);
MODELCONFORM_MODEL(Net, 10, 20)
