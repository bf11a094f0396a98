"""What is imprecise in whole runs: it fails none, but for who asks for that."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import fakes, runs, synthetic
from tests.support.runs import Run

pytestmark = pytest.mark.compiles

CONFTEST = f"""\
import sys
from pathlib import Path
from types import ModuleType

sys.path.insert(0, {str(fakes.REPOSITORY)!r})

from pytest_modelconform.runtimes.base import python_worker

WORKER = Path({str(Path(synthetic.__file__).with_name("diagnosis_worker.py"))!r})


def pytest_modelconform_register(registry):
    module = ModuleType("wrong_tails")
    module.NAME = "wrong-tails"
    module.FORMATS = ("torchscript-trace",)
    module.command = lambda device, threads, cache, progress: [
        "env", "WRONG=tails", *python_worker(WORKER, device, threads)
    ]
    sys.modules[module.__name__] = module
    registry.add_runtime(module.NAME, module.__name__)
"""
CASE = """\
import torch
from torch import nn

from pytest_modelconform import Case, Tolerance, generic_weights


class Detector(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(24, 64), nn.Linear(64, 90)

    def forward(self, x):
        return torch.sigmoid(8 * self.second(torch.relu(self.first(x))) - 6)


inputs = {"a": lambda: (torch.randn(70, 24),), "b": lambda: (torch.randn(70, 24),)}
case = Case(model=lambda: generic_weights(Detector()), inputs=inputs, tolerance=Tolerance(strict=STRICT))
"""
EXPECTED = """\
[[expect]]
cell = "*.py::*[torchscript_trace-wrong_tails-cpu]"
verdict = "imprecise"
stage = "compare"
reason = "its sigmoid is right to 1e-7 only"
"""
LAX, STRICT = (f"{name}[torchscript_trace-wrong_tails-cpu]" for name in ("lax", "strict"))


@pytest.fixture
def folder(session_folder: Path, found: Run) -> Path:
    return session_folder / "imprecise"


@pytest.fixture
def found(session_folder: Path) -> Run:
    """Two cases, one of which is strict."""

    def make(folder: Path) -> Run:
        files = {f"{name}.py": CASE.replace("STRICT", str(name == "strict")) for name in ("lax", "strict")}
        runs.write(folder, {**files, "conftest.py": CONFTEST})
        return runs.run(folder, runtimes="wrong-tails")

    return runs.once(session_folder, "imprecise", make)


@pytest.fixture
def expected(folder: Path) -> Iterator[Path]:
    with runs.alone(folder.parent, "imprecise-expected"):
        path = folder / "expected.toml"
        path.write_text(EXPECTED)
        yield path
        path.unlink()


def test_it_is_found_with_what_is_lost(found: Run) -> None:
    assert {name: found.verdict(name) for name in (LAX, STRICT)} == dict.fromkeys(
        (LAX, STRICT), ("imprecise", "compare")
    )
    record = found.cells[LAX]
    assert record["bits"] > 16
    assert (record["hints"], record["strict"], record["inputs"]["a"]["verdict"]) == ([], False, "imprecise")
    assert " bits of the tensor's scale; values below " in record["message"]


def test_only_the_strict_one_fails(found: Run) -> None:
    assert found.status == 1
    assert found.cells[STRICT]["strict"]
    assert "what is imprecise fails here, as asked for by Tolerance(strict=True)" in found.failure(
        f"strict.py::{STRICT}"
    )
    assert f"lax.py::{LAX}: imprecise at stage" not in found.stdout
    assert f"{LAX}: imprecise: input set 'a'" in found.stdout
    assert "1 failed, 3 passed" in found.stdout


def test_the_command_line_may_be_strict(folder: Path, pytester: pytest.Pytester) -> None:
    # Without the option it passes, as above.
    strict = runs.run_here(pytester, folder, "lax.py", "--modelconform-strict", runtimes="wrong-tails")
    assert (strict.status, strict.verdict(LAX)) == (1, ("imprecise", "compare"))
    assert strict.message(LAX).endswith("\nwhat is imprecise fails here, as asked for by --modelconform-strict")
    assert "rerun: pytest --modelconform --modelconform-formats=torchscript-trace" in strict.stdout
    assert "--modelconform-strict 'lax.py::" in strict.stdout


def test_expected_toml_may_name_it(folder: Path, expected: Path, pytester: pytest.Pytester) -> None:
    known = runs.run_here(pytester, folder, runtimes="wrong-tails")
    assert known.status == 0, known.stdout
    assert [known.cells[name]["expected"] for name in (LAX, STRICT)] == [True, True]
    # The entry is strict: one that names another verdict fails.
    expected.write_text(EXPECTED.replace("imprecise", "mismatch"))
    contradicted = runs.run_here(pytester, folder, "lax.py", runtimes="wrong-tails")
    assert contradicted.status == 1
    assert "expects mismatch at stage compare" in contradicted.message(LAX)
