"""The smoke model: each worker runs it before any case, so that a broken worker is told from a broken model."""

import os

import torch

from pytest_modelconform.building import tools
from pytest_modelconform.terms.case import Case


class Smoke(torch.nn.Module):
    """y = 3 x + 1, exact in every floating dtype for small whole x."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor([3.0]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Any shape."""
        return x * self.weight + 1.0


class Images(torch.nn.Module):
    """y = 3 x + 1 as a convolution, for formats of nothing but layers on images."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = torch.nn.Conv2d(1, 1, 1)
        torch.nn.init.constant_(self.conv.weight, 3.0)
        assert self.conv.bias is not None
        torch.nn.init.ones_(self.conv.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x: (batch, 1, height, width)."""
        return self.conv(x)


def in_keras(weights):  # type: ignore[no-untyped-def]
    """The smoke model in Keras."""
    import keras

    class Twin(keras.layers.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.weight = self.add_weight(shape=(1,), name="weight")
            self.weight.assign(weights["weight"])
            self.built = True

        def call(self, x, training=False):  # type: ignore[no-untyped-def]
            return x * self.weight + 1.0

    return Twin()


def in_jax(weights):  # type: ignore[no-untyped-def]
    """The smoke model in JAX."""
    return (lambda parameters, x: x * parameters["weight"] + 1.0), weights


smoke = Case(
    model=lambda: Smoke(),
    inputs={"x": lambda: (torch.arange(1.0, 5.0).reshape(2, 2),)},
    twins={"keras": in_keras, "jax": in_jax},
    cpp=os.path.relpath(tools.sources() / "frontend" / "smoke.cpp", os.path.dirname(__file__)),
)

# What the format's constant SMOKE may name instead.
smoke_images = Case(model=lambda: Images(), inputs={"x": lambda: (torch.arange(1.0, 5.0).reshape(1, 1, 2, 2),)})
