"""BERT: Devlin et al., Pre-training of Deep Bidirectional Transformers, 2018, arXiv:1810.04805."""

from typing import Any

import torch
from torch.export import Dim
from transformers import BertConfig, BertModel

from pytest_modelconform import Case, generic_weights

LENGTH = Dim("length", max=32)  # as many as there are position embeddings


def model() -> BertModel:
    config = BertConfig(
        vocab_size=100,
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=128,
        max_position_embeddings=32,
        return_dict=False,  # a plain tuple, so that artifacts load without transformers
    )
    return generic_weights(BertModel(config))


def sentences(*lengths: int) -> dict[str, Any]:
    """One sentence of each length, padded to the longest."""
    mask = (torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]).long()
    return {"input_ids": torch.randint(1, 100, mask.shape) * mask, "attention_mask": mask}


case = Case(
    model=model,
    inputs={
        "two": lambda: sentences(9, 6),
        "three_longer": lambda: sentences(5, 14, 11),
    },
    dynamic_shapes={"input_ids": {0: "batch", 1: LENGTH}, "attention_mask": {0: "batch", 1: LENGTH}},
    dtypes=("float32", "float16", "bfloat16"),
    tags=("text", "transformer"),
    paper="arXiv:1810.04805",
    requires=("transformers",),
)
