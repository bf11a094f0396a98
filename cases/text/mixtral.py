"""Mixtral: Jiang et al., Mixtral of Experts, 2024, arXiv:2401.04088.

Each token goes to two of four experts: tokens are sorted by expert and multiplied in groups.
"""

from sentences import VOCABULARY, Logits, noise, sentences
from transformers import MixtralConfig, MixtralForCausalLM

from pytest_modelconform import Case, generic_weights


def model() -> Logits:
    config = MixtralConfig(
        vocab_size=VOCABULARY,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        num_local_experts=4,
        num_experts_per_tok=2,
        max_position_embeddings=64,
    )
    return generic_weights(Logits(MixtralForCausalLM(config)))


case = Case(
    model=model,
    inputs={
        "two": lambda: {"input_ids": noise(2, 9)},
        "three_longer": lambda: {"input_ids": sentences(14, 14, 14)[0]},
    },
    dynamic_shapes={"input_ids": {0: "batch", 1: "length"}},
    tags=("text", "transformer", "experts", "rotary"),
    paper="arXiv:2401.04088",
    requires=("transformers",),
)
