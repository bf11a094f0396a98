"""A near miss is judged once more, by more draws of eager's noise.

Where one error of a row is amplified, three draws of it may all be small: then a faithful runtime is off by more than
they show. Eight more draws tell that apart from a fault, whose error they don't come near.
"""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ..terms.case import Tolerance
from ..terms.outcome import Verdict
from ..terms.runs import NO_TIME, NOISY_RUNS, key, noisy, runs_file
from ..terms.tolerances import is_explicit, limits

if TYPE_CHECKING:
    from ..compare import Reference
    from ..references.prepared import InputSet, Prepared
    from ..terms.cell import CaseRef
    from .answers import SetResult
    from .case_host import Exports
    from .stages import Budget

RUNS = 8
# Bits beyond the tolerance that a miss may be near by. Three draws from one normal distribution are all that much
# smaller than a fourth one in 1 of 100,000 cases: (0.8 / 2^5.5)^3 E|x|^3.
NEAR = 4.0
MOST_SECONDS = 60.0
LEAST_SECONDS = 2.0
_KEPT = 4  # input sets whose noise is kept: cells of a case follow each other


@dataclass(frozen=True)
class Closer:
    """An input set whose references know more noise: that of so many further runs."""

    entry: InputSet
    runs: int

    def note(self, result: SetResult) -> str:
        """That a result is by more draws than usual. result: what the set was by the usual ones."""
        loss = "" if result.numbers.get("loss") is None else f", {result.numbers['loss']:.1f} bits lost"
        return (
            f"input set {self.entry.name!r} was judged by {NOISY_RUNS + self.runs} draws of eager's noise: "
            f"by the first {NOISY_RUNS} it would be {result.verdict.value}{loss}"
        )


def is_near(result: SetResult, references: Mapping[str, Reference], tolerance: Tolerance) -> bool:
    """Whether all that is wrong in a result is noise beyond the tolerance, and by little."""
    if result.verdict not in (Verdict.MISMATCH, Verdict.IMPRECISE) or is_explicit(tolerance) or not result.numbers:
        return False
    wrong = {name: about for name, about in (result.outputs or {}).items() if about.get("wrong")}
    return bool(wrong) and all(
        _misses_by_little(references.get(name.removeprefix("output")), about.get("loss"), about.get("worst"), tolerance)
        for name, about in wrong.items()
    )


def _misses_by_little(
    reference: Reference | None, loss: float | None, worst: float | None, tolerance: Tolerance
) -> bool:
    if reference is None or reference.kind != "float" or reference.reduced or loss is None or worst is None:
        return False
    most, most_worst = limits(tolerance, reference.dtype)
    return loss <= most + NEAR and worst <= most_worst + NEAR


@dataclass
class SecondLook:
    """Has the case host draw more noise, and keeps what it drew. folder: for its files. off: no look is taken."""

    exports: Exports
    folder: Path
    off: bool = False
    _found: dict[tuple[str, str], Closer | str] = field(default_factory=dict)

    def of(self, ref: CaseRef, prepared: Prepared, entry: InputSet, budget: Budget) -> Closer | str:
        """The input set with more noise; in words, why there is none."""
        if self.off:
            return "no second look is taken here"
        wanted = (prepared.key or prepared.digest, entry.name)
        if wanted not in self._found:
            while len(self._found) >= _KEPT:
                self._found.pop(next(iter(self._found)))
            try:
                self._found[wanted] = self._drawn(ref, prepared, entry, budget)
            except Exception as error:
                # The verdict stays what it was.
                self._found[wanted] = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
        return self._found[wanted]

    def _drawn(self, ref: CaseRef, prepared: Prepared, entry: InputSet, budget: Budget) -> Closer | str:
        from ..compare import flatten, with_more_noise
        from ..workers import arrays

        seconds = min(budget.left / 2, MOST_SECONDS)
        if seconds < LEAST_SECONDS:
            return NO_TIME
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            count = self.exports.more_noise(ref, prepared, entry.name, Path(folder), RUNS, seconds).runs
            if not count:
                return NO_TIME
            found = arrays.read(Path(folder) / runs_file(entry.name))
            references = dict(entry.references)
            for path, place in flatten(entry.outputs)[1].items():
                if references[path].kind == "float":
                    runs = [found[key(noisy(k), place)] for k in range(1, count + 1)]
                    references[path] = with_more_noise(references[path], runs)
        return Closer(dataclasses.replace(entry, references=references), count)
