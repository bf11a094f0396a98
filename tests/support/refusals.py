"""What exporters say of cases that they refuse."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from pytest_modelconform.advice.failure import Failure
from pytest_modelconform.terms.outcome import Stage
from pytest_modelconform.workers.host.build import build
from pytest_modelconform.workers.host.state import Globals
from pytest_modelconform.workers.loop import describe
from pytest_modelconform.workers.torch_tensors import leaves


def said(function: Callable[[], object], stage: Stage = Stage.EXPORT) -> Failure:
    """What a cell would say of what a function raises."""
    with pytest.raises(Exception) as raised:  # noqa: PT011 (all kinds are asked for)
        function()
    error = describe(raised.value)
    message = f"{error['type']}: {error['message']}" if error["type"] else error["message"]
    return Failure(Stage(error["stage"] or stage), message)


def export(file: Path, case: str, format_name: str, folder: Path) -> None:
    """Export a case of a file, as the case host does it."""
    before = Globals()
    built = build(str(file), file.name, case)
    format_module: Any = importlib.import_module(f"pytest_modelconform.formats.{format_name.replace('-', '_')}")
    folder.mkdir()
    args, kwargs = built.clone_inputs()
    try:
        with torch.no_grad():
            built.output_paths = [path for path, _ in leaves(built.model(*args, **kwargs))]
            format_module.export(built, folder)
    finally:
        before.restore()
