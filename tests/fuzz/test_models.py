"""Models and inputs with a hundred faults: what is found when they are built and run is a message, too.

The case host is this process, as for models that a test has in hand: every one of its own would take seconds.
"""

from __future__ import annotations

import random
import re
from collections.abc import Generator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import torch

from pytest_modelconform.cells.machinery import Machinery, Place
from pytest_modelconform.cells.registry import Registry, register_built_in
from pytest_modelconform.cells.settings import Settings
from pytest_modelconform.terms.cell import CaseRef
from pytest_modelconform.terms.outcome import Stage
from tests.fuzz.drawing import drawn
from tests.fuzz.model_faults import KINDS
from tests.fuzz.test_case_files import MOST_LINES, OURS

EACH = 14


@pytest.fixture
def machinery(tmp_path: Path, cache: Path) -> Generator[Machinery]:
    registry = Registry()
    register_built_in(registry)
    nothing: dict[str, Any] = dict.fromkeys((field.name for field in fields(Settings)), ())
    settings = Settings(**{**nothing, "cache": tmp_path / "cache", "timeout": 60.0, "inline": False})
    made = Machinery(registry, settings, Place(tmp_path, [str(tmp_path)], print), inline_host=True)
    threads, grad, state = torch.get_num_threads(), torch.is_grad_enabled(), random.getstate()
    try:
        yield made
    finally:
        made.close()
        torch.set_num_threads(threads)
        torch.set_grad_enabled(grad)
        random.setstate(state)


@pytest.mark.parametrize("kind", KINDS)
def test_each_is_one_cells_message(kind: str, machinery: Machinery, tmp_path: Path) -> None:
    wrong, failed = [], 0
    stem = re.sub(r"\W", "_", kind)
    for number, fault in enumerate(drawn(KINDS[kind], EACH)):
        file = tmp_path / f"{stem}_{number}.py"
        file.write_bytes(fault.text)
        declaration = machinery.declare(file)
        assert declaration.problem is None, declaration.problem
        [declared] = declaration.cases
        assert declared.fault is None, declared.fault
        outcome = machinery.pipeline.check(CaseRef(file, file.name, "odd"))
        if not outcome.failed:
            continue
        failed += 1
        message = outcome.message
        lines = message.splitlines()
        faulty = [
            *([f"{len(lines)} lines"] if len(lines) > MOST_LINES else []),
            *(["a line too long to be read"] if any(len(line) > 1000 for line in lines) else []),
            *(["no message"] if not message.strip() else []),
            *(["a frame of ours"] if OURS.search(message) or "pytest_modelconform" in message else []),
            *(["names no case"] if "'odd'" not in message else []),
            *(
                ["is no fault of the case"]
                if outcome.stage not in (Stage.BUILD, Stage.REFERENCE, Stage.COLLECT)
                else []
            ),
        ]
        if faulty:
            wrong.append(f"{kind}, {fault.text[900:]!r}: {'; '.join(faulty)}:\n    {message[:1500]}")
    assert failed
    assert not wrong, f"{len(wrong)} of {failed}:\n" + "\n".join(wrong)
