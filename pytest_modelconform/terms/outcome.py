"""The words of a result: `Verdict`, `Stage`, `Cell`, `Outcome`, and their JSON.

Everything here turns into plain dicts of str, int, float, bool, None, list and dict: results travel on pytest's
reports, and anything else (a numpy float, say) ends an xdist session.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from .wording import printable

# How the message of a cell begins that fails only since its model check does.
NOT_FIT = "the model itself is not fit to be compared with"
# How the message of a cell begins of which nothing is known, since nothing could be written: no fault of the cell's.
NOT_TESTED = "not tested: "
# What the message of a cell begins with that was not to run.
LEFT_OUT = "left out: "
# How the message of a cell ends that is unavailable though it has to be there.
REQUIRED = "(required by --modelconform-require)"
# How the lines of a message begin that are hints.
PREFIX, REMEDY = "likely cause: ", "what to change: "
# How the notes of a cell begin that was run from several threads.
FROM_THREADS = "from several threads at once"
# How the notes of a cell begin that was compiled while it ran.
BY_COMPILER = "torch.compile"


class Verdict(str, Enum):
    """What a cell came to."""

    PASS = "pass"
    IMPRECISE = "imprecise"
    MISMATCH = "mismatch"
    ERROR = "error"
    CRASH = "crash"
    TIMEOUT = "timeout"
    OUT_OF_MEMORY = "out-of-memory"
    UNSUPPORTED = "unsupported"
    UNAVAILABLE = "unavailable"
    NOT_RUN = "not-run"


class Stage(str, Enum):
    """Where a cell can fail, in the order in which a cell goes through them."""

    COLLECT = "collect"
    ENVIRONMENT = "environment"
    BUILD = "build"
    REFERENCE = "reference"
    EXPORT = "export"
    LOAD = "load"
    RUN = "run"
    COMPARE = "compare"


@dataclass(frozen=True)
class VerdictStyle:
    """How a verdict is shown: symbol, the letter where there is no colour, pytest's outcome and markup, its rank.

    No sign stands for one verdict where there is colour and for another one where there is none.
    Of several verdicts the one with the highest rank stands for all of them.
    """

    symbol: str
    letter: str
    outcome: str
    markup: str
    rank: int
    meaning: str


STYLES: dict[Verdict, VerdictStyle] = {
    Verdict.PASS: VerdictStyle("✓", ".", "passed", "green", 1, "the numbers are the model's"),
    Verdict.IMPRECISE: VerdictStyle(
        "≈", "~", "passed", "blue", 4, "close, but beyond faithful arithmetic; no cause found"
    ),
    Verdict.UNSUPPORTED: VerdictStyle("–", "-", "skipped", "cyan", 0, "stated limit of the format or runtime"),
    Verdict.UNAVAILABLE: VerdictStyle("□", "_", "skipped", "light", 2, "missing on this machine"),
    Verdict.NOT_RUN: VerdictStyle("?", "?", "skipped", "yellow", 3, "left out, interrupted, or lost with its process"),
    # The least of the failures: a machine with more memory may show another one.
    Verdict.OUT_OF_MEMORY: VerdictStyle("⊞", "B", "failed", "red", 5, "the memory was not enough"),
    Verdict.MISMATCH: VerdictStyle("≠", "M", "failed", "red", 6, "runs, with other numbers"),
    Verdict.ERROR: VerdictStyle("✗", "E", "failed", "red", 7, "an exception"),
    Verdict.TIMEOUT: VerdictStyle("⧖", "T", "failed", "red", 8, "took longer than the limit"),
    Verdict.CRASH: VerdictStyle("☠", "C", "failed", "red", 9, "the process died"),
}


# Verdicts that effective bits are the ground of. Of others they would be those of the input sets that are right.
WITH_BITS = (Verdict.PASS, Verdict.IMPRECISE, Verdict.MISMATCH)


@dataclass(frozen=True)
class Outcome:
    """The result of a cell. Field names are those of the JSON report; numbers are the worst over outputs and inputs.

    bits, reference_bits, loss, worst: log2 figures, see docs/verdicts.md. max_abs: largest absolute difference.
    inputs: per input set a dict with the same names. seconds: by stage ("export", "load", "run"). duration: seconds of
    the whole test, with what was made for it, without its wait for memory; None where it did not run.
    memory: bytes, the most that its worker processes had resident while it ran; None where nobody could look.
    hints: likely causes of a mismatch, likeliest first; of an error before anything ran, what to change in the case.
    They are in the message, too (`hint_lines`).
    threads: None unless it was run from several threads at once; else `counts` and `clones` (numbers of threads on one
    instance, and each on a clone), `identical`, `results`, `seconds`.
    artifact: where its artifact is, on the machine that made it. tags: the case's.
    strict: whether it was asked for that what is imprecise fails.
    sees: of a model check, how many of the model's `outputs` some input set shows something of (`seen`); else None.
    compiled: None unless its runtime compiled it while it ran; else how many `graphs`, `breaks`, `recompilations` and
    functions left to `eager` there were, and the `seconds` that it took. `inputs` has each with place and reason.
    blame: which operator it fails at, as `Blame.to_json` has it; None where nobody looked.
    made_of: the same as long as all is that its case was built with, "" where nothing is known of that.
    expected: True if the verdict is the one recorded in expected.toml, False if another is recorded, None without
    entry. cause: the `[[cause]]` that the entry names, where it is as expected: `id`, `reason`, `operator`, `link`.
    """

    verdict: Verdict
    stage: Stage | None = None
    message: str = ""
    expected: bool | None = None
    bits: float | None = None
    reference_bits: float | None = None
    loss: float | None = None
    worst: float | None = None
    max_abs: float | None = None
    inputs: dict[str, dict[str, Any]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    artifact_bytes: int | None = None
    cached: bool | None = None
    notes: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()
    threads: dict[str, Any] | None = None
    artifact: str | None = None
    tags: tuple[str, ...] = ()
    strict: bool = False
    sees: dict[str, int] | None = None
    compiled: dict[str, Any] | None = None
    blame: dict[str, Any] | None = None
    cause: dict[str, str] | None = None
    duration: float | None = None
    memory: int | None = None
    made_of: str = ""

    def __post_init__(self) -> None:
        """Take out of the texts what would act on a terminal: they come from libraries, and these love colours."""
        object.__setattr__(self, "message", printable(self.message))
        object.__setattr__(self, "notes", tuple(printable(note) for note in self.notes))
        object.__setattr__(self, "hints", tuple(printable(hint) for hint in self.hints))

    @property
    def failed(self) -> bool:
        """Whether pytest should see a failure (before expectations)."""
        return STYLES[self.verdict].outcome == "failed" or (self.verdict is Verdict.IMPRECISE and self.strict)

    @property
    def passed(self) -> bool:
        """Whether pytest should see a pass (before expectations)."""
        return STYLES[self.verdict].outcome == "passed" and not self.failed

    @property
    def hints_advise(self) -> bool:
        """Whether its hints say what to change, instead of what is likely the cause: nothing has run."""
        return self.stage is not None and self.stage not in (Stage.RUN, Stage.COMPARE)

    @property
    def hint_lines(self) -> tuple[str, ...]:
        """Its hints as lines of the message."""
        return tuple((REMEDY if self.hints_advise else PREFIX) + hint for hint in self.hints)

    @property
    def is_silent(self) -> bool:
        """Whether it says nothing of the cell: what is recorded of it neither holds nor fails."""
        return self.verdict in (Verdict.UNAVAILABLE, Verdict.NOT_RUN) or self.message.startswith(NOT_TESTED)

    @property
    def is_left_out(self) -> bool:
        """Whether it was not to run."""
        return self.verdict is Verdict.NOT_RUN and self.message.startswith(LEFT_OUT)

    @property
    def is_cut_off(self) -> bool:
        """Whether it should have run, and did not."""
        return self.verdict is Verdict.NOT_RUN and not self.is_left_out

    @property
    def is_exhausted(self) -> bool:
        """Whether memory was not enough for some step of it, or for some input set."""
        sets = (entry.get("verdict") for entry in self.inputs.values())
        return self.verdict is Verdict.OUT_OF_MEMORY or Verdict.OUT_OF_MEMORY.value in sets

    @property
    def doubtful(self) -> bool:
        """Whether something is wrong with it, failure or not: what a fresh process is to confirm."""
        return self.failed or self.verdict is Verdict.IMPRECISE
