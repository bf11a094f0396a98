"""Beam search: Freitag and Al-Onaizan, Beam Search Strategies for Neural Machine Translation, 2017, arXiv:1702.01806.

The search itself is the model, in TorchScript, since it ends when all sentences have: a loop of unknown length, whose
results decide the output's size. With the length penalty of arXiv:1609.08144.
"""

import torch
from sentences import noise, sentences
from torch import Tensor, nn

from pytest_modelconform import Case, generic_weights

WORDS, BEAM, MORE = 20, 3, 3
START, END = 1, 2


class Search(nn.Module):
    """Source (batch, length) → the best sentences (batch, beam, steps) from START on, and scores (batch, beam)."""

    def __init__(self, width: int = 24) -> None:
        super().__init__()
        # Script knows the numbers of a module, and none of the file.
        self.words, self.beam, self.more, self.start, self.end = WORDS, BEAM, MORE, START, END
        self.source, self.target = nn.Embedding(100, width), nn.Embedding(WORDS, width)
        self.encoder = nn.GRU(width, width, batch_first=True)
        self.cell = nn.GRUCell(width, width)
        self.head = nn.Linear(width, WORDS)

    def forward(self, source: Tensor) -> tuple[Tensor, Tensor]:
        batch, beam = source.size(0), self.beam
        hidden = self.encoder(self.source(source))[1][0].repeat_interleave(beam, 0)
        first = torch.arange(batch, device=source.device)[:, None] * beam
        # What has ended goes on with END alone, at no cost. At first there is one sentence, not `beam` equal ones.
        stay = torch.full((self.words,), -1e9, device=source.device)
        stay[self.end] = 0.0
        scores = torch.full((batch, beam), -1e9, device=source.device)
        scores[:, 0] = 0.0
        tokens = torch.full((batch * beam, 1), self.start, device=source.device)
        ended = torch.zeros(batch, beam, dtype=torch.bool, device=source.device)
        limit = source.size(1) + self.more
        while tokens.size(1) < limit and not bool(ended.all()):
            hidden = self.cell(self.target(tokens[:, -1]), hidden)
            likely = self.head(hidden).log_softmax(1).view(batch, beam, self.words)
            likely = torch.where(ended[:, :, None], stay, likely)
            scores, index = (scores[:, :, None] + likely).flatten(1).topk(beam)
            word = index % self.words
            row = (first + index // self.words).flatten()
            hidden = hidden[row]
            tokens = torch.cat((tokens[row], word.view(-1, 1)), 1)
            ended = ended.flatten()[row].view(batch, beam) | (word == self.end)
        length = (tokens != self.end).sum(1).view(batch, beam)
        return tokens.view(batch, beam, -1), scores / ((5 + length) / 6) ** 0.6


def model() -> torch.jit.ScriptModule:
    search = generic_weights(Search())
    with torch.no_grad():  # sentences that differ by source, and of which some end before the limit
        search.source.weight *= 3
        search.target.weight *= 3
        search.head.weight *= 2
        search.head.bias[END] += 6
    return torch.jit.script(search)


case = Case(
    model=model,
    inputs={"two": lambda: (noise(2, 6),), "three_longer": lambda: (sentences(10, 10, 10)[0],)},
    dynamic_shapes={"source": {0: "batch", 1: "length"}},
    tags=("text", "script", "control_flow", "dynamic_output", "recurrent"),
    paper="arXiv:1702.01806",
)
