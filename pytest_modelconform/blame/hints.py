"""Which operators a message may mean: it names their nodes, their targets or their lines."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
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
    return _ends_alike(operator.file, file)


def _ends_alike(first: str, second: str) -> bool:
    """Whether one path is the end of the other."""
    own, other = PurePath(first).parts, PurePath(second).parts
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
    # Converters name what they make of it: "stablehlo.scatter" is of aten.scatter_reduce.
    words = (word for word in short.split("_") if len(word) >= _SHORTEST)
    return 4 if any(_has(text.lower(), word) for word in words) else None


def _has(text: str, name: str) -> bool:
    return bool(name) and re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text) is not None


@dataclass(frozen=True)
class Place:
    """A line of a function of the model's code, or of a library that it calls. source: its text, "" if not told."""

    file: str
    line: int
    function: str
    source: str = ""

    def is_beside(self, other: Place) -> bool:
        """Whether another place is the same; of one of them a message may give the end of the path only."""
        return self.line == other.line and _ends_alike(self.file, other.file)


def raised_at(outcome: Outcome) -> Place | None:
    """The innermost line that a failure's message tells of which is not the exporter's own code."""
    found = [match for pattern in _RAISED for match in pattern.finditer(outcome.message)]
    found = [match for match in found if not _IS_TORCHS.search(match["file"])]
    if not found:
        return None
    named = found[0]
    source = next((m["source"] for m in found if m["line"] == named["line"] and "source" in m.groupdict()), "") or ""
    return Place(named["file"], int(named["line"]), named["function"], source.strip())


# Innermost first: as torch.export tells where it could not go on, and what called that; as workers/loop.py does.
_RAISED = (
    re.compile(r"^Caused by: .*?\((?P<file>[^():]+):(?P<line>\d+) in (?P<function>\w+)\)", re.MULTILINE),
    re.compile(
        r'^The following call raised this error:\n  File "(?P<file>[^"]+)", line (?P<line>\d+), in (?P<function>\w+)\n'
        r"(?P<source> +.+)?",
        re.MULTILINE,
    ),
    re.compile(r"^  at (?P<file>.+?):(?P<line>\d+), in (?P<function>\w+)(?:: (?P<source>.+))?$", re.MULTILINE),
)
# Torch names its own files from its own folder.
_IS_TORCHS = re.compile(r"^(_\w+|fx|nn|utils|onnx|export|jit)/|/torch/")
