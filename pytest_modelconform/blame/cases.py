"""The text of a part's case file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..terms.cell import CaseRef
from ..terms.program import Part

# What the case is called in it.
NAME = "part"


def text_of(ref: CaseRef, part: Part, outputs: Sequence[str], sets: Sequence[str], given: Mapping[str, Any]) -> str:
    """The case file of a part of a case. outputs: of which operators the results are; sets: input sets; given: more."""
    fields: dict[str, Any] = {
        "file": str(ref.file),
        "relative": ref.relative,
        "case": ref.name,
        "dtype": ref.dtype,
        "operators": tuple(part.operators),
        "outputs": tuple(outputs),
        "fixed": tuple(part.fixed),
        "sets": tuple(sets),
        "way": part.way,
        **given,
    }
    lines = [f"    {name}={value!r}," for name, value in fields.items() if value not in ((), "")]
    call = "\n".join([f"{NAME} = part_case(", *lines, ")"])
    return f"from pytest_modelconform.terms.part_case import part_case\n\n{call}\n"
