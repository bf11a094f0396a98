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
    transposed-inputs the set is the generated one with tensors transposed in memory

The last five are judged for each input set: others of the case are run. The very last says nothing of a case: reports
say it once for the column, and its cells are what their other sets come to. A limit is stated only where it was seen;
all else that fails is an error at its stage.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

OF_CASES = re.compile(r"(dtype|input):(\w+)|(inputs|outputs)>(\d+)")
OF_SETS = re.compile(r"(rank|batch)([<>])(\d+)|dynamic-shapes")
# Of the whole column, whatever the case.
TRANSPOSED_INPUTS = "transposed-inputs"
# What a report calls another limit that leaves a generated set out.
STATED = "stated"


def check_limits(limits: Mapping[str, str], module: str) -> None:
    """Raises TypeError for a kind that there is not, naming the module."""
    for kind, reason in limits.items():
        if not (OF_CASES.fullmatch(kind) or OF_SETS.fullmatch(kind) or kind == TRANSPOSED_INPUTS):
            raise TypeError(
                f"{module}: LIMITS has {kind!r}, an unknown kind of limit (pytest_modelconform/terms/limits.py)"
            )
        if not reason.strip():
            raise TypeError(f"{module}: LIMITS[{kind!r}] gives no reason")
