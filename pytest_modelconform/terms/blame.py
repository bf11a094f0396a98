"""What blame came to, as the log, the terminal and the page show it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from .program import OPERATORS, Operator

# Whom a guilty operator concerns.
EXPORTER, RUNTIME, CONVERTER, UNKNOWN = PARTIES = ("exporter", "runtime", "converter", "unknown")


@dataclass(frozen=True, kw_only=True)
class Guilty:
    """A place that a cell fails at: one operator, or a window of several that fail only together.

    stage, message: how the part fails when it is alone, as `Outcome` has them. bits, of: how many significant bits are
    right there, and how many there are; None of an error. party: one of `PARTIES`; why: the ground of that, a sentence.
    """

    operators: tuple[Operator, ...]
    stage: str
    message: str
    bits: float | None = None
    of: float | None = None
    party: str = UNKNOWN
    why: str = ""


@dataclass(frozen=True, kw_only=True)
class Blame:
    """What a search in a cell came to.

    guilty: what was found, in the order of the model; empty where nothing was found with confidence: `note` then says
    what is known. note: a sentence beside it: that the model is right when exported from its program and wrong from
    the module, that time ended, that it was taken apart at submodules only and why. way: one of `program.WAYS`. case:
    the case file (Python source) that shows the first guilty one in a case named `part`, "" for none. tensors: the file
    `part.pt` that it reads where only the model's own tensors show it, as base64; "" for none. tries, seconds: how many
    parts were run, and how long that took.
    """

    guilty: tuple[Guilty, ...] = ()
    note: str = ""
    way: str = OPERATORS
    case: str = ""
    tensors: str = ""
    tries: int = 0
    seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """For the log; `from_json` reads it."""
        return asdict(self)

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> Blame:
        """Of what `to_json` wrote; keys that are unknown here are left out."""
        guilty = tuple(
            Guilty(
                operators=tuple(
                    Operator(**{**_known(Operator, each), **_tuples(each)}) for each in entry.get("operators", ())
                ),
                **{key: value for key, value in _known(Guilty, entry).items() if key != "operators"},
            )
            for entry in stored.get("guilty", ())
        )
        return cls(guilty=guilty, **{key: value for key, value in _known(cls, stored).items() if key != "guilty"})


def _known(kind: type, stored: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in stored.items() if key in kind.__dataclass_fields__}  # type: ignore[attr-defined]


def _tuples(stored: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(stored[key]) for key in ("takes", "inputs", "returns") if key in stored}
