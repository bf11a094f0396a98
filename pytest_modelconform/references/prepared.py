"""The references that outputs are compared with, as they lie on disk."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ..compare import Reference, Tree
from ..terms import runs
from ..terms.case import Tolerance
from ..workers import arrays
from .content import Content, SetEntry, TrainEntry, Training


@dataclass(frozen=True)
class InputSet:
    """One input set of a case: what to run, and what has to come out.

    args, kwargs: trees whose keys are those of the tensors in `file`. outputs: eager's tree; its keys are paths.
    shapes: of each input tensor, by path. references: by the path of the output, as messages write it.
    generated: what a set that isn't the case's own is for, else "". may_refuse: whether an artifact that refuses it
    keeps within what the case promises.
    """

    name: str
    file: Path
    args: list[Tree]
    kwargs: list[list[Any]]
    outputs: Tree
    shapes: Mapping[str, list[int]]
    inputs_changed: frozenset[str]
    references: Mapping[str, Reference]
    generated: str = ""
    may_refuse: bool = False


@dataclass(frozen=True)
class Prepared:
    """A case with everything that its cells are compared with.

    key: hash of all that it was made from, which names artifacts; "" where there are none to be made.
    """

    content: Content
    key: str
    folder: Path
    cached: bool

    @property
    def digest(self) -> str:
        """Of parameters, buffers and inputs."""
        return self.content.digest

    @property
    def output_paths(self) -> list[str]:
        """Paths of eager's outputs for the exporters' input set, in order."""
        return list(self.content.output_paths)

    @property
    def tolerance(self) -> Tolerance:
        """The case's."""
        return self.content.tolerance

    @property
    def tolerances(self) -> Mapping[str, Tolerance]:
        """The case's other ones, by what they are for."""
        return self.content.tolerances

    @property
    def train(self) -> TrainEntry:
        """How it is trained. Only for a case that is."""
        assert isinstance(self.content, Training)
        return self.content.train

    @cached_property
    def sets(self) -> Mapping[str, InputSet]:
        """The input sets, the exporters' first; arrays are memory maps."""
        first = self.content.exporter_set
        names = sorted(self.content.sets, key=lambda name: name != first)
        return {name: self._load(name, self.content.sets[name]) for name in names}

    def _load(self, name: str, entry: SetEntry) -> InputSet:
        generated = self.content.generated.get(name)
        found = arrays.read(self.folder / f"references-{name}.safetensors")
        metas = json.loads((self.folder / f"references-{name}.json").read_text())
        references = {
            path: Reference.from_arrays(
                meta, {key.rpartition("#")[2]: array for key, array in found.items() if key.rpartition("#")[0] == path}
            )
            for path, meta in metas.items()
        }
        return InputSet(
            name=name,
            file=self.folder / runs.inputs_file(name),
            args=entry.args,
            kwargs=entry.kwargs,
            outputs=entry.outputs,
            shapes={leaf.path: leaf.shape for leaf in entry.leaves},
            inputs_changed=frozenset(entry.inputs_changed),
            references=references,
            generated=generated.why if generated else "",
            may_refuse=generated.may_refuse if generated else False,
        )
