"""`.ci/gpu`: steps have limits, what they came to survives, and the page says what was measured and what wasn't."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest

from benchmarks.gpu import __main__, full, machine, pack, page, runs, steps
from benchmarks.gpu.kept import Kept, Step
from pytest_modelconform.report.log import LogWriter
from pytest_modelconform.terms.cell import Cell
from pytest_modelconform.terms.outcome import Outcome, Stage, Verdict
from tests.support import gpus as fake

REPOSITORY = Path(__file__).resolve().parents[3]
PAGE = f"# GPUs\n\nBefore.\n\n{page.BEGIN}\n\nold\n\n{page.END}\n\nAfter.\n"
MACHINE = {
    "cores": 16,
    "bytes": 2**37,
    "python": "3.12.3",
    "driver": "580.1",
    "gpus": [{"kind": "NVIDIA H200 9.0", "bytes": 143771 * 2**20, "free": 0}],
    "packages": {"torch": "2.11.0"},
    "torch": {"torch": "2.11.0+cu130", "cuda": "13.0", "is_available": True, "bytes": 2**37},
}


def plan(folder: Path, seconds: float = 60.0) -> steps.Plan:
    return steps.Plan(
        "cuda", [folder / "a.py"], ["onnx"], ["ort", "torch"], folder / "cache", time.monotonic() + seconds
    )


def ran(name: str, seconds: float) -> tuple[Cell, Outcome]:
    return Cell("a.py", name, "onnx", "ort", device="cuda"), Outcome(Verdict.PASS, seconds={"run": seconds})


def write(path: Path, *cells: tuple[Cell, Outcome]) -> None:
    log = LogWriter(path, {"options": {}})
    for cell, outcome in cells:
        log.cell(cell, outcome)
    log.abandon()


# -- what is kept ------------------------------------------------------------------------------------------------------


def test_what_a_step_came_to_is_there_for_the_next_call(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    kept.keep("n4", Step(12.5, True, 0, most=7))
    kept.keep("n1", Step(3.0, False, 2))
    again = Kept(tmp_path)
    assert again.steps == {"n4": Step(12.5, True, 0, most=7), "n1": Step(3.0, False, 2)}
    assert [again.is_complete(name) for name in ("n4", "n1", "full")] == [True, False, False]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"n4": {"what": 1}}', '{"n4": 3}'])
def test_what_can_not_be_read_is_measured_again(tmp_path: Path, text: str) -> None:
    (tmp_path / "results.json").write_text(text)
    assert Kept(tmp_path).steps == {}


# -- the steps ---------------------------------------------------------------------------------------------------------


def test_steps_go_on_where_the_last_call_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    limits: list[float] = []

    def pytest_(cases: Any, options: Any, processes: int, cache: Path, log: Path, limit: float) -> Step:
        done.append(log.stem)
        limits.append(limit)
        return Step(1.0, complete=log.stem != "n1")

    monkeypatch.setattr(runs, "pytest", pytest_)
    monkeypatch.setattr(machine, "described", lambda limit: MACHINE)
    kept = Kept(tmp_path / "kept")
    written: list[int] = []
    steps.all_of(plan(tmp_path), kept, lambda: written.append(len(kept.steps)), lambda line: None)
    assert done == ["prepare", "n4", "full", "n1", "n4-again"]
    assert written == [1, 2, 3, 4, 5, 6]
    # Each has its part of what is left, and none more than that.
    assert all(0 < limit < 60 for limit in limits)
    done.clear()
    steps.all_of(plan(tmp_path), Kept(tmp_path / "kept"), lambda: None, lambda line: None)
    assert done == ["n1"]


def test_without_time_nothing_is_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "described", lambda limit: MACHINE)
    monkeypatch.setattr(runs, "pytest", lambda *arguments: pytest.fail("a run was begun"))
    said: list[str] = []
    steps.all_of(plan(tmp_path, 5.5), Kept(tmp_path / "kept"), lambda: None, said.append)
    assert said[1:] == [f"{name}: no time is left" for name in steps.NAMES[1:]]


def test_all_default_cases_and_columns_are_there() -> None:
    assert len(steps.CASES) == 10
    assert [name for name in steps.CASES if not (REPOSITORY / "cases" / name).exists()] == []


def test_a_run_that_takes_too_long_is_ended_and_leaves_its_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sleeper = "import signal, sys, time\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\ntime.sleep(600)\n"
    monkeypatch.setattr(runs, "_command", lambda: [sys.executable, "-c", sleeper])
    monkeypatch.setattr(runs, "_GRACE", 0.5)
    begin = time.monotonic()
    found = runs.pytest([], [], 1, tmp_path / "cache", tmp_path / "n1.jsonl", 1.5)
    assert not found.complete
    assert found.status == -9
    assert time.monotonic() - begin < 60


def test_a_run_that_fails_to_run_is_not_complete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "_command", lambda: [sys.executable, "-c", "raise SystemExit(1)"])
    assert runs.pytest([], [], 1, tmp_path / "cache", tmp_path / "n1.jsonl", 60.0).complete
    code = "print('no such option'); raise SystemExit(4)"
    monkeypatch.setattr(runs, "_command", lambda: [sys.executable, "-c", code])
    found = runs.pytest([], [], 1, tmp_path / "cache", tmp_path / "n1.jsonl", 60.0)
    assert (found.complete, found.status, found.told) == (False, 4, {"problem": "no such option"})


def test_where_the_plugin_is_not_installed_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "is_installed", lambda: False)
    assert runs._command()[3:5] == ["-p", "pytest_modelconform.plugin"]
    monkeypatch.setattr(runs, "is_installed", lambda: True)
    assert "pytest_modelconform.plugin" not in runs._command()


@pytest.mark.compiles
def test_all_of_it_without_a_gpu(tmp_path: Path) -> None:
    """As on a machine that has a GPU: real runs of one case, one after the other, then nothing is left to do."""
    words = ["--device", "cpu", "--minutes", "60", "--folder", str(tmp_path), "--cache", str(tmp_path / "cache")]
    words += ["--formats", "torchscript-trace", "--runtimes", "torch", "plain/mlp.py"]
    command = [sys.executable, "-m", "benchmarks.gpu", *words]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=3000)
    assert done.returncode == 0, done.stdout + done.stderr
    results = json.loads((tmp_path / "results.json").read_text())
    assert {name: step["status"] for name, step in results.items()} == {
        "machine": None, "prepare": 0, "n4": 0, "full": 0, "n1": 0, "n4-again": 0,
    }  # fmt: skip
    text = (tmp_path / "gpu.md").read_text()
    assert "Cells that are in both runs: " in text
    assert "| `takes_too_much` | 120 | torch | pass | out-of-memory |" in text  # there is no GPU that could be full
    again = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=600)
    assert again.stdout.count("done before") == 5


# -- the page ----------------------------------------------------------------------------------------------------------


def test_only_the_measured_part_of_the_page_is_written() -> None:
    assert page.put(PAGE, "new\n") == PAGE.replace("old", "new")
    with pytest.raises(ValueError, match="has no lines"):
        page.put("# GPUs\n", "new")
    docs = (REPOSITORY / "docs/gpu.md").read_text()
    assert page.put(page.put(docs, "new"), "newer") == page.put(docs, "newer")


def test_a_log_that_was_cut_off_is_told_with_what_it_has(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    kept.keep("machine", Step(1.0, True, told=MACHINE))
    kept.keep("n4", Step(20.0, True, 1, most=2**35))
    kept.keep("n1", Step(30.0, False, 2))
    failed = Cell("a.py", "c", "onnx", "ort", device="cuda"), Outcome(Verdict.ERROR, Stage.LOAD, "no | such operator")
    lacking = Cell("a.py", "d", "onnx", "ort", device="cuda"), Outcome(Verdict.UNAVAILABLE, Stage.LOAD, "no CUDA")
    write(tmp_path / "n4.jsonl", ran("a", 3.0), ran("b", 1.0), failed, lacking)
    write(tmp_path / "n1.jsonl", ran("a", 1.5), (ran("b", 1.0)[0], Outcome(Verdict.NOT_RUN)))
    text = page.measured(kept)
    assert "GPU: NVIDIA H200 9.0, 140.4 GiB; driver 580.1." in text
    assert "PyTorch 2.11.0+cu130 with CUDA 13.0." in text
    assert "**Not all steps are complete: prepare, full, n1, n4-again.**" in text
    assert "| `-n 1`, all made anew | 1 | 30, **cut off** | 0.03 |  | 1 pass |" in text
    assert "| `-n 4`, all made anew | 4 | 20 | 0.20 | 32.0 GiB | 2 pass, 1 error, 1 unavailable |" in text
    said = "in both runs: 1. Their exports, loads and runs took 2 s one after the other, and 3 s beside others, "
    assert f"{said}divided by 4 processes: 2.00 times as fast." in text
    assert "- unavailable (1): no CUDA" in text
    assert "error: no | such operator" in text.replace("\\|", "|")


def test_what_a_full_gpu_made_of_cells_is_told(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    kept.keep("machine", Step(1.0, True, told=MACHINE))
    name, *_ = full.CASES
    cell = Cell(f"{name}.py", name, "torchscript-script", "torch", device="cuda")
    write(tmp_path / "full.jsonl", (cell, Outcome(Verdict.PASS, notes=("it ran alone",))))
    assert f"| `{name}` | 55 | torch | pass | pass | it ran alone |" in page.measured(kept)


def test_before_anything_was_measured(tmp_path: Path) -> None:
    assert page.measured(Kept(tmp_path)) == "Nothing was measured yet."


# -- cases that fill a GPU ---------------------------------------------------------------------------------------------


def test_cases_that_fill_a_gpu_take_nothing_of_the_cpu(tmp_path: Path) -> None:
    assert set(full.CASES) == set(full.EXPECTED)
    for name, percent in full.CASES.items():
        text = (full.write(tmp_path, 2**40) / f"{name}.py").read_text()
        assert f"zeros([{2**40 * percent // 100}]" in text
        compile(text, name, "exec")
    # Two that fit each, and not together; one that never does.
    sizes = sorted(full.CASES.values())
    assert sizes[0] < 100 < sizes[0] + sizes[1]
    assert sizes[2] > 100


# -- the machine -------------------------------------------------------------------------------------------------------


def test_the_memory_in_use_is_watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake.machine(tmp_path, monkeypatch, [fake.H200])
    (tmp_path / "bin" / "nvidia-smi").write_text("#!/bin/sh\necho 1024\n")
    with machine.watched(every=0.01) as most:
        end = time.monotonic() + 60
        while not most[0] and time.monotonic() < end:
            time.sleep(0.01)
    assert most == [2**30]


def test_the_machine_is_described_without_a_gpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("pytest_modelconform.terms.gpus.DEV", tmp_path)
    found = machine.described()
    assert found["gpus"] == []
    assert found["packages"]["torch"].startswith(found["torch"]["torch"].partition("+")[0])
    monkeypatch.setattr(machine, "_TORCH", "import time\ntime.sleep(60)")
    assert machine.described(0.1)["torch"]["problem"].startswith("TimeoutExpired")


# -- what is carried ---------------------------------------------------------------------------------------------------


def test_only_what_a_machine_lacks_is_taken_from_what_was_packed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("pytest", "surely_not_installed"):
        (tmp_path / name).mkdir()
    path = list(sys.path)
    monkeypatch.setattr(sys, "path", path)
    monkeypatch.setenv("PYTHONPATH", "/before")
    assert pack.use(tmp_path) == ["surely_not_installed"]
    assert path[-1] == str(tmp_path / "surely_not_installed")
    assert os.environ["PYTHONPATH"] == f"/before{os.pathsep}{tmp_path / 'surely_not_installed'}"
    assert pack.use(tmp_path / "nothing") == []


def test_packages_are_unpacked_each_into_its_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def download(command: list[str], check: bool) -> None:
        assert command[command.index("--python-version") + 1] == "3.12"
        with zipfile.ZipFile(Path(command[command.index("-d") + 1]) / "msgspec-1.0-cp312-x.whl", "w") as wheel:
            wheel.writestr("msgspec/__init__.py", "x" * 10)

    monkeypatch.setattr(subprocess, "run", download)
    assert pack.pack("3.12", tmp_path / "site", ["msgspec"]) == 10
    assert (tmp_path / "site/msgspec/msgspec/__init__.py").exists()


def test_the_command_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert __main__.main(["--root", str(tmp_path), "--folder", str(tmp_path / "kept"), "nothing.py"]) == 2
    assert "none of the cases is in" in capsys.readouterr().err
