"""Cells that share a GPU whose memory is not enough: each is tried once more alone, and only then is it the verdict."""

from __future__ import annotations

import importlib.metadata
import json
from pathlib import Path
from typing import Any

import pytest

from tests.support import fake_gpu, gpus, runs


def torch_version() -> str:
    return importlib.metadata.version("torch")


GPU = "GPU-0f, NVIDIA Fake, 9.0, 102400, 102400"
# {rows} are the GiB that it takes. References and exports see no GPU.
CASE = (
    runs.CASE
    + """\
import os

assert os.environ["CUDA_VISIBLE_DEVICES"] == "", "the case host sees the GPU"
only = {"rows": lambda: (torch.arange(2.0 * ROWS).reshape(ROWS, 2),)}
NAME = Case(model=lambda: Net(), inputs=only)
"""
)


def case(name: str, rows: int) -> str:
    return CASE.replace("ROWS", str(rows)).replace("NAME", name)


class Machine:
    """A project on a machine with a GPU of 100 GiB."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, cases: dict[str, int]) -> None:
        dev = gpus.machine(folder / "machine", monkeypatch, [GPU])
        self.ledger = folder / "ledger"
        self.ledger.mkdir()
        # Turns of this machine's GPU only.
        self.temporary = folder / "tmp"
        self.temporary.mkdir()
        files = {f"{name}.py": case(name, rows) for name, rows in cases.items()}
        self.project = runs.write(folder / "project", {"conftest.py": fake_gpu.CONFTEST.format(dev=str(dev)), **files})

    def run(self, *arguments: str) -> runs.Run:
        env = {"FAKE_GPU": str(self.ledger), "FAKE_GPU_GIB": "100", "TMPDIR": str(self.temporary)}
        options = ["--modelconform-devices=cuda", runs.NO_BLAME, *runs.OTHERS_PLUGINS]
        return runs.run(self.project, *options, *arguments, runtimes=fake_gpu.NAME, env=env)

    def tries(self, rows: int) -> list[tuple[int, int, bool]]:
        """Of what asked for so much: the most, what others had, whether it was had. A try runs three input sets."""
        return [(most, others, is_had) for size, most, others, is_had, *_ in self.asked if size == rows][::3]

    @property
    def asked(self) -> list[list[Any]]:
        """GiB, the most that the process might have taken, what others had, whether it was had; in order."""
        return [json.loads(line) for line in (self.ledger / "asked").read_text().splitlines()]


def name(case: str) -> str:
    return f"{case}[torchscript_trace-fake_gpu-cuda]"


def test_what_two_can_not_have_at_once_each_has_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(tmp_path, monkeypatch, {"small": 20, "large": 60, "larger": 70, "huge": 120})
    found = machine.run("-n", "2")
    assert "1 GPU (NVIDIA Fake 9.0, 100.0 GiB), shared by 2 processes, each of which may take 48.0 GiB" in found.stdout
    verdicts = {case: found.verdict(name(case)) for case in ("small", "large", "larger", "huge")}
    assert verdicts == {
        "small": ("pass", None),
        "large": ("pass", None),
        "larger": ("pass", None),
        "huge": ("out-of-memory", "run"),
    }, found.stdout
    assert found.status == 1
    for case, rows in (("large", 60), ("larger", 70)):
        [note] = found.cells[name(case)]["notes"]
        assert note.startswith(
            "it ran alone on the GPU, since the memory was not enough beside other processes: input set 'rows': "
            f"OutOfMemoryError: CUDA out of memory. Tried to allocate {rows}.00 GiB. "
        )
    said = "It was tried once more alone on NVIDIA Fake 9.0 and all of its 100.0 GiB: a GPU with more memory may do"
    assert said in found.message(name("huge"))
    # First with what a process may take beside the other one, then with all of it, and nobody else on it.
    for rows in (60, 70, 120):
        tries = machine.tries(rows)
        assert [most for most, *_ in tries] == [48, 100]
        assert tries[1][1:] == (0, rows <= 100)
    assert {visible for *_, visible in machine.asked} == {"GPU-0f"}


EXPECTED = """\
[[expect]]
cell = "CASE.py::CASE[torchscript_trace-fake_gpu-cuda]"
verdict = "VERDICT"
stage = "run"
reason = "it is huge"
"""


def test_one_process_has_all_of_it_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And what is too large for it can be expected, and is no error."""
    machine = Machine(tmp_path, monkeypatch, {"large": 60, "huge": 120, "known": 130, "mistaken": 140})
    entries = (("known", "out-of-memory"), ("mistaken", "error"))
    (machine.project / "expected.toml").write_text(
        "\n".join(EXPECTED.replace("CASE", case).replace("VERDICT", verdict) for case, verdict in entries)
    )
    found = machine.run("-n", "0")
    assert "1 GPU (NVIDIA Fake 9.0, 100.0 GiB), all of its memory for one process" in found.stdout
    assert found.verdict(name("large")) == ("pass", None)
    for case, expected in (("huge", None), ("known", True), ("mistaken", False)):
        assert found.verdict(name(case)) == ("out-of-memory", "run")
        assert found.cells[name(case)]["expected"] is expected
    # Four checks, `large` and expected.toml itself.
    assert "2 failed, 6 passed, 1 xfailed" in found.stdout
    # Once more all the same: workers of this process may have had some of it. No smoke model is tried beside.
    # Recorded or not, it has had the GPU alone.
    assert [len(machine.tries(rows)) for rows in (60, 120, 130, 140)] == [1, 2, 2, 2]
    assert {size for size, *_ in machine.asked} == {60, 120, 130, 140}
    assert found.report["environment"]["gpus"] == [{"kind": "NVIDIA Fake 9.0", "bytes": 102400 * 2**20}]


@pytest.mark.skipif(Path("/dev/nvidia0").exists(), reason="there is a GPU, which PyTorch computes on")
@pytest.mark.compiles
def test_builds_for_the_cpu_are_unavailable_on_a_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever they would return: ONNX Runtime would compute on the CPU, and pass."""
    machine = Machine(tmp_path, monkeypatch, {"net": 2})
    words = ["--modelconform-formats=torchscript-trace,onnx,aoti", "--modelconform-runtimes=torch,ort", "-n", "0"]
    found = machine.run(*words)
    assert found.status == 0, found.stdout
    for cell, name, what in (
        ("torchscript_trace-torch", "torch", f"torch {torch_version()}"),
        ("onnx-ort", "ort", "ort "),
        # Nobody tries to compile for a GPU with it.
        ("aoti-torch", "case host", "case host "),
    ):
        assert found.verdict(f"net[{cell}-cuda]") == ("unavailable", "environment")
        message = found.message(f"net[{cell}-cuda]")
        assert message.startswith(f"{name} can't use cuda here: {what}"), message
        assert message.endswith("Install a build of it for cuda that fits the driver")
