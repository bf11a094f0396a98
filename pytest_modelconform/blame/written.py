"""A small case as somebody would write it: the text of its file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .numbers import expression
from .sketch import INPUT, OTHER, PARAMETER, Choice, Line, Sketch, Value

# The case's name, and that of its file and of the tensors beside it.
NAME, FILE, TENSORS = "part", "part.py", "part.pt"
MOST_LINES, _WIDTH = 40, 110


class TooLong(Exception):
    """The file would have more than `MOST_LINES` lines below its docstring."""


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
    values = {value.name: value for value in sketch.values} | {OTHER + value.name: value for value in sketch.others}
    tensors = {key: expression(sketch, choice, value, facts.dtype, texts, key) for key, value in values.items()}
    reads = any("tensors[" in text for text in tensors.values())
    packages = sorted({line.imports for line in sketch.lines if line.imports})
    # Logs and pages show the text alone.
    beside = f"It reads {TENSORS}, which `modelconform blame -o DIR` writes beside it."
    said = [*_docstring([*facts.said, *[beside] * reads]), ""]
    lines = []
    if reads:
        lines += ["from pathlib import Path", ""]
    lines += ["import torch", *(f"import {name}" for name in packages), ""]
    ours = ["Case", *["Export"] * bool(facts.export[0]), *["Tolerance"] * bool(facts.tolerance)]
    lines += [f"from pytest_modelconform import {', '.join(ours)}", ""]
    if reads:
        lines += [f'tensors = torch.load(Path(__file__).with_name("{TENSORS}"), weights_only=True)', ""]
    if not sketch.layer:
        lines += ["", *_model(sketch, choice, tensors), "", ""]
    lines += _case(sketch, facts, tensors, packages, reads)
    # What is said differs from try to try; who has found an example has to be able to write it with more words.
    if len(lines) > MOST_LINES:
        raise TooLong
    return "\n".join(said + lines) + "\n"


def _case(sketch: Sketch, facts: Facts, tensors: Mapping[str, str], packages: Sequence[str], reads: bool) -> list[str]:
    lines = [f"{NAME} = Case(", f"    model={f'lambda: {sketch.layer}' if sketch.layer else 'Model'},"]
    names = [value.name for value in sketch.values if value.kind == INPUT]
    given = {"one": [tensors[name] for name in names]}
    if sketch.others:
        given["two"] = [tensors[OTHER + name] for name in names]
    lines += _inputs(given)
    if sketch.varies:
        axes = {name: ", ".join(f"{axis}: {dim}" for axis, dim in found) for name, found in sketch.varies.items()}
        said = ", ".join(f'"{name}": {{{found}}}' for name, found in axes.items())
        lines.append(f"    dynamic_shapes={{{said}}},")
    if sketch.layer and sketch.mode != "eval":
        lines.append(f'    mode="{sketch.mode}",')
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
    which = "these input sets show it" if sketch.others else "this input set shows it"
    return [*lines, f'    fixed_inputs="{which}",', ")"]


def _inputs(given: Mapping[str, Sequence[str]]) -> list[str]:
    """The input sets, each in one line where there is room."""
    sets = {name: f'"{name}": lambda: ({", ".join(texts)}{"," * (len(texts) == 1)})' for name, texts in given.items()}
    if len(sets) == 1 and len(sets["one"]) <= _WIDTH:
        return [f"    inputs={{{sets['one']}}},"]
    lines = ["    inputs={"]
    for name, texts in given.items():
        whole = f"        {sets[name]},"
        broken = [f'        "{name}": lambda: (', *(f"            {text}," for text in texts), "        ),"]
        lines += [whole] if len(whole) <= _WIDTH else broken
    return [*lines, "    },"]


def _model(sketch: Sketch, choice: Choice, tensors: Mapping[str, str]) -> list[str]:
    lines = ["class Model(torch.nn.Module):"]
    if weights := [value for value in sketch.values if value.kind != INPUT]:
        lines += ["    def __init__(self):", "        super().__init__()"]
        lines += [f"        {_weight(value, tensors[value.name])}" for value in weights]
        lines.append("")
    names = "".join(f", {value.name}" for value in sketch.values if value.kind == INPUT)
    lines.append(f"    def forward(self{names}):")
    return [*lines, *(f"        {line}" for line in _body(sketch, choice))]


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


def _quoted(name: str) -> str:
    return f'"{name}"'
