"""Qwen 3: Yang et al., Qwen3 Technical Report, 2025, arXiv:2505.09388.

Queries and keys are normed. Prompts are padded on the left, as for generation: the first rows of attention see nothing.
"""

from sentences import VOCABULARY, MaskedLogits, masked
from transformers import Qwen3Config, Qwen3ForCausalLM

from pytest_modelconform import Case, generic_weights


def model() -> MaskedLogits:
    config = Qwen3Config(
        vocab_size=VOCABULARY,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=16,
        max_position_embeddings=64,
    )
    return generic_weights(MaskedLogits(Qwen3ForCausalLM(config)))


case = Case(
    model=model,
    inputs={
        "two": lambda: masked(9, 6, left=True),
        "three_longer": lambda: masked(5, 14, 11, left=True),
    },
    dynamic_shapes={"input_ids": {0: "batch", 1: "length"}, "attention_mask": {0: "batch", 1: "length"}},
    tags=("text", "transformer", "attention", "rotary", "norm"),
    paper="arXiv:2505.09388",
    requires=("transformers",),
)
