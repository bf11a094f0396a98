"""ALBERT: Lan et al., A Lite BERT for Self-supervised Learning of Language Representations, 2019, arXiv:1909.11942.

All layers share one set of weights, and embeddings are narrower than the layers.
"""

import torch
from sentences import VOCABULARY, masked
from torch import Tensor
from torch.export import Dim
from transformers import AlbertConfig, AlbertModel

from pytest_modelconform import Case, generic_weights

LENGTH = Dim("length", max=32)  # as many as there are position embeddings


def model() -> AlbertModel:
    config = AlbertConfig(
        vocab_size=VOCABULARY,
        embedding_size=16,
        hidden_size=32,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=32,
        return_dict=False,  # a plain tuple, so that artifacts load without transformers
    )
    return generic_weights(AlbertModel(config))


def pairs(*lengths: int) -> dict[str, Tensor]:
    """Two segments in each row, as the paper trains on: 0 for the first, 1 from the middle on."""
    given = masked(*lengths)
    middle = torch.tensor(lengths)[:, None] // 2
    segment = (torch.arange(max(lengths)) >= middle).long() * given["attention_mask"]
    return {**given, "token_type_ids": segment}


case = Case(
    model=model,
    inputs={"two": lambda: pairs(12, 7), "three_longer": lambda: pairs(6, 17, 11)},
    dynamic_shapes={name: {0: "batch", 1: LENGTH} for name in ("input_ids", "attention_mask", "token_type_ids")},
    tags=("text", "transformer", "attention"),
    paper="arXiv:1909.11942",
    requires=("transformers",),
)
