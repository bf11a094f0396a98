"""Where an exception was raised in a model: by its frames, the submodule that ran and the line of code."""

from __future__ import annotations

import linecache
import os
from collections.abc import Iterator, Mapping
from typing import Any

import torch

_OWN = os.path.dirname(os.path.realpath(torch.__file__)) + os.sep


def where(error: BaseException, model: torch.nn.Module) -> dict[str, Any] | None:
    """The fields of an `Operator` (terms/program.py) of no name; None where nothing of the model ran.

    module, kind: the innermost submodule that ran. file, line, source, target: the innermost line that is not
    PyTorch's own, and the function that it is in.
    """
    paths = {id(module): path for path, module in model.named_modules()}
    found: dict[str, Any] | None = None
    for each in _chain(error):
        found = _in_frames(each, paths) or found
    return found


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An exception, what it was raised for, and so on."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        yield error
        seen.add(id(error))
        error = error.__cause__ or error.__context__


def _in_frames(error: BaseException, paths: Mapping[int, str]) -> dict[str, Any] | None:
    """The same by the frames of one exception. paths: of the model's modules, by identity."""
    found: dict[str, Any] | None = None
    trace = error.__traceback__
    while trace is not None:
        frame, line, trace = trace.tb_frame, trace.tb_lineno, trace.tb_next
        module = frame.f_locals.get("self")
        if isinstance(module, torch.nn.Module) and id(module) in paths:
            path = paths[id(module)]
            if found is None or path != found["module"]:
                found = {"module": path, "kind": type(module).__name__, "file": "", "line": 0, "source": ""}
        file = frame.f_code.co_filename
        if found is not None and not file.startswith("<") and not os.path.realpath(file).startswith(_OWN):
            source = linecache.getline(file, line).strip()
            found |= {"file": file, "line": line, "source": source, "target": frame.f_code.co_name}
    if found is None:
        return None
    return {"name": "", "target": found["kind"], "call": found["source"], **found}
