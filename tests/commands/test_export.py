"""`modelconform export`, as a process of its own, on small projects."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from pytest_modelconform.cells.registry import Registry, register_built_in
from pytest_modelconform.commands.export.files import NoPlace, companions
from pytest_modelconform.compare import Reference
from pytest_modelconform.workers import arrays
from tests.support import runs, subcommands

pytestmark = pytest.mark.compiles


def export(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest_modelconform", "export", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)


def problems(*lines: tuple[Path, Sequence[str]]) -> list[tuple[int, str]]:
    """Statuses and messages of exports that have to fail, by folder and arguments."""
    done = subcommands.several(*((folder, ["export", *arguments]) for folder, arguments in lines))
    assert [out for _, out, _ in done] == [""] * len(done)
    return [(status, err.strip()) for status, _, err in done]


def test_artifact_inputs_and_references_are_written_and_listed(project: Path, tmp_path: Path, cache: Path) -> None:
    target = tmp_path / "new" / "folder"
    done = export(project, "plain.py", "--format", "torchscript-trace", "--to", str(target))
    assert done.returncode == 0, done.stderr
    listed = [line.partition("  ")[0] for line in done.stdout.splitlines()]
    assert sorted(listed) == sorted(str(path) for path in target.iterdir())
    names = [Path(path).name for path in listed]
    assert names[:3] == ["model.pt", "signature.json", "inputs-seven.safetensors"]
    assert names[-1] == "case.json"
    assert done.stdout.splitlines()[0] == f"{listed[0]}  {Path(listed[0]).stat().st_size} bytes"
    # The same artifact as the run of tests made, out of the cache.
    assert (target / "model.pt").read_bytes() in [path.read_bytes() for path in cache.glob("artifacts/*/model.pt")]

    described = json.loads((target / "case.json").read_text())
    assert described["case"] == "plain.py::plain"
    assert described["format"] == "torchscript-trace"
    assert (described["tolerance"]["bits_lost"], described["tolerance"]["worst"]) == (1.5, 4.0)
    sets = described["input_sets"]
    assert list(sets)[:2] == ["seven", "one"]
    assert sets["one"]["args"] == [{"tensor": "/args/0"}]
    assert sets["one"]["shapes"] == {"/args/0": [1, 2]}
    assert [name for name in sets if sets[name]["generated"]] == [name for name in sets if name.startswith("auto-")]
    # Of zeros no number is compared, in C++ either.
    assert {name: entry["tolerance"]["bits"] for name, entry in sets.items() if "tolerance" in entry} == {
        "auto-zeros": -60.0
    }
    for name in sets:
        x = arrays.read(target / f"inputs-{name}.safetensors")["/args/0"]
        meta = json.loads((target / f"references-{name}.json").read_text())[""]
        found = arrays.read(target / f"references-{name}.safetensors")
        reference = Reference.from_arrays(meta, {key.removeprefix("#"): array for key, array in found.items()})
        assert reference.eager.tolist() == (x * 3 + 1).reshape(-1).tolist()


def test_input_sets_of_an_earlier_export_go_and_other_files_stay(project: Path, tmp_path: Path) -> None:
    for name in ("inputs-old.safetensors", "references-old.safetensors", "references-old.json", "main.cpp"):
        (tmp_path / name).touch()
    done = export(project, "plain.py::plain", "--format", "torchscript-trace", "--to", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert [path.name for path in tmp_path.glob("*old*")] == []
    assert (tmp_path / "main.cpp").exists()
    assert not list(tmp_path.glob(".*"))


def test_what_there_is_nothing_of_is_named_with_the_nearest(project: Path, tmp_path: Path) -> None:
    rest = ("--format", "torchscript-trace", "--to", "never")
    runs.write(tmp_path, {"no_case.py": "x = 1\n"})
    gone, no_case, mistyped, unknown, nothing = problems(
        (project, ("plane.py", *rest)),
        (tmp_path, ("no_case.py", *rest)),
        (project, ("plain.py::plian", *rest)),
        (project, ("plain.py", "--format", "onx", "--to", "never")),
        (project, ("plain.py", "--format", "module", "--to", "never")),
    )
    assert gone == (2, "modelconform export: plane.py does not exist: name a case file")
    assert no_case == (2, "modelconform export: no_case.py does not import pytest_modelconform: name a case file")
    message = "modelconform export: plain.py has no case 'plian'. Did you mean 'plain'? It has plain.py::plain"
    assert mistyped == (2, message)
    assert unknown[0] == 2
    assert unknown[1].startswith(
        "modelconform export: unknown format 'onx'. Did you mean 'onnx'? Known formats: torchs"
    )
    message = "the format module stores nothing: its runtimes build the model. Choose another format."
    assert nothing == (2, f"modelconform export: {message}")
    assert not (project / "never").exists()


def test_what_is_wrong_with_a_case_or_its_export_is_said_with_its_stage(tmp_path: Path) -> None:
    cases = {
        "unscriptable": "class Odd(Net):\n    def forward(self, *x):\n        return super().forward(*x)\n\n\n"
        "case = Case(model=lambda: Odd(), inputs=inputs)\n",
        "branching": "class Odd(Net):\n    def forward(self, x):\n        if x.sum() > 0:\n            x = x * 2\n"
        "        return super().forward(x)\n\n\ncase = Case(model=lambda: Odd(), inputs=inputs)\n",
        "several": "a = Case(model=lambda: Net(), inputs=inputs)\nb = Case(model=lambda: Net(), inputs=inputs)\n"
        'lacking = Case(model=lambda: Net(), inputs=inputs, tags=("A B",))\n',
        "broken": "raise ValueError('not today')\n",
        "needy": 'case = Case(model=lambda: Net(), inputs=inputs, requires=("no-such-package",))\n',
    }
    runs.write(tmp_path, {f"{name}.py": runs.CASE + text for name, text in cases.items()})
    rest = ("--format", "torchscript-script", "--to", "never")
    unscriptable, branching, several, lacking, broken, needy = problems(
        (tmp_path, ("unscriptable.py", *rest)),
        (tmp_path, ("branching.py", "--format", "export", "--to", "never")),
        *((tmp_path, (name, *rest)) for name in ("several.py", "several.py::lacking", "broken.py", "needy.py")),
    )
    status, message = unscriptable
    assert status == 1
    start = "modelconform export: unscriptable.py in torchscript-script: error at stage export: "
    assert start in message
    assert "variable number of arguments" in message
    status, message = branching
    assert (status, message.count("\nwhat to change: `if x.sum() > 0:` branches on a tensor's value")) == (1, 1), (
        message
    )
    message = "modelconform export: several.py has several cases: name one of several.py::a, several.py::b"
    assert several == (2, message + ", several.py::lacking")
    status, message = lacking
    assert (status, "case 'lacking', field 'tags'" in message) == (2, True), message
    status, message = broken
    assert status == 2
    assert message.startswith("modelconform export: error at stage collect: broken.py: ")
    assert "not today" in message
    message = "modelconform export: case 'needy' needs no-such-package: pip install no-such-package torch=="
    status, said = needy
    assert (status, said.startswith(message)) == (2, True), said
    assert not (tmp_path / "never").exists()


def test_an_artifact_alone_goes_under_a_name_of_its_own(project: Path, tmp_path: Path) -> None:
    target = tmp_path / "new" / "net.ts"
    done = export(project, "plain.py", "-f", "torchscript-trace", "-o", str(target))
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{target}  {target.stat().st_size} bytes\n"
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize(("format_name", "name"), [("onnx", "net.onnx"), ("openvino", "net.xml")])
def test_an_artifact_alone_loads_and_gives_the_numbers(
    project: Path, tmp_path: Path, format_name: str, name: str
) -> None:
    pytest.importorskip("onnxscript" if format_name == "onnx" else "openvino")
    target = tmp_path / name
    done = export(project, "plain.py", "-f", format_name, "-o", str(target))
    assert done.returncode == 0, done.stderr
    x = np.arange(7, 11, dtype="float32").reshape(2, 2)
    if format_name == "onnx":
        onnxruntime = pytest.importorskip("onnxruntime")
        [y] = onnxruntime.InferenceSession(target).run(None, {"x": x})
    else:
        assert sorted(path.name for path in tmp_path.iterdir()) == ["net.bin", "net.xml"]
        import openvino

        y = openvino.Core().compile_model(str(target), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(x)[0]
    assert np.array_equal(y, 3 * x + 1)


def test_where_an_artifact_alone_can_not_go_is_said_before_the_export(project: Path, tmp_path: Path) -> None:
    start = "modelconform export: "
    rest = ("plain.py", "-f", "torchscript-trace", "-o")
    lines = [(*rest, "net.onnx"), (*rest, str(tmp_path)), (*rest[:-1], "--to", "plain.py"), rest[:-1]]
    # A folder in which nobody can create a file.
    lines += [(*rest, "/proc/x.pt")] if Path("/proc/self").is_dir() else []
    suffix, folder, file, nowhere, *no_place = problems(*((project, words) for words in lines))
    kinds = ".pt, .pth or .ts"
    message = f"{start}an artifact in torchscript-trace needs a name that ends in {kinds}; net.onnx does not"
    assert suffix == (2, message)
    message = f"{start}{tmp_path} is a folder: name a file, or use --to {tmp_path}"
    assert folder == (2, message)
    message = f"{start}--to: plain.py can't be written to: plain.py is a file, not a folder; choose another folder"
    assert file == (2, message)
    assert (nowhere[0], "one of the arguments -o/--output --to is required" in nowhere[1]) == (2, True)
    message = f"{start}-o: /proc/x.pt can't be written: no file can be created there; choose another place"
    assert no_place == [(2, message)] * len(no_place)


def test_companions_go_beside_the_file_and_keep_working() -> None:
    registry = Registry()
    register_built_in(registry)

    def places(format_name: str, target: str, *files: str) -> list[str]:
        main, *others = files
        return [str(path) for path in companions(registry.format(format_name), main, others, Path(target)).values()]

    assert places("ncnn", "a/net.param", "model.ncnn.param", "model.ncnn.bin") == ["a/net.param", "a/net.bin"]
    assert places("onnx", "a/net.onnx", "model.onnx", "model.onnx.data") == ["a/net.onnx", "a/model.onnx.data"]
    said = r"an artifact in mxnet consists of several files .* whose names can't change: use --to FOLDER"
    with pytest.raises(NoPlace, match=said):
        places("mxnet", "a/net.json", "model-symbol.json", "model-0000.params")


@pytest.mark.parametrize("environment", ["-n 2", "-p no:such --bogus"])
def test_options_for_runs_of_tests_are_left_alone(
    project: Path, tmp_path: Path, environment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTEST_ADDOPTS", environment)
    done = export(project, "plain.py", "--format", "torchscript-trace", "--to", str(tmp_path))
    assert done.returncode == 0, done.stderr
