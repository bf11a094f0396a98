"""The words of a result: `Verdict`, `Stage`, `Cell`, `Outcome`, and their JSON.

Everything here turns into plain dicts of str, int, float, bool, None, list and dict: results travel on pytest's
reports, and anything else (a numpy float, say) ends an xdist session.
"""

from __future__ import annotations

import math
import re
from dataclasses import MISSING, asdict, dataclass, field, fields
from enum import Enum
from typing import Any

EAGER = "eager"
COLLECT = "collect"
# How a runtime computes: as exactly as it can, or as whoever ships its fast mode.
FULL, FAST = PRECISIONS = ("full", "fast")
# What a cell tries: the model's outputs; or, for a case with `train`, the gradients after one backward pass, the
# parameters after some steps, and the same across a checkpoint that is written in one language and read in another.
INFERENCE, GRADIENTS, TRAINING, RESUME = TASKS = ("inference", "gradients", "training", "resume")
# How the message of a cell begins that fails only since its model check does.
NOT_FIT = "the model itself is not fit to be compared with"
# How the message of a cell ends that is unavailable though it has to be there.
REQUIRED = "(required by --modelconform-require)"
# How the notes of a cell begin that was run from several threads.
FROM_THREADS = "from several threads at once"


class Verdict(str, Enum):
    """What a cell came to."""

    PASS = "pass"
    MISMATCH = "mismatch"
    ERROR = "error"
    CRASH = "crash"
    TIMEOUT = "timeout"
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
    Verdict.UNSUPPORTED: VerdictStyle("–", "u", "skipped", "cyan", 0, "stated limit of the format or runtime"),
    Verdict.UNAVAILABLE: VerdictStyle("·", "-", "skipped", "light", 2, "missing on this machine"),
    Verdict.NOT_RUN: VerdictStyle("?", "?", "skipped", "yellow", 3, "interrupted, or lost with its process"),
    Verdict.MISMATCH: VerdictStyle("≠", "M", "failed", "red", 4, "runs, with other numbers"),
    Verdict.ERROR: VerdictStyle("✗", "E", "failed", "red", 5, "an exception"),
    Verdict.TIMEOUT: VerdictStyle("⧖", "T", "failed", "red", 6, "took longer than the limit"),
    Verdict.CRASH: VerdictStyle("☠", "C", "failed", "red", 7, "the process died"),
}


@dataclass(frozen=True)
class Cell:
    """Case x format x runtime x device (x dtype x precision): one pytest item, one square of the matrix.

    file: path of the case file as in pytest's node id. case: the case's name. The model check (`case[eager]`) has
    format and runtime `eager`; what stands for a whole file (`stem[collect]`) has format and runtime `collect`.
    precision: "full" or "fast"; task: "inference", "gradients", "training" or "resume": see docs/verdicts.md. The model
    check of all that trains has task "training".
    """

    file: str
    case: str
    format: str
    runtime: str
    device: str = "cpu"
    dtype: str = "float32"
    precision: str = FULL
    task: str = INFERENCE

    @property
    def name(self) -> str:
        """The item's name: `resnet18[onnx-ort_cpp-cpu]`, or `resnet18[onnx-ort_cpp-cpu-bfloat16-fast]`."""
        parts = [self.format]
        if not self.is_check:
            parts = [name.replace("-", "_") for name in (self.format, self.runtime, self.device)]
        others = ((self.dtype, "float32"), (self.precision, FULL), (self.task, INFERENCE))
        parts += [word for word, usual in others if word != usual]
        return f"{self.case}[{'-'.join(parts)}]"

    @property
    def id(self) -> str:
        """The node id: `cases/vision/resnet.py::resnet18[onnx-ort_cpp-cpu]`."""
        return f"{self.file}::{self.name}"

    @property
    def reference_task(self) -> str:
        """Of what the references are that this cell rests on: all that trains has them in common."""
        return INFERENCE if self.task == INFERENCE else TRAINING

    @property
    def is_check(self) -> bool:
        """Whether this is the model check or a file's item rather than a format in a runtime."""
        return self.runtime in (EAGER, COLLECT)


@dataclass(frozen=True)
class Outcome:
    """The result of a cell. Field names are those of the JSON report; numbers are the worst over outputs and inputs.

    bits, reference_bits, loss, worst: log2 figures, see docs/verdicts.md. max_abs: largest absolute difference.
    inputs: per input set a dict with the same names. seconds: by stage ("export", "load", "run").
    hints: likely causes of a mismatch, likeliest first; they are in the message, too.
    threads: None unless it was run from several threads at once; else `counts` and `clones` (numbers of threads on one
    instance, and each on a clone), `identical`, `results`, `seconds`.
    expected: True if the verdict is the one recorded in expected.toml, False if another is recorded, None without
    entry.
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

    def __post_init__(self) -> None:
        """Take out of the texts what would act on a terminal: they come from libraries, and these love colours."""
        object.__setattr__(self, "message", printable(self.message))
        object.__setattr__(self, "notes", tuple(printable(note) for note in self.notes))
        object.__setattr__(self, "hints", tuple(printable(hint) for hint in self.hints))

    @property
    def failed(self) -> bool:
        """Whether pytest should see a failure (before expectations)."""
        return STYLES[self.verdict].outcome == "failed"


def to_record(cell: Cell, outcome: Outcome) -> dict[str, Any]:
    """One cell of the JSON report and of the log."""
    record: dict[str, Any] = {"id": cell.id, **asdict(cell), **asdict(outcome)}
    record["verdict"] = outcome.verdict.value
    record["stage"] = outcome.stage.value if outcome.stage else None
    return plain(record)  # type: ignore[no-any-return]


def from_record(record: dict[str, Any]) -> tuple[Cell, Outcome]:
    """Inverse of `to_record`. Raises KeyError or ValueError for a record that is none."""
    # Logs of before there were precisions and tasks have none.
    cell = Cell(**{f.name: record[f.name] for f in fields(Cell) if f.default is MISSING or f.name in record})
    values = {f.name: record[f.name] for f in fields(Outcome) if f.name in record}
    values["verdict"] = Verdict(record["verdict"])
    values["stage"] = Stage(record["stage"]) if record["stage"] else None
    values["notes"] = tuple(record.get("notes", ()))
    values["hints"] = tuple(record.get("hints", ()))
    return cell, Outcome(**values)


_ESCAPES = re.compile(
    r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]"
)


def printable(text: str) -> str:
    """`text` without terminal escape sequences and control characters, newline and tab excepted.

    Nor halves of surrogate pairs, which JSON can name and no file can hold.
    """
    return _ESCAPES.sub("", text)


def plain(value: Any) -> Any:
    """`value` with only plain JSON types in it; non-finite numbers become None, tuples lists.

    Raises TypeError for anything that has no plain form.
    """
    if value is None or type(value) in (bool, int):
        return value
    if type(value) is str:
        return printable(value)
    if type(value) is float:
        return value if math.isfinite(value) else None
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    raise TypeError(f"{type(value).__name__} has no place in a record: {value!r}")
