"""Another package's format and runtime, in an environment of their own, through the hook, and `doctor` and `env`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from pytest_modelconform.runtimes.base import WORKERS
from tests.support import fakes, outside, runs, shared
from tests.support.runs import Run

pytestmark = pytest.mark.installs

CONFTEST = f"""\
import sys

sys.path.insert(0, {str(fakes.REPOSITORY)!r})
from tests.support.outside import pytest_modelconform_register
"""

# One that the converter dies of, one that it refuses, and one with a dtype that the format states as its limit.
OTHERS = """\
import torch

from pytest_modelconform import Case


class Op(torch.nn.Module):
    def __init__(self, op):
        super().__init__()
        self.op = op
        self.weight = torch.nn.Parameter(torch.tensor([0.7, 1.3]))

    def forward(self, x):
        return self.op(x * self.weight)


inputs = {"a": lambda: (torch.rand(2, 2),)}
dies = Case(model=lambda: Op(torch.erf), inputs=inputs)
refused = Case(model=lambda: Op(torch.sin), inputs=inputs)
good = Case(model=lambda: Op(torch.tanh), inputs=inputs, dtypes=("float32", "bfloat16"))
"""
OPTIONS = ("--modelconform-formats=onnx,outside", "--modelconform-runtimes=ort,outside", "--modelconform-threads=0")


@pytest.fixture
def seen(session_folder: Path, cache: Path) -> Run:
    def make(folder: Path) -> Run:
        shared.installed(outside.OLD_ONNX)
        runs.write(folder, {"conftest.py": CONFTEST, "plain.py": runs.PLAIN, "others.py": OTHERS})
        return runs.run(folder, *OPTIONS, runtimes="ort,outside", seconds=600)

    return runs.once(session_folder, "outside", make)


def test_a_model_goes_through_the_converter_and_runs_in_the_other_python(seen: Run) -> None:
    assert seen.verdict("plain[outside-outside-cpu]") == ("pass", None), seen.stdout
    assert seen.verdict("good[outside-outside-cpu]") == ("pass", None)
    assert seen.cells["good[outside-outside-cpu]"]["bits"] > 20
    # What its source runs in is another cell.
    assert seen.verdict("plain[onnx-ort-cpu]") == ("pass", None)


def test_a_converter_that_dies_is_one_cells_crash(seen: Run) -> None:
    assert seen.verdict("dies[outside-outside-cpu]") == ("crash", "export")
    assert "SIGABRT" in seen.message("dies[outside-outside-cpu]")
    assert seen.verdict("dies[onnx-ort-cpu]") == ("pass", None)


def test_what_a_converter_refuses_is_an_error_at_export(seen: Run) -> None:
    assert seen.verdict("refused[outside-outside-cpu]") == ("error", "export")
    assert "no sine here" in seen.message("refused[outside-outside-cpu]")


def test_a_stated_limit_is_unsupported_with_its_reason(seen: Run) -> None:
    name = "good[outside-outside-cpu-bfloat16]"
    assert seen.verdict(name) == ("unsupported", "export")
    assert seen.message(name) == ("format outside can't: bfloat16: onnx 1.17's evaluator computes it in float32")


def command(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pytest_modelconform", *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(fakes.REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
    )


def line(text: str, *starts: str) -> Sequence[str]:
    """The words of the one line that begins with these."""
    found = [words for words in map(str.split, text.splitlines()) if words[: len(starts)] == list(starts)]
    assert len(found) == 1, text
    return found[0]


def test_doctor_lists_it(seen: Run, session_folder: Path) -> None:
    done = command(session_folder / "outside", "doctor")
    assert (done.returncode, done.stderr.strip()) == (0, "")
    formats, runtimes = done.stdout.split("\n\n")
    assert line(formats, "yes", "outside") == ["yes", "outside", "1.17.0", "env", "outside-onnx", "from", "onnx"]
    assert line(runtimes, "yes", "outside") == ["yes", "outside", "1.17.0", "env", "outside-onnx"]
    assert line(runtimes, "yes", "ort-cpp")[3] == "C++"
    pinned = json.loads((WORKERS / "node" / "package.json").read_text())["dependencies"]
    for name, package in (("ort-node", "onnxruntime-node"), ("ort-wasm", "onnxruntime-web")):
        assert line(runtimes, "yes", name)[2] == pinned[package]


def test_doctor_imports_no_framework(seen: Run, session_folder: Path) -> None:
    code = (
        "import sys; from pytest_modelconform.commands.cli import main; main(['doctor']); "
        "print(sorted({'torch', 'onnx', 'onnxruntime', 'openvino', 'tensorflow', 'jax'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=session_folder / "outside", capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_doctor_is_asked_for_one(session_folder: Path, seen: Run) -> None:
    done = command(session_folder / "outside", "doctor", "nonesuch")
    assert done.returncode == 2
    assert done.stderr.startswith(
        "modelconform doctor: unknown format or runtime 'nonesuch'. Known: torchscript-trace, "
    )
    done = command(session_folder / "outside", "doctor", "ort")
    assert done.returncode == 0
    assert [words.split()[1] for words in done.stdout.splitlines() if words.startswith("  ")] == ["ort"]


def test_env(seen: Run, session_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = session_folder / "outside"
    done = command(folder, "env", "list")
    assert done.returncode == 0, done.stderr
    words = line(done.stdout, "outside-onnx")
    assert list(words[1:4]) == ["Python", "3.8", "installed"]
    assert words[-1] == "(outside)"
    # In another cache it isn't.
    monkeypatch.setenv("MODELCONFORM_CACHE", str(tmp_path))
    assert "absent" in line(command(folder, "env", "list").stdout, "outside-onnx")
    done = command(folder, "env", "remove", "outside-onnx")
    assert (done.returncode, done.stdout) == (0, "outside-onnx is not installed\n")
    done = command(folder, "env", "install", "outside-onx")
    assert done.returncode == 2
    assert "unknown environment 'outside-onx'. Did you mean 'outside-onnx'?" in done.stderr
