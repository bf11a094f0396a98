"""A folder of logs as a trend: how many cells pass, run by run, in all and for each format in a runtime."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from .badge import counted
from .log import Log, LogError, missing
from .markdown import column_name
from .matrix import Column, fold
from .pages import page
from .since import Seen, seen, since


@dataclass(frozen=True)
class Run:
    """One log. columns: of each, how many cells pass, and how many could run (as for badges). seen: see there."""

    name: str
    date: datetime.datetime
    passed: int
    total: int
    unexpected: int
    columns: dict[Column, tuple[int, int]]
    versions: str
    incomplete: str
    seen: Seen = field(default_factory=Seen)


def run_of(name: str, log: Log) -> Run:
    """What of a log a trend is made of. Raises LogError for one without a date."""
    folded = fold(log.cells)
    passed, total = counted(dict(log.cells))
    columns = {
        column: counted(dict(row.cells[column] for row in folded.rows if column in row.cells))
        for column in folded.columns
    }
    is_cut_off = not log.complete or any(outcome.is_cut_off for _, outcome in log.cells)
    incomplete = f"lacks {', '.join(missing(log))}" if missing(log) else "cut off" if is_cut_off else ""
    torch = log.environment.get("packages", {}).get("torch")
    versions = f"torch {torch}" if torch else ""
    return Run(name, _date(name, log), passed, total, len(folded.failures), columns, versions, incomplete, seen(log))


def _date(name: str, log: Log) -> datetime.datetime:
    try:
        date = datetime.datetime.fromisoformat(str(log.environment.get("date")))
    except ValueError:
        raise LogError(f"{name} has no date in its header") from None
    return date if date.tzinfo else date.replace(tzinfo=datetime.timezone.utc)


@dataclass(frozen=True)
class Chart:
    """Lines to be drawn in a box of width x height: points as SVG has them, marks with what to say of each."""

    width: int
    height: int
    top: int
    passed: str
    total: str
    marks: Sequence[tuple[float, float, str, bool]]
    dates: Sequence[tuple[float, str, str]]
    most: int


def chart(runs: Sequence[Run], width: int = 960, height: int = 240) -> Chart:
    """The trend of all cells. Runs stand side by side, the same space apart: several in an hour, or none for a week."""
    left, right, top, bottom = 45, 15, 12, 25
    most = max((run.total for run in runs), default=0) or 1
    step = (width - left - right) / max(len(runs) - 1, 1)

    def x(i: int) -> float:
        return round(left + i * step, 1)

    def y(count: int) -> float:
        return round(top + (height - top - bottom) * (1 - count / most), 1)

    marks = [
        (x(i), y(run.passed), f"{_day(run)} {run.name}: {run.passed} of {run.total} pass", bool(run.incomplete))
        for i, run in enumerate(runs)
    ]
    return Chart(
        width,
        height,
        top,
        " ".join(f"{x(i)},{y(run.passed)}" for i, run in enumerate(runs)),
        " ".join(f"{x(i)},{y(run.total)}" for i, run in enumerate(runs)),
        marks,
        [*_dates(runs, x)],
        most,
    )


def _dates(runs: Sequence[Run], x: Callable[[int], float]) -> Iterator[tuple[float, str, str]]:
    """A few days below the chart: the first run's, the last's, and some between."""
    count = min(6, len(runs))
    places = sorted({round(i * (len(runs) - 1) / max(count - 1, 1)) for i in range(count)})
    for i in places:
        anchor = "start" if i == 0 else "end" if i == len(runs) - 1 else "middle"
        yield x(i), _day(runs[i]), anchor


def _day(run: Run) -> str:
    return run.date.strftime("%Y-%m-%d")


def spark(counts: Sequence[tuple[int, int] | None], width: int = 160, height: int = 24) -> list[str]:
    """Polylines of the share that passes, one for each stretch of runs that have the column."""
    step = width / max(len(counts) - 1, 1)
    stretches: list[list[tuple[float, float]]] = [[]]
    for i, count in enumerate(counts):
        if count is None or not count[1]:
            stretches.append([])
        else:
            stretches[-1].append((i * step, 2 + (height - 4) * (1 - count[0] / count[1])))
    # One run alone has no line: a short one, so that it is seen.
    lines = [[*line, (line[0][0] + 2, line[0][1])] if len(line) == 1 else line for line in stretches if line]
    return [" ".join(f"{x:.1f},{y:.1f}" for x, y in line) for line in lines]


def render(runs: Sequence[Run], unread: Sequence[str] = (), title: str = "History of the compatibility matrix") -> str:
    """The page. runs: in any order. unread: files that are no logs, and why, in words."""
    in_order = sorted(runs, key=lambda run: (run.date, run.name))
    columns = sorted({column for run in in_order for column in run.columns})
    rows = []
    for column in columns:
        counts = [run.columns.get(column) for run in in_order]
        known = [count for count in counts if count and count[1]]
        if not known:
            continue  # Model checks of what trains; or all is unsupported.
        name, runtime = column_name(column)
        before = known[-2] if len(known) > 1 else None
        rows.append((name, runtime, spark(counts), known[-1], before))
    return page(
        "history.html",
        title=title,
        chart=chart(in_order),
        runs=in_order[::-1],
        rows=rows,
        blamed=since([run.seen for run in in_order]),
        in_order=in_order,
        unread=unread,
        day=_day,
    )
