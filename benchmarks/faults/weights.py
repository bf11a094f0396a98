"""Faults in the weights of an artifact."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping

import torch
from torch import Tensor

from .artifact import Artifact
from .mutants import Faulty, Mutant, NotApplicable, of_artifact

# The changed tensor, or None where the fault does not apply. Takes a copy, its name and a position's random source.
Change = Callable[[Tensor, str, random.Random], "Tensor | None"]


def rounded(dtype: torch.dtype) -> Change:
    """Round to a narrower dtype and back."""
    return lambda value, name, source: value.to(dtype).to(value.dtype)


def element_off(value: Tensor, name: str, source: random.Random) -> Tensor:
    """One element by a tenth of the tensor's root mean square."""
    value.view(-1)[source.randrange(value.numel())] += 0.1 * value.square().mean().sqrt()
    return value


def largest_off(value: Tensor, name: str, source: random.Random) -> Tensor:
    """The largest element by a tenth of itself."""
    value.view(-1)[value.abs().argmax()] *= 1.1
    return value


def flipped_sign(value: Tensor, name: str, source: random.Random) -> Tensor:
    """The largest element with the other sign."""
    value.view(-1)[value.abs().argmax()] *= -1
    return value


def rows_swapped(value: Tensor, name: str, source: random.Random) -> Tensor | None:
    """Two indices of axis 0."""
    if not value.dim() or value.shape[0] < 2:
        return None
    one, two = source.sample(range(value.shape[0]), 2)
    value[[one, two]] = value[[two, one]]
    return value


def bias_dropped(value: Tensor, name: str, source: random.Random) -> Tensor | None:
    """A bias of zero."""
    return torch.zeros_like(value) if value.dim() == 1 and "bias" in name else None


def transposed(value: Tensor, name: str, source: random.Random) -> Tensor | None:
    """A square matrix, transposed."""
    return value.t().contiguous() if value.dim() == 2 and value.shape[0] == value.shape[1] > 1 else None


def in_int8(value: Tensor, name: str, source: random.Random) -> Tensor:
    """Rounded to 255 steps over the tensor's range, as quantised by tensor."""
    step = value.abs().max() / 127
    return (value / step).round() * step if step else value


FAULTS: dict[str, Change] = {
    "weight in bfloat16": rounded(torch.bfloat16),
    "weight in float16": rounded(torch.float16),
    "weight in int8": in_int8,
    "weight × 1.01": lambda value, name, source: value * 1.01,
    "weight zero": lambda value, name, source: torch.zeros_like(value),
    "weight transposed": transposed,
    "weight rows swapped": rows_swapped,
    "weight rows moved by one": lambda value, name, source: value.roll(1, 0) if value.dim() else None,
    "element off by 10 % of rms": element_off,
    "largest element × 1.1": largest_off,
    "largest element, other sign": flipped_sign,
    "bias dropped": bias_dropped,
}
WHOLE: dict[str, Change] = {
    "all weights in float16": rounded(torch.float16),
    "all weights in bfloat16": rounded(torch.bfloat16),
}


def mutants(artifact: Artifact, seed: str) -> Iterator[Mutant]:
    """Every fault in every tensor; those that don't change anything show that when they are made."""
    values = artifact.tensors()
    for kind, change in FAULTS.items():
        for name in values:
            yield _mutant(artifact, kind, name, change, {name: values[name]}, seed)
    for kind, change in WHOLE.items():
        yield _mutant(artifact, kind, "all", change, values, seed)


def _mutant(
    artifact: Artifact, kind: str, where: str, change: Change, values: Mapping[str, Tensor], seed: str
) -> Mutant:
    def make() -> Faulty:
        source = random.Random(f"{seed}:{kind}:{where}")
        found = {}
        for name, value in values.items():
            changed = change(value.clone(), name, source)
            if changed is not None and not torch.equal(changed, value):
                found[name] = changed
        if not found:
            raise NotApplicable
        return of_artifact(artifact.with_tensors(found))

    return Mutant(kind, where, artifact.format, artifact.runtime, make)
