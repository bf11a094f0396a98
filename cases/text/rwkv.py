"""RWKV: Peng et al., RWKV: Reinventing RNNs for the Transformer Era, 2023, arXiv:2305.13048.

As a server runs it: one token of each text and the state in, logits and the next state out. Exponents are kept apart,
so that nothing overflows. (Not transformers' class: with its state, that mixes the texts of a batch.)
"""

import torch
from sentences import VOCABULARY, noise, sentence
from torch import Tensor, nn

from pytest_modelconform import Case, Sequence, generic_weights

LAYERS, WIDTH = 2, 32


class TimeMix(nn.Module):
    """A mean of all values so far: weights fade from token to token, channel by channel."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.mix = nn.Parameter(torch.rand(3, width))
        self.decay, self.bonus = nn.Parameter(torch.randn(width)), nn.Parameter(torch.randn(width))
        self.key, self.value, self.receptance, self.out = (nn.Linear(width, width, bias=False) for _ in range(4))

    def forward(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Takes x (batch, width) and state (batch, 4, width): last x, numerator, denominator, exponent of both."""
        last, above, below, exponent = state.unbind(1)
        k, v, r = (mix * x + (1 - mix) * last for mix in self.mix)
        k, v, r = self.key(k), self.value(v), self.receptance(r).sigmoid()

        largest = torch.maximum(exponent, self.bonus + k)
        old, new = (exponent - largest).exp(), (self.bonus + k - largest).exp()
        mean = (old * above + new * v) / (old * below + new)

        faded = exponent - self.decay.exp()
        largest = torch.maximum(faded, k)
        old, new = (faded - largest).exp(), (k - largest).exp()
        return self.out(r * mean), torch.stack((x, old * above + new * v, old * below + new, largest), 1)


class ChannelMix(nn.Module):
    """Takes x and the last x, (batch, width)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.mix = nn.Parameter(torch.rand(2, width))
        self.key, self.value = nn.Linear(width, 4 * width, bias=False), nn.Linear(4 * width, width, bias=False)
        self.receptance = nn.Linear(width, width, bias=False)

    def forward(self, x: Tensor, last: Tensor) -> Tensor:
        k, r = (mix * x + (1 - mix) * last for mix in self.mix)
        return self.receptance(r).sigmoid() * self.value(self.key(k).relu().square())


class RWKV(nn.Module):
    def __init__(self, width: int = WIDTH) -> None:
        super().__init__()
        self.embedding, self.first = nn.Embedding(VOCABULARY, width), nn.LayerNorm(width)
        self.time = nn.ModuleList(TimeMix(width) for _ in range(LAYERS))
        self.channel = nn.ModuleList(ChannelMix(width) for _ in range(LAYERS))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2 * LAYERS))
        self.last, self.head = nn.LayerNorm(width), nn.Linear(width, VOCABULARY, bias=False)

    def forward(self, token: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Takes token (batch,) and state (batch, layers, 5, width): TimeMix's four rows, and ChannelMix's last x."""
        x = self.first(self.embedding(token))
        states = []
        for layer, (time, channel) in enumerate(zip(self.time, self.channel, strict=True)):
            mixed, rows = time(self.norms[2 * layer](x), state[:, layer, :4])
            x = x + mixed
            normed = self.norms[2 * layer + 1](x)
            x = x + channel(normed, state[:, layer, 4])
            states.append(torch.cat((rows, normed[:, None]), 1))
        return self.head(self.last(x)), torch.stack(states, 1)


def middle(batch: int) -> Tensor:
    """A state as it may be in the middle of a text: denominators are positive."""
    state = torch.randn(batch, LAYERS, 5, WIDTH)
    state[:, :, 2] = state[:, :, 2].abs() + 0.5
    return state


def empty(batch: int) -> Tensor:
    state = torch.zeros(batch, LAYERS, 5, WIDTH)
    state[:, :, 3] = -1e30  # no token yet: its weight is 0
    return state


def step(number: int) -> dict[str, Tensor]:
    """Two texts, token by token."""
    token = torch.stack((sentence(8)[number], noise(1, 8)[0, number]))
    return {"token": token, "state": empty(2)} if number == 0 else {"token": token}


case = Case(
    model=lambda: generic_weights(RWKV()),
    inputs={
        "two": lambda: {"token": noise(2, 1)[:, 0], "state": middle(2)},
        "three_begin": lambda: {"token": torch.tensor([1, 1, 17]), "state": empty(3)},
    },
    dynamic_shapes={"token": {0: "batch"}, "state": {0: "batch"}},
    sequence=Sequence(carry={"state": 1}, steps=8, inputs=step),
    tags=("text", "recurrent", "cache"),
    paper="arXiv:2305.13048",
)
