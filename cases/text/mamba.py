"""Mamba: Gu and Dao, Mamba: Linear-Time Sequence Modeling with Selective State Spaces, 2023, arXiv:2312.00752.

Without the paper's kernels the scan is a Python loop over the tokens.
"""

from sentences import VOCABULARY, Logits, noise, sentences
from transformers import MambaConfig, MambaForCausalLM

from pytest_modelconform import Case, generic_weights


def model() -> Logits:
    config = MambaConfig(vocab_size=VOCABULARY, hidden_size=24, state_size=4, num_hidden_layers=2, time_step_rank=4)
    return generic_weights(Logits(MambaForCausalLM(config)))


case = Case(
    model=model,
    inputs={
        "two": lambda: {"input_ids": noise(2, 4)},
        "three_longer": lambda: {"input_ids": sentences(7, 7, 7)[0]},
    },
    dynamic_shapes={"input_ids": {0: "batch", 1: "length"}},
    tags=("text", "recurrent", "control_flow"),
    paper="arXiv:2312.00752",
    requires=("transformers",),
)
