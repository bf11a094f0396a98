"""GPT-2 with a cache: Radford et al., Language Models are Unsupervised Multitask Learners, 2019.

Keys and values are passed in and out, as a server runs it: a prompt, then a token at a time.
"""

import torch
from torch import Tensor, nn
from transformers import DynamicCache, GPT2Config, GPT2LMHeadModel

from pytest_modelconform import Case, Sequence, generic_weights

Past = tuple[tuple[Tensor, Tensor], ...]

LAYERS, HEADS, WIDTH = 2, 4, 64


class Cached(nn.Module):
    """Tokens and the past in, logits and the past with these tokens out. (A dict of both, no trace can return.)"""

    def __init__(self, gpt2: nn.Module) -> None:
        super().__init__()
        self.gpt2 = gpt2

    def forward(self, tokens: Tensor, past: Past) -> tuple[Tensor, Past]:
        """Takes tokens (batch, length); past: keys and values of each layer, (batch, heads, length so far, width)."""
        cache = DynamicCache(past)
        logits = self.gpt2(tokens, past_key_values=cache, use_cache=True).logits
        return logits, tuple((layer.keys, layer.values) for layer in cache.layers)


def model() -> Cached:
    config = GPT2Config(
        vocab_size=100,
        n_positions=32,
        n_embd=WIDTH,
        n_layer=LAYERS,
        n_head=HEADS,
        bos_token_id=0,
        eos_token_id=0,
    )
    return generic_weights(Cached(GPT2LMHeadModel(config)))


def past(batch: int, length: int) -> Past:
    shape = (batch, HEADS, length, WIDTH // HEADS)
    return tuple((torch.randn(shape), torch.randn(shape)) for _ in range(LAYERS))


def tokens(batch: int, length: int) -> Tensor:
    return torch.randint(0, 100, (batch, length))


case = Case(
    model=model,
    inputs={
        "two": lambda: {"tokens": tokens(2, 3), "past": past(2, 4)},
        "three_longer": lambda: {"tokens": tokens(3, 2), "past": past(3, 9)},
    },
    dynamic_shapes={
        "tokens": {0: "batch", 1: "length"},
        "past": (({0: "batch", 2: "past"},) * 2,) * LAYERS,
    },
    sequence=Sequence(
        carry={"past": 1},
        steps=5,
        inputs=lambda step: {"tokens": tokens(2, 4), "past": past(2, 0)} if step == 0 else {"tokens": tokens(2, 1)},
    ),
    tags=("text", "transformer"),
    paper="Radford et al. 2019",
    requires=("transformers",),
)
