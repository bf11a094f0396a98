"""Runtimes that agree with each other and not with the reference: what they have in common is then suspect, or it.

Cells run in several processes, one after another. Each that is a mismatch leaves a sample of its outputs in the
session's folder, and compares those that are there already; at the session's end the process that has all results
reads what came of it. docs/verdicts.md has the rules.
"""

from __future__ import annotations

import json
import os
import shutil
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..cache.fingerprint import hash_of
from ..formats.origins import DECOMPOSED, origin
from ..terms.case import TORCH
from ..terms.cell import CaseRef, Cell

if TYPE_CHECKING:
    from ..compare.agreement import Sample
    from .diagnosing import Evidence
    from .registry import Registry

# What is kept, at most: outputs of an input set, input sets of a cell, cells of a case.
_OUTPUTS, _SETS, _CELLS = 8, 4, 64


@dataclass(frozen=True)
class Witness:
    """A cell that is a mismatch. family: of its runtime. origin: of its artifact, "" for the model itself."""

    cell: Cell
    family: str
    origin: str

    @classmethod
    def read(cls, stored: Mapping[str, Any]) -> Witness:
        """From JSON."""
        return cls(Cell(**stored["cell"]), stored["family"], stored["origin"])


@dataclass(frozen=True)
class Pair:
    """Two witnesses that agree. specialised: see `said`. framework: the case's."""

    one: Witness
    other: Witness
    framework: str
    specialised: bool


@dataclass(frozen=True)
class Witnesses:
    """What cells of a session left. folder: the session's, which need not be there."""

    registry: Registry
    folder: Path

    # -- while cells run -------------------------------------------------------------------------------------------

    def take(self, ref: CaseRef, cell: Cell, evidence: Evidence) -> None:
        """Leave a mismatch's outputs, and write down which of those that are there agree with them."""
        from ..compare import flatten
        from ..compare.agreement import agree, sample

        through = self.registry.made_through(cell.format, ref.framework, ref.own)
        me = Witness(cell, self.registry.runtime(cell.runtime).FAMILY, origin(through[-1], ref.framework))
        prepared = evidence.prepared
        exporter = prepared.content.exporter_set
        for name in list(evidence.runs)[:_SETS]:
            references = prepared.sets[name].references
            tree, arrays = evidence.runs[name][0]
            outputs = {path: arrays[key] for path, key in list(flatten(tree)[1].items())[:_OUTPUTS]}
            folder = self.folder / hash_of(prepared.key, name)
            folder.mkdir(parents=True, exist_ok=True)
            # Written before others are read: of two that do so at once, one sees the other.
            self._leave(folder, me, {path: sample(array, references.get(path)) for path, array in outputs.items()})
            for other, samples in self._others(folder, me):
                if agree(samples, outputs, references, evidence.tolerance):
                    specialised = ref.framework == TORCH and name != exporter and exporter not in evidence.runs
                    found = {
                        "witnesses": [asdict(other), asdict(me)],
                        "set": name,
                        "specialised": specialised,
                        "framework": ref.framework,
                    }
                    _write(folder / f"pair-{hash_of(other.cell.id, cell.id)}.json", json.dumps(found).encode())

    @staticmethod
    def _leave(folder: Path, me: Witness, samples: Mapping[str, Sample]) -> None:
        import io

        import numpy as np

        stem = hash_of(me.cell.id)
        if len(list(folder.glob("*.npz"))) >= _CELLS:
            return
        shapes = {path: list(one.shape) for path, one in samples.items()}
        arrays: dict[str, Any] = {"meta": np.frombuffer(json.dumps([asdict(me), shapes]).encode(), np.uint8)}
        for place, one in enumerate(samples.values()):
            arrays |= {f"indices{place}": one.indices, f"values{place}": one.values}
        target = io.BytesIO()
        np.savez(target, **arrays)
        _write(folder / f"{stem}.npz", target.getvalue())

    @staticmethod
    def _others(folder: Path, me: Witness) -> Iterator[tuple[Witness, Mapping[str, Sample]]]:
        """The cells of other families that are there, on the same device or not, with their samples."""
        import numpy as np

        from ..compare.agreement import Sample

        for file in sorted(folder.glob("*.npz")):
            with np.load(file, allow_pickle=False) as stored:
                said, shapes = json.loads(stored["meta"].tobytes())
                other = Witness.read(said)
                if other.family == me.family or other.cell.id == me.cell.id:
                    continue
                samples = {
                    path: Sample(tuple(shape), stored[f"indices{place}"], stored[f"values{place}"])
                    for place, (path, shape) in enumerate(shapes.items())
                }
            yield other, samples

    # -- at the end ------------------------------------------------------------------------------------------------

    def notes(self) -> Iterator[tuple[Cell, str]]:
        """What there is to add to cells: which others agree with them, and what that makes one suspect."""
        for cell, others in self.agreeing().items():
            pairs = list(others.values())
            witnesses = [pairs[0].one, *(pair.other for pair in pairs)]
            yield cell, said(witnesses, pairs[0].framework, any(pair.specialised for pair in pairs))

    def agreeing(self) -> Mapping[Cell, Mapping[Cell, Pair]]:
        """For each cell those that return the same wrong numbers for some input set."""
        found: dict[Cell, dict[Cell, Pair]] = defaultdict(dict)
        for file in sorted(self.folder.glob("*/pair-*.json")):
            stored = json.loads(file.read_bytes())
            one, two = (Witness.read(witness) for witness in stored["witnesses"])
            about = (stored["framework"], stored["specialised"])
            found[one.cell].setdefault(two.cell, Pair(one, two, *about))
            found[two.cell].setdefault(one.cell, Pair(two, one, *about))
        return found

    def remove(self) -> None:
        """Remove what was left."""
        shutil.rmtree(self.folder, ignore_errors=True)


def said(witnesses: Sequence[Witness], framework: str, specialised: bool) -> str:
    """What agreeing witnesses make one suspect: what they have in common, or the reference if that is nothing.

    specialised: whether they were right for the input set that exporters see, and are wrong for another: whatever
    exported the model then kept what that set decided.
    """
    several = len({witness.cell.format for witness in witnesses}) > 1
    names = sorted({witness.cell.runtime for witness in witnesses})
    who = _and(names)
    reference = "eager" if framework == TORCH else "the reference"
    agree = f"{who} agree with each other, not with {reference}"
    formats = _and(sorted({witness.cell.format for witness in witnesses}))
    origins = {witness.origin for witness in witnesses}
    if specialised:
        kept = "keep" if several else "keeps"
        return f"{agree}: suspect the export ({formats} {kept} what the exported input set decided)"
    if origins == DECOMPOSED:
        return f"{agree}: suspect PyTorch's decompositions, which {_and(sorted(origins))} have in common"
    if "" in origins or len(origins) > 1:
        return f"{agree}: suspect the reference"
    common = f"{next(iter(origins))}, which {formats} have in common" if several else formats
    return f"{agree}: suspect the export ({common})"


def _and(names: Sequence[str]) -> str:
    """The names in a sentence: "a, b and c"."""
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


def _write(path: Path, content: bytes) -> None:
    """Write a file that others see whole or not at all."""
    partial = path.with_suffix(f".partial{os.getpid()}")
    partial.write_bytes(content)
    partial.replace(path)
