"""DistilBERT: Sanh et al., DistilBERT, a distilled version of BERT, 2019, arXiv:1910.01108.

Here it answers questions: the answer begins and ends at a word, so that two tensors come out of one projection.
"""

from sentences import VOCABULARY, masked
from torch.export import Dim
from transformers import DistilBertConfig, DistilBertForQuestionAnswering

from pytest_modelconform import Case, generic_weights

LENGTH = Dim("length", max=32)  # as many as there are position embeddings


def model() -> DistilBertForQuestionAnswering:
    config = DistilBertConfig(
        vocab_size=VOCABULARY,
        dim=32,
        n_layers=2,
        n_heads=4,
        hidden_dim=64,
        max_position_embeddings=32,
        return_dict=False,  # a plain tuple, so that artifacts load without transformers
    )
    return generic_weights(DistilBertForQuestionAnswering(config))


case = Case(
    model=model,
    inputs={"two": lambda: masked(12, 7), "three_longer": lambda: masked(6, 17, 11)},
    dynamic_shapes={"input_ids": {0: "batch", 1: LENGTH}, "attention_mask": {0: "batch", 1: LENGTH}},
    tags=("text", "transformer", "attention"),
    paper="arXiv:1910.01108",
    requires=("transformers",),
)
