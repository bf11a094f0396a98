"""The records of a run as tables, and as one JSON object."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pytest_modelconform.terms.outcome import Stage, Verdict

from ..faults import hints
from ..faults import report as faults
from ..faults.clean import NOT_COMPARABLE
from ..faults.judge import Record
from ..faults.report import number
from . import known, parts
from .parts import ADVERSARY, MUTANTS, REAL
from .work import ADVERSARY_FAILED

# Of a verdict that this may be older than: compared by its name.
IMPRECISE = "imprecise"
GOOD, FALSE, FAULT, REFUSED, FAILED, OUTSIDE = "pass", "red", "known fault", "not comparable", "failed", "outside"


def fate(record: Record) -> str:
    """What became of a cell that nobody put a fault into.

    "red": it is a mismatch, and no known fault explains it. "failed": the exporter or the runtime doesn't get as far as
    numbers, which says nothing of the tolerance. "not comparable": the model has no references.
    """
    if record.verdict in (GOOD, IMPRECISE):
        return record.verdict
    if record.verdict in (NOT_COMPARABLE, ADVERSARY_FAILED) or record.stage == Stage.REFERENCE.value:
        return REFUSED
    if record.verdict in (Verdict.UNSUPPORTED.value, Verdict.UNAVAILABLE.value, Verdict.NOT_RUN.value):
        return OUTSIDE
    if known.of(record):
        return FAULT
    if record.kind == ADVERSARY or record.verdict == Verdict.MISMATCH.value:
        return FALSE
    return FAILED


COLUMNS = (GOOD, IMPRECISE, FALSE, FAULT, FAILED, REFUSED, OUTSIDE)


def clean_table(records: Sequence[Record]) -> str:
    """By format and runtime: what became of clean cells, and the greatest loss and worst of those that are no fault."""
    head = f"{'clean cells':32}{'compared':>10}" + "".join(f"{name:>15}" for name in COLUMNS)
    lines = [head + f"{'loss':>8}{'worst':>8}{'bits':>8}"]
    groups: dict[str, list[Record]] = {}
    for record in records:
        if not (record.format == "eager" and record.kind == REAL):
            groups.setdefault(f"{record.format}, {record.runtime}", []).append(record)
    lines += [_clean_row(name, groups[name]) for name in sorted(groups)]
    every = [record for group in groups.values() for record in group]
    return "\n".join([*lines, _clean_row("all", every)])


def _clean_row(name: str, records: Sequence[Record]) -> str:
    counts = Counter(map(fate, records))
    compared = [record for record in records if fate(record) in (GOOD, IMPRECISE, FALSE)]
    loss, worst = (_most(compared, field) for field in ("loss", "worst"))
    bits = min((r.bits for r in compared if r.bits is not None), default=None)
    return (
        f"{name:32}{len(compared):>10}"
        + "".join(f"{counts[column]:>15}" for column in COLUMNS)
        + f"{number(loss):>8}{number(worst):>8}{number(bits):>8}"
    )


def _most(records: Iterable[Record], field: str) -> float | None:
    return max((v for r in records if (v := getattr(r, field)) is not None and not math.isnan(v)), default=None)


def red_list(records: Sequence[Record]) -> str:
    """Every cell that is red, imprecise, a known fault, failed or refused; draws of a model as one."""
    lines: list[str] = []
    titles = {
        FALSE: "red cells",
        IMPRECISE: "imprecise cells",
        FAULT: "known faults",
        REFUSED: "refused",
        FAILED: "failed",
    }
    for what, title in titles.items():
        groups: dict[tuple[str, str, str, str], list[Record]] = {}
        for r in records:
            if fate(r) == what:
                said = r.message.partition("\n")[0] if what in (REFUSED, FAILED) else ""
                groups.setdefault((r.case, r.format, r.runtime, said), []).append(r)
        lines += ["", f"{sum(map(len, groups.values()))} {title}" + (":" if groups else "")]
        for (case, format_name, runtime, _), members in sorted(groups.items()):
            first = max(members, key=lambda r: r.loss if r.loss is not None else -math.inf)
            times = f" × {len(members)}" if len(members) > 1 else ""
            numbers = f"bits {number(first.bits)}, loss {number(first.loss)}, worst {number(first.worst)}: "
            reason = f" [{fault.reason}]" if (fault := known.of(first)) else ""
            message = " | ".join(first.message.splitlines()[:3])
            shown = numbers if first.loss is not None else f"{first.verdict} at {first.stage}: " if first.stage else ""
            lines.append(f"  {case}[{format_name}-{runtime}]{times}{reason}: {shown}{message}")
    return "\n".join(lines)


def hint_table(found: Mapping[str, Sequence[Record]]) -> str:
    """What hints are worth, of mutants and of known faults of real runtimes."""
    judged = faults.hints_of_mutants(found[MUTANTS])
    for record in found[REAL]:
        fault = known.of(record)
        if fault is not None and record.verdict == Verdict.MISMATCH.value:
            judged.append((f"{record.runtime}: {fault.reason}", record, hints.worth(record.hints or (), fault.hints)))
    return faults.hint_table(judged)


def mutant_tables(records: Sequence[Record]) -> str:
    """As for our own cases; and which kinds become imprecise."""
    injected = [record for record in records if record.verdict != NOT_COMPARABLE]
    refused = sorted({record.case for record in records if record.verdict == NOT_COMPARABLE})
    faint = Counter(record.kind for record in injected if record.verdict == IMPRECISE)
    lines = [faults.mutant_tables(injected), "", f"{faint.total()} imprecise" + (":" if faint else "")]
    lines += [f"  {kind}: {count}" for kind, count in sorted(faint.items())]
    lines += ["", f"{len(refused)} strangers without references: {', '.join(refused) or 'none'}"]
    return "\n".join(lines)


def text(folder: Path, left_out: Mapping[str, str]) -> str:
    """The whole report of what a folder holds."""
    found = {kind: list(parts.records(folder, kind)) for kind in parts.KINDS}
    clean = [*found[ADVERSARY], *found[REAL]]
    took = ", ".join(f"{kind} {parts.seconds(folder, kind) / 60:.1f} minutes" for kind in parts.KINDS)
    pieces = [f"took: {took}", f"{len(left_out)} left out" + (":" if left_out else "")]
    pieces[-1] += "".join(f"\n  {name}: {why}" for name, why in left_out.items())
    if clean:
        pieces += [clean_table(clean), red_list(clean)]
    if found[MUTANTS]:
        pieces += [mutant_tables(found[MUTANTS])]
    if any(record.hints for records in found.values() for record in records):
        pieces += [hint_table(found)]
    return "\n\n".join(pieces)


def to_json(folder: Path, about: Mapping[str, Any]) -> str:
    """All records; mutants, and clean cells that were compared, as benchmarks/plot_tolerance.py reads them."""
    found = {kind: list(parts.records(folder, kind)) for kind in parts.KINDS}
    clean = [r for r in (*found[ADVERSARY], *found[REAL]) if fate(r) in (GOOD, IMPRECISE, FALSE)]
    others = [r for r in (*found[ADVERSARY], *found[REAL]) if fate(r) not in (GOOD, IMPRECISE, FALSE)]
    rows = {"mutants": found[MUTANTS], "reruns": clean, "not compared": others}
    content = {name: [parts.plain(record) for record in records] for name, records in rows.items()}
    return json.dumps({"about": dict(about), **content}, indent=1)
