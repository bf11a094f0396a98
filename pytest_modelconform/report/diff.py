"""What changed between two logs: a pure function of both. `changes.py` shows it.

**Noise.** Measured on reruns of the same cells (15 logs, two cores, other work beside). Bits: 88 pairs agree to the
last digit. Sizes: 90 pairs differ by 2e-6 at most, by names inside an archive. So 1 bit and 5 % are far from noise:
they are what a user may care about. Times are another matter: an input set's is the least of its two or three runs, and
still that of some set differs by a factor of 2.6 in half of the 90 pairs. The least factor over all sets of a cell was
over 2.2 in two pairs, in one of them 390. So a cell counts as slower if each of at least three input sets takes four
times as long, all of them together 10 ms longer, on the same processor with as many threads; and that is told, and no
failure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..terms.cell import Cell
from ..terms.outcome import Outcome, Verdict
from .guilty import keys
from .log import Log

BITS = 1.0
SIZE = 0.05
LATENCY, LATENCY_SETS, LATENCY_SECONDS = 4.0, 3, 0.01

_UNKNOWN = (Verdict.UNAVAILABLE, Verdict.NOT_RUN)
_RIGHT = (Verdict.PASS, Verdict.IMPRECISE)


@dataclass(frozen=True)
class Change:
    """A cell that changed. what: in words. worse: whether a number got worse (not: latency)."""

    cell: Cell
    old: Outcome | None
    new: Outcome | None
    what: str
    worse: bool = False


@dataclass(frozen=True)
class Diff:
    """regressions: what passed, was imprecise or had a stated limit, and is less now: these are in falling order.

    fixes: what did not pass and does, or failed and is imprecise. other: what fails otherwise than before. new, gone:
    cells that only one of the logs has, or has run. numbers: bits, sizes and times of what passes, or is imprecise, in
    both, beyond noise. versions: name, old, new.
    same: how many cells are none of these. incomplete: which of the logs are cut off, in words.
    """

    regressions: Sequence[Change]
    fixes: Sequence[Change]
    other: Sequence[Change]
    new: Sequence[Change]
    gone: Sequence[Change]
    numbers: Sequence[Change]
    versions: Sequence[tuple[str, str, str]]
    same: int
    incomplete: Sequence[str]


def compare(old: Log, new: Log) -> Diff:
    """Compare two logs. Cells that were rerun count as they ended."""
    before, after = dict(old.cells), dict(new.cells)
    found: dict[str, list[Change]] = {
        name: [] for name in ("regressions", "fixes", "other", "new", "gone", "numbers", "same")
    }
    same_machine = _machine(old) == _machine(new)
    for cell in sorted({**before, **after}, key=lambda cell: cell.id):
        for kind, change in _changes(cell, before.get(cell), after.get(cell), same_machine):
            found[kind].append(change)
    same = len(found.pop("same"))
    incomplete = [
        f"{name} is cut off" for name, log in (("the old log", old), ("the new log", new)) if not log.complete
    ]
    return Diff(**found, versions=[*_versions(old, new)], same=same, incomplete=incomplete)


def _changes(cell: Cell, old: Outcome | None, new: Outcome | None, same_machine: bool) -> Iterator[tuple[str, Change]]:
    is_old, is_new = (outcome is not None and outcome.verdict not in _UNKNOWN for outcome in (old, new))
    if not is_old or not is_new:
        kind = "new" if is_new else "gone" if is_old else "same"
        yield kind, Change(cell, old, new, f"{said(old)} → {said(new)}" if old and new else said(new or old))
        return
    assert old is not None
    assert new is not None
    ranks = _rank(old), _rank(new)
    words = f"{said(old)} → {said(new)}"
    if ranks[1] < ranks[0]:
        yield "regressions", Change(cell, old, new, words)
    elif ranks[1] > ranks[0] and new.verdict in _RIGHT:
        yield "fixes", Change(cell, old, new, words)
    elif (old.verdict, old.stage) != (new.verdict, new.stage):
        yield "other", Change(cell, old, new, words)
    elif (guilty := _guilty(old, new)) is not None:
        yield "other", Change(cell, old, new, f"{said(new)}, {guilty}")
    elif new.verdict in _RIGHT and (numbers := [*_numbers(old, new, same_machine)]):
        for what, worse in numbers:
            yield "numbers", Change(cell, old, new, what, worse)
    else:
        yield "same", Change(cell, old, new, words)


def _rank(outcome: Outcome) -> int:
    return {Verdict.PASS: 3, Verdict.IMPRECISE: 2, Verdict.UNSUPPORTED: 1}.get(outcome.verdict, 0)


def _guilty(old: Outcome, new: Outcome) -> str | None:
    """Which operator a cell failed at and which it fails at, where both are known and none of them is the same."""
    before, after = keys(old), keys(new)
    if not before or not after or set(before) & set(after):
        return None
    return f"guilty: {before[0]} → {after[0]}"


def said(outcome: Outcome | None) -> str:
    """A verdict in words: "error at stage export (expected)"."""
    if outcome is None:
        return "not there"
    stage = f" at stage {outcome.stage.value}" if outcome.stage and outcome.verdict is not Verdict.PASS else ""
    return f"{outcome.verdict.value}{stage}{' (expected)' if outcome.expected else ''}"


def _numbers(old: Outcome, new: Outcome, same_machine: bool) -> Iterator[tuple[str, bool]]:
    """What changed of a cell that passes, or is imprecise, in both, and whether it is worse."""
    refused = [name for name, entry in new.inputs.items() if entry["verdict"] == Verdict.UNSUPPORTED.value]
    for name in refused:
        if old.inputs.get(name, {}).get("verdict") in [verdict.value for verdict in _RIGHT]:
            yield f"refuses the input set {name!r} now", True
    if old.bits is not None and new.bits is not None and abs(new.bits - old.bits) >= BITS:
        yield f"bits {old.bits:.1f} → {new.bits:.1f} ({new.bits - old.bits:+.1f})", new.bits < old.bits
    if old.artifact_bytes and new.artifact_bytes:
        change = new.artifact_bytes / old.artifact_bytes - 1
        if abs(change) >= SIZE:
            yield f"size {_size(old.artifact_bytes)} → {_size(new.artifact_bytes)} ({change:+.0%})", change > 0
    if same_machine:
        yield from ((text, False) for text in _latency(old, new))


def _latency(old: Outcome, new: Outcome) -> Iterator[str]:
    pairs = [
        (entry["seconds"], new.inputs[name]["seconds"])
        for name, entry in old.inputs.items()
        if entry.get("seconds") and new.inputs.get(name, {}).get("seconds")
    ]
    if len(pairs) < LATENCY_SETS:
        return
    before, after = (sum(seconds) for seconds in zip(*pairs, strict=True))
    for word, all_beyond, difference in (
        ("slower", all(b >= LATENCY * a for a, b in pairs), after - before),
        ("faster", all(a >= LATENCY * b for a, b in pairs), before - after),
    ):
        if all_beyond and difference >= LATENCY_SECONDS:
            yield f"{word}: {before * 1e3:.3g} ms → {after * 1e3:.3g} ms for {len(pairs)} input sets"


def _size(count: int) -> str:
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.4g} {unit}"
    return f"{count} bytes"


def _machine(log: Log) -> Sequence[str]:
    """What times depend on. A log that does not say is like none, not even like itself."""
    found = [log.environment.get(key) for key in ("processor", "cores", "processes", "threads")]
    return [repr(value) for value in found] if all(found) else [f"unknown {id(log)}"]


def _versions(old: Log, new: Log) -> Iterator[tuple[str, str, str]]:
    before, after = said_versions(old), said_versions(new)
    for name in sorted({**before, **after}):
        # What only one of the logs names, the other had no use for.
        if name in before and name in after and before[name] != after[name]:
            yield name, before[name], after[name]


def said_versions(log: Log) -> Mapping[str, str]:
    """What a log says of versions and of the machine, by name."""
    found = log.environment
    said = {key: found[key] for key in ("pytest-modelconform", "python", "platform", "processor") if key in found}
    said |= found.get("packages", {})
    said |= {f"environment {name}": ", ".join(pins) for name, pins in found.get("environments", {}).items()}
    return {key: "none" if value is None else str(value) for key, value in said.items()}
