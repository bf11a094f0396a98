// See encoder_block.py. torch::nn::TransformerEncoderLayer has neither batch_first nor norm_first,
// so this is built from the modules that it consists of, with Python's names.
#include <modelconform/frontend.h>

struct EncoderBlockImpl : torch::nn::Module {
  EncoderBlockImpl(int64_t width, int64_t heads, int64_t hidden)
      : self_attn(register_module("self_attn", torch::nn::MultiheadAttention(width, heads))),
        linear1(register_module("linear1", torch::nn::Linear(width, hidden))),
        linear2(register_module("linear2", torch::nn::Linear(hidden, width))),
        norm1(register_module("norm1", norm(width))),
        norm2(register_module("norm2", norm(width))) {}

  static torch::nn::LayerNorm norm(int64_t width) {
    return torch::nn::LayerNorm(torch::nn::LayerNormOptions({width}));
  }

  // src (batch, length, width), src_key_padding_mask (batch, length), true where there is padding;
  // src_mask is not used here -> (batch, length, width)
  torch::Tensor forward(torch::Tensor src, std::optional<torch::Tensor> src_mask,
                        std::optional<torch::Tensor> src_key_padding_mask) {
    TORCH_CHECK(!src_mask, "src_mask isn't implemented");
    src = src + attention(norm1(src), src_key_padding_mask.value_or(torch::Tensor()));
    return src + linear2(torch::gelu(linear1(norm2(src))));
  }

  torch::Tensor attention(torch::Tensor x, torch::Tensor padding) {
    x = x.transpose(0, 1);  // length first, as torch::nn wants it
    return std::get<0>(self_attn(x, x, x, padding, /*need_weights=*/false)).transpose(0, 1);
  }

  torch::nn::MultiheadAttention self_attn;
  torch::nn::Linear linear1, linear2;
  torch::nn::LayerNorm norm1, norm2;
};
TORCH_MODULE(EncoderBlock);
MODELCONFORM_MODEL(EncoderBlock, 32, 4, 64)
