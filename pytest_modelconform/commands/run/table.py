"""What `modelconform run` shows and saves of an artifact's outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...terms.wording import Refused
from ...workers import arrays
from ...workers.arrays import Array

KINDS = (".safetensors", ".npz")
_FIRST = 4
_HEAD = ("output", "dtype", "shape", "min", "max", "mean", "NaN", "first values")


def lines(outputs: Mapping[str, Array]) -> list[str]:
    """A line an output, below a headline. Numbers are those of the finite elements."""
    rows = [_HEAD, *(_row(name, array) for name, array in outputs.items())]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    return ["  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _row(name: str, array: Array) -> Sequence[str]:
    first = ", ".join(_said(value) for value in array.reshape(-1)[:_FIRST])
    more = ", …" if array.size > _FIRST else ""
    shape = f"({', '.join(map(str, array.shape))})"
    wide = array.astype("complex128" if array.dtype.kind == "c" else "float64").reshape(-1)
    finite = wide[np.isfinite(wide)]
    # Complex numbers have no order.
    ordered = finite.size and finite.dtype.kind != "c"
    low, high = (_said(finite.min()), _said(finite.max())) if ordered else ("-", "-")
    mean = _said(finite.mean()) if finite.size else "-"
    nans = str(int(np.isnan(wide).sum()))
    return (name, array.dtype.name, shape, low, high, mean, nans, first + more)


def _said(value: np.generic) -> str:
    if value.dtype.kind in "biu":
        return str(value.item())
    return f"{complex(value):.5g}" if value.dtype.kind == "c" else f"{float(value):.5g}"


def check_target(path: Path) -> None:
    """Raises Refused for a file that outputs can't be saved to; before anything is run."""
    if path.suffix not in KINDS:
        raise Refused(f"-o {path}: outputs are saved as {' or '.join(KINDS)}. Name such a file.")
    if not path.absolute().parent.is_dir():
        raise Refused(f"-o {path}: the folder {path.parent} doesn't exist.")
    is_new = not path.exists()
    try:
        path.open("ab").close()
        if is_new:
            path.unlink()
    except OSError as error:
        raise Refused(f"-o {path}: the file can't be written: {error.strerror or error}.") from error


def save(path: Path, outputs: Mapping[str, Array]) -> None:
    """Store outputs by name. In .npz, a dtype that numpy hasn't (bfloat16) goes as float32, which holds its numbers."""
    if path.suffix == ".safetensors":
        arrays.write(path, outputs)
    else:
        kept: dict[str, Any] = {
            name: array.astype("float32") if array.dtype.kind == "V" else array for name, array in outputs.items()
        }
        np.savez(path, **kept)
