"""Gemma 2: Gemma Team, Gemma 2: Improving Open Language Models at a Practical Size, 2024, arXiv:2408.00118.

Every other layer sees a window of the last tokens only; attention and logits are capped by tanh.
"""

from sentences import VOCABULARY, Logits, noise, sentences
from transformers import Gemma2Config, Gemma2ForCausalLM

from pytest_modelconform import Case, generic_weights


def model() -> Logits:
    config = Gemma2Config(
        vocab_size=VOCABULARY,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        query_pre_attn_scalar=8,
        sliding_window=4,  # shorter than the sentences
        attn_logit_softcapping=2.0,  # low enough to bend what random weights give; the report has 50
        final_logit_softcapping=30.0,
        max_position_embeddings=64,
    )
    return generic_weights(Logits(Gemma2ForCausalLM(config)))


case = Case(
    model=model,
    inputs={
        "two": lambda: {"input_ids": noise(2, 9)},
        "three_longer": lambda: {"input_ids": sentences(14, 14, 14)[0]},
    },
    dynamic_shapes={"input_ids": {0: "batch", 1: "length"}},
    tags=("text", "transformer", "attention", "rotary"),
    paper="arXiv:2408.00118",
    requires=("transformers",),
)
