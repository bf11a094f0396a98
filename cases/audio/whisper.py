"""Whisper: Radford et al., Robust Speech Recognition via Large-Scale Weak Supervision, 2022, arXiv:2212.04356."""

import torch
from torch import Tensor, nn
from transformers import WhisperConfig, WhisperForConditionalGeneration

from pytest_modelconform import Case, generic_weights


class Logits(nn.Module):
    """Returns a plain tensor, which loads without transformers. (Whisper fails with return_dict=False, 5.23.)"""

    def __init__(self, whisper: nn.Module) -> None:
        super().__init__()
        self.whisper = whisper

    def forward(self, input_features: Tensor, decoder_input_ids: Tensor) -> Tensor:
        logits: Tensor = self.whisper(input_features, decoder_input_ids=decoder_input_ids).logits
        return logits


def model() -> Logits:
    config = WhisperConfig(
        vocab_size=100,
        num_mel_bins=40,
        d_model=64,
        encoder_layers=2,
        decoder_layers=2,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        encoder_ffn_dim=128,
        decoder_ffn_dim=128,
        max_source_positions=50,
        max_target_positions=32,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        decoder_start_token_id=3,
        use_cache=False,
    )
    return generic_weights(Logits(WhisperForConditionalGeneration(config)))


def speech(batch: int, length: int) -> dict[str, Tensor]:
    # One second of mel frames. Whisper accepts only the length that it was made for (30 s in the original).
    return {
        "input_features": torch.randn(batch, 40, 100),
        "decoder_input_ids": torch.randint(4, 100, (batch, length)),
    }


case = Case(
    model=model,
    inputs={"two": lambda: speech(2, 6), "three_longer": lambda: speech(3, 11)},
    dynamic_shapes={"input_features": {0: "batch"}, "decoder_input_ids": {0: "batch", 1: "length"}},
    tags=("audio", "transformer"),
    paper="arXiv:2212.04356",
    requires=("transformers",),
)
