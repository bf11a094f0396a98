"""A small case as somebody would write it: the text of its file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .sketch import INPUT, LIKE, PARAMETER, PLAIN, Choice, Line, Sketch, Value

# The case's name, and that of its file and of the tensors beside it.
NAME, FILE, TENSORS = "part", "part.py", "part.pt"
MOST_LINES, _WIDTH = 40, 110
_FLOATS = ("float16", "bfloat16", "float32", "float64")


class TooLong(Exception):
    """The file would have more than `MOST_LINES` lines."""


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What a file says beside the call. said: its docstring, paragraph by paragraph. dtype: the cell's.

    export: the column that options are given for, and these as Python; "" for none. tolerance: as Python, "" for the
    usual one.
    """

    said: Sequence[str]
    dtype: str = "float32"
    export: tuple[str, str] = ("", "")
    tolerance: str = ""


def written(sketch: Sketch, choice: Choice, facts: Facts, texts: Mapping[str, str]) -> str:
    """The text of the file. texts: what the model's small tensors are in Python, by name. Raises TooLong."""
    weights = [value for value in sketch.values if value.kind != INPUT]
    inputs = [value for value in sketch.values if value.kind == INPUT]
    tensors = {value.name: _tensor(sketch, choice, value, facts.dtype, texts) for value in sketch.values}
    lines = [*_docstring(facts.said), ""]
    reads = any("tensors[" in text for text in tensors.values())
    if reads:
        lines += ["from pathlib import Path", ""]
    packages = sorted({line.imports for line in sketch.lines if line.imports})
    lines += ["import torch", *(f"import {name}" for name in packages), ""]
    ours = ["Case", *["Export"] * bool(facts.export[0]), *["Tolerance"] * bool(facts.tolerance)]
    lines += [f"from pytest_modelconform import {', '.join(ours)}", ""]
    if reads:
        lines += [f'tensors = torch.load(Path(__file__).with_name("{TENSORS}"), weights_only=True)', ""]
    lines += ["", "class Model(torch.nn.Module):"]
    if weights:
        lines += ["    def __init__(self):", "        super().__init__()"]
        lines += [f"        {_weight(value, tensors[value.name])}" for value in weights]
        lines.append("")
    lines.append(f"    def forward(self{''.join(f', {value.name}' for value in inputs)}):")
    lines += [f"        {line}" for line in _body(sketch, choice)]
    given = ", ".join(tensors[value.name] for value in inputs) + ("," if len(inputs) == 1 else "")
    lines += ["", "", "part = Case(", "    model=Model,", f'    inputs={{"one": lambda: ({given})}},']
    if facts.dtype != "float32":
        lines.append(f'    dtypes=("{facts.dtype}",),')
    if facts.tolerance:
        lines.append(f"    tolerance={facts.tolerance},")
    if facts.export[0]:
        lines.append(f'    exports={{"{facts.export[0]}": Export(options={facts.export[1]})}},')
    if reads:
        lines.append(f'    files=("{TENSORS}",),')
    if packages:
        lines.append(f"    requires=({', '.join(map(_quoted, packages))},),")
    lines += ['    fixed_inputs="this input set shows it",', ")"]
    text = "\n".join(lines) + "\n"
    if text.count("\n") > MOST_LINES:
        raise TooLong
    return text


def _docstring(said: Sequence[str]) -> list[str]:
    lines = "\n\n".join(said).replace("\\", "\\\\").replace('"""', "'''").split("\n")
    return [f'"""{lines[0]}', *lines[1:], '"""'] if len(lines) > 1 else [f'"""{lines[0]}"""']


def _body(sketch: Sketch, choice: Choice) -> list[str]:
    """The lines of forward. The last call is returned as it is where that is all that is returned."""
    literals = choice.literals(sketch)
    ends = bool(sketch.lines) and sketch.returns == [sketch.lines[-1].assigns]
    found: list[str] = []
    for place, line in enumerate(sketch.lines):
        begin = "return " if ends and place == len(sketch.lines) - 1 else f"{line.assigns} = "
        found += _call(begin, line, _arguments(line, place, choice, literals))
    return found if ends else [*found, f"return {', '.join(sketch.returns)}"]


def _arguments(line: Line, place: int, choice: Choice, literals: Sequence[int]) -> list[str]:
    found = []
    for argument in line.arguments:
        if (place, argument.name) not in choice.dropped:
            text = "".join(part if isinstance(part, str) else str(literals[part]) for part in argument.text)
            found.append(f"{argument.name}={text}" if argument.name else text)
    return found


def _call(begin: str, line: Line, arguments: Sequence[str]) -> list[str]:
    """A call in a line, or in as few as it takes."""
    if not line.function:
        return [begin + arguments[0]]
    function = line.function
    if line.method:
        function, arguments = f"{arguments[0]}.{function}", arguments[1:]
    whole = f"{begin}{function}({', '.join(arguments)})"
    if len(whole) <= _WIDTH:
        return [whole]
    rows = [""]
    for argument in arguments:
        if rows[-1] and len(rows[-1]) + len(argument) > _WIDTH:
            rows.append("")
        rows[-1] += f"{' ' * bool(rows[-1])}{argument},"
    return [f"{begin}{function}(", *(f"    {row}" for row in rows), ")"]


def _weight(value: Value, text: str) -> str:
    name = value.name.removeprefix("self.")
    if value.kind == PARAMETER:
        return f"self.{name} = torch.nn.Parameter({text})"
    return f'self.register_buffer("{name}", {text})'


def _tensor(sketch: Sketch, choice: Choice, value: Value, dtype: str, texts: Mapping[str, str]) -> str:
    """A tensor as an expression."""
    recipe, shape = choice.recipes[value.name], choice.shape(sketch, value.name)
    # Floating-point tensors in the cell's dtype are written in float32, and cast with the case.
    kind = "" if value.dtype in (dtype, "float32") else f", dtype=torch.{value.dtype}"
    if recipe not in (PLAIN, LIKE):
        text = "" if value.order else texts.get(value.name, "")
        return f"torch.tensor({text}{kind})" if text else f'tensors["{value.name}"]'
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


def _quoted(name: str) -> str:
    return f'"{name}"'
