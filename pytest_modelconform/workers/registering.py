"""Registering operators of a case's own in PyTorch, in the case host and in the processes that load its artifacts."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Sequence
from typing import Any

import torch

from pytest_modelconform.terms.operators import LIBRARIES, PYTHON

from .loop import WorkerError
from .module_file import file_of

# Folders of cases' modules, added to sys.path.
_added: list[str] = []


def register(names: Sequence[str], path: Sequence[str] = ()) -> None:
    """Load libraries and Python files (absolute paths) and import modules, each once a process.

    path: folders to look for modules in, behind all others. Raises WorkerError naming what can't be loaded, and why.
    """
    for folder in path:
        _look_in(folder)
    for name in names:
        what = os.path.basename(name)
        try:
            if name.endswith(LIBRARIES):
                torch.ops.load_library(name)  # type: ignore[no-untyped-call]
            elif name.endswith(PYTHON):
                _import_file(name)
            else:
                importlib.import_module(name)
        except Exception as error:
            fault = f"field 'operators': {what} can't be loaded: {type(error).__name__}: {error}"
            raise WorkerError(fault, "", "", "") from error


def packages(namespaces: Sequence[str]) -> None:
    """Import the packages that register these namespaces of operators, which are called as they are.

    Those that are registered already, by whatever, are left alone. Raises WorkerError for one that nothing registers.
    """
    known = {name.partition("::")[0] for name in registered()}
    for namespace in namespaces:
        if namespace in known:
            continue
        if not _is_installed(namespace):
            raise WorkerError(
                f"the artifact calls operators of {namespace!r} (as in {namespace}::…), which nothing in this process "
                "has registered, and there is no package of that name",
                kind="ModuleNotFoundError",
            )
        importlib.import_module(namespace)


def containers(modules: Sequence[str], path: Sequence[str] = ()) -> None:
    """Import the modules that register the classes which a program takes or returns. Raises WorkerError.

    modules: names, some with a function to call, "module:function". path: folders to look for modules in, behind all
    others.
    """
    for folder in path:
        _look_in(folder)
    for entry in modules:
        name, _, function = entry.partition(":")
        try:
            module = importlib.import_module(name)
            if function:
                getattr(module, function)()
        except Exception as error:
            raise WorkerError(
                f"the program takes or returns a class of {name}, which can't be imported where it is loaded: "
                f"{type(error).__name__}: {error}",
                kind=type(error).__name__,
            ) from error


def _is_installed(package: str) -> bool:
    """Whether there is such a package. A case file is none, though it may have the name of its operators' namespace."""
    before = sys.path
    sys.path = [folder for folder in before if folder not in _added]
    try:
        return importlib.util.find_spec(package) is not None
    finally:
        sys.path = before


def registered() -> list[str]:
    """All operators of this process, "namespace::name.overload"."""
    dispatcher: Any = torch._C
    found: list[str] = dispatcher._dispatch_get_all_op_names()
    return found


def _look_in(folder: str) -> None:
    if folder not in sys.path:
        sys.path.append(folder)
        _added.append(folder)


def _import_file(path: str) -> None:
    """Import a file under its name, unless it was imported already, under whatever name: operators register once."""
    real = os.path.realpath(path)
    for module in list(sys.modules.values()):
        file = file_of(module)
        if file and os.path.realpath(file) == real:
            return
    name = os.path.splitext(os.path.basename(path))[0]
    # An installed module of that name is another one.
    name = name if name not in sys.modules else f"modelconform_operators.{name}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
