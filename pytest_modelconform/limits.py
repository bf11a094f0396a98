"""What a format or a runtime is known not to do: data in its module, and the verdict `unsupported` with the reason.

LIMITS maps a kind to the reason. Kinds:

    dtype:bfloat16    the case is cast to that dtype
    input:int64       an input tensor of the exporters' input set has that dtype
    inputs>3          the call has more tensors
    outputs>1         the result has more tensors
    rank>4            an input tensor of the set has more dimensions
    rank<1            … fewer
    batch>1           the first dimension of an input tensor of the set is longer
    dynamic-shapes    the set's tensors have other shapes than the exporters' input set

The last four are judged for each input set: others of the case are run. A limit is stated only where it was seen; all
else that fails is an error at its stage.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from .outcome import Cell

if TYPE_CHECKING:
    from .references import InputSet, Prepared

_OF_CASES = re.compile(r"(dtype|input):(\w+)|(inputs|outputs)>(\d+)")
_OF_SETS = re.compile(r"(rank|batch)([<>])(\d+)|dynamic-shapes")


def check_limits(limits: Mapping[str, str], module: str) -> None:
    """Raises TypeError for a kind that there is not, naming the module."""
    for kind, reason in limits.items():
        if not (_OF_CASES.fullmatch(kind) or _OF_SETS.fullmatch(kind)):
            raise TypeError(f"{module}: LIMITS has {kind!r}, which is no kind of limit (pytest_modelconform/limits.py)")
        if not reason.strip():
            raise TypeError(f"{module}: LIMITS[{kind!r}] gives no reason")


def of_case(limits: Mapping[str, str], cell: Cell, prepared: Prepared) -> str | None:
    """The reason why a case can't be tried at all, or None."""
    leaves = prepared.content["input_leaves"]
    counts = {"inputs": len(leaves), "outputs": len(prepared.output_paths)}
    for kind, reason in limits.items():
        found = _OF_CASES.fullmatch(kind)
        if found is None:
            continue
        of, dtype, counted, most = found.groups()
        if of == "dtype" and cell.dtype == dtype:
            return f"{dtype}: {reason}"
        if of == "input":
            path = next((leaf["path"] for leaf in leaves if leaf["dtype"] == dtype), None)
            if path is not None:
                return f"input {path} is {dtype}: {reason}"
        if counted and counts[counted] > int(most):
            return f"{counts[counted]} {counted}: {reason}"
    return None


def of_set(limits: Mapping[str, str], prepared: Prepared, entry: InputSet) -> str | None:
    """The reason why an input set can't be tried, or None."""
    exported = prepared.sets[prepared.content["exporter_set"]].shapes
    for kind, reason in limits.items():
        found = _OF_SETS.fullmatch(kind)
        if found is None:
            continue
        if kind == "dynamic-shapes":
            other = next((path for path, shape in entry.shapes.items() if exported.get(path) != shape), None)
            if other is not None:
                return f"input {other} has another shape than the exported input set's: {reason}"
            continue
        what, sign, bound = found.groups()
        for path, shape in entry.shapes.items():
            if what == "batch" and not shape:
                continue
            size = len(shape) if what == "rank" else shape[0]
            if size > int(bound) if sign == ">" else size < int(bound):
                said = f"{size} dimensions" if what == "rank" else f"a first dimension of {size}"
                return f"input {path} has {said}: {reason}"
    return None
