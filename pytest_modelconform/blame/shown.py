"""The file that shows what a search has found: of the first guilty one, as small as it can be."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from ..cells.case_files import Declared
from ..terms.blame import Blame
from ..terms.outcome import Outcome, Stage, Verdict
from ..terms.program import OPERATORS, SUBMODULES, Part
from .bench import Bench
from .errors import is_searched
from .example import Example, Wanted, example
from .folder import packed
from .machine import Machine
from .sameness import is_same
from .told import title, told, tolerance_text
from .trial import OutOfTime, Tried

# What is wrong with an output, as the comparison words it.
_KINDS = ("wrong values", "inexact values", "NaN or infinity", "has shape", "has dtype")


def alike(whole: Outcome, part: Outcome) -> bool:
    """Whether verdict, stage and what is wrong with the output are the same."""
    if is_searched(whole):
        return is_same(whole, part)
    return (whole.verdict, whole.stage, _kind(whole)) == (part.verdict, part.stage, _kind(part))


def _kind(outcome: Outcome) -> str:
    first = outcome.message.partition("\n")[0]
    return next((kind for kind in _KINDS if kind in first), "")


def with_example(trials: Machine, case: Declared, blame: Blame, progress: Callable[[str], None]) -> Blame:
    """What a search has found, with the case that shows the first guilty one, or with a note why there is none.

    case: the one that was searched in. progress: shows a line.
    """
    if not blame.guilty or not all(operator.name for operator in blame.guilty[0].operators):
        return blame
    progress(f"writing a small case of {title(blame.guilty[0].operators)}")
    with tempfile.TemporaryDirectory(prefix="example-", dir=trials.machinery.scratch) as folder:
        try:
            found = _found(trials, case, blame, Path(folder))
        except OutOfTime:
            found = Example(problem="the time ended before it was written")
        tensors = packed(found.tensors)
        if not found.problem and tensors is not None:
            return replace(blame, case=found.text, tensors=tensors)
    why = found.problem or "only tensors of the model's own show it, and these take more than a megabyte"
    note = f"There is no case file of its own: {why}."
    return replace(blame, note=f"{blame.note} {note}".strip())


def _found(trials: Machine, case: Declared, blame: Blame, folder: Path) -> Example:
    guilty = blame.guilty[0]
    tried = next(filter(_fails, map(trials.tried, _parts(trials, blame))), None)
    if tried is None or tried.file is None:
        return Example(problem="alone, it doesn't fail")
    bench = Bench(trials.machinery, trials.cell, folder, trials.left)

    def said(outcome: Outcome) -> list[str]:
        return told(trials.machinery, trials.cell, guilty, outcome)

    wanted = Wanted(
        tried.file,
        _key(tried.outcome),
        lambda outcome: alike(tried.outcome, outcome),
        said,
        tolerance=tolerance_text(case.tolerance, case.tolerances, trials.cell),
        is_submodule=blame.way == SUBMODULES,
    )
    return example(bench, wanted)


def _parts(trials: Machine, blame: Blame) -> Iterator[Part]:
    """The guilty one as a part: with what rests on weights alone inside of it, and with that as constants."""
    names = tuple(operator.name for operator in blame.guilty[0].operators)
    if blame.way == OPERATORS and blame.guilty[0].stage == Stage.COMPARE.value:
        # As it was tried: further results might keep a window from being fused.
        yield Part(operators=names, outputs=names[-1:])
    yield Part(operators=names, way=blame.way)
    fixed = tuple(name for name in trials.known.constants if name not in names)
    if blame.way == OPERATORS and fixed:
        yield Part(operators=names, fixed=fixed)


def _fails(tried: Tried) -> bool:
    return tried.fit and (tried.outcome.failed or tried.outcome.verdict is Verdict.IMPRECISE)


def _key(outcome: Outcome) -> str:
    """The input set that has the verdict; "" where there is none."""
    return next((name for name, found in outcome.inputs.items() if found["verdict"] == outcome.verdict.value), "")
