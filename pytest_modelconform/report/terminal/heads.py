"""The names of columns and rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...terms.cell import EAGER, FULL, INFERENCE
from ..matrix import Column, Matrix, Row

# How the name of a column begins that stands beside its runtime's plain one, and says only in what it differs.
FOLLOWS = "+"
CHECK: Column = (EAGER, EAGER, "cpu", FULL, INFERENCE)
_MODEL = "model"


@dataclass(frozen=True)
class Head:
    """A column's. group: its format, whole. name: its runtime with what is unusual, whole.

    short: what it differs in from the plain column of the same format and runtime that it stands beside, "" for none.
    """

    column: Column
    group: str
    name: str
    short: str = ""


def heads(matrix: Matrix) -> list[Head]:
    """Of all columns. That of the model checks is the first, if there are any."""
    columns = [*([CHECK] if any(row.check is not None for row in matrix.rows) else []), *matrix.columns]
    found: list[Head] = []
    for i, column in enumerate(columns):
        format_name, runtime, *_ = column
        words = unusual(column)
        plain = next((c for c in columns[:i] if c[:2] == column[:2] and not unusual(c)), None)
        found.append(
            Head(
                column,
                _MODEL if format_name == EAGER else format_name,
                " ".join([runtime, *words]),
                f"{FOLLOWS}{' '.join(words)}" if plain and words else "",
            )
        )
    return found


def unusual(column: Column) -> list[str]:
    """Device, precision and task, where they are not the usual ones."""
    return [word for word, usual in zip(column[2:], ("cpu", FULL, INFERENCE), strict=True) if word != usual]


def names(block: Sequence[Head]) -> list[str]:
    """What stands above the columns of a block: short where the plain column is in the block, too."""
    plain = {head.column[:2] for head in block if not unusual(head.column)}
    return [head.short if head.short and head.column[:2] in plain else head.name for head in block]


def column_text(column: Column) -> str:
    """A column in a sentence: `onnx in ort`, `onnx in ort fast`."""
    if column[0] == EAGER:
        return " ".join([_MODEL, *unusual(column)])
    return f"{column[0]} in {' '.join([column[1], *unusual(column)])}"


def columns_text(columns: Sequence[Column]) -> str:
    """Several columns in a sentence, each format once: `aoti in torch and libtorch-cpp, onnx in ort`."""
    by_format: dict[str, list[str]] = {}
    for column in columns:
        by_format.setdefault(column[0], []).append(" ".join([column[1], *unusual(column)]))
    return "; ".join(f"{name} in {', '.join(runtimes)}" for name, runtimes in by_format.items())


class RowNames:
    """The names of a matrix's rows."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._files: dict[str, set[str]] = {}
        for row in rows:
            self._files.setdefault(row.case, set()).add(row.file)

    def __call__(self, row: Row) -> str:
        """The case's name; with its file where two files have a case of that name, with a dtype other than float32."""
        name = row.case if len(self._files[row.case]) == 1 else f"{row.file}::{row.case}"
        return name if row.dtype == "float32" else f"{name} {row.dtype}"
