"""T5: Raffel et al., Exploring the Limits of Transfer Learning, 2019, arXiv:1910.10683."""

import torch
from torch import Tensor, nn
from transformers import T5Config, T5ForConditionalGeneration

from pytest_modelconform import Case, generic_weights


class Logits(nn.Module):
    """Returns a plain tensor, which loads without transformers. (T5 fails with return_dict=False, 5.23.)"""

    def __init__(self, t5: nn.Module) -> None:
        super().__init__()
        self.t5 = t5

    def forward(self, input_ids: Tensor, decoder_input_ids: Tensor) -> Tensor:
        logits: Tensor = self.t5(input_ids, decoder_input_ids=decoder_input_ids).logits
        return logits


def model() -> Logits:
    config = T5Config(
        vocab_size=100,
        d_model=64,
        d_kv=16,
        d_ff=128,
        num_layers=2,
        num_heads=4,
        use_cache=False,
    )
    return generic_weights(Logits(T5ForConditionalGeneration(config)))


def tokens(batch: int, source: int, target: int) -> dict[str, Tensor]:
    return {
        "input_ids": torch.randint(1, 100, (batch, source)),
        "decoder_input_ids": torch.randint(1, 100, (batch, target)),
    }


case = Case(
    model=model,
    inputs={"two": lambda: tokens(2, 9, 5), "three_longer": lambda: tokens(3, 14, 8)},
    dynamic_shapes={"input_ids": {0: "batch", 1: "source"}, "decoder_input_ids": {0: "batch", 1: "target"}},
    tags=("text", "transformer"),
    paper="arXiv:1910.10683",
    requires=("transformers",),
)
