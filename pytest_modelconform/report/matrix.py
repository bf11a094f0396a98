"""The compatibility matrix: a pure fold of a log's cells into rows and columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ..terms.case import DEFAULTS
from ..terms.cell import EAGER, FULL, INFERENCE, PRECISIONS, TASKS, Cell
from ..terms.exports import base_of, is_variant
from ..terms.outcome import LEFT_OUT, NOT_FIT, Outcome, Stage, Verdict

# Format, runtime, device, precision, task.
Column = tuple[str, str, str, str, str]


@dataclass(frozen=True)
class Row:
    """One case in one dtype. check: the outcome of its model check or of its file's item, where there is one.

    A dtype is a row, not a column: few cases have several, and each has a model check of its own.
    """

    file: str
    case: str
    dtype: str
    check: Outcome | None
    cells: Mapping[Column, tuple[Cell, Outcome]]


@dataclass(frozen=True)
class Matrix:
    """Cases down, formats and runtimes across, and what it all comes to.

    totals: cells by verdict, model checks included. expected: failing cells that expected.toml records.
    blocked: cells that failed only since their model check did. absent: by the reason, how many cells are unavailable.
    left_out: by the reason, names of cases that were not to run.
    failures: what is not as expected; without those of the blocked cells whose model check is in the log, and failed.
    limits: by the reason, the columns that can't do a kind of input set whatever the case.
    """

    columns: Sequence[Column]
    rows: Sequence[Row]
    totals: Mapping[Verdict, int]
    expected: int
    blocked: int
    absent: Mapping[str, int]
    left_out: Mapping[str, Sequence[str]]
    failures: Sequence[tuple[Cell, Outcome]]
    limits: Mapping[str, Sequence[Column]] = field(default_factory=dict)


def fold(cells: Iterable[tuple[Cell, Outcome]], formats: Sequence[str] = (), runtimes: Sequence[str] = ()) -> Matrix:
    """The matrix of a run. A cell that is recorded twice (a rerun) counts as it ended.

    formats, runtimes: in the order of the columns; others follow. Rows are in the order of their files:
    with xdist a log has the order in which cells ended.
    """
    latest = dict(sorted(dict(cells).items(), key=lambda item: item[0].file))
    columns = sorted(
        {(c.format, c.runtime, c.device, c.precision, c.task) for c in latest if not _is_model_check(c)},
        key=lambda c: (
            c[0] != EAGER,
            _place(base_of(c[0]), formats),
            c[0] if is_variant(c[0]) else "",
            _place(c[1], runtimes),
            c[:3],
            _place(c[3], PRECISIONS),
            _place(c[4], TASKS),
        ),
    )
    # The dtypes of a case below each other, in a fixed order.
    cases = {case: i for i, case in enumerate(dict.fromkeys((cell.file, cell.case) for cell in latest))}
    in_order = sorted(latest, key=lambda c: (cases[c.file, c.case], _place(c.dtype, tuple(DEFAULTS))))
    rows: dict[tuple[str, str, str], dict[Column, tuple[Cell, Outcome]]] = {}
    checks: dict[tuple[str, str, str], Outcome] = {}
    for cell in in_order:
        row = rows.setdefault((cell.file, cell.case, cell.dtype), {})
        if _is_model_check(cell):
            checks[cell.file, cell.case, cell.dtype] = latest[cell]
        else:
            row[cell.format, cell.runtime, cell.device, cell.precision, cell.task] = (cell, latest[cell])
    # Without its check in the log, a blocked cell is the only one that says what is wrong.
    blocked = {
        cell
        for cell, outcome in latest.items()
        if is_blocked(cell, outcome) and (check := latest.get(check_of(cell))) is not None and is_surprising(check)
    }
    limits: dict[str, dict[Column, None]] = {}
    for row in rows.values():
        for column, (_, outcome) in row.items():
            for reason in limits_of(outcome):
                limits.setdefault(reason, {})[column] = None
    return Matrix(
        columns=columns,
        rows=[Row(*key, checks.get(key), row) for key, row in rows.items()],
        totals=Counter(outcome.verdict for outcome in latest.values()),
        expected=sum(outcome.expected is True for outcome in latest.values()),
        blocked=sum(cell in blocked for cell in latest),
        absent=Counter(o.message for o in latest.values() if o.verdict is Verdict.UNAVAILABLE),
        left_out=_left_out(latest),
        failures=[
            (cell, outcome) for cell, outcome in latest.items() if is_surprising(outcome) and cell not in blocked
        ],
        limits={reason: [column for column in columns if column in found] for reason, found in limits.items()},
    )


def _left_out(latest: Mapping[Cell, Outcome]) -> Mapping[str, Sequence[str]]:
    found: dict[str, dict[str, None]] = {}
    for cell, outcome in latest.items():
        if outcome.is_left_out:
            found.setdefault(outcome.message.removeprefix(LEFT_OUT), {})[cell.case] = None
    return {reason: list(names) for reason, names in found.items()}


def is_surprising(outcome: Outcome) -> bool:
    """Whether a cell is not as expected: a failure that no file records, or something else than what one records."""
    return (outcome.failed and not outcome.expected) or outcome.expected is False


def check_of(cell: Cell) -> Cell:
    """The model check that a cell rests on."""
    task = INFERENCE if cell.is_check else cell.reference_task
    return Cell(cell.file, cell.case, EAGER, EAGER, dtype=cell.dtype, task=task)


def limits_of(outcome: Outcome) -> list[str]:
    """Why input sets were not run that a cell's whole column can't do."""
    return [str(entry.get("message", "")) for entry in outcome.inputs.values() if entry.get("limit")]


def is_partly(outcome: Outcome) -> bool:
    """Whether a cell passes but for an input set that is unsupported for its case."""
    sets = outcome.inputs.values()
    unsupported = any(e["verdict"] == Verdict.UNSUPPORTED.value and not e.get("limit") for e in sets)
    return outcome.verdict is Verdict.PASS and unsupported


def _is_model_check(cell: Cell) -> bool:
    """Whether a cell stands beside its row. The check of what trains has a column: few rows have one."""
    return cell.is_check and cell.task == INFERENCE


def _place(name: str, order: Sequence[str]) -> int:
    return order.index(name) if name in order else len(order)


def is_blocked(cell: Cell, outcome: Outcome) -> bool:
    """Whether a cell failed only because the model itself is not fit to be compared with.

    A fast cell may fail at that stage for itself: the noise of fast modes is made for it alone. So may the check of
    steps, which rests on that of single calls.
    """
    failed = outcome.stage is Stage.REFERENCE and outcome.verdict is Verdict.ERROR
    for_itself = cell.is_check or cell.precision != FULL
    return failed and (not for_itself or NOT_FIT in outcome.message)
