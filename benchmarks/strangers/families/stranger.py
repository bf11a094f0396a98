"""A model of somebody else's, with inputs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn


@dataclass(frozen=True)
class Stranger:
    """A model. name: `family.architecture`. make: builds it, with the weights that its package gives a new one.

    inputs: a tuple or a dict, drawn from torch's generator. trained: whether it has weights of its own, so that there
    are no others of it. missing: why it can't be had here, or "". large: whether it has above 150 million parameters.
    """

    name: str
    make: Callable[[], nn.Module]
    inputs: Callable[[], Any]
    trained: bool = False
    missing: str = ""
    large: bool = False


class Picked(nn.Module):
    """A model with something picked of what it returns."""

    def __init__(self, model: nn.Module, pick: Callable[[Any], Any]) -> None:
        super().__init__()
        self.model = model
        self.pick = pick

    def forward(self, x: Tensor) -> Any:
        return self.pick(self.model(x))
