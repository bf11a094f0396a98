"""From the case host's runs to the references that outputs are compared with, on disk and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from .case import Tolerance
from .compare import Reference, Tree, UnusableReferenceError, compare_tensor, flatten, make_reference
from .workers import arrays

_NOT_COMPARED = "not compared in a fast mode"


class ModelFault(Exception):
    """The model itself, or the case, is not fit to be compared with. The message says what and the remedy."""


@dataclass(frozen=True)
class InputSet:
    """One input set of a case: what to run, and what has to come out.

    args, kwargs: trees whose keys are those of the tensors in `file`. outputs: eager's tree; its keys are paths.
    shapes: of each input tensor, by path. references: by the path of the output, as messages write it.
    """

    name: str
    file: Path
    args: list[Tree]
    kwargs: list[list[Any]]
    outputs: Tree
    shapes: Mapping[str, list[int]]
    inputs_changed: frozenset[str]
    references: Mapping[str, Reference]


@dataclass(frozen=True)
class Prepared:
    """A case with everything that its cells are compared with.

    digest: of parameters and inputs. key: of that and all that it was made from; names artifacts.
    """

    content: Mapping[str, Any]
    folder: Path
    cached: bool

    @property
    def digest(self) -> str:
        """Of parameters, buffers and inputs."""
        return str(self.content["digest"])

    @property
    def key(self) -> str:
        """Of the digest and the files that the case was made from."""
        return str(self.content["digest_of_all"])

    @property
    def output_paths(self) -> list[str]:
        """Paths of eager's outputs for the exporters' input set, in order."""
        return list(self.content["output_paths"])

    @property
    def tolerance(self) -> Tolerance:
        """The case's."""
        return Tolerance(**self.content["tolerance"])

    @property
    def tolerances(self) -> Mapping[str, Tolerance]:
        """The case's other ones, by what they are for."""
        return {key: Tolerance(**values) for key, values in self.content["tolerances"].items()}

    @cached_property
    def sets(self) -> Mapping[str, InputSet]:
        """The input sets, the exporters' first; arrays are memory maps."""
        first = self.content["exporter_set"]
        names = sorted(self.content["sets"], key=lambda name: name != first)
        return {name: self._load(name, self.content["sets"][name]) for name in names}

    def _load(self, name: str, entry: Mapping[str, Any]) -> InputSet:
        found = arrays.read(self.folder / f"references-{name}.safetensors")
        metas = json.loads((self.folder / f"references-{name}.json").read_text())
        references = {
            path: Reference.from_arrays(
                meta, {key.partition("#")[2]: array for key, array in found.items() if key.partition("#")[0] == path}
            )
            for path, meta in metas.items()
        }
        return InputSet(
            name=name,
            file=self.folder / f"inputs-{name}.safetensors",
            args=entry["args"],
            kwargs=entry["kwargs"],
            outputs=entry["outputs"],
            shapes={leaf["path"]: leaf["shape"] for leaf in entry["leaves"]},
            inputs_changed=frozenset(entry["inputs_changed"]),
            references=references,
        )


def make(folder: Path, content: Mapping[str, Any], fast: bool = False) -> list[str]:
    """Turn the runs that the case host left in `folder` into references. Returns notes on the case.

    fast: for runtimes' fast modes: an output that says nothing there is noted and not compared, unless it is the last.
    Raises ModelFault for a case whose outputs can't be compared with.
    """
    notes = []
    for name, entry in content["sets"].items():
        runs = folder / f"runs-{name}.safetensors"
        notes += _make_set(folder, name, entry, arrays.read(runs), bool(content["blind_ok"]), fast)
        runs.unlink()
    if fast:
        _check_something_is_compared(folder, content, notes)
    return notes


def _check_something_is_compared(folder: Path, content: Mapping[str, Any], notes: list[str]) -> None:
    files = [folder / f"references-{name}.json" for name in content["sets"]]
    kinds = {meta["kind"] for file in files for meta in json.loads(file.read_text()).values()}
    left_out = [note for note in notes if _NOT_COMPARED in note]
    if kinds <= {"empty"} and left_out:
        raise ModelFault(f"nothing can be compared in a fast mode: {left_out[0]}")


def _make_set(
    folder: Path, name: str, entry: Mapping[str, Any], runs: Mapping[str, Any], blind_ok: bool, fast: bool
) -> list[str]:
    stored: dict[str, Any] = {}
    metas: dict[str, Any] = {}
    notes = [f"input set {name!r}: {entry['impure']}"] if entry["impure"] else []
    for path, key in flatten(entry["outputs"])[1].items():
        where = f"output{path}"
        eager = runs[f"e0:{key}"]
        jittered = [runs[f"e{k}:{key}"] for k in range(1, len(runs) + 1) if f"e{k}:{key}" in runs]
        # Where float64 takes another branch than the case's dtype does, it is no reference.
        wide = None if entry["impure"] else runs.get(f"r:{key}")
        if wide is not None and wide.shape != eager.shape:
            wide = None
            notes.append(f"input set {name!r}, {where}: float64 has another shape")
        if fast and wide is None:
            # Eager's own rounding is nothing beside that of bfloat16.
            wide = eager.astype("complex128" if eager.dtype.kind == "c" else "float64")
        try:
            reference = make_reference(
                wide, eager, jittered, eager.dtype.name, where=where, blind_ok=blind_ok, reduced=fast
            )
        except UnusableReferenceError as error:
            if not fast:
                raise ModelFault(f"input set {name!r}: {error}") from error
            notes.append(f"input set {name!r}, {_NOT_COMPARED}: {error}")
            reference = Reference("empty", eager.dtype.name, tuple(eager.shape), eager.reshape(-1))
        if (again := runs.get(f"again:{key}")) is not None:
            # Not by the float64 run: it draws other random numbers, and its noise floor would cover the difference.
            alone = make_reference(None, eager, jittered, eager.dtype.name, where=where, blind_ok=True)
            _check_repeats(name, where, alone, again)
        metas[path], found = reference.to_arrays()
        stored.update({f"{path}#{part}": array for part, array in found.items()})
    arrays.write(folder / f"references-{name}.safetensors", stored)
    (folder / f"references-{name}.json").write_text(json.dumps(metas))
    return notes


def _check_repeats(name: str, where: str, reference: Reference, again: arrays.Array) -> None:
    found = compare_tensor(again, reference, Tolerance(), where=where, dtype=again.dtype.name)
    if not found.ok:
        raise ModelFault(
            f"input set {name!r}: the model gives other numbers on a second call with the same inputs, so that "
            f"nothing can be "
            f"compared with it: it draws random numbers or keeps state (dropout in train mode?). {found.message}"
        )
