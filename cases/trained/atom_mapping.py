"""RXNMapper: Schwaller et al., Extraction of organic chemistry grammar, 2021, doi:10.1126/sciadv.abe4166.

A trained ALBERT over reactions. Its result is the attention of one layer: which atom of the product looks at which atom
before the reaction.
"""

import re

import torch
from torch import Tensor, nn
from torch.export import Dim
from transformers import AlbertModel
from wheels import file_of

from pytest_modelconform import Case

WEIGHTS = "models/transformers/albert_heads_8_uspto_all_1310k"
LAYER, HEAD = 10, 5
# An amide from an acid and an amine; a bromide from a double bond.
AMIDE = "CC(=O)O.NCc1ccccc1>>CC(=O)NCc1ccccc1"
BROMIDE = "C=CC.Br>>CC(Br)C"
TOKEN = r"\[[^\]]+\]|Br|Cl|>>|%\d\d|[A-Za-z]|\d|[=#().+\-/\\:~@?*$]"


class Mapper(nn.Module):
    """The attention of the mapper's head, and the last layer."""

    def __init__(self) -> None:
        super().__init__()
        self.albert = AlbertModel.from_pretrained(file_of("rxnmapper", WEIGHTS), attn_implementation="eager")

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor]:
        """Both (batch, length), int64 → (batch, length, length), probabilities; (batch, length, 256)."""
        found = self.albert(input_ids, attention_mask=attention_mask, output_attentions=True)
        return found.attentions[LAYER][:, HEAD], found.last_hidden_state


def reactions(*smiles: str) -> dict[str, Tensor]:
    words = file_of("rxnmapper", f"{WEIGHTS}/vocab.txt").read_text().split("\n")
    number = {word: index for index, word in enumerate(words)}
    rows = [torch.tensor([number[one] for one in ("[CLS]", *re.findall(TOKEN, text), "[SEP]")]) for text in smiles]
    ids = nn.utils.rnn.pad_sequence(rows, batch_first=True)
    return {"input_ids": ids, "attention_mask": (ids != 0).long()}


length = Dim("length", min=2, max=512)

rxnmapper = Case(
    model=Mapper,
    inputs={"padded": lambda: reactions(AMIDE, BROMIDE), "one": lambda: reactions(BROMIDE)},
    dynamic_shapes={"input_ids": {0: "batch", 1: length}, "attention_mask": {0: "batch", 1: length}},
    tags=("trained", "text", "transformer", "attention"),
    paper="https://doi.org/10.1126/sciadv.abe4166",
    requires=("rxnmapper", "transformers"),
)
