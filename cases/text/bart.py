"""BART: Lewis et al., Denoising Sequence-to-Sequence Pre-training, 2019, arXiv:1910.13461.

A padded source; the decoder is causal, and attends to the source's words.
"""

import torch
from sentences import VOCABULARY, masked, noise
from torch import Tensor, nn
from torch.export import Dim
from transformers import BartConfig, BartForConditionalGeneration

from pytest_modelconform import Case, generic_weights

SOURCE, TARGET = Dim("source", max=32), Dim("target", max=32)  # as many as there are position embeddings


class Logits(nn.Module):
    """Returns a plain tensor, which loads without transformers."""

    def __init__(self, bart: nn.Module) -> None:
        super().__init__()
        self.bart = bart

    def forward(self, input_ids: Tensor, attention_mask: Tensor, decoder_input_ids: Tensor) -> Tensor:
        logits: Tensor = self.bart(
            input_ids, attention_mask=attention_mask, decoder_input_ids=decoder_input_ids, use_cache=False
        ).logits
        return logits


def model() -> Logits:
    config = BartConfig(
        vocab_size=VOCABULARY,
        d_model=32,
        encoder_layers=1,
        decoder_layers=2,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        encoder_ffn_dim=64,
        decoder_ffn_dim=64,
        max_position_embeddings=32,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        decoder_start_token_id=2,
        forced_eos_token_id=None,
    )
    return generic_weights(Logits(BartForConditionalGeneration(config)))


def shifted(target: Tensor) -> Tensor:
    """What the decoder sees: the target, one token later, behind the start."""
    return torch.nn.functional.pad(target[:, :-1], (1, 0), value=2)


case = Case(
    model=model,
    inputs={
        "two": lambda: {**masked(12, 7), "decoder_input_ids": shifted(noise(2, 5))},
        "three_longer": lambda: {**masked(6, 17, 11), "decoder_input_ids": shifted(noise(3, 8))},
    },
    dynamic_shapes={
        "input_ids": {0: "batch", 1: SOURCE},
        "attention_mask": {0: "batch", 1: SOURCE},
        "decoder_input_ids": {0: "batch", 1: TARGET},
    },
    tags=("text", "transformer", "attention"),
    paper="arXiv:1910.13461",
    requires=("transformers",),
)
