"""Which operators a message may mean: it names their nodes, their targets or their lines."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePath

from ..terms.outcome import Outcome
from ..terms.program import Operator

# Names of operators that are words of any message.
_SHORTEST = 5
# "net.py:12" as workers/loop.py and torch.export write it, and as tracebacks do.
_PLACES = (
    re.compile(r"(?P<file>[\w./@+-]+\.py):(?P<line>\d+)"),
    re.compile(r'File "(?P<file>[^"]+)", line (?P<line>\d+)'),
)


def likely(operators: Sequence[Operator], outcome: Outcome) -> list[Operator]:
    """The operators that a failure's message may mean, likeliest first; of those that are alike the first one."""
    text = "\n".join([outcome.message, *(str(entry.get("message", "")) for entry in outcome.inputs.values())])
    lines = _lines(text)
    ranks = {operator.name: _rank(operator, text, lines) for operator in operators}
    return sorted((o for o in operators if ranks[o.name] is not None), key=lambda o: ranks[o.name] or 0)


def places(text: str) -> list[tuple[str, int]]:
    """Files and lines that a text names, in its order."""
    found = [(match.start(), match["file"], int(match["line"])) for each in _PLACES for match in each.finditer(text)]
    return [(file, line) for _, file, line in sorted(found)]


def is_at(operator: Operator, file: str, line: int) -> bool:
    """Whether an operator's code is at a line of a file, of which a message may give the end of the path only."""
    if operator.line != line or not operator.file:
        return False
    own, other = PurePath(operator.file).parts, PurePath(file).parts
    shorter = min(len(own), len(other))
    return own[-shorter:] == other[-shorter:]


def _lines(text: str) -> list[tuple[str, int]]:
    return list(dict.fromkeys(places(text)))


def _rank(operator: Operator, text: str, lines: Sequence[tuple[str, int]]) -> int | None:
    """How likely it is that a text means an operator, 0 most; None where nothing in it does."""
    if _has(text, f"%{operator.name}") or _has(text, f"node_{operator.name}"):
        return 0
    target, _, _ = operator.target.rpartition(".") if operator.target.count(".") > 1 else (operator.target, "", "")
    if any(_has(text, name) for name in (operator.target, target, target.replace(".", "::"))):
        return 1
    short = target.rpartition(".")[2]
    if len(short) >= _SHORTEST and _has(text, short):
        return 2
    if any(is_at(operator, *place) for place in lines):
        return 3
    return None


def _has(text: str, name: str) -> bool:
    return bool(name) and re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text) is not None
