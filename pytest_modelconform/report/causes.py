"""The failures of a log by root cause, the exporters' first, then the runtimes': what `docs/findings.md` lists.

A cause is what an entry of `expected.toml` names; cells that name none are put together by their reason.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..terms.cell import Cell
from ..terms.outcome import Outcome, Stage, Verdict
from .entries import title
from .log import Log
from .markdown import code, escaped, reason_of, where
from .matrix import is_blocked
from .plural import counted

PARTIES = EXPORTERS, RUNTIMES, CASES = "Exporters", "Runtimes", "Cases"
# Stages that come before anything is exported.
_OF_CASES = (Stage.COLLECT, Stage.ENVIRONMENT, Stage.BUILD, Stage.REFERENCE)
# What differs from cell to cell in messages that say the same.
_PARTICULAR = re.compile(r"0x[0-9a-f]+|-?\b\d+(\.\d+)?(e[+-]?\d+)?\b|input set '[^']*'")
# Runtimes that are the same library in another language: that two of them agree tells nothing.
_SAME = {"libtorch": "torch", "cpp": "torch"}
_MOST_CASES = 12


@dataclass(frozen=True)
class Fault:
    """Cells that fail for one reason. id: of the cause that they name, or "". party: one of `PARTIES`.

    project: whose fault it is: what a cause's id begins with; else a format, a runtime or a case file.
    """

    id: str
    reason: str
    operator: str
    link: str
    party: str
    project: str
    cells: Sequence[tuple[Cell, Outcome]]

    @property
    def papers(self) -> int:
        """How many case files it concerns."""
        return len({cell.file for cell, _ in self.cells})

    @property
    def smallest(self) -> Cell:
        """The cell with the smallest artifact; where none was made, the one with the shortest id."""
        return min(self.cells, key=lambda item: (item[1].artifact_bytes or 0, len(item[0].id), item[0].id))[0]


def faults(log: Log) -> list[Fault]:
    """All faults, those of exporters first; by project, those of the most cells first."""
    latest = dict(log.cells)
    failing = {cell: o for cell, o in latest.items() if (o.failed or o.expected) and not is_blocked(cell, o)}
    groups: dict[tuple[str, str, str], list[tuple[Cell, Outcome]]] = {}
    for cell, outcome in failing.items():
        cause = str((outcome.cause or {}).get("id", ""))
        said = ("", "") if cause else (title(outcome), _PARTICULAR.sub("#", reason_of(outcome)))
        groups.setdefault((cause, *said), []).append((cell, outcome))
    right = _right(latest)
    found = [_fault(cause, cells, right) for (cause, *_), cells in groups.items()]
    sizes = Counter[tuple[str, str]]()
    for fault in found:
        sizes[fault.party, fault.project] += len(fault.cells)
    return sorted(
        found,
        key=lambda f: (PARTIES.index(f.party), -sizes[f.party, f.project], f.project, -len(f.cells), f.id, f.reason),
    )


def _right(latest: Mapping[Cell, Outcome]) -> Mapping[tuple[str, str, str, str], set[str]]:
    """By artifact, the libraries that run it rightly."""
    found: dict[tuple[str, str, str, str], set[str]] = {}
    for cell, outcome in latest.items():
        if outcome.verdict in (Verdict.PASS, Verdict.IMPRECISE):
            found.setdefault(_artifact(cell), set()).add(library(cell.runtime))
    return found


def _artifact(cell: Cell) -> tuple[str, str, str, str]:
    return cell.file, cell.case, cell.format, cell.dtype


def library(runtime: str) -> str:
    """What a runtime is a way into: `ort` of `ort-cpp` and `ort-web`."""
    first = runtime.partition("-")[0]
    return _SAME.get(first, first)


def _fault(
    cause: str, cells: Sequence[tuple[Cell, Outcome]], right: Mapping[tuple[str, str, str, str], set[str]]
) -> Fault:
    said = next((outcome.cause for _, outcome in cells if outcome.cause), None) or {}
    votes = Counter(_party(cell, outcome, right) for cell, outcome in cells)
    party = max(PARTIES, key=lambda one: votes[one])
    where = Counter(_place(cell, party) for cell, _ in cells)
    project = cause.partition("-")[0] if cause else where.most_common(1)[0][0]
    text = str(said.get("reason") or reason_of(cells[0][1])).rstrip(".")
    return Fault(cause, text, str(said.get("operator", "")), str(said.get("link", "")), party, project, cells)


def _place(cell: Cell, party: str) -> str:
    """Where a fault of this party is, if no cause says it."""
    if party == CASES:
        return cell.file
    return cell.format if party == EXPORTERS else library(cell.runtime)


def _party(cell: Cell, outcome: Outcome, right: Mapping[tuple[str, str, str, str], set[str]]) -> str:
    """Whose fault a cell's failure looks like: the runtime's, if another library runs the same file rightly."""
    if cell.is_check or outcome.stage in _OF_CASES:
        return CASES
    if outcome.stage is Stage.EXPORT:
        return EXPORTERS
    if right.get(_artifact(cell), set()) - {library(cell.runtime)}:
        return RUNTIMES
    return EXPORTERS if outcome.stage is Stage.COMPARE else RUNTIMES


def render(log: Log) -> str:
    """The list, as Markdown."""
    found = faults(log)
    count = sum(len(fault.cells) for fault in found)
    named = sum(bool(fault.id) for fault in found)
    lines = [f"{counted(count, 'cell')} of {len(dict(log.cells))} fail, for {counted(len(found), 'reason')}"]
    lines[0] += f", {named} of which have an id." if found else "."
    party = project = ""
    for fault in found:
        if fault.party != party:
            party, project = fault.party, ""
            lines += ["", f"## {party}"]
        if fault.project != project:
            project = fault.project
            lines += ["", f"### {escaped(project)}", ""]
        lines += _lines(fault)
    return "\n".join(lines) + "\n"


def _lines(fault: Fault) -> Iterator[str]:
    name = f"{code(fault.id)}: " if fault.id else ""
    link = f" ({fault.link})" if fault.link.startswith("https://") and " " not in fault.link else ""
    operator = f" {code(fault.operator)}." if fault.operator else ""
    yield f"- {name}{escaped(fault.reason)}{link}.{operator}  "
    kinds = Counter(title(outcome) for _, outcome in fault.cells)
    said = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
    yield f"  {said}; {counted(fault.papers, 'paper')}: {where(fault.cells, _MOST_CASES)}.  "
    yield f"  Smallest: {code(fault.smallest.id)}"
