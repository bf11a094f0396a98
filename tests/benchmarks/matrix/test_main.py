"""`.ci/matrix`, on one case in one column."""

from __future__ import annotations

import math
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path

import pytest

from benchmarks.matrix import __main__
from benchmarks.matrix.__main__ import _waited
from pytest_modelconform.report import log
from pytest_modelconform.terms.outcome import Verdict

REPOSITORY = Path(__file__).resolve().parents[3]
CASE = """\
import torch
from pytest_modelconform import Case, generic_weights

case = Case(model=lambda: generic_weights(torch.nn.Linear(3, 4)), inputs={"two": lambda: (torch.rand(2, 3),)})
"""


# `--free`: whatever this machine has left.
WORDS = ("--logs", "logs", "-n", "0", "--groups", "export", "--free", "0")


@dataclass(frozen=True)
class Said:
    """What a call came to."""

    returncode: int
    stdout: str


Matrix = Callable[..., Said]


@pytest.fixture
def matrix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Generator[Matrix]:
    """`.ci/matrix` in this process, each of whose calls would import pytest and the plugin anew otherwise."""
    (tmp_path / "cases").mkdir()
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    # As a shell starts what it is to run in the background.
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def call(*words: str) -> Said:
        capfd.readouterr()
        status = __main__.main([*WORDS, *words, "cases"])
        return Said(status, capfd.readouterr().out)

    try:
        yield call
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


@pytest.mark.compiles
def test_what_ran_does_not_run_again_until_its_case_changes(tmp_path: Path, matrix: Matrix) -> None:
    case = tmp_path / "cases" / "net.py"
    case.write_text(CASE)
    # As one calls it: a process of its own.
    command = [sys.executable, "-m", "benchmarks.matrix", *WORDS, "--minutes", "0", "cases"]
    none = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "export: nothing" in none.stdout, none.stderr
    assert "The time is used up" in none.stdout
    assert none.returncode == 1
    first = matrix()
    assert first.returncode == 0, first.stdout
    assert "export: 1 pass" in first.stdout
    found = log.read(tmp_path / "logs/all.jsonl")
    verdicts = {cell.id: outcome.verdict for cell, outcome in found.cells}
    assert verdicts["cases/net.py::net[export-torch-cpu]"] is Verdict.PASS
    assert verdicts["cases/net.py::net[onnx-ort-cpu]"] is Verdict.NOT_RUN
    assert "4 cells of the columns onnx-readers" in found.environment["missing"]
    assert "2 cells of the columns aoti" in found.environment["missing"]
    again = matrix()
    assert again.returncode == 0
    assert "export:" not in again.stdout
    assert len([*(tmp_path / "logs").glob("0*.json")]) == 2
    case.write_text(CASE.replace("3, 4", "3, 5"))
    plan = matrix("--plan")
    assert plan.returncode == 1
    assert plan.stdout.splitlines()[1].split()[:3] == ["export", "1", "1"]


@pytest.mark.compiles
def test_cells_are_chosen_by_their_marks_and_shards_by_case_files(tmp_path: Path, matrix: Matrix) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / f"cases/{name}.py").write_text(CASE.replace("inputs=", 'dtypes=("float32", "float16"), inputs='))

    def left(*words: str) -> str:
        return matrix("--plan", *words).stdout.splitlines()[1].split()[2]

    # Each with its model check.
    assert left() == "6"
    assert left("--mark", "dtype_float16") == "3"
    assert left("--shard", "1/2") == "4"
    assert left("--shard", "2/2") == "2"
    # Groups come in the order in which they are named.
    groups = matrix("--plan", "--groups", "aoti,export").stdout.splitlines()
    assert [line.split()[0] for line in groups[1:3]] == ["aoti", "export"]
    for shard in ("1/2", "2/2"):
        matrix("--minutes", "0", "--shard", shard)
    assert {path.stem[4:] for path in (tmp_path / "logs").glob("0*.json")} == {"-export-1-of-2", "-export-2-of-2"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--shard", "3/2"], "argument --shard: invalid shard value: '3/2'"),
        (["--shard", "one"], "argument --shard: invalid shard value: 'one'"),
        (["--again-if", "bad"], "invalid choice: 'bad'"),
        (["--groups", "onnx,onnxx"], ".ci/matrix: no group 'onnxx'; there are: torchscript, export, "),
    ],
)
def test_what_makes_no_sense_is_refused(
    tmp_path: Path, words: list[str], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(__main__, "collected", lambda cases, mark: [])
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        status = __main__.main(["--logs", "logs", *words])
    except SystemExit as refused:
        status = int(str(refused.code))
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    assert status == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(("until", "free", "said"), [(0.0, 0.0, "time is used up"), (math.inf, 1e9, "GiB are free")])
def test_a_session_is_ended_where_time_or_the_disk_is_used_up(
    tmp_path: Path, until: float, free: float, said: str
) -> None:
    code = "import time\ntry:\n    time.sleep(60)\nexcept KeyboardInterrupt:\n    raise SystemExit(7)"
    process = subprocess.Popen([sys.executable, "-c", code])
    time.sleep(1)
    assert said in _waited(process, until, tmp_path, free)
    assert process.returncode == 7


def test_a_session_that_ends_by_itself_says_nothing(tmp_path: Path) -> None:
    assert _waited(subprocess.Popen([sys.executable, "-c", ""]), math.inf, tmp_path, 0.0) == ""


def test_a_case_file_that_cannot_be_read_is_not_left_out(matrix: Matrix, capfd: pytest.CaptureFixture[str]) -> None:
    """Of a log without its cells nobody would know that they ran before."""
    Path("cases/broken.py").write_text("from pytest_modelconform import Case\n1 / 0\n")
    with pytest.raises(SystemExit) as refused:
        matrix("--join")
    assert refused.value.code == 2
    assert (
        ".ci/matrix: cases/broken.py::broken[collect]: broken.py: line 2: ZeroDivisionError" in capfd.readouterr().err
    )
