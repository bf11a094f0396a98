"""Whom a failure concerns: the exporter that wrote the artifact, or the runtime that executes it.

Others are asked for that: runtimes with other kernels that run the same artifact, and runtimes of what it was made
from. Pure: `opinions.py` asks them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum

from ..cells.concurrency import failed_at_once
from ..terms.cell import Cell
from ..terms.outcome import Outcome, Stage, Verdict

# It defines what a graph means, and optimises nothing: between two runtimes of ONNX its word counts.
EVALUATORS = ("onnx-reference",)


_REFUSALS = "Exporters refuse some models on purpose: read the exception first, it may say what to change in the model."


class Party(Enum):
    """Who has to do something."""

    RUNTIME = "the runtime"
    EXPORTER = "the exporter"
    CONVERTER = "the converter"
    CAPTURE = "what captures the model"
    EITHER = "the exporter or the runtime"
    CASE = "the case"
    INSTALLATION = "this machine"
    REFERENCE = "the reference"
    NOBODY = "nobody"


class About(Enum):
    """What the cell that is asked has in common with the one that fails."""

    SAME = "the same artifact"
    SOURCE = "the artifact that it is converted from"
    CAPTURED = "another artifact of the same capture"


@dataclass(frozen=True)
class Opinion:
    """What another cell came to. agrees: it returns the same wrong numbers.

    specialised: both are right for the input set that exporters see, and wrong for another one.
    """

    about: About
    cell: Cell
    outcome: Outcome
    agrees: bool = False
    specialised: bool = False


@dataclass(frozen=True)
class Concern:
    """Whom it concerns, and why that is known, or what keeps it from being known: sentences.

    specialised: the artifact keeps what the inputs decided that it was exported with.
    """

    party: Party
    why: str
    specialised: bool = False


@dataclass(frozen=True)
class Way:
    """How a cell's artifact came about. through: its format and those that it is converted from, the first one last.

    capture: what captures the model for the first of them, "" where the model is stored in that format itself.
    exports: whether there is an exporter, rather than code of the case's own (a model in C++, a twin). stored: whether
    there is an artifact at all, rather than the model itself.
    """

    through: Sequence[str]
    capture: str
    exports: bool = True
    stored: bool = True


def failing_sets(outcome: Outcome) -> list[str]:
    """Names of the input sets that something is wrong with."""
    wanted = (Verdict.PASS.value, Verdict.UNSUPPORTED.value)
    return [name for name, entry in outcome.inputs.items() if entry["verdict"] not in wanted]


def is_right(opinion: Opinion, own: Outcome) -> bool:
    """Whether a cell passes where another one fails."""
    inputs = opinion.outcome.inputs
    if names := failing_sets(own):
        return all(inputs.get(name, {}).get("verdict") == Verdict.PASS.value for name in names)
    return opinion.outcome.verdict is Verdict.PASS


def at_export(way: Way, failed: str) -> Concern:
    """Of a cell whose artifact can't be made. failed: the format on the way that can't."""
    if failed == way.through[-1]:
        return Concern(
            Party.EXPORTER, f"The export to the format {failed} fails, so that no runtime has run anything. {_REFUSALS}"
        )
    source = way.through[way.through.index(failed) + 1]
    return Concern(
        Party.CONVERTER,
        f"The export to the format {source} succeeds, and its conversion to {failed} fails. {_REFUSALS}",
    )


def of(own: Outcome, cell: Cell, way: Way, opinions: Sequence[Opinion], refusal: str = "") -> Concern:
    """Of a cell whose artifact can be made. refusal: why the format's own checker refuses the artifact, if it does."""
    if own.stage is Stage.ENVIRONMENT or own.verdict is Verdict.UNAVAILABLE:
        why = (own.message.splitlines() or [""])[0]
        said = f"{cell.runtime} can't run on this machine, so that nothing is known of the model: {why}"
        return Concern(Party.INSTALLATION, said)
    if not own.doubtful:
        return Concern(Party.NOBODY, "It does not fail on this machine now.")
    return _Judgement(own, cell, way, opinions, refusal).concern()


class _Judgement:
    def __init__(self, own: Outcome, cell: Cell, way: Way, opinions: Sequence[Opinion], refusal: str) -> None:
        self.own, self.cell, self.way, self.opinions, self.refusal = own, cell, way, opinions, refusal
        self.failing = failing_sets(own)
        self.right = self._names(About.SAME, self._is_right)
        self.alike = self._names(About.SAME, self._is_alike)
        self.specialised = any(opinion.specialised for opinion in opinions)

    def concern(self) -> Concern:
        if not self.way.exports:
            why = f"Artifacts in {self.cell.format} hold weights only: what computes with them is the case's own code."
            return Concern(Party.CASE, why)
        if failed_at_once(self.own):
            why = f"{self.cell.runtime} is right in one thread, and fails from several. A script that shows that "
            return Concern(Party.RUNTIME, f"{why}has to call it from several threads: repro.py runs one.")
        if self.own.verdict in (Verdict.CRASH, Verdict.TIMEOUT):
            return Concern(Party.RUNTIME, self._died())
        if not self.way.stored:
            return Concern(Party.RUNTIME, f"Nothing was exported: {self.cell.runtime} is given the model itself.")
        if self.refusal:
            return self._invalid()
        evaluator = next((name for name in EVALUATORS if name in (*self.right, *self.alike)), "")
        if self.right and (not self.alike or evaluator in self.right):
            return Concern(Party.RUNTIME, self._only_it())
        if self.alike and not self.right and self._enough():
            return self._exported()
        if self.right and evaluator and self._agrees(evaluator):
            return self._exported()
        if self.right and self.alike:
            why = f"{_and(self.right)} {_runs(self.right)} this file without the failure, {_and(self.alike)} with it."
            return Concern(Party.EITHER, why)
        return self._by_origin()

    # -- whether others fail as it does ----------------------------------------------------------------------------

    def _names(self, about: About, holds: Callable[[Opinion], bool]) -> list[str]:
        return list(dict.fromkeys(o.cell.runtime for o in self.opinions if o.about is about and holds(o)))

    def _is_right(self, opinion: Opinion) -> bool:
        return is_right(opinion, self.own)

    def _is_alike(self, opinion: Opinion) -> bool:
        if opinion.agrees:
            return True
        if self.own.verdict is not Verdict.ERROR or opinion.outcome.verdict is not Verdict.ERROR:
            return False
        if self.own.stage is Stage.LOAD:
            return opinion.outcome.stage is Stage.LOAD
        inputs = opinion.outcome.inputs
        return bool(self.failing) and all(
            inputs.get(name, {}).get("verdict") == Verdict.ERROR.value for name in self.failing
        )

    def _agrees(self, runtime: str) -> bool:
        """Whether a runtime returns the same wrong numbers for the same artifact."""
        return any(o.agrees for o in self.opinions if o.about is About.SAME and o.cell.runtime == runtime)

    def _enough(self) -> bool:
        """Whether those that fail alike can't be chance: the same numbers can't; two may well lack one operator."""
        return (
            any(opinion.agrees for opinion in self.opinions)
            or len(self.alike) > 1
            or any(name in EVALUATORS for name in self.alike)
        )

    # -- what that makes of it -------------------------------------------------------------------------------------

    def _died(self) -> str:
        what = "crashes" if self.own.verdict is Verdict.CRASH else "takes too long"
        whatever = ", and a file must not make it crash, whatever it holds" if what == "crashes" else ""
        others = f" {_and(self.right)} {_runs(self.right)} the same file without a failure." if self.right else ""
        return f"{self.cell.runtime} {what}{whatever}.{others}"

    def _only_it(self) -> str:
        fine = "return the model's numbers" if len(self.right) > 1 else "returns the model's numbers"
        said = f"{_and(self.right)} {_runs(self.right)} the same file and {fine}, so the file is right."
        if self.alike:
            return f"{said} {_and(self.alike)} {_fails(self.alike)} as {self.cell.runtime} does."
        return said

    def _invalid(self) -> Concern:
        said = f"ONNX's own checker refuses the file: {self.refusal}."
        if self.right:
            said += f" {_and(self.right)} {_runs(self.right)} it all the same."
        if len(self.way.through) == 1 and not self.way.capture:
            return Concern(Party.CASE, f"{said} The case's model is this file.")
        return self._at_fault(said)

    def _exported(self) -> Concern:
        if any(opinion.agrees for opinion in self.opinions):
            who = _and(sorted({self.cell.runtime, *self.alike}))
            said = f"{who} have no code in common and return the same wrong numbers for this file"
            said += ", the yardstick of the format among them" if any(n in EVALUATORS for n in self.alike) else ""
            said += f", though {_and(self.right)} {_returns(self.right)} the model's." if self.right else "."
        else:
            same = " for the same inputs" if self.failing else ", too"
            said = f"{_and(self.alike)} {_fails(self.alike)} on this file{same}."
        if not self.way.capture:
            return Concern(Party.REFERENCE, f"{said} Nothing was exported: the case's model is this file.")
        return self._at_fault(said)

    def _at_fault(self, said: str) -> Concern:
        """The exporter, or a converter behind it."""
        first = self.way.through[-1]
        if len(self.way.through) == 1:
            return Concern(Party.EXPORTER, said, self.specialised)
        if right := self._names(About.SOURCE, self._is_right):
            more = f"What it was converted from, {first}, is right in {_and(right)}."
            return Concern(Party.CONVERTER, f"{said} {more}")
        if wrong := self._names(About.SOURCE, self._is_alike):
            more = f"What it was converted from, {first}, fails in {_and(wrong)} in the same way."
            return Concern(Party.EXPORTER, f"{said} {more}", self.specialised)
        return Concern(Party.EITHER, f"{said} No runtime here runs {first}, which it was converted from.")

    def _by_origin(self) -> Concern:
        """No runtime tells them apart by the same artifact; what was made beside it may."""
        differ = [_said(o) for o in self.opinions if o.about is About.SAME and o.outcome.doubtful]
        said = (
            f"Others fail on this file in other ways: {_and(differ)}."
            if differ
            else f"No other runtime here runs a file in {self.cell.format} with code of its own."
        )
        first = self.way.through[-1]
        if right := self._names(About.SOURCE, self._is_right):
            why = f"{said} What it was converted from, {first}, is right in {_and(right)}."
            return Concern(Party.EITHER, f"{why} So it is the converter to {self.cell.format}, or {self.cell.runtime}.")
        if wrong := self._names(About.SOURCE, self._is_alike):
            why = f"{said} What it was converted from, {first}, fails in {_and(wrong)} in the same way."
            return Concern(Party.EXPORTER, why, self.specialised)
        captured = [o for o in self.opinions if o.about is About.CAPTURED]
        alike = [o for o in captured if o.agrees]
        if alike:
            names = _and([f"{o.cell.format} in {o.cell.runtime}" for o in alike])
            why = f"{said} But {names}, which {self.way.capture} captures, too, returns the same wrong numbers."
            return Concern(Party.CAPTURE, why, self.specialised)
        if right_captured := [o for o in captured if self._is_right(o)]:
            names = _and([f"{o.cell.format} in {o.cell.runtime}" for o in right_captured])
            why = f"{said} {names} is right, so that it is not {self.way.capture}, which captures the model for both."
            return Concern(Party.EITHER, why)
        return Concern(Party.EITHER, said)


def _said(opinion: Opinion) -> str:
    stage = f" at {opinion.outcome.stage.value}" if opinion.outcome.stage else ""
    return f"{opinion.cell.runtime} ({opinion.outcome.verdict.value}{stage})"


def _and(names: Sequence[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


def _runs(names: Sequence[str]) -> str:
    return "run" if len(names) > 1 else "runs"


def _returns(names: Sequence[str]) -> str:
    return "return" if len(names) > 1 else "returns"


def _fails(names: Sequence[str]) -> str:
    return "fail" if len(names) > 1 else "fails"
