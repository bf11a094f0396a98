"""The README of a report: the text of an issue."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..references.prepared import Prepared
from ..terms.cell import Cell
from ..terms.outcome import Outcome
from .concern import Concern, Party, failing_sets
from .projects import RUNTIME, Project

# What an issue quotes, at most; the files are beside it.
_LINES, _ROWS, _WIDTH = 150, 12, 120
_TRACE = "torch.jit.trace"
_TRACED = (
    "Before you report it: torch.jit.trace records the operations of one call. Loops and branches of the model that "
    "depend on shapes or values stay as they were in that call. This is documented, and PyTorch warns of it "
    "(TracerWarning). If the model has such code, use an exporter that keeps it (torch.export, torch.jit.script), or "
    "write the model without it."
)


@dataclass(frozen=True)
class Quoted:
    """Code that the README shows, cut where it is long.

    file: where all of it is in the folder, or "". about: a line above it.
    """

    title: str
    text: str
    file: str = ""
    about: str = ""


@dataclass(frozen=True)
class Issue:
    """What the README says.

    projects: whom it concerns. seen: what the cell came to, in words. outcome: its numbers, None without any.
    packages, install: versions of all that takes part, and of what the scripts need. script: the command, "" where
    there is none. note: on the script. also: other scripts.
    """

    title: str
    cell: Cell
    concern: Concern
    projects: Sequence[Project]
    capture: str
    expected: str
    seen: str
    outcome: Outcome | None
    prepared: Prepared
    packages: Mapping[str, str]
    install: Mapping[str, str]
    files: Sequence[str]
    script: str = ""
    note: str = ""
    also: Mapping[str, str] = field(default_factory=dict)
    quoted: Sequence[Quoted] = ()

    def text(self) -> str:
        """The README in Markdown."""
        parts = [
            f"# {self.title}",
            f"## Whom this concerns\n\n{whom(self.concern, self.projects, self.capture)}",
            f"## To reproduce\n\n{self._how()}",
            f"## Expected\n\n{self.expected}",
            f"## Seen\n\n{fenced(self.seen)}",
            *([table] if (table := self._numbers()) else []),
            *(self._shown(quoted) for quoted in self.quoted),
            f"## Versions\n\n{self._versions()}",
            "## Files\n\n" + "\n".join(f"- `{name}`" for name in self.files),
            f"Found with pytest-modelconform as `{self.cell.id}`.",
        ]
        return "\n\n".join(parts) + "\n"

    def _how(self) -> str:
        pins = " ".join(f"{name}=={version}" for name, version in self.install.items())
        install = f"pip install {pins}"
        if not self.script:
            said = "There is no script for this one: the files are here to write one with."
            return f"{said}\n\n{fenced(install)}" if pins else said
        exits = f"It exits with status 1 where the failure shows, else with 0. {self.note}".rstrip()
        also = "".join(f"\n\n`python {name}` {what}" for name, what in self.also.items())
        commands = "\n".join([*([install] if pins else []), self.script])
        return f"{fenced(commands)}\n\n{exits}{also}"

    def _numbers(self) -> str:
        """The worst element of each wrong output, with the shapes of the inputs; for all sets, which are right."""
        if self.outcome is None or not self.outcome.inputs:
            return ""
        rows = []
        failing = failing_sets(self.outcome)
        for name in sorted(self.outcome.inputs, key=lambda name: name not in failing):
            entry = self.outcome.inputs[name]
            shapes = ", ".join(f"{argument(p)} {shape(s)}" for p, s in self._shapes(name).items())
            outputs = [] if name not in failing else list(entry.get("outputs", {}).items())
            for where, output in outputs or [("", {})]:
                at = f" at {output['worst_index']}" if output.get("worst_index") is not None else ""
                numbers = [_number(output.get(key)) for key in ("expected", "actual")]
                if not output and name in failing:
                    numbers = ["", _cell_of(entry.get("message", ""))]
                rows.append(f"| {name} | {shapes} | {entry['verdict']} | {where}{at} | {' | '.join(numbers)} |")
        left_out = f"\n\n… and {len(rows) - _ROWS} more." if len(rows) > _ROWS else ""
        head = "| input set | shapes | | worst element | expected | actual |\n| --- | --- | --- | --- | --- | --- |\n"
        return head + "\n".join(rows[:_ROWS]) + left_out

    def _shapes(self, name: str) -> Mapping[str, Sequence[int]]:
        found = self.prepared.sets.get(name)
        return found.shapes if found is not None else {}

    def _shown(self, quoted: Quoted) -> str:
        lines = quoted.text.rstrip().splitlines()
        cut = f"\n\n… {len(lines) - _LINES} more lines" if len(lines) > _LINES else ""
        where = f"{cut}: all of it is in `{quoted.file}`." if cut and quoted.file else cut and f"{cut}."
        body = "\n".join(lines[:_LINES])
        about = f"{quoted.about}\n\n" if quoted.about else ""
        return f"## {quoted.title}\n\n{about}{fenced(body, 'python')}{where}"

    def _versions(self) -> str:
        listed = [f"- {name} {version}" for name, version in self.packages.items()]
        return "\n".join([*listed, f"- Python {platform.python_version()}, {platform.platform()}", f"- {processor()}"])


def whom(concern: Concern, projects: Sequence[Project], capture: str) -> str:
    """Who has to do something, why, and where to tell them; what is known to be no fault, so that nobody reports it."""
    if concern.party in (Party.NOBODY, Party.CASE, Party.INSTALLATION, Party.REFERENCE):
        heads = {
            Party.NOBODY: "There is nothing to report.",
            Party.CASE: "The case itself; no upstream project.",
            Party.INSTALLATION: "This machine's installation; there is nothing to report upstream yet.",
            Party.REFERENCE: "The reference, or the file itself; no runtime.",
        }
        return f"**{heads[concern.party]}** {concern.why}"
    trackers = list(dict.fromkeys(project.tracker for project in projects if project.tracker))
    if concern.party is Party.EITHER:
        one, *others = list(dict.fromkeys(project.known for project in projects))
        parts = " or ".join(f"{p.role} ({_told(p) if others else p.part})" for p in projects)
        head = f"It can't be told: {parts}." if others else f"{one}: {parts}; it can't be told which."
    else:
        head = " ".join(f"{project.role[0].upper()}{project.role[1:]}: {project}." for project in projects)
    where = f"\n\nReport it at {' or '.join(trackers)}." if trackers else ""
    documented = f"\n\n{_TRACED}" if concern.specialised and capture == _TRACE else ""
    return f"**{head}** {concern.why}{where}{documented}"


def _told(project: Project) -> str:
    """The project within parentheses."""
    return project.known if project.role == RUNTIME else str(project)


def fenced(text: str, language: str = "") -> str:
    """A text as a block of code that it can't end."""
    fence = "`" * max(3, *(len(run) + 1 for run in _runs(text)))
    return f"{fence}{language}\n{text}\n{fence}"


def processor() -> str:
    """What the CPU is called."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def argument(path: str) -> str:
    """An input's path as a reader knows it: "/kwargs/mask" is mask, "/args/0" argument 0."""
    kind, _, rest = path.strip("/").partition("/")
    return rest if kind == "kwargs" else f"argument {rest}"


def shape(lengths: Sequence[int]) -> str:
    """Lengths as PyTorch writes them."""
    return f"({', '.join(map(str, lengths))})"


def _number(value: object) -> str:
    return "" if value is None else f"{value:.9g}" if isinstance(value, float) else str(value)


def _cell_of(message: str) -> str:
    """The last line of an exception, which names it, as a cell of a table."""
    lines = [line for line in message.splitlines() if line.strip()]
    said = lines[-1].replace("|", "\\|") if lines else ""
    return said if len(said) <= _WIDTH else f"{said[:_WIDTH]} …"


def _runs(text: str) -> list[str]:
    """Runs of backquotes, so that a fence can be longer."""
    return ["", *("`" * n for n in range(1, 20) if "`" * n in text)]
