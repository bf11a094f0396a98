"""The file that shows what a search has found: of the first guilty one, as small as it can be."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from ..cells.case_files import Declared
from ..terms.blame import Blame
from ..terms.outcome import Outcome, Verdict
from ..terms.program import Part
from .bench import Bench
from .example import Example, Wanted, example
from .folder import packed
from .machine import Machine
from .told import told, tolerance_text
from .trial import OutOfTime

# Whether the second outcome is the first one's failure.
Same = Callable[[Outcome, Outcome], bool]


def alike(whole: Outcome, part: Outcome) -> bool:
    """Whether two outcomes have verdict and stage in common: for numbers, which are wrong in many ways."""
    return (whole.verdict, whole.stage) == (part.verdict, part.stage)


def with_example(trials: Machine, case: Declared, blame: Blame, same: Same = alike) -> Blame:
    """What a search has found, with the case that shows the first guilty one, or with a note why there is none.

    case: the one that was searched in.
    """
    if not blame.guilty or not blame.guilty[0].operators:
        return blame
    with tempfile.TemporaryDirectory(prefix="modelconform-example-") as folder:
        try:
            found = _found(trials, case, blame, same, Path(folder))
        except OutOfTime:
            found = Example(problem="the time ended before it was written")
        tensors = packed(found.tensors)
        if not found.problem and tensors is not None:
            return replace(blame, case=found.text, tensors=tensors)
    why = found.problem or "only tensors of the model's own show it, and these take more than a megabyte"
    note = f"There is no case file of its own: {why}."
    return replace(blame, note=f"{blame.note} {note}".strip())


def _found(trials: Machine, case: Declared, blame: Blame, same: Same, folder: Path) -> Example:
    guilty = blame.guilty[0]
    tried = trials.tried(Part(operators=tuple(operator.name for operator in guilty.operators), way=blame.way))
    if tried.file is None or not _fails(tried.outcome):
        return Example(problem="alone, it doesn't fail")
    bench = Bench(trials.machinery, trials.cell, folder, trials.left)

    def said(outcome: Outcome) -> list[str]:
        return told(trials.machinery, trials.cell, guilty, outcome)

    wanted = Wanted(
        tried.file,
        _key(tried.outcome),
        lambda outcome: same(tried.outcome, outcome),
        said,
        tolerance=tolerance_text(case.tolerance, case.tolerances, trials.cell),
    )
    return example(bench, wanted)


def _fails(outcome: Outcome) -> bool:
    return outcome.failed or outcome.verdict is Verdict.IMPRECISE


def _key(outcome: Outcome) -> str:
    """The input set that has the verdict; "" where there is none."""
    return next((name for name, found in outcome.inputs.items() if found["verdict"] == outcome.verdict.value), "")
