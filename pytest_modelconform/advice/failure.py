"""What advice is given on, and the words that rules share."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from ..terms.outcome import Stage

# Where an exception passed last through the case, as workers/loop.py writes it, a package's line before the case's
# own, and as torch.export does.
_OURS = re.compile(
    r"^  at (?P<place>.+?:\d+), in \w+: (?P<line>.+)$(?P<called>\n  at )?",
    re.MULTILINE,
)
_TORCHS = re.compile(
    r'^The following call raised this error:\n  File "(?P<file>.+)", line (?P<number>\d+), in \w+\n +(?P<line>.+)$',
    re.M,
)
_PACKAGES = "site-packages/"


@dataclass(frozen=True)
class Failure:
    """A cell that came to no comparison. stage: where it ended. message: all that was said. framework: the case's."""

    stage: Stage
    message: str
    framework: str = "torch"

    @property
    def is_export(self) -> bool:
        """Whether an exporter said it."""
        return self.stage is Stage.EXPORT

    @property
    def line(self) -> str:
        """The line of the case's code that it is of, in backquotes; "forward" where none is told.

        Where a package's code is further in, it is that line, with its place.
        """
        inner = _TORCHS.search(self.message)
        package = inner["file"].partition(_PACKAGES)[2] if inner else ""
        if inner and package and not package.startswith("torch/"):
            return f"`{inner['line'].strip()}` ({package}:{inner['number']})"
        ours = _OURS.search(self.message)
        if ours and ours["called"]:
            return f"`{ours['line'].strip()}` ({ours['place']})"
        found = ours or inner
        return f"`{found['line'].strip()}`" if found else "forward"

    def search(self, pattern: str) -> re.Match[str] | None:
        """The first place in the message where a pattern stands."""
        return re.search(pattern, self.message)


# A function from a failure to a sentence that says what to change in the case; None where the failure is another one.
Rule = Callable[[Failure], "str | None"]


def option(name: str, value: object, file_format: str) -> str:
    """How a case says an exporter's option for a format."""
    return f'`exports={{"{file_format}": Export(options={{"{name}": {value}}})}}`'
