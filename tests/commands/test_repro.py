"""`modelconform repro`, and the scripts that it writes, as processes of their own."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from pytest_modelconform.runtimes import node
from tests.support import runs, sequences, subcommands

pytestmark = pytest.mark.compiles

ROOT = Path(__file__).resolve().parent.parent.parent
UNSCRIPTABLE = (
    runs.CASE
    + """
from _helper import named


class Odd(Net):
    def forward(self, *x):
        return named(super().forward(*x))


case = Case(model=lambda: Odd(), inputs=inputs)
"""
)


def command(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "pytest_modelconform", "repro", *arguments]
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=600, check=False)


def script(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a script as who receives it does: without this package in sight. Returns what it came to."""
    text = (folder / "repro.py").read_text()
    imported = {
        name
        for node in ast.walk(ast.parse(text))
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for name in ([node.module or "."] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names])
    }
    assert not [name for name in imported if name.startswith(("pytest_modelconform", "."))]
    words = [sys.executable, "-I", "repro.py"]
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=600, check=False)


def problems(folder: Path, *lines: Sequence[str]) -> list[tuple[int, str]]:
    """Statuses and messages of what has to be refused."""
    done = subcommands.several(*((folder, ["repro", *arguments]) for arguments in lines))
    assert [out for _, out, _ in done] == [""] * len(done)
    return [(status, err.strip()) for status, _, err in done]


def test_a_cell_that_passes(project: Path, tmp_path: Path) -> None:
    target = tmp_path / "new" / "folder"
    done = command(project, "plain.py::plain[torchscript_trace-torch-cpu]", "-o", str(target))
    assert done.returncode == 0, done.stderr
    listed = [str(Path(line).relative_to(target)) for line in done.stdout.splitlines()]
    assert listed[:3] == ["model.pt", "signature.json", "inputs-seven.safetensors"]
    assert listed[-2:] == ["repro.py", "README.md"]
    assert sorted([*listed, ".modelconform-repro.json"]) == sorted(path.name for path in target.iterdir())
    ran = script(target)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "input set seven, run 3 of 3" in ran.stdout
    assert "output: float32[2, 2], max abs difference 0 at [0, 0]" in ran.stdout
    assert ran.stdout.endswith("as expected\n")

    # Another number in what is expected: the script sees that the two differ, and where.
    text = (target / "model.pt").read_bytes()
    expected = target / "expected-seven.safetensors"
    right = expected.read_bytes()
    raw = bytearray(right)
    begin = 8 + int.from_bytes(raw[:8], "little")
    start = json.loads(raw[8:begin])["output"]["data_offsets"][0]
    raw[begin + start + 6] ^= 0x10  # the exponent of the first number, a float64
    expected.write_bytes(raw)
    ran = script(target)
    assert ran.returncode == 1
    assert "at [0, 0]" in ran.stdout
    assert "DIFFERS in 1 of 4 elements" in ran.stdout
    assert (target / "model.pt").read_bytes() == text

    # Again: what it wrote itself is replaced, what somebody put there stays.
    (target / "notes.txt").write_text("mine")
    done = command(project, "plain.py::plain[torchscript_trace-torch-cpu]", "-o", str(target))
    assert done.returncode == 0, done.stderr
    assert expected.read_bytes() == right
    assert (target / "notes.txt").read_text() == "mine"


def test_a_failure_of_onnx_runtime_with_what_the_last_run_saw(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    cell = "cases/plain/net.py::net[onnx-ort-cpu-bfloat16]"
    log = tmp_path / "run.jsonl"
    record = {"kind": "cell", "id": cell, "file": "cases/plain/net.py", "case": "net", "format": "onnx"}
    record |= {"runtime": "ort", "device": "cpu", "dtype": "bfloat16", "verdict": "error", "stage": "load"}
    record |= {"message": "no ```Gemm``` of bfloat16"}
    lines = [{"kind": "header", "schema": 1, "environment": {}}, record, {"kind": "footer"}]
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    done = command(ROOT, cell, "-o", str(tmp_path / "it"), "--log", str(log))
    assert done.returncode == 0, done.stderr
    ran = script(tmp_path / "it")
    assert ran.returncode == 1
    assert "NOT_IMPLEMENTED" in ran.stderr
    assert "Gemm" in ran.stderr
    readme = (tmp_path / "it" / "README.md").read_text()
    assert "````\nerror at stage load:\nno ```Gemm``` of bfloat16\n````" in readme
    assert "pip install onnxruntime==" in readme
    assert f"`{cell}`" in readme


def test_a_failing_export_comes_with_the_model_and_the_exporters_own_call(tmp_path: Path) -> None:
    project = tmp_path / "project"
    helper = "def named(value):\n    return {'y': value}\n"
    runs.write(project, {"sub/odd.py": UNSCRIPTABLE, "_helper.py": helper})
    target = tmp_path / "it"
    done = command(project, "sub/odd.py::odd[torchscript_script-torch-cpu]", "-o", str(target))
    assert done.returncode == 1
    assert "the export to the format torchscript-script fails: error at stage export" in done.stderr
    assert (target / "case" / "sub" / "odd.py").read_text() == UNSCRIPTABLE
    assert (target / "case" / "_helper.py").exists()
    ran = script(target)
    assert ran.returncode == 1
    assert "the model itself runs; exporting it" in ran.stdout
    assert "torch.jit.script(model)" in ran.stderr
    assert "variable number of arguments" in ran.stderr
    readme = (target / "README.md").read_text()
    assert "# torch.jit.script of PyTorch " in readme
    assert ": the export of odd to torchscript-script fails\n" in readme
    assert "**The exporter: torch.jit.script of PyTorch " in readme
    assert "\nargument 0: float32 (2, 2)\n" in readme
    assert len(done.stderr.splitlines()) <= 18
    assert "variable number of arguments" in readme


LOOP = """\
import torch

from pytest_modelconform import Case, generic_weights


class Loop(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.cell = torch.nn.Linear(4, 4)

    def forward(self, x):
        state = torch.zeros(x.shape[0], 4)
        for step in range(x.shape[1]):
            state = torch.tanh(self.cell(state + x[:, step]))
        return state


case = Case(
    model=lambda: generic_weights(Loop()),
    inputs={"five": lambda: (torch.randn(2, 5, 4),), "nine": lambda: (torch.randn(2, 9, 4),)},
    dynamic_shapes={"x": {1: "length"}},
)
"""


@pytest.mark.parametrize(
    ("cell", "whom"),
    [
        ("torchscript_trace-torch-cpu", "The exporter: torch.jit.trace of PyTorch "),
        ("onnx_legacy-ort-cpu", "The exporter: torch.onnx.export(..., dynamo=False) of PyTorch "),
    ],
)
def test_wrong_numbers_that_others_return_too_are_the_exporters(tmp_path: Path, cell: str, whom: str) -> None:
    for package in ("onnxruntime", "onnx"):
        pytest.importorskip(package)
    project = tmp_path / "project"
    runs.write(project, {"sub/loop.py": LOOP, "conftest.py": ""})
    target = tmp_path / "it"
    # As reports name it, from a folder below the root.
    done = command(project / "sub", f"sub/loop.py::loop[{cell}]", "-o", str(target))
    assert done.returncode == 0, done.stderr
    assert f"\n{whom}" in done.stderr
    assert "torch.jit.trace records the operations of one call" in done.stderr
    readme = (target / "README.md").read_text()
    assert whom in readme
    assert "Report it at https://github.com/pytorch/pytorch/issues" in readme
    assert "mismatch at stage compare:\ninput set 'nine'" in readme  # what it came to now: there is no log
    assert "| nine | argument 0 (2, 9, 4) | mismatch | output at " in readme
    assert "for step in range(x.shape[1])" in readme
    assert "pip install torch==" in readme
    assert "\n- Python " in readme
    # The exporter's call, with what it was told.
    call = "torch.jit.trace(model, args" if "trace" in cell else "'1': 'length'"
    assert (call in readme) or "'shape': [2, 'length', 4]" in readme
    ran = script(target)
    assert ran.returncode == 1, ran.stdout + ran.stderr
    eager, exported = ran.stdout.split("== its export\n")
    assert eager.endswith("as expected\n")
    assert "input set five, run 2 of" in exported
    assert "DIFFERS in 8 of 8 elements" in exported


NESTED = """\
import torch

from pytest_modelconform import Case, generic_weights


class Nested(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 4, 3)

    def forward(self, x, scale=1.0, *, mask=None):
        y = torch.relu(self.conv(x)) * scale
        return {"y": y if mask is None else y * mask, "mean": y.mean((2, 3))}


case = Case(
    model=lambda: generic_weights(Nested()),
    inputs={"two": lambda: {"x": torch.randn(2, 3, 8, 8)}, "three": lambda: {"x": torch.randn(3, 3, 8, 8)}},
    dynamic_shapes={"x": {0: "batch"}},
)
"""
# Finds the exporter at fault, whatever the cell comes to.
BLAMES = """\
import sys
from pytest_modelconform.commands.cli import main
from pytest_modelconform.repro import concern
concern.of = lambda *of: concern.Concern(concern.Party[sys.argv[1]], "It is said to be.")
raise SystemExit(main(sys.argv[2:]))
"""


@pytest.mark.parametrize(
    ("party", "cell", "package"),
    [
        ("EXPORTER", "ncnn-ncnn-cpu", "pnnx"),
        ("CONVERTER", "mnn-mnn-cpu", "MNN"),
    ],
)
def test_the_script_of_an_exporter_makes_the_artifact_that_was_tested(
    tmp_path: Path, party: str, cell: str, package: str
) -> None:
    pytest.importorskip(package)
    project = tmp_path / "project"
    runs.write(project, {"nested.py": NESTED, "conftest.py": ""})
    words = [sys.executable, "-c", BLAMES, party, "repro", f"nested.py::nested[{cell}]", "-o", str(tmp_path / "it")]
    done = subprocess.run(words, cwd=project, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    ran = script(tmp_path / "it")
    # It is faultless: so is what the script exports anew.
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ("converted\n" if party == "CONVERTER" else "== what was exported\n") in ran.stdout
    assert "input set three, run 2 of 2" in ran.stdout


@pytest.mark.parametrize(
    ("fake", "words"),
    [
        ("wrong-run", "torch runs the same file and returns the model's numbers, so the file is right."),
        ("segfault-load", "crashes, and a file must not make it crash, whatever it holds."),
        ("refuse-run", "torch runs the same file and returns the model's numbers, so the file is right."),
    ],
)
def test_what_only_one_runtime_does_is_that_runtimes(project: Path, tmp_path: Path, fake: str, words: str) -> None:
    done = command(project, f"plain.py::{runs.cell('plain', fake)}", "-o", str(tmp_path / "it"))
    assert done.returncode == 0, done.stderr
    assert f"The runtime: fake-{fake} (fake-{fake}). " in done.stderr
    readme = (tmp_path / "it" / "README.md").read_text()
    assert words in readme
    assert f"# fake-{fake}: plain in torchscript-trace, " in readme


def test_a_faulty_case_is_no_upstream_project_s(tmp_path: Path) -> None:
    project = tmp_path / "project"
    runs.write(project, {"bad.py": runs.PLAIN.replace("x * self.weight", "x @ torch.ones(5, 5)"), "conftest.py": ""})
    done = command(project, "bad.py::bad[torchscript_trace-torch-cpu]", "-o", str(tmp_path / "it"))
    assert done.returncode == 1
    assert "error at stage reference: case 'bad', input set 'seven': the model itself fails" in done.stderr
    assert "This concerns the case itself, no exporter and no runtime: mend bad.py first." in done.stderr
    assert not (tmp_path / "it").exists()


def test_what_fails_in_a_log_and_not_here_is_said_to(project: Path, tmp_path: Path) -> None:
    cell = "plain.py::plain[torchscript_trace-torch-cpu]"
    log = tmp_path / "run.jsonl"
    record = {"kind": "cell", "id": cell, "file": "plain.py", "case": "plain", "format": "torchscript-trace"}
    record |= {"runtime": "torch", "device": "cpu", "verdict": "error", "stage": "run", "message": "out of luck"}
    inputs = {"seven": {"verdict": "error", "stage": "run", "message": "out of luck"}}
    header = {"kind": "header", "schema": 1, "environment": {}}
    lines = [header, {**record, "inputs": inputs}, {"kind": "footer"}]
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    done = command(project, cell, "-o", str(tmp_path / "it"), "--log", str(log))
    assert done.returncode == 0, done.stderr
    assert f"it fails in {log}, and does not here and now (pass)" in done.stderr
    assert "error at stage run:\nout of luck" in (tmp_path / "it" / "README.md").read_text()


def test_what_there_is_nothing_of_is_named_with_the_nearest(project: Path, tmp_path: Path) -> None:
    rest = ("-o", str(tmp_path / "never"))
    start = "modelconform repro: "
    cell = "plain[torchscript_trace-torch-cpu]"
    full = tmp_path / "full"
    full.mkdir()
    (full / "thesis.tex").touch()
    no_cell, no_file, near, eager, not_empty, not_a_folder, nowhere, no_log = problems(
        project,
        ("plain.py::plain", *rest),
        (f"plane.py::{cell}", *rest),
        ("plain.py::plain[torchscript-trace-torch-cpu]", *rest),
        ("plain.py::plain[eager]", *rest),
        (f"plain.py::{cell}", "-o", str(full)),
        (f"plain.py::{cell}", "-o", str(full / "thesis.tex" / "it")),
        (f"plain.py::{runs.cell('plain', 'good-never')}", "-o", "/proc/none"),
        (f"plain.py::{cell}", *rest, "--log", str(tmp_path / "no.jsonl")),
    )
    status, message = no_cell
    assert (status, message.startswith(f"{start}'plain.py::plain' names no cell. Name one as ")) == (2, True), message
    assert no_file == (2, f"{start}plane.py does not exist: name a case file")
    status, message = near
    assert status == 2
    assert f"plain.py has no cell 'plain[torchscript-trace-torch-cpu]'. Did you mean '{cell}'" in message
    status, message = eager
    assert (status, "no upstream project to report it to" in message) == (2, True), message
    message = f"{start}{full} isn't empty, and no earlier repro wrote it. Name a new folder"
    assert not_empty == (2, message)
    message = f"{start}{full}/thesis.tex/it can't be written to: Not a directory. Name another folder"
    assert not_a_folder == (2, message)
    message = f"{start}/proc/none can't be written to: No such file or directory. Name another folder"
    assert nowhere == (2, message)
    assert no_log == (2, f"{start}{tmp_path / 'no.jsonl'}: No such file or directory")
    assert not (tmp_path / "never").exists()


def test_a_runtime_without_a_script_gets_all_the_rest(project: Path, tmp_path: Path) -> None:
    cell = f"plain.py::{runs.cell('plain', 'good-never')}"
    done = command(project, cell, "-o", str(tmp_path / "it"))
    assert done.returncode == 0, done.stderr
    assert (
        "there is no script for runtime fake-good-never; all else is written. Scripts exist for the runtimes torch, "
        in done.stderr
    )
    assert not (tmp_path / "it" / "repro.py").exists()
    assert "There is no script for this one" in (tmp_path / "it" / "README.md").read_text()


def test_a_runtime_in_an_environment_of_its_own_is_named_with_the_version_there(project: Path, tmp_path: Path) -> None:
    done = command(project, "plain.py::plain[onnx-ort_web-cpu]", "-o", str(tmp_path / "it"))
    assert done.returncode == 0, done.stderr
    readme = (tmp_path / "it" / "README.md").read_text()
    version = json.loads((node.FOLDER / "package.json").read_text())["dependencies"]["onnxruntime-web"]
    assert f"# onnxruntime-web {version}: plain in onnx\n" in readme
    assert f"\n- onnxruntime-web {version}\n" in readme


def test_a_cell_of_steps_names_that_of_a_single_call(tmp_path: Path) -> None:
    runs.write(tmp_path, {"steps.py": sequences.case()})
    [(status, message)] = problems(tmp_path, ("steps.py::steps[onnx-ort-cpu-sequence]", "-o", str(tmp_path / "out")))
    assert status == 2
    assert "runs several steps. Reports are written for single calls: name steps[onnx-ort-cpu]" in message
