"""Badges: how many cells of a log, a case, a format or a runtime pass, as SVG and as shields.io's endpoint JSON.

What is imprecise does not pass, and does not fail: the badge names it, and is at best yellow-green.

What counts: the cells that could run. Those that are unavailable (missing on that machine) or unsupported (a stated
limit) are not among them; those that were not run are, and don't pass. An expected failure is a failure. Model checks
don't count: they are of no format and runtime. A case or file that can't be collected counts as one cell that fails.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ..terms.cell import EAGER, Cell
from ..terms.outcome import Outcome, Verdict
from .junit import xml
from .log import Log

_COULD_NOT = (Verdict.UNAVAILABLE, Verdict.UNSUPPORTED)
# Least share of passing cells, and the name of the colour: shields.io's, which anybadge has as well.
_COLOURS = ((1.0, "brightgreen"), (0.9, "yellowgreen"), (0.6, "yellow"), (0.3, "orange"), (0.0, "red"))
# As the SVG is drawn; those of shields.io.
_HEX = {
    "brightgreen": "#4c1",
    "yellowgreen": "#a4a61d",
    "yellow": "#dfb317",
    "orange": "#fe7d37",
    "red": "#e05d44",
    "lightgrey": "#9f9f9f",
}
_LONGEST = 60


class UnknownName(ValueError):
    """Nothing in the log has this name, or more than one thing. The message says what is there."""


@dataclass(frozen=True)
class Badge:
    """Left text, right text, colour. cut_off: whether the log is not the whole run."""

    label: str
    message: str
    colour: str
    cut_off: bool


def of_all(log: Log) -> Badge:
    """The badge of the whole log."""
    return _badge(log, "modelconform", "passes", lambda cell: True)


def of_case(log: Log, name: str) -> Badge:
    """The badge of a case, `name` or `file.py::name`: "resnet18 · runs on 14/15". Raises UnknownName."""
    ids = {f"{cell.file}::{cell.case}": cell.case for cell, _ in log.cells}
    found = [case for case, short in ids.items() if name in (case, short)]
    if len(found) > 1:
        raise UnknownName(f"{len(found)} cases have the name {name!r}: name one of {', '.join(found)}")
    chosen = found[0] if found else _known("case", name, dict.fromkeys(ids.values()))
    return _badge(log, ids[chosen], "runs on", lambda cell: f"{cell.file}::{cell.case}" == chosen)


def of_format(log: Log, name: str) -> Badge:
    """The badge of a format. Raises UnknownName."""
    chosen = _known("format", name, {cell.format: None for cell, _ in log.cells if not cell.is_check})
    return _badge(log, chosen, "passes", lambda cell: cell.format == chosen)


def of_runtime(log: Log, name: str) -> Badge:
    """The badge of a runtime. Raises UnknownName."""
    chosen = _known("runtime", name, {cell.runtime: None for cell, _ in log.cells if not cell.is_check})
    return _badge(log, chosen, "passes", lambda cell: cell.runtime == chosen)


def _known(kind: str, name: str, names: Mapping[str, None]) -> str:
    if name in names:
        return name
    near = difflib.get_close_matches(name, names, 1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise UnknownName(f"this log has no {kind} {name!r}.{hint} It has: {', '.join(names) or 'none'}")


def counted(outcomes: Mapping[Cell, Outcome]) -> tuple[int, int]:
    """How many cells pass, and how many could run."""
    ran = [o for cell, o in outcomes.items() if cell.runtime != EAGER and not o.is_left_out]
    could = [o for o in ran if o.verdict not in _COULD_NOT]
    return sum(o.verdict is Verdict.PASS for o in could), len(could)


def _badge(log: Log, label: str, verb: str, belongs: Callable[[Cell], bool]) -> Badge:
    outcomes = {cell: outcome for cell, outcome in dict(log.cells).items() if belongs(cell)}
    passed, total = counted(outcomes)
    # A session that was interrupted has a footer, and cells that were not run.
    cut_off = not log.complete or any(outcome.is_cut_off for outcome in outcomes.values())
    label = label if len(label) <= _LONGEST else f"{label[:_LONGEST]}…"
    if not total:
        return Badge(label, "nothing ran", "lightgrey", cut_off)
    # Those that are no failure: model checks and what could not run are not among them.
    close = sum(o.verdict is Verdict.IMPRECISE and o.passed for cell, o in outcomes.items() if cell.runtime != EAGER)
    best = _COLOURS[1:] if close else _COLOURS
    colour = next(colour for share, colour in best if passed + close >= share * total)
    message = f"{verb} {passed}/{total}" + (f", {close} imprecise" if close else "")
    if not cut_off:
        return Badge(label, message, colour, cut_off)
    # Whatever is missing may fail.
    return Badge(label, f"{message}, cut off", "red" if colour == "red" else "orange", cut_off)


def endpoint(badge: Badge) -> str:
    """The JSON that shields.io's endpoint badge takes. A cut-off log is an error there: its colour can't be changed."""
    content = {"schemaVersion": 1, "label": badge.label, "message": badge.message, "color": badge.colour}
    return json.dumps(content | ({"isError": True} if badge.cut_off else {}), ensure_ascii=False) + "\n"


def svg(badge: Badge) -> str:
    """The badge as an image of its own."""
    # Here: only this needs it.
    from anybadge.badge import Badge as Drawing

    label, message = (" ".join(xml(text).split()) for text in (badge.label, badge.message))
    drawn = Drawing(label, message, default_color=_HEX[badge.colour], num_padding_chars=1)
    text: str = drawn.badge_svg_text
    return text if text.endswith("\n") else f"{text}\n"
