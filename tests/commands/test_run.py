"""`modelconform run`, as a process of its own: real runtimes, and fakes that crash."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from pytest_modelconform.workers import arrays
from tests.support import runs, subcommands

pytestmark = pytest.mark.compiles

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


def execute(folder: Path, *arguments: str) -> tuple[int, str, str]:
    """Status, stdout and stderr."""
    command = [sys.executable, "-m", "pytest_modelconform", "run", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    return done.returncode, done.stdout, done.stderr.strip()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with files that nothing of ours wrote: `add.onnx` (z = x + y) and `net.pt` (3x + 1)."""
    import onnx
    import torch
    from onnx import TensorProto, helper

    target = runs.write(tmp_path_factory.mktemp("run"), {})
    x, y, z = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["b", 2]) for name in "xyz")
    graph = helper.make_graph([helper.make_node("Add", ["x", "y"], ["z"])], "add", [x, y], [z])
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=9), target / "add.onnx")
    linear = torch.nn.Linear(1, 1).eval()
    with torch.no_grad():
        linear.weight.fill_(3.0)
        linear.bias.fill_(1.0)
    program = torch.export.export(linear, (torch.ones(2, 1),))
    torch.export.save(program, target / "net.pt2")
    (target / "net.pt").write_bytes(b"PK\x05\x06" + bytes(18))
    # As later versions would write them.
    opset = [helper.make_opsetid("", 99)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=9), target / "newer.onnx")
    with pytest.warns(FutureWarning, match="deprecated"):
        torch.jit.save(torch.jit.script(linear), target / "sound.pt")
    with zipfile.ZipFile(target / "sound.pt") as old, zipfile.ZipFile(target / "newer.pt", "w") as new:
        for name in old.namelist():
            new.writestr(name, b"99\n" if name == "sound/version" else old.read(name))
    return target


def test_a_foreign_file_runs_and_its_outputs_are_shown_and_saved(folder: Path, tmp_path: Path) -> None:
    saved = tmp_path / "out.npz"
    status, out, err = execute(
        folder, "add.onnx", "-r", "ort", "--ones", "3,2", "--ones", "3,2:float32", "-o", str(saved)
    )
    assert (status, err) == (0, ""), err
    assert out.startswith("add.onnx (onnx) in ort ")
    assert [line.split() for line in out.splitlines() if line.startswith("z ")] == [
        ["z", "float32", "(3,", "2)", "2", "2", "2", "0", "2,", "2,", "2,", "2,", "…"]
    ]
    assert np.load(saved)["z"].tolist() == [[2.0, 2.0]] * 3


def test_tensors_of_a_file_go_by_name_or_in_order(folder: Path, tmp_path: Path) -> None:
    values = {"y": np.full((1, 2), 5, "float32"), "x": np.full((1, 2), np.nan, "float32")}
    np.savez(tmp_path / "named.npz", x=values["x"], y=values["y"])
    arrays.write(tmp_path / "ordered.safetensors", {"/args/0": values["y"], "/args/1": values["y"]})
    status, out, err = execute(folder, "add.onnx", "-r", "ort", "--inputs", str(tmp_path / "named.npz"))
    assert (status, "nan, nan" in out) == (0, True), err
    saved = tmp_path / "out.safetensors"
    ordered = str(tmp_path / "ordered.safetensors")
    assert execute(folder, "add.onnx", "-r", "ort", "--inputs", ordered, "-o", str(saved))[0] == 0
    assert arrays.read(saved)["z"].tolist() == [[10.0, 10.0]]


# The model of `add.onnx`, but for a factor; and a case whose arguments have other names.
CASE = """\
import torch

from pytest_modelconform import Case


class Add(torch.nn.Module):
    def forward(self, first, y):
        return first + y


class Twice(torch.nn.Module):
    def forward(self, x, y):
        return x + 2 * y


inputs = {"three": lambda: (torch.rand(3, 2), torch.rand(3, 2))}
add = Case(model=Add, inputs=inputs)
twice = Case(model=Twice, inputs=inputs, fixed_inputs="one is enough")
"""


@pytest.mark.parametrize(
    ("case", "options", "status", "shown"),
    [
        ("add", ("--match-input", "x=first"), 0, "input set 'auto-transposed': pass"),
        ("twice", (), 1, "mismatch"),
        ("twice", ("--match-output", "w=0"), 1, "outputs= names 'w', which the file has not"),
        ("twice", ("--ones", "3,2"), 2, "--case brings the case's inputs"),
        ("thrice", (), 2, "has no case 'thrice'. Did you mean 'twice'?"),
    ],
)
def test_a_foreign_file_is_compared_with_a_case(
    case: str, options: tuple[str, ...], status: int, shown: str, folder: Path
) -> None:
    (folder / "sums.py").write_text(CASE)
    found, out, err = execute(folder, "add.onnx", "-r", "ort", "--case", f"sums.py::{case}", *options)
    assert (found, shown in out + err) == (status, True), out + err


def test_a_program_of_torch_is_called_like_the_model(folder: Path) -> None:
    status, out, err = execute(folder, "net.pt2", "-r", "torch", "--ones", "2,1", "--threads", "1")
    assert status == 0, err
    assert "(export) in torch" in out
    assert [line.split()[-2:] for line in out.splitlines() if line.startswith("output ")][-1] == ["4,", "4"]


# Command lines, their status, and what is said.
FAULTY: list[tuple[tuple[str, ...], int, str]] = [
    (("gone.onnx", "-r", "ort", "--ones", "1"), 2, "gone.onnx doesn't exist. Name an artifact, or a folder that"),
    (("add.onnx", "-r", "otr", "--ones", "1"), 2, "unknown runtime 'otr'. Did you mean 'ort'?"),
    (
        ("net.pt2", "-r", "ort", "--ones", "1"),
        2,
        "The runtime ort can't load net.pt2. It loads .onnx files; use --format if the name is unusual. .pt2 files "
        "run in torch or libtorch-cpp.",
    ),
    (
        ("add.onnx", "-r", "torch", "--ones", "1"),
        2,
        "The runtime torch can't load add.onnx. It loads .pt, .pth, .ts and .pt2 files; use --format if",
    ),
    ((".", "-r", "ort", "--ones", "1"), 2, "The folder . holds no signature.json. Name an artifact in it, or a"),
    (("add.onnx", "-r", "ort", "--inputs", "no.npz"), 2, "--inputs no.npz: the file can't be read: No such file"),
    (("add.onnx", "-r", "ort", "--ones", "1x3"), 2, "--ones 1x3: a shape such as 1,3,224,224 was expected"),
    (("add.onnx", "-r", "ort", "--ones", "1:float3"), 2, "--ones 1:float3: unknown dtype 'float3'"),
    (("add.onnx", "-r", "ort", "--ones", "1"), 2, "(x: float32 (b, 2), y: float32 (b, 2)), and 1 was given."),
    (("add.onnx", "-r", "ort", "--match-input", "x=y"), 2, "--match-input matches a file with a case. Give --case"),
    (("add.onnx", "-r", "ort"), 2, "No inputs were given, and no export's references lie beside"),
    (("add.onnx", "-r", "ort", "--ones", "1", "-o", "x.txt"), 2, "-o x.txt: outputs are saved as .safetensors or"),
    (("add.onnx", "-r", "ort", "--ones", "1", "-o", "/proc/x.npz"), 2, "-o /proc/x.npz: the file can't be written"),
    (("add.onnx", "-r", "torch", "-f", "onnx", "--ones", "1"), 2, "can't load the format onnx. It loads torchs"),
    (("add.onnx", "-r", "ort", "--ones", "1", "--device", "tpu"), 2, "the runtime ort runs on cpu and cuda only"),
    (("net.pt", "-r", "torch", "--ones", "1"), 1, "net.pt can't be read: ValueError: it holds no TorchScript"),
    (("newer.onnx", "-r", "ort", "--ones", "1,2", "--ones", "1,2"), 1, "what to change: the file has opset 99,"),
    (("newer.pt", "-r", "torch", "--ones", "1"), 1, "what to change: a newer PyTorch wrote the file (version 99"),
    (("add.onnx", "-r", "ort", "--ones", "3,2", "--ones", "3,5"), 1, "add.onnx in ort: error at stage run: "),
]  # fmt: skip


@pytest.fixture(scope="module")
def said(folder: Path) -> list[tuple[int, str, str]]:
    """Of all faulty lines."""
    return subcommands.several(*((folder, ["run", *arguments]) for arguments, _, _ in FAULTY))


@pytest.mark.parametrize("number", [pytest.param(i, id=" ".join(FAULTY[i][0])) for i in range(len(FAULTY))])
def test_what_can_not_be_run_is_said(said: list[tuple[int, str, str]], number: int) -> None:
    _, status, message = FAULTY[number]
    found, out, err = said[number]
    assert found == status, err
    assert status == 1 or out == ""
    assert err.strip().startswith("modelconform run: ")
    assert message in err


@pytest.mark.parametrize(
    ("fake", "message"),
    [
        ("segfault-load", "crash at stage load: fake-segfault-load was killed by SIGSEGV"),
        ("abort-run", "crash at stage run: fake-abort-run was killed by SIGABRT"),
        ("refuse-run", "error at stage run: RuntimeError: Unrecognized operator: frobnicate"),
        ("endless-run", "timeout at stage run: fake-endless-run gave no answer within 3 s (--timeout)"),
        ("absent", "The runtime fake-absent needs no-such-package>=3: pip install"),
    ],
)
def test_a_runtime_that_dies_or_refuses_is_a_message_with_its_stage(
    project: Path, tmp_path: Path, fake: str, message: str
) -> None:
    (tmp_path / "model.pt").write_bytes(b"")
    (tmp_path / "signature.json").write_text(
        '{"file": "model.pt", "format": "torchscript-trace", "layout": "tree", "inputs": null, "operators": []}'
    )
    arguments = (str(tmp_path / "model.pt"), "-r", f"fake-{fake}", "--ones", "2,2", "--timeout", "3")
    status, _, err = execute(project, *arguments)
    assert status == 1, err
    assert message in err


def test_an_exported_folder_is_compared_with_its_references(project: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pytest_modelconform", "export", "plain.py", "-f", "torchscript-trace"]
    subprocess.run([*command, "--to", str(tmp_path)], cwd=project, check=True, stdout=subprocess.DEVNULL)
    status, out, err = execute(project, str(tmp_path), "-r", "fake-good-never")
    assert status == 0, err
    assert "input set 'seven': pass\n  output  float32 (2, 2)  60.0 significant bits (PyTorch has " in out
    assert out.endswith("\npass\n")
    status, out, err = execute(project, str(tmp_path), "-r", "fake-wrong-run")
    assert status == 1, err
    assert "input set 'seven': mismatch" in out
    assert out.endswith("\nmismatch\n")
