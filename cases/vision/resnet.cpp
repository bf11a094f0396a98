// ResNet-18 by torchvision's names, see resnet.py. He et al., 2015, arXiv:1512.03385.
#include <modelconform/frontend.h>

namespace nn = torch::nn;

struct BasicBlockImpl : nn::Module {
  BasicBlockImpl(int64_t in, int64_t out, int64_t stride)
      : conv1(register_module("conv1", convolution(in, out, 3, stride))),
        bn1(register_module("bn1", nn::BatchNorm2d(out))),
        conv2(register_module("conv2", convolution(out, out, 3, 1))),
        bn2(register_module("bn2", nn::BatchNorm2d(out))) {
    if (stride == 1 && in == out) return;
    downsample = nn::Sequential(convolution(in, out, 1, stride), nn::BatchNorm2d(out));
    register_module("downsample", downsample);
  }

  static nn::Conv2d convolution(int64_t in, int64_t out, int64_t kernel, int64_t stride) {
    return nn::Conv2d(
        nn::Conv2dOptions(in, out, kernel).stride(stride).padding(kernel / 2).bias(false));
  }

  torch::Tensor forward(torch::Tensor x) {
    const auto identity = downsample.is_empty() ? x : downsample->forward(x);
    const auto out = bn2(conv2(torch::relu(bn1(conv1(x)))));
    return torch::relu(out + identity);
  }

  nn::Conv2d conv1;
  nn::BatchNorm2d bn1;
  nn::Conv2d conv2;
  nn::BatchNorm2d bn2;
  nn::Sequential downsample{nullptr};
};
TORCH_MODULE(BasicBlock);

struct ResNet18Impl : nn::Module {
  ResNet18Impl()
      : conv1(register_module("conv1", BasicBlockImpl::convolution(3, 64, 7, 2))),
        bn1(register_module("bn1", nn::BatchNorm2d(64))),
        layer1(register_module("layer1", layer(64, 64, 1))),
        layer2(register_module("layer2", layer(64, 128, 2))),
        layer3(register_module("layer3", layer(128, 256, 2))),
        layer4(register_module("layer4", layer(256, 512, 2))),
        fc(register_module("fc", nn::Linear(512, 1000))) {}

  static nn::Sequential layer(int64_t in, int64_t out, int64_t stride) {
    return nn::Sequential(BasicBlock(in, out, stride), BasicBlock(out, out, 1));
  }

  // x (batch, 3, height, width) -> (batch, 1000)
  torch::Tensor forward(torch::Tensor x) {
    x = torch::relu(bn1(conv1(x)));
    x = torch::max_pool2d(x, /*kernel_size=*/3, /*stride=*/2, /*padding=*/1);
    x = layer4->forward(layer3->forward(layer2->forward(layer1->forward(x))));
    return fc(torch::adaptive_avg_pool2d(x, {1, 1}).flatten(1));
  }

  nn::Conv2d conv1;
  nn::BatchNorm2d bn1;
  nn::Sequential layer1, layer2, layer3, layer4;
  nn::Linear fc;
};
TORCH_MODULE(ResNet18);
MODELCONFORM_MODEL(ResNet18)
