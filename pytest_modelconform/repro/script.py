"""Puts a script together from parts. See parts/__init__.py."""

from __future__ import annotations

import ast
import importlib.util
import math
import pprint
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PARTS = f"{__package__}.parts"
# Parts that read files and convert arrays: nothing of an upstream project's own API.
_SERVE = ("tensor_files", "torch_arrays")


@dataclass
class Source:
    """What has been read of the parts. body: by module, in the order of the script. functions: of all of them."""

    imports: set[str] = field(default_factory=set)
    body: dict[str, str] = field(default_factory=dict)
    functions: set[str] = field(default_factory=set)


class Code(str):
    """Python that stands in the facts of a script as it is."""

    def __repr__(self) -> str:
        return str(self)


def file_of(module: str) -> Path:
    """Where a part is. Raises ModuleNotFoundError. It is not imported: what it imports may not be installed."""
    found = importlib.util.find_spec(module)
    if found is None or found.origin is None:
        raise ModuleNotFoundError(f"there is no part {module}", name=module)
    return Path(found.origin)


def extra_files(module: str) -> Sequence[Path]:
    """The files that go beside a script: those named like its part, as the C++ that the part compiles."""
    part = file_of(module)
    return sorted(path for path in part.parent.glob(f"{part.stem}.*") if path.suffix in (".cpp", ".h", ".js"))


def title_of(module: str) -> str:
    """What a part's first line calls it: "ONNX Runtime". Raises ModuleNotFoundError."""
    return (ast.get_docstring(ast.parse(file_of(module).read_text())) or module).splitlines()[0].rstrip(".")


def calls_of(module: str) -> str:
    """The text of a part, and of those behind it that call an upstream project, too, as an issue quotes it."""
    source = Source()
    _add(source, module)
    served = {f"{PARTS}.{name}" for name in _SERVE}
    return "\n\n".join(text.split("\n\n", 1)[1].strip() for name, text in source.body.items() if name not in served)


def functions(module: str) -> set[str]:
    """The names of the functions of a part and of those that it is made from."""
    source = Source()
    _add(source, module)
    return source.functions


def assemble(docstring: str, modules: Sequence[str], facts: Mapping[str, Any], ending: str) -> str:
    """The script: parts in order, each before those that it imports, then the facts and the ending.

    Upstream's own calls come first: the rest only serves them.
    """
    source = Source()
    for module in modules:
        _add(source, module)
    plain = sorted(line for line in source.imports if line.startswith("import "))
    named = sorted(line for line in source.imports if line.startswith("from "))
    head = [f'"""{_escaped(docstring)}"""', "", "from __future__ import annotations", "", *plain, *named]
    stated = f"FACTS = {literal(facts)}"
    return "\n".join([*head, "", *source.body.values(), "", stated, "", ending, ""])


def literal(value: Mapping[str, Any]) -> str:
    """A dict as Python, which has no literals for infinity and NaN."""
    return pprint.pformat(_finite(value), width=110, sort_dicts=False)


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return Code(f"float({str(value)!r})")
    if isinstance(value, Mapping):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_finite(entry) for entry in value)
    return value


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"""', "'''")


def _add(source: Source, module: str) -> None:
    """Read a part, then the parts that it imports."""
    if module in source.body:
        return
    text = file_of(module).read_text()
    tree = ast.parse(text)
    lines = text.splitlines()
    parts = []
    first = ast.get_docstring(tree)
    for node in tree.body[1 if first else 0 :]:
        if isinstance(node, ast.ImportFrom) and node.level:
            parts.append(f"{module.rpartition('.')[0]}.{node.module}")
            left_out = True
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            if not (isinstance(node, ast.ImportFrom) and node.module == "__future__"):
                source.imports |= {ast.unparse(node)}
            left_out = True
        else:
            left_out = False
            if isinstance(node, ast.FunctionDef):
                source.functions.add(node.name)
        if left_out:
            for number in range(node.lineno - 1, node.end_lineno or node.lineno):
                lines[number] = ""
    if first:
        for number in range(tree.body[0].lineno - 1, tree.body[0].end_lineno or 1):
            lines[number] = ""
    title = (first or module).splitlines()[0].rstrip(".")
    source.body[module] = f"\n# -- {title} --\n\n" + "\n".join(lines).strip() + "\n"
    for part in parts:
        _add(source, part)
