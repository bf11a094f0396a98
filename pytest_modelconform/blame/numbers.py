"""A tensor of a small case as an expression: random numbers, regular ones, or the model's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .sketch import LIKE, PLAIN, Choice, Sketch, Value

_FLOATS = ("float16", "bfloat16", "float32", "float64")


def expression(sketch: Sketch, choice: Choice, value: Value, dtype: str, texts: Mapping[str, str], key: str) -> str:
    """A tensor as an expression. key: its name among tensors that are the model's own."""
    recipe, shape = choice.recipes[value.name], choice.shape(sketch, value)
    # Floating-point tensors in the cell's dtype are written in float32, and cast with the case.
    kind = "" if value.dtype in (dtype, "float32") else f", dtype=torch.{value.dtype}"
    if recipe not in (PLAIN, LIKE):
        text = "" if value.order else texts.get(key, "")
        return f"torch.tensor({text}{kind})" if text else f'tensors["{key}"]'
    if recipe == LIKE and value.order:
        outermost = [shape[axis] for axis in value.order]
        back = [value.order.index(axis) for axis in range(len(shape))]
        return f"{_random(value, recipe, outermost, kind, None)}.permute({_said(back)})"
    return _random(value, recipe, shape, kind, choice.below(sketch, value.name))


def _random(value: Value, recipe: str, shape: Sequence[int], kind: str, below: int | None) -> str:
    """Numbers without the model's: random, or as regular as the model's are."""
    sized = _said(shape) if shape else "()"
    is_float, is_bool = value.dtype.startswith(("float", "bfloat")), value.dtype == "bool"
    if value.pattern == "full":
        return _full(value, sized, kind, _whole(value.low, below))
    if value.pattern == "arange":
        return f"torch.arange({sized}{kind.replace(', dtype=torch.int64', '')})"
    if value.pattern:
        return f"torch.ones({sized}, dtype=torch.bool).{value.pattern}()"
    if value.dtype.startswith("complex"):
        return f"torch.randn({sized}{kind})"
    if is_bool:
        return f"torch.rand({sized}) < {min(max(round(value.mean, 1), 0.1), 0.9)}"
    if not is_float:
        low, high = _whole(value.low, below), _whole(value.high, below)
        tail = kind.replace(", dtype=torch.int64", "")
        return f"torch.randint({low}, {high + 1}, ({sized}{',' if len(shape) == 1 else ''}){tail})"
    if kind and value.dtype not in _FLOATS:
        return f"{_bracketed(_floats(value, recipe, sized, ''))}.to(torch.{value.dtype})"
    return _floats(value, recipe, sized, kind)


def _floats(value: Value, recipe: str, sized: str, kind: str) -> str:
    function = "rand" if value.low >= 0 else "randn"
    drawn = f"torch.{function}({sized}{kind})"
    if recipe == PLAIN:
        # What is never zero may be divided by, or have its logarithm taken.
        return f"{drawn} + 0.5" if value.low > 0 else drawn
    scale = _rounded(value.high - value.low if value.low >= 0 else value.deviation)
    begin = value.low if value.low >= 0 else value.mean
    text = drawn if scale == 1 else f"{_number(scale)} * {drawn}"
    matters = abs(begin) > scale / 4
    return f"{text} {'+' if begin > 0 else '-'} {_number(abs(_rounded(begin)))}" if matters else text


def _full(value: Value, sized: str, kind: str, whole: int) -> str:
    if value.dtype == "bool":
        return f"torch.{'ones' if value.low else 'zeros'}({sized}, dtype=torch.bool)"
    is_float = value.dtype.startswith(("float", "bfloat"))
    if value.finite and is_float and value.low in (0, 1):
        return f"torch.{'ones' if value.low else 'zeros'}({sized}{kind})"
    shape = sized if sized == "()" else f"({sized}{',' if ',' not in sized else ''})"
    number = str(whole) if not is_float else repr(value.low) if value.finite else 'float("-inf")'
    return f"torch.full({shape}, {number}{kind.replace(', dtype=torch.int64', '')})"


def _whole(number: float, below: int | None) -> int:
    return int(number) if below is None else min(int(number), below - 1)


def _said(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))


def _rounded(number: float) -> float:
    """To one digit."""
    return float(f"{number:.0e}")


def _number(number: float) -> str:
    return str(int(number)) if number == int(number) and abs(number) < 1e6 else repr(number)


def _bracketed(text: str) -> str:
    return f"({text})" if " + " in text or " - " in text or " * " in text else text
