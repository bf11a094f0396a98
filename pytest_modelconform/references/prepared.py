"""The references that outputs are compared with, as they lie on disk."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from ..compare import Reference, Tree
from ..terms import runs
from ..terms.case import Tolerance
from ..workers import arrays
from .content import Content, SetEntry, Steps, TrainEntry, Training

_MOST_SIZES = 3


@dataclass(frozen=True)
class InputSet:
    """One input set of a case: what to run, and what has to come out.

    args, kwargs: trees whose keys are those of the tensors in `file`. outputs: eager's tree; its keys are paths.
    shapes: of each input tensor, by path; names: what forward calls them, by path. references: by the path of the
    output, as messages write it. constants: what else forward is given, by parameter. generated: what a set that isn't
    the case's own is for, else "". may_refuse: whether an artifact that refuses it keeps within what the case promises.
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
    names: Mapping[str, str] = field(default_factory=dict)
    constants: Mapping[str, str] = field(default_factory=dict)


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

    @property
    def steps(self) -> Steps:
        """What is fed back from step to step. Only for a case that is run so."""
        assert isinstance(self.content, Steps)
        return self.content

    @property
    def exported_shapes(self) -> Mapping[str, list[int]]:
        """Of each input tensor that exporters see, by path."""
        content = self.content
        leaves = content.exported if isinstance(content, Steps) else content.sets[content.exporter_set].leaves
        return {leaf.path: leaf.shape for leaf in leaves}

    @cached_property
    def sets(self) -> Mapping[str, InputSet]:
        """The input sets, the exporters' first; arrays are memory maps."""
        first = self.content.exporter_set
        names = sorted(self.content.sets, key=lambda name: name != first)
        return {name: self._load(name, self.content.sets[name]) for name in names}

    def with_sets(self, sets: Mapping[str, InputSet]) -> Prepared:
        """The same with other input sets."""
        other = dataclasses.replace(self)
        vars(other)["sets"] = sets  # where cached_property keeps it
        return other

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
            names={leaf.path: leaf.name for leaf in entry.leaves},
            constants=entry.constants,
        )


def sizes(sets: Mapping[str, InputSet]) -> dict[str, str]:
    """In which sizes input sets differ, in words by name: "x (2, 5, 8)"; "" for all where they don't.

    Of more than three tensors the first three.
    """
    by_path: dict[str, set[tuple[int, ...]]] = {}
    for entry in sets.values():
        for path, lengths in entry.shapes.items():
            by_path.setdefault(path, set()).add(tuple(lengths))
    everywhere = {path for path in by_path if all(path in entry.shapes for entry in sets.values())}
    varied = [path for path, shapes in by_path.items() if len(shapes) > 1 or path not in everywhere]
    found = {}
    for name, entry in sets.items():
        said = [
            f"{entry.names.get(path) or path} {tuple(entry.shapes[path])}" if path in entry.shapes else ""
            for path in varied
        ]
        said = [words for words in said if words]
        found[name] = ", ".join([*said[:_MOST_SIZES], *(["…"] if len(said) > _MOST_SIZES else [])])
    return found
