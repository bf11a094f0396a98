"""Words that hints share."""

from __future__ import annotations

import math
from collections.abc import Sequence


def listed(names: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`; of more than four, the first three and how many there are beside."""
    shown = list(names) if len(names) <= 4 else [*names[:3], f"{len(names) - 3} more"]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def outputs(paths: Sequence[str]) -> str:
    """Outputs by path, as the subject of a sentence in the singular: "output[0]", "each of output[0] and output[1]"."""
    names = [f"output{path}" for path in paths]
    return names[0] if len(names) == 1 else f"each of {listed(names)}"


def shape(lengths: Sequence[int]) -> str:
    """`(2, 3)`."""
    return f"({', '.join(str(length) for length in lengths)}{',' if len(lengths) == 1 else ''})"


def factor(value: float, lengths: Sequence[int] = ()) -> str:
    """A factor to six digits, with the name of the number that it is: "0.00392157 (1/255)". lengths: of the axes."""
    known: list[tuple[float, str]] = [(1.0, "1"), (255.0, "255"), (256.0, "256"), (math.pi / 180, "pi/180")]
    known += [(math.log(2), "ln 2"), (math.log(10), "ln 10"), (math.sqrt(2), "sqrt(2)")]
    for length in sorted(set(lengths)):
        if length > 1:
            known += [(float(length), f"{length}, the length of an axis"), (math.sqrt(length), f"sqrt({length})")]
            known.append(
                (length / (length - 1), f"{length}/{length - 1}: a variance with and without Bessel's correction")
            )
    text = f"{value:.6g}"
    for number, name in known:
        for candidate, words in ((number, name), (1 / number, _inverse(name))):
            if abs(value / candidate - 1) < 1e-5:
                plain = words.partition(",")[0].partition(":")[0]
                return text + (f" ({words})" if plain != text else words.removeprefix(plain))
    return text


def _inverse(name: str) -> str:
    plain, colon, rest = name.partition(":")
    if colon:
        top, _, bottom = plain.partition("/")
        return f"{bottom}/{top}:{rest}"
    number, comma, rest = name.partition(",")
    return f"1/({number})" if "/" in number else f"1/{number}{comma}{rest}"
