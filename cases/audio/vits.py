"""VITS: Kim et al., Conditional VAE with Adversarial Learning for End-to-End Text-to-Speech, 2021, arXiv:2106.06103.

How long the sound is depends on the text's values: durations are predicted, rounded up and laid out as a path. Behind
it stand a flow, run backwards, and a generator of transposed convolutions with weight norm. The noise is off. The
stochastic durations are a flow of splines, which picks elements by masks.
"""

import torch
from torch import Tensor, nn
from transformers import VitsConfig, VitsModel

from pytest_modelconform import Case, generic_weights


class Sound(nn.Module):
    """Returns plain tensors, which load without transformers."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, text: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Text (batch, letters), mask as it; sound (batch, samples) and how many of a row are its own (batch,)."""
        found = self.model(text, attention_mask=mask)
        return found.waveform, found.sequence_lengths


def model(stochastic: bool) -> Sound:
    config = VitsConfig(
        vocab_size=38,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        ffn_dim=32,
        flow_size=16,
        spectrogram_bins=33,
        use_stochastic_duration_prediction=stochastic,
        upsample_initial_channel=16,
        upsample_rates=(4, 4),
        upsample_kernel_sizes=(8, 8),
        resblock_kernel_sizes=(3, 5),
        resblock_dilation_sizes=((1, 3), (1, 3)),
        depth_separable_num_layers=1,
        duration_predictor_num_flows=2,
        duration_predictor_filter_channels=16,
        prior_encoder_num_flows=2,
        prior_encoder_num_wavenet_layers=2,
        posterior_encoder_num_wavenet_layers=1,
        noise_scale=0.0,
        noise_scale_duration=0.0,
    )
    return generic_weights(Sound(VitsModel(config)))


def letters(*lengths: int) -> tuple[Tensor, Tensor]:
    """Text with padding behind it."""
    mask = (torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]).long()
    return torch.randint(1, 38, mask.shape) * mask, mask


about = {
    "inputs": {"two": lambda: letters(7, 7), "three_padded": lambda: letters(12, 9, 4)},
    "dynamic_shapes": {"text": {0: "batch", 1: "letters"}, "mask": {0: "batch", 1: "letters"}},
    "paper": "arXiv:2106.06103",
    "requires": ("transformers",),
}

vits = Case(
    model=lambda: model(stochastic=False),
    tags=("audio", "generative", "dynamic_output", "weight_norm", "inverse"),
    **about,
)
vits_stochastic = Case(
    model=lambda: model(stochastic=True),
    tags=("audio", "generative", "dynamic_output", "scatter", "control_flow", "slow"),
    **about,
)
