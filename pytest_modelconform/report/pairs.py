"""What a log says of each format in each runtime, over all papers: how many pass, how exactly, how long and how large.

A paper is a case file. It counts once for each pair, as the worst of its cells there; those in float32 only, since few
papers have others.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from ..terms.cell import EAGER, INFERENCE
from ..terms.exports import is_variant
from ..terms.outcome import STYLES, Outcome, Verdict
from .log import Log, missing
from .markdown import code, column_name
from .matrix import Column, fold, is_surprising

_UNTRIED = (Verdict.UNAVAILABLE, Verdict.NOT_RUN)
_WRONG = (Verdict.MISMATCH,)
_FAILED = (Verdict.ERROR, Verdict.CRASH, Verdict.TIMEOUT, Verdict.OUT_OF_MEMORY)
_HEADS = (
    *("format", "runtime", "papers", "pass", "imprecise", "mismatch", "error", "unsupported", "share", "bits"),
    *("export", "load", "run", "size"),
)


@dataclass
class Pair:
    """A format in a runtime. papers: by case file the outcomes of its cells."""

    column: Column
    papers: dict[str, list[Outcome]] = field(default_factory=dict)

    def counted(self, *verdicts: Verdict) -> int:
        """How many papers have one of these as their worst verdict."""
        return sum(_worst(outcomes) in verdicts for outcomes in self.papers.values())

    @property
    def untried(self) -> int:
        """Papers of which nothing is known, since something is missing here or the run did not come to them."""
        return self.counted(*_UNTRIED)

    @property
    def unexpected(self) -> int:
        """Papers with a cell that is not as `expected.toml` says."""
        return sum(any(map(is_surprising, outcomes)) for outcomes in self.papers.values())

    @property
    def share(self) -> float | None:
        """Of the papers that were tried, which part passes."""
        tried = len(self.papers) - self.untried
        return self.counted(Verdict.PASS) / tried if tried else None

    @property
    def bits(self) -> float | None:
        """Effective bits in the middle of the papers that pass or are imprecise; of each the fewest."""
        return self._median(lambda o: o.bits, min)

    def seconds(self, stage: str) -> float | None:
        """What a stage took in the middle of these papers; of each the most."""
        return self._median(lambda o: o.seconds.get(stage))

    @property
    def run_seconds(self) -> float | None:
        """What one run of an input set takes, in the middle of the sets, then of the papers."""
        return self._median(_run_seconds)

    @property
    def size(self) -> float | None:
        """Bytes of an artifact, in the middle; of each paper the most."""
        return self._median(lambda o: o.artifact_bytes)

    def _median(
        self, of: Callable[[Outcome], float | None], one: Callable[[Sequence[float]], float] = max
    ) -> float | None:
        """The middle of the papers that are right, each with one number of those that its cells have."""
        each = ([number for number in map(of, outcomes) if number is not None] for outcomes in self._right)
        found = [one(numbers) for numbers in each if numbers]
        return statistics.median(found) if found else None

    @property
    def _right(self) -> list[list[Outcome]]:
        return [of for of in self.papers.values() if _worst(of) in (Verdict.PASS, Verdict.IMPRECISE)]


def _worst(outcomes: Sequence[Outcome]) -> Verdict:
    return max((outcome.verdict for outcome in outcomes), key=lambda verdict: STYLES[verdict].rank)


def _run_seconds(outcome: Outcome) -> float | None:
    found = [float(entry["seconds"]) for entry in outcome.inputs.values() if entry.get("seconds")]
    return statistics.median(found) if found else None


def pairs(log: Log) -> list[Pair]:
    """Each format in each runtime of a log, in the order of its columns. Variants of formats are of few cases each."""
    options = dict(log.environment.get("options", {}))
    folded = fold(log.cells, options.get("formats", ()), options.get("runtimes", ()))
    found = []
    for column in folded.columns:
        if column[0] == EAGER or column[4] != INFERENCE or is_variant(column[0]):
            continue
        pair = Pair(column)
        for row in folded.rows:
            if row.dtype == "float32" and column in row.cells:
                pair.papers.setdefault(row.file, []).append(row.cells[column][1])
        if pair.papers:
            found.append(pair)
    return found


def render(log: Log) -> str:
    """The table, as Markdown, and what its columns mean."""
    found = pairs(log)
    lines = [f"| {' | '.join(_HEADS)} |", f"| --- | --- |{' --: |' * (len(_HEADS) - 2)}"]
    last = ""
    for pair in found:
        format_name, runtime = column_name(pair.column)
        cells = ["" if format_name == last else code(format_name), code(runtime), *_cells(pair)]
        lines.append(f"| {' | '.join(cells)} |")
        last = format_name
    return "\n".join(lines) + "\n\n" + " ".join(_legend(log, found)) + "\n"


def _cells(pair: Pair) -> Iterator[str]:
    tried = len(pair.papers) - pair.untried
    yield f"{tried} of {len(pair.papers)}" if pair.untried else str(tried)
    yield str(pair.counted(Verdict.PASS))
    yield _few(pair.counted(Verdict.IMPRECISE))
    yield _few(pair.counted(*_WRONG))
    yield _few(pair.counted(*_FAILED)) + (f" ({pair.unexpected} **!**)" if pair.unexpected else "")
    yield _few(pair.counted(Verdict.UNSUPPORTED))
    yield "" if pair.share is None else f"{pair.share:.0%}"
    yield "" if pair.bits is None else f"{pair.bits:.0f}"
    for seconds in (pair.seconds("export"), pair.seconds("load"), pair.run_seconds):
        yield "" if seconds is None else said_seconds(seconds)
    yield "" if pair.size is None else said_bytes(pair.size)


def _few(count: int) -> str:
    return str(count) if count else ""


def _legend(log: Log, found: Sequence[Pair]) -> Iterator[str]:
    yield "A paper counts as the worst of its cells in float32."
    yield "*mismatch*: runs, with other numbers; *error*: also a crash or no end."
    yield "*share*: of the papers that were tried, those that pass."
    yield "Of those that pass or are imprecise, the one in the middle: effective bits, seconds of export (when it was"
    yield "made) and load, time of one run, size of the artifact."
    if any(pair.unexpected for pair in found):
        yield "**!**: papers that are not as `expected.toml` says."
    if variants := dict.fromkeys(cell.format for cell, _ in log.cells if is_variant(cell.format)):
        yield f"Not here: {', '.join(map(code, variants))}, which few cases have."
    if missing(log) or not log.complete:
        yield f"**Not all has run{': ' + ', '.join(missing(log)) if missing(log) else ''}.**"


def said_seconds(seconds: float) -> str:
    """Three units, two digits: 12 s, 1.3 s, 45 ms, 0.12 ms."""
    return f"{seconds:.2g} s" if seconds >= 0.095 else f"{seconds * 1e3:.2g} ms"


def said_bytes(size: float) -> str:
    """As a user would: 1.3 MB, 45 kB."""
    return f"{size / 1e6:.1f} MB" if size >= 95_000 else f"{size / 1e3:.0f} kB"
