"""`modelconform blame`, with a simulated search: what it prints, and how it ends."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_modelconform.commands import cli
from pytest_modelconform.commands.blame import said
from pytest_modelconform.terms.blame import Blame
from tests.plugin.test_blaming import PLUGIN
from tests.support import runs
from tests.support.blames import FOUND, POOL, operator

RED = f"plain.py::{runs.cell('plain', 'wrong@run')}"


def test_what_is_found_is_said_in_full() -> None:
    assert said(FOUND) == [
        "guilty: aten.avg_pool2d in features.pool (net.py:12: self.pool(x)), in the runtime; 3.1 of 22.0 bits right "
        "there",
        "  ort-cpp runs the same file.",
        "  aten.avg_pool2d(relu_4, [3, 3], [2, 2], ceil_mode=True)",
        "    takes float32[1, 64, 56, 56]; returns float32[1, 64, 28, 28]",
        "    models/net.py:12: self.pool(x)",
        "It was exported anew.",
        "9 parts were tried in 14 s",
    ]
    failed = replace(POOL, bits=None, operators=(operator("aten.mul.Tensor"),), message="no kernel\nand more", why="")
    assert said(Blame(guilty=(failed,), way="submodules", tries=2)) == [
        "guilty: aten.mul.Tensor, in the runtime",
        "  alone: no kernel",
        "  aten.mul.Tensor",
        "2 submodules were tried in 0 s",
    ]
    # An operator on weights alone takes no tensor.
    weights = replace(POOL, operators=(replace(operator("aten.mul.Tensor"), returns=("float32[16]",)),))
    assert "    returns float32[16]" in said(Blame(guilty=(weights,)))
    assert said(Blame(note="time ended"))[0] == "guilty operator not found: time ended"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["plain.py"], "'plain.py' names no cell. Name one as the report does"),
        (["plain.py::plain[onnx-ort-cpu]", "-o", __file__], "is a file"),
        (["nowhere.py::plain[onnx-ort-cpu]"], "nowhere.py does not exist: name a case file"),
    ],
)
def test_what_is_refused_before_anything_runs(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["blame", *words]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("modelconform blame: ")
    assert message in printed.err


@pytest.mark.parametrize("seconds", ["0", "-3", "soon"])
def test_what_is_no_time(seconds: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["blame", "x", "--seconds", seconds])
    assert "argument --seconds: invalid number of seconds value" in capsys.readouterr().err


def command(project: Path, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    (folder / "simulated.py").write_text(PLUGIN)
    (folder / "searched").mkdir(exist_ok=True)
    path = os.pathsep.join([str(folder), str(Path(__file__).parents[2])])
    code = "import sys, simulated; from pytest_modelconform.commands import cli; sys.exit(cli.main(sys.argv[1:]))"
    return subprocess.run(
        [sys.executable, "-c", code, "blame", *words],
        cwd=project,
        env={**os.environ, "PYTHONPATH": path, "SEARCHED": str(folder / "searched"), "SLEEP": "0", "COLUMNS": "500"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_a_red_cell_and_one_that_passes_and_one_that_is_no_cell_to_search(project: Path, tmp_path: Path) -> None:
    done = command(project, tmp_path, RED, "--seconds", "20")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{RED}: mismatch at stage compare\n  input set 'seven': wrong values: ")
    assert "\nguilty: aten.mul.Tensor (net.py:9), in the runtime; 1.0 of 22.0 bits right there\n" in done.stdout
    assert done.stderr.startswith("modelconform blame: running plain[torchscript_trace-fake_wrong_run-cpu] …\n")

    done = command(project, tmp_path, RED.replace("wrong_run", "good_never"))
    assert done.returncode == 1, done.stderr
    assert "It does not fail here and now: there is nothing to look for." in done.stdout

    done = command(project, tmp_path, "plain.py::plain[eager]")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.strip() == (
        "modelconform blame: plain[eager] checks the case itself, before anything is exported"
    )
