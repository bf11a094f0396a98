"""What is wrong with the field `exports` of a case, as far as the case alone tells."""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping
from typing import Any

from pytest_modelconform.terms.case import Case
from pytest_modelconform.terms.exports import Export, fault_of_name
from pytest_modelconform.terms.wording import shown

_EXAMPLE = '{"onnx@opset18": Export(options={"opset_version": 18})}'


def fault(case: Case) -> str:
    """The fault, with the remedy; "" if there is none."""
    exports: Any = case.exports
    if not isinstance(exports, Mapping):
        return f"give a dict of exports by format or variant, like {_EXAMPLE}"
    for name, export in exports.items():
        if not isinstance(name, str):
            return f"the key {name!r} is no name of a format; give a dict like {_EXAMPLE}"
        if why := fault_of_name(name):
            return why
        if not isinstance(export, Export):
            return f"{name!r} has a value of type {type(export).__name__}: give an Export(…), like {_EXAMPLE}"
        if why := _fault_of(export):
            return f"{name!r}: {why}"
    return ""


def _fault_of(export: Export) -> str:
    given = [field for field in ("make", "file") if getattr(export, field) is not None]
    has_options = callable(export.options) or not isinstance(export.options, Mapping) or len(export.options) > 0
    if len(given) + has_options > 1:
        return (
            f"it gives {' and '.join([*(['options'] if has_options else []), *given])}: one of them says how it is made"
        )
    if not given and (export.inputs or export.outputs):
        return "inputs= and outputs= are for files of your own: give make= or file=, too"
    if why := _fault_of_options(export.options):
        return why
    if export.make is not None and (why := _fault_of_function(export.make)):
        return why
    if export.file is not None and (not isinstance(export.file, (str, os.PathLike)) or not str(export.file)):
        given_file = shown(export.file)
        return f'file= is the path of a file, relative to the case file, like "artifacts/net.onnx", not {given_file}'
    for field in ("inputs", "outputs"):
        value = getattr(export, field)
        if not isinstance(value, Mapping) or not all(isinstance(t, str) for pair in value.items() for t in pair):
            return f'{field}= is a dict of names by those of the file, like {{"input.1": "x"}}, not {shown(value)}'
    return ""


def _fault_of_options(options: Any) -> str:
    if callable(options):
        return ""
    if not isinstance(options, Mapping) or not all(isinstance(name, str) for name in options):
        said = shown(options)
        return f'options= is a dict by name, like {{"opset_version": 18}}, or a function that returns one, not {said}'
    return ""


def _fault_of_function(make: Any) -> str:
    if not callable(make):
        return f"make= is a function of the model, the inputs and a folder, not {shown(make)}"
    try:
        inspect.signature(make).bind(None, None, None)
    except TypeError:
        return "make= is called with three arguments, the model, its inputs and a folder, and doesn't take them"
    except ValueError:
        pass  # It doesn't say what it takes.
    return ""
