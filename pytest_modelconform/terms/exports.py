"""How a case has a format made: options of its exporter, a function, or a file that is there. Imports nothing heavy.

A format's name may be followed by a variant's, `onnx@opset18`: a column of its own, of what the same runtimes load.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

# What stands between a format and a variant.
AT = "@"
# What a variant is called. No hyphens: an id writes a format's as "_", and every cell has one id.
_VARIANT = re.compile(r"[A-Za-z0-9_.]+")
# Of an `Export`, which of its fields says how the artifact comes about.
OPTIONS, MAKE, FILE = KINDS = ("options", "make", "file")
# Those that no exporter or converter of ours has a part in.
OWN = (MAKE, FILE)


@dataclass(frozen=True, kw_only=True)
class Export:
    """How an artifact of a case comes about, in `Case(exports={"onnx@opset18": Export(…)})`. One of the first three.

    options: by name what the exporter's own call takes (`opset_version`, `strict`); or a function without arguments
        that returns them, where they need imports of their own.
    make: a function of the model, the inputs that exporters see (a tuple or a dict, as the case gives them) and an
        empty folder. It stores the model as it likes, and returns the path of the file.
    file: a file that is there already, relative to the case file, or the folder of a SavedModel or .mlpackage;
        `{dtype}` in it stands for the cell's dtype. The only one for a model of another framework than PyTorch.
    inputs: for a file of your own, where its names don't tell: the model's argument by the file's input, `{"input.1":
        "x"}`; a tensor within an argument is `"state/0"`.
    outputs: the same of outputs: where in what the model returns an output of the file belongs, `{"out": "boxes"}`; a
        place in a tuple is `"0"`. Those that the file has besides are not looked at.
    """

    options: Mapping[str, Any] | Callable[[], Mapping[str, Any]] = field(default_factory=dict)
    make: Callable[[torch.nn.Module, Any, Path], Any] | None = None
    file: str | os.PathLike[str] | None = None
    inputs: Mapping[str, str] = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """Which of `KINDS` it is."""
        return MAKE if self.make is not None else FILE if self.file is not None else OPTIONS


@dataclass(frozen=True)
class Given:
    """What is given for a column from outside of the cases. said: as the user wrote it.

    options: for the exporter, as text: the literal of a dict. export: a file in the place of an export, and how its
    names match; for `modelconform run`.
    """

    options: str
    said: str
    export: Export | None = None


def base_of(name: str) -> str:
    """The format of a column: `onnx` for `onnx@opset18`."""
    return name.partition(AT)[0]


def is_variant(name: str) -> bool:
    """Whether a column's name has a variant's in it."""
    return AT in name


def fault_of_name(name: str) -> str:
    """What is wrong with a key of `exports`, as far as its text tells, and the remedy; "" if nothing is."""
    base, at, variant = name.partition(AT)
    if not base or (at and not _VARIANT.fullmatch(variant)):
        return (
            f"{name!r} is no name of an export: give a format, or a format, '@' and a word of letters, digits, '_' and "
            "'.', like 'onnx@opset18'"
        )
    return ""
