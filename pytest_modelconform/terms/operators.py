"""Operators of a case's own: what registers them, by who loads it. Imports neither torch nor numpy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

SOURCES = (".cpp", ".cc", ".cxx")
LIBRARIES = (".so", ".dylib")
PYTHON = ".py"
# Who loads what registers operators: fields of `Operators`, and what runtimes say in OPERATORS. PyTorch in Python also
# imports modules, which is a kind of its own, since PyTorch in C++ can't.
TORCH, ONNXRUNTIME, OPENVINO, EXECUTORCH = KINDS = ("torch", "onnxruntime", "openvino", "executorch")
MODULES = "modules"
LOADABLE = (*KINDS, MODULES)


@dataclass(frozen=True, kw_only=True)
class Operators:
    """What registers the operators of one's own that a model calls. See docs/own-operators.md.

    Each field is a tuple of names, in the order of loading. A C++ source (`.cpp`), which is compiled on first use, a
    shared library (`.so`, `.dylib`) and a Python file (`.py`) are relative to the case file; any other name is a module
    that is imported.

    torch: for PyTorch, in Python and in C++ (`TORCH_LIBRARY`); files and modules in Python (`torch.library`) serve
        processes in Python only.
    onnxruntime: for ONNX Runtime, in Python and in C++: libraries with `RegisterCustomOps`, or their sources.
    openvino: for OpenVINO, in Python and in C++, and for its converter: libraries of extensions, or their sources.
    executorch: for ExecuTorch: libraries with `EXECUTORCH_LIBRARY`, or their sources.
    translations: a function without arguments that returns how ONNX's exporters write the operators: by overload
        (`torch.ops.mine.shrink.default`) functions in onnxscript for `onnx`, as `torch.onnx.export` takes them in
        `custom_translation_table`; by name (`"mine::shrink"`) functions for `onnx-legacy`, as
        `torch.onnx.register_custom_op_symbolic` takes them.
    """

    torch: tuple[str, ...] = ()
    onnxruntime: tuple[str, ...] = ()
    openvino: tuple[str, ...] = ()
    executorch: tuple[str, ...] = ()
    translations: Callable[[], Mapping[Any, Callable[..., Any]]] | None = None


def is_file(name: str) -> bool:
    """Whether a name is a file's rather than a module's."""
    return name.endswith((*SOURCES, *LIBRARIES, PYTHON))


def is_native(name: str) -> bool:
    """Whether a name is that of a library or its source, which C++ can load."""
    return name.endswith((*SOURCES, *LIBRARIES))


def named(operators: Any, case_file: str) -> dict[str, list[str]]:
    """The names by kind, with absolute paths of files; nothing where a case has no operators of its own."""
    folder = Path(case_file).absolute().parent
    found: dict[str, list[str]] = {}
    # What is no name or no `Operators` is a fault, which is told elsewhere.
    for kind in KINDS if isinstance(operators, Operators) else ():
        given = getattr(operators, kind)
        names = [name for name in given if isinstance(name, str)] if isinstance(given, (tuple, list)) else []
        if names:
            found[kind] = [str(folder / name) if is_file(name) else name for name in names]
    return found


def fault(operators: Any, case_file: str) -> str:
    """What is wrong with a case's field `operators`, and the remedy; "" if nothing is."""
    if operators is None:
        return ""
    if not isinstance(operators, Operators):
        return f'give Operators(torch=("net_ops.cpp",)), not a value of type {type(operators).__name__}'
    for kind in KINDS:
        names: Any = getattr(operators, kind)
        if not isinstance(names, (tuple, list)) or not all(isinstance(name, str) and name for name in names):
            like = f"({names!r},)" if isinstance(names, str) else '("net_ops.cpp",)'
            return f"{kind} is a tuple of names, like {like}, not a value of type {type(names).__name__}"
        for name in names:
            if why := _fault_of_name(kind, name):
                return f"{kind} has {name!r}, {why}"
    translations: Any = operators.translations
    if translations is not None and not callable(translations):
        return "translations is a function without arguments that returns a dict: `translations=lambda: {…}`"
    for path in (path for names in named(operators, case_file).values() for path in names if is_file(path)):
        if not Path(path).is_file():
            return f"{path} doesn't exist: names of files are relative to the case file"
    return ""


def _fault_of_name(kind: str, name: str) -> str:
    ends = (*SOURCES, *LIBRARIES, *((PYTHON,) if kind == TORCH else ()))
    if name.endswith(ends) or (kind == TORCH and not is_file(name) and all(map(str.isidentifier, name.split(".")))):
        return ""
    modules = ", or the name of a module" if kind == TORCH else ""
    return f"which isn't a file that ends in {', '.join(ends)}{modules}"


def said(names: Sequence[str]) -> str:
    """Names as messages have them: files without their folders."""
    return ", ".join(PurePath(name).name if is_file(name) else name for name in names)
