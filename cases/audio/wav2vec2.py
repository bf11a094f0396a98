"""wav2vec 2.0: Baevski et al., Self-Supervised Learning of Speech Representations, 2020, arXiv:2006.11477.

Convolutions on the sound itself, and positions by a convolution with weight norm. The large model, unlike the base one,
masks what is padding: sizes after strides, computed from the data, and a cumulative sum.
"""

import torch
from sounds import padded, speech
from torch import Tensor, nn
from transformers import Wav2Vec2Config, Wav2Vec2ForCTC

from pytest_modelconform import Case, generic_weights


class Logits(nn.Module):
    """Returns a plain tensor, which loads without transformers."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, sound: Tensor, mask: Tensor | None = None) -> Tensor:
        """Sound (batch, samples), mask as it; letters (batch, frames, 30)."""
        return self.model(sound, attention_mask=mask, return_dict=False)[0]


def model(large: bool) -> Logits:
    config = Wav2Vec2Config(
        vocab_size=30,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        conv_dim=(24, 24, 24),
        conv_kernel=(10, 3, 2),
        conv_stride=(5, 2, 2),
        num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=4,
        feat_extract_norm="layer" if large else "group",
        do_stable_layer_norm=large,
        conv_bias=large,
        # SpecAugment is for training only.
        apply_spec_augment=False,
    )
    return generic_weights(Logits(Wav2Vec2ForCTC(config)))


samples = torch.export.Dim("samples", min=400, max=4000)

wav2vec2_base = Case(
    model=lambda: model(large=False),
    inputs={"noise": lambda: (0.3 * torch.randn(2, 900),), "longer_speech": lambda: (speech(3, 1310),)},
    dynamic_shapes={"sound": {0: "batch", 1: samples}},
    tags=("audio", "transformer", "convolution", "weight_norm"),
    paper="arXiv:2006.11477",
    requires=("transformers",),
)
wav2vec2_large = Case(
    model=lambda: model(large=True),
    inputs={"speech": lambda: padded(2, 900), "longer_speech": lambda: padded(3, 1310)},
    dynamic_shapes={"sound": {0: "batch", 1: samples}, "mask": {0: "batch", 1: samples}},
    tags=("audio", "transformer", "convolution", "weight_norm"),
    paper="arXiv:2006.11477",
    requires=("transformers",),
)
