"""GPT-2: Radford et al., Language Models are Unsupervised Multitask Learners, 2019; as GPT-3 in arXiv:2005.14165."""

import torch
from torch import Tensor, nn
from transformers import GPT2Config, GPT2LMHeadModel

from pytest_modelconform import Case, generic_weights


class Logits(nn.Module):
    """Returns a plain tensor, which loads without transformers. (GPT-2 fails with return_dict=False, 5.23.)"""

    def __init__(self, gpt2: nn.Module) -> None:
        super().__init__()
        self.gpt2 = gpt2

    def forward(self, input_ids: Tensor) -> Tensor:
        logits: Tensor = self.gpt2(input_ids).logits
        return logits


def model() -> Logits:
    config = GPT2Config(
        vocab_size=100,
        n_positions=32,
        n_embd=64,
        n_layer=2,
        n_head=4,
        bos_token_id=0,
        eos_token_id=0,
        use_cache=False,
    )
    return generic_weights(Logits(GPT2LMHeadModel(config)))


case = Case(
    model=model,
    inputs={
        "two": lambda: {"input_ids": torch.randint(0, 100, (2, 9))},
        "three_longer": lambda: {"input_ids": torch.randint(0, 100, (3, 14))},
    },
    dynamic_shapes={"input_ids": {0: "batch", 1: "length"}},
    tags=("text", "transformer"),
    paper="Radford et al. 2019; arXiv:2005.14165",
    requires=("transformers",),
)
