"""Which operators' results are looked at in one run."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from ..terms.program import Operator

# What one run may return. It is kept some twenty times over while it is compared.
MOST_BYTES = 1 << 26

_TENSOR = re.compile(r"(?P<dtype>\w+)\[(?P<shape>[^\]]*)\]")
_BITS = re.compile(r"\d+")


def chosen(operators: Sequence[Operator]) -> list[str]:
    """Names of those whose results fit into one run: all that can be compared, or some, evenly, the last among them."""
    able = [operator for operator in operators if operator.comparable]
    left = sum(map(size, able))
    if left <= MOST_BYTES:
        return [operator.name for operator in able]
    step = left / MOST_BYTES
    found: list[str] = []
    passed = 0.0
    for operator in reversed(able):
        # Each that is taken stands for `step` times its size of what comes before it.
        if passed <= 0:
            found.append(operator.name)
            passed = step * size(operator)
        passed -= size(operator)
    return found[::-1]


def size(operator: Operator) -> int:
    """How many bytes an operator returns, as far as its text tells."""
    total = 0
    for said in operator.returns:
        if match := _TENSOR.fullmatch(said):
            numbers = [int(length) for length in match["shape"].split(",") if length.strip().isdigit()]
            bits = _BITS.findall(match["dtype"])
            total += math.prod(numbers) * (int(bits[0]) // 8 if bits else 1)
    return total
