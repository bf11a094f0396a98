"""Seq2seq with GRUs, greedy until EOS: Sutskever et al., 2014, arXiv:1409.3215; Cho et al., 2014, arXiv:1406.1078."""

import torch
from torch import Tensor, nn

from pytest_modelconform import Case, generic_weights


class Seq2Seq(nn.Module):
    """source (batch, length) of int64 → tokens (batch, steps) of int64, their log-probabilities (batch, steps)."""

    def __init__(self, vocabulary: int = 20, hidden: int = 32, limit: int = 40, eos: int = 1) -> None:
        super().__init__()
        self.limit, self.eos = limit, eos
        self.embedding = nn.Embedding(vocabulary, hidden)
        self.encoder = nn.GRU(hidden, hidden, batch_first=True)
        self.decoder = nn.GRUCell(hidden, hidden)
        self.out = nn.Linear(hidden, vocabulary)

    def forward(self, source: Tensor) -> tuple[Tensor, Tensor]:
        state = self.encoder(self.embedding(source))[1][0]
        token = torch.zeros_like(source[:, 0])
        tokens: list[Tensor] = []
        scores: list[Tensor] = []
        done = token == self.eos
        while len(tokens) < self.limit and not bool(done.all()):
            state = self.decoder(self.embedding(token), state)
            score, token = self.out(state).log_softmax(1).max(1)
            done = done | (token == self.eos)
            token = token.masked_fill(done, self.eos)
            tokens.append(token)
            scores.append(score)
        return torch.stack(tokens, 1), torch.stack(scores, 1)


# Sentences and seed are chosen so that the sets take 6, 14 and 11 steps: a loop count that a trace bakes in shows.
case = Case(
    model=lambda: generic_weights(Seq2Seq(), seed=84),
    inputs={
        "two": lambda: (torch.tensor([[5, 7, 2, 9, 1], [4, 4, 8, 6, 1]]),),
        "two_others": lambda: (torch.tensor([[12, 3, 17, 9, 1], [19, 2, 6, 13, 1]]),),
        "three_longer": lambda: (
            torch.tensor([[5, 7, 2, 9, 3, 18, 1], [4, 8, 6, 2, 3, 15, 1], [9, 16, 2, 7, 14, 11, 1]]),
        ),
    },
    dynamic_shapes={"source": {0: "batch", 1: "length"}},
    tags=("plain", "recurrent"),
    paper="arXiv:1409.3215",
)
