"""Attention: Bahdanau et al., Neural Machine Translation by Jointly Learning to Align, 2014, arXiv:1409.0473.

A loop over the target: each step attends to the source anew. Returns the alignment, too.
"""

import torch
from sentences import VOCABULARY, noise, sentences
from torch import Tensor, nn

from pytest_modelconform import Case, generic_weights


class Attention(nn.Module):
    """Scores of a small network over the decoder's state and each of the source's."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.query, self.key = nn.Linear(width, width), nn.Linear(2 * width, width, bias=False)
        self.score = nn.Linear(width, 1, bias=False)

    def forward(self, state: Tensor, keys: Tensor, padding: Tensor) -> Tensor:
        scores = self.score(torch.tanh(self.query(state)[:, None] + keys)).squeeze(2)
        return scores.masked_fill(padding, float("-inf")).softmax(1)


class Translator(nn.Module):
    """Source (batch, length), padded with 0, and target (batch, length) → logits of the target, and the alignment."""

    def __init__(self, width: int = 24) -> None:
        super().__init__()
        self.source = nn.Embedding(VOCABULARY, width, padding_idx=0)
        self.target = nn.Embedding(VOCABULARY, width, padding_idx=0)
        self.encoder = nn.GRU(width, width, batch_first=True, bidirectional=True)
        self.first = nn.Linear(width, width)
        self.attention = Attention(width)
        self.cell = nn.GRUCell(3 * width, width)
        self.head = nn.Linear(4 * width, VOCABULARY)

    def forward(self, source: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        padding = source == 0
        states, last = self.encoder(self.source(source))
        keys = self.attention.key(states)
        state = torch.tanh(self.first(last[1]))  # of the backward direction, as in the paper
        logits: list[Tensor] = []
        alignment: list[Tensor] = []
        for word in self.target(target).unbind(1):
            weights = self.attention(state, keys, padding)
            context = torch.bmm(weights[:, None], states).squeeze(1)
            state = self.cell(torch.cat((word, context), 1), state)
            logits.append(self.head(torch.cat((state, context, word), 1)))
            alignment.append(weights)
        return torch.stack(logits, 1), torch.stack(alignment, 1)


case = Case(
    model=lambda: generic_weights(Translator()),
    inputs={
        "two": lambda: (sentences(6, 4)[0], noise(2, 3)),
        "three_longer": lambda: (sentences(5, 9, 7)[0], noise(3, 6)),
    },
    dynamic_shapes={"source": {0: "batch", 1: "source"}, "target": {0: "batch", 1: "target"}},
    tags=("text", "recurrent", "attention", "control_flow"),
    paper="arXiv:1409.0473",
)
