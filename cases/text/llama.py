"""Llama: Touvron et al., LLaMA: Open and Efficient Foundation Language Models, 2023, arXiv:2302.13971.

With rotary positions and grouped queries (arXiv:2305.13245), as a server runs it: a prompt, then a token at a time.
"""

import torch
from sentences import VOCABULARY, Cached, Past, noise, sentences
from transformers import DynamicCache, LlamaConfig, LlamaForCausalLM

from pytest_modelconform import Case, Sequence, generic_weights

LAYERS, HEADS, GROUPS, WIDTH = 2, 4, 2, 32


def model() -> Cached:
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=WIDTH,
        intermediate_size=64,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        num_key_value_heads=GROUPS,
        max_position_embeddings=64,
    )
    return generic_weights(Cached(LlamaForCausalLM(config), DynamicCache))


def past(batch: int, length: int) -> Past:
    shape = (batch, GROUPS, length, WIDTH // HEADS)
    return tuple((torch.randn(shape), torch.randn(shape)) for _ in range(LAYERS))


def step(number: int) -> dict[str, object]:
    """Two prompts of six tokens and an empty cache, then two tokens at a time."""
    return {"tokens": sentences(6, 6)[0], "past": past(2, 0)} if number == 0 else {"tokens": noise(2, 1)}


case = Case(
    model=model,
    inputs={
        "two": lambda: {"tokens": noise(2, 3), "past": past(2, 5)},
        "three_longer": lambda: {"tokens": sentences(7, 7, 7)[0], "past": past(3, 2)},
    },
    dynamic_shapes={
        "tokens": {0: "batch", 1: "length"},
        "past": (({0: "batch", 2: "past"},) * 2,) * LAYERS,
    },
    sequence=Sequence(carry={"past": 1}, steps=5, inputs=step),
    tags=("text", "transformer", "attention", "rotary", "cache"),
    paper="arXiv:2302.13971",
    requires=("transformers",),
)
