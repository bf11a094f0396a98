"""A pre-norm block of MLP-Mixer in JAX: Tolstikhin et al., MLP-Mixer, 2021, arXiv:2105.01601."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pytest_modelconform import Case

WIDTH = 12
HIDDEN = 32


def apply(parameters: dict[str, Any], x: jax.Array) -> dict[str, jax.Array]:
    """The block: x (batch, WIDTH) → hidden, the same, and norm (batch,)."""
    centred = x - x.mean(axis=-1, keepdims=True)
    scaled = centred / jnp.sqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-5)
    normed = scaled * parameters["norm"]["weight"] + parameters["norm"]["bias"]
    inner = jax.nn.gelu(normed @ parameters["up"]["weight"] + parameters["up"]["bias"], approximate=False)
    hidden = x + inner @ parameters["down"]["weight"] + parameters["down"]["bias"]
    # Not in alphabetical order, into which JAX sorts.
    return {"norm": jnp.sqrt((hidden**2).sum(axis=-1)), "hidden": hidden}


def build() -> tuple[Any, dict[str, Any]]:
    random = np.random.default_rng(0)

    def normal(*shape: int, mean: float = 0.0, scale: float = 1.0) -> np.ndarray:
        return (mean + scale * random.normal(size=shape)).astype(np.float32)

    return apply, {
        "norm": {"weight": normal(WIDTH, mean=1.0, scale=0.3), "bias": normal(WIDTH, scale=0.3)},
        "up": {"weight": normal(WIDTH, HIDDEN, scale=WIDTH**-0.5), "bias": normal(HIDDEN, scale=0.3)},
        "down": {"weight": normal(HIDDEN, WIDTH, scale=HIDDEN**-0.5), "bias": normal(WIDTH, scale=0.3)},
    }


def tokens(batch: int) -> np.ndarray:
    return np.random.normal(size=(batch, WIDTH)).astype(np.float32)


case = Case(
    model=build,
    framework="jax",
    inputs={"three": lambda: (tokens(3),), "one": lambda: (tokens(1),)},
    dynamic_shapes=({0: "batch"},),
    tags=("frameworks",),
    paper="arXiv:2105.01601",
)
