"""Whether a format or a runtime states that it can't do a case, or one of its input sets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ..terms.case import INT8
from ..terms.cell import FAST, Cell
from ..terms.limits import OF_CASES, OF_SETS, TRANSPOSED_INPUTS
from ..terms.runs import TRANSPOSED

if TYPE_CHECKING:
    from ..references.prepared import InputSet, Prepared
    from .registry import Registry


def of_case(limits: Mapping[str, str], cell: Cell, prepared: Prepared) -> str | None:
    """The reason why a case can't be tried at all, or None."""
    leaves = prepared.content.input_leaves
    counts = {"inputs": len(leaves), "outputs": len(prepared.output_paths)}
    for kind, reason in limits.items():
        found = OF_CASES.fullmatch(kind)
        if found is None:
            continue
        of, dtype, counted, most = found.groups()
        if of == "dtype" and cell.dtype == dtype:
            return f"{dtype}: {reason}"
        if of == "input":
            path = next((leaf.path for leaf in leaves if leaf.dtype == dtype), None)
            if path is not None:
                return f"input {path} is {dtype}: {reason}"
        if counted and counts[counted] > int(most):
            return f"{counts[counted]} {counted}: {reason}"
    return None


def of_quantised(name: str, cell: Cell, registry: Registry) -> str | None:
    """The reason why a format can't hold a model that PyTorch has quantised, or None where the cell has none."""
    if cell.dtype != INT8:
        return None
    if cell.precision == FAST:
        return f"{INT8}: a fast mode is one of float arithmetic"
    if registry.format(name).QUANTISED:
        return None
    held = ", ".join(other for other in registry.formats if registry.format(other).QUANTISED)
    return f"{INT8}: it doesn't hold models that PyTorch has quantised, as {held} do"


def of_set(limits: Mapping[str, str], prepared: Prepared, entry: InputSet) -> str | None:
    """The reason why an input set can't be tried, or None."""
    exported = prepared.exported_shapes
    for kind, reason in limits.items():
        found = OF_SETS.fullmatch(kind)
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


def of_column(limits: Mapping[str, str], entry: InputSet) -> str | None:
    """The reason why a generated input set can't be tried whatever the case, or None."""
    return limits.get(TRANSPOSED_INPUTS) if entry.name == TRANSPOSED and entry.generated else None
