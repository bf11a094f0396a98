"""Records of a run as tables, as one JSON object, and judged again by other limits."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from pytest_modelconform.terms.case import DEFAULTS
from pytest_modelconform.terms.outcome import Verdict

from . import hints
from .clean import KNOWN_FAULT, NOT_COMPARABLE
from .judge import Record, is_equivalent

FAINT = DEFAULTS["float32"][0] + 1
REFUSED = (Verdict.ERROR.value, Verdict.CRASH.value)


def fate(record: Record) -> str:
    """What became of a mutant; only "survived" is a miss.

    "faint": it passes, and its own effect, without rounding, is beyond what rounding hides, but under `bits_lost` + 1:
    what the limit admits. By the usual count these are equivalent, too.
    """
    if not record.passed:
        return "refused" if record.verdict in REFUSED else "mismatch"
    if record.equivalent:
        return "equivalent"
    return "faint" if record.exact_judged is not None and record.exact_judged < FAINT else "survived"


def judged_again(record: Record, bits_lost: float, worst: float) -> Record:
    """A record as other limits would have it. What passes only now has no float64 numbers, and so is no equivalent."""
    if record.verdict in (*REFUSED, *APART):
        return record
    beyond = record.hard or (record.judged or 0.0) > bits_lost or (record.worst or 0.0) > worst
    verdict = Verdict.MISMATCH if beyond else Verdict.PASS
    equivalent = not beyond and is_equivalent(record.exact_judged)
    return replace(record, verdict=verdict.value, equivalent=equivalent)


def to_json(mutants: Sequence[Record], reruns: Sequence[Record], about: dict[str, Any]) -> str:
    """One JSON object; numbers that aren't finite are text."""

    def row(record: Record) -> dict[str, Any]:
        return {k: str(v) if isinstance(v, float) and abs(v) == float("inf") else v for k, v in asdict(record).items()}

    return json.dumps({"about": about, "mutants": [*map(row, mutants)], "reruns": [*map(row, reruns)]}, indent=1)


def from_json(file: Path) -> tuple[list[Record], list[Record], dict[str, Any]]:
    """Mutants, reruns, and what they were made with."""
    content = json.loads(file.read_text())

    def record(row: dict[str, Any]) -> Record:
        values: dict[str, Any] = {k: float(v) if v in ("inf", "-inf") else v for k, v in row.items()}
        return Record(**values)

    return [*map(record, content["mutants"])], [*map(record, content["reruns"])], content["about"]


def number(value: float | None) -> str:
    """A number of a table."""
    return "?" if value is None else f"{value:.1f}"


def mutant_tables(mutants: Sequence[Record]) -> str:
    """By kind, by case, and every survivor."""
    lines = [f"{'mutants by kind':34}" + "".join(f"{name:>11}" for name in COLUMNS)]
    lines += [_row(kind, [m for m in mutants if m.kind == kind]) for kind in sorted({m.kind for m in mutants})]
    lines += [_row("all", mutants), "", f"{'mutants by case':34}" + "".join(f"{name:>11}" for name in COLUMNS)]
    lines += [_row(case, [m for m in mutants if m.case == case]) for case in sorted({m.case for m in mutants})]
    for name, what in (("survived", "survivors"), ("faint", "faint ones")):
        passed = [m for m in mutants if fate(m) == name]
        passed.sort(key=lambda m: -math.inf if m.exact_judged is None else -m.exact_judged)
        lines += ["", f"{len(passed)} {what}" + (":" if passed else "")]
        lines += [
            f"  {m.case}[{m.format}]: {m.kind}, {m.where}: loss {number(m.loss)}, worst {number(m.worst)}, "
            f"in float64 {number(m.exact_loss)} and {number(m.exact_worst)}"
            for m in passed
        ]
    return "\n".join(lines)


APART = (NOT_COMPARABLE, KNOWN_FAULT)  # no verdicts on the tolerance
COLUMNS = ("injected", "mismatch", "refused", "equivalent", "faint", "survived")


def _row(name: str, mutants: Iterable[Record]) -> str:
    """A mutant that is refused does not even run: the easiest kind to detect."""
    counts = Counter(map(fate, mutants))
    values = (counts.total(), *(counts[name] for name in COLUMNS[1:]))
    return f"{name:34}" + "".join(f"{value:>11}" for value in values)


LIMITS = [(bits_lost, worst) for bits_lost in (1.0, 1.5, 2.0, 2.5, 3.0, 4.0) for worst in (3.0, 4.0, 5.0, 6.0)]


def limits_table(mutants: Sequence[Record], reruns: Sequence[Record], bits_lost: float, worst: float) -> str:
    """What stricter limits than those of the run would let pass (faint or not), and raise false alarms about."""
    lines = [f"{'bits_lost':>10}{'worst':>8}{'let pass':>10}{'false alarms':>14}"]
    for one, other in LIMITS:
        if one > bits_lost or other > worst:
            continue
        missed = sum(fate(judged_again(m, one, other)) in ("faint", "survived") for m in mutants)
        again = [judged_again(r, one, other) for r in reruns]
        alarms = sum(not r.passed and r.verdict not in APART for r in again)
        lines.append(f"{one:>10g}{other:>8g}{missed:>10}{alarms:>14}")
    return "\n".join(lines)


def rerun_tables(reruns: Sequence[Record]) -> str:
    """By runtime, what can't be compared, and every false alarm."""
    compared = [r for r in reruns if r.verdict not in APART]
    lines = [f"{'clean reruns':34}{'run':>11}{'alarms':>11}{'loss':>11}{'worst':>11}"]
    for runtime in sorted({r.runtime for r in compared}):
        mine = [r for r in compared if r.runtime == runtime]
        failed = sum(not r.passed for r in mine)
        most = [
            max((v for r in mine if (v := getattr(r, name)) is not None), default=None) for name in ("loss", "worst")
        ]
        lines.append(f"{runtime:34}{len(mine):>11}{failed:>11}{number(most[0]):>11}{number(most[1]):>11}")
    for verdict, sentence in (
        (NOT_COMPARABLE, "reruns can't be compared"),
        (KNOWN_FAULT, "show a runtime's known fault"),
    ):
        apart = [r for r in reruns if r.verdict == verdict]
        lines += ["", f"{len(apart)} {sentence}" + (":" if apart else "")]
        lines += [
            f"  {r.case}, {r.kind}{', ' + r.where if r.where else ''}: {r.message.splitlines()[0]}" for r in apart
        ]
    alarms = [r for r in compared if not r.passed]
    lines += ["", f"{len(alarms)} false alarms" + (":" if alarms else "")]
    lines += [
        f"  {r.case}[{r.format}-{r.runtime}], {r.kind}, {r.where}: loss {number(r.loss)}, worst {number(r.worst)}: "
        + r.message.partition("\n")[0]
        for r in alarms
    ]
    return "\n".join(lines)


Worth = tuple[str, Record, Sequence[str]]  # the name of a fault, a red cell of it, and what each of its hints is worth


def hint_table(judged: Iterable[Worth]) -> str:
    """By fault, what hints are worth; and each cell with a wrong one."""
    counts: dict[str, Counter[str]] = {}
    wrong: list[str] = []
    for name, record, found in judged:
        counts.setdefault(name, Counter()).update(found)
        if hints.WRONG in found:
            where = (
                f"{record.case}[{record.format}-{record.runtime}], {name}{', ' + record.where if record.where else ''}"
            )
            wrong.append(f"  {where}: {'; '.join(record.hints or ())}")
    columns = (hints.RIGHT, hints.WRONG, hints.MISSING, hints.OPEN)
    lines = [f"{'hints by fault':44}" + "".join(f"{name:>22}" for name in columns)]
    total: Counter[str] = sum(counts.values(), Counter())
    for name in [*sorted(counts), "all"]:
        mine = total if name == "all" else counts[name]
        lines.append(f"{name[:43]:44}" + "".join(f"{mine[column]:>22}" for column in columns))
    if told := total[hints.RIGHT] + total[hints.WRONG] + total[hints.MISSING]:
        lines.append(f"right where the cause is in the table: {100 * total[hints.RIGHT] / told:.0f} %")
    return "\n".join([*lines, "", f"{len(wrong)} cells with wrong hints" + (":" if wrong else ""), *wrong])


def hints_of_mutants(mutants: Iterable[Record]) -> list[Worth]:
    """What hints are worth, of those mutants that were diagnosed."""
    return [(m.kind, m, hints.judged(m.kind, m.hints)) for m in mutants if m.hints is not None]
