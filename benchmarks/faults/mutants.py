"""A mutant: a fault, where it is, and how the faulty thing answers an input set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pytest_modelconform.cells.answers import Run
from pytest_modelconform.references.prepared import InputSet

from .artifact import Artifact, read_inputs


class NotApplicable(Exception):
    """A fault that changes nothing here: no mutant."""


@dataclass(frozen=True)
class Faulty:
    """How something faulty answers an input set: with distinct results among its repeats, and without rounding."""

    runs: Callable[[InputSet], list[Run]]
    exact: Callable[[InputSet], list[Run]]


@dataclass(frozen=True)
class Mutant:
    """A fault of a kind, somewhere in an artifact or runtime. `make` raises NotApplicable where it changes nothing."""

    kind: str
    where: str
    format: str
    runtime: str
    make: Callable[[], Faulty]


def of_artifact(artifact: Artifact) -> Faulty:
    """A faulty artifact that is run as it should be."""
    return Faulty(
        lambda entry: [artifact.run(entry, read_inputs(entry))],
        lambda entry: [artifact.exact(entry, read_inputs(entry))],
    )
