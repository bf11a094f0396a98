// See convnet.py.
#include <modelconform/frontend.h>

struct ConvNetImpl : torch::nn::Module {
  ConvNetImpl(int64_t channels, int64_t classes)
      : conv1(register_module("conv1", convolution(3, channels))),
        norm1(register_module("norm1", torch::nn::BatchNorm2d(channels))),
        conv2(register_module("conv2", convolution(channels, 2 * channels))),
        norm2(register_module("norm2", torch::nn::BatchNorm2d(2 * channels))),
        fc(register_module("fc", torch::nn::Linear(2 * channels, classes))) {}

  // Without a bias, since the norm would subtract it again.
  static torch::nn::Conv2d convolution(int64_t in, int64_t out) {
    return torch::nn::Conv2d(torch::nn::Conv2dOptions(in, out, 3).padding(1).bias(false));
  }

  // x (batch, 3, height, width) -> (batch, classes)
  torch::Tensor forward(torch::Tensor x) {
    x = torch::max_pool2d(torch::relu(norm1(conv1(x))), 2);
    x = torch::relu(norm2(conv2(x)));
    return fc(x.mean({2, 3}));
  }

  torch::nn::Conv2d conv1;
  torch::nn::BatchNorm2d norm1;
  torch::nn::Conv2d conv2;
  torch::nn::BatchNorm2d norm2;
  torch::nn::Linear fc;
};
TORCH_MODULE(ConvNet);
MODELCONFORM_MODEL(ConvNet, 16, 10)
