"""What a case says of an export reaches the exporter, and its own files are called as the model is."""

from __future__ import annotations

import importlib
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch

from pytest_modelconform.cells.registry import Registry, register_built_in
from pytest_modelconform.workers.host import own_exports
from pytest_modelconform.workers.host.build import Built, build
from pytest_modelconform.workers.host.references import runs as references
from pytest_modelconform.workers.loop import WorkerError
from tests.support import saved_models

CASE = """\
import json
from pathlib import Path

import torch
from torch import nn

from pytest_modelconform import Case, Export, generic_weights


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(4, 3)
        self.b = nn.Linear(4, 3)

    def forward(self, left, right):
        return {"sum": self.a(left) + self.b(right), "tanh": torch.tanh(self.a(left))}


class Wrapped(nn.Module):
    def __init__(self, model, names="right, left"):
        super().__init__()
        self.model = model

    def forward(self, right, left):
        return self.model(left, right)


class Renamed(Wrapped):
    def forward(self, one, two):
        return self.model(one, two)


def legacy(folder, model, inputs, **options):
    torch.onnx.export(model, inputs, str(folder / "theirs.onnx"), dynamo=False, **options)
    return "theirs.onnx"


def scripted(model, inputs, folder):
    torch.jit.trace(model, inputs, strict=False).save(folder / "theirs.pt")
    (folder / "left_over").mkdir()
    (folder / "left_over" / "checkpoint.pt").write_text("3 GB")
    return folder / "theirs.pt"


def programmed(model, inputs, folder):
    torch.export.save(torch.export.export(model, inputs), folder / "theirs.pt2")
    return folder / "theirs.pt2"


def big(model, inputs, folder):
    # Weights beside the graph, in a folder of the function's own.
    import onnx

    inner = folder / "inner"
    inner.mkdir()
    legacy(inner, model, inputs)
    stored = onnx.load(inner / "theirs.onnx")
    onnx.save(stored, inner / "big.onnx", save_as_external_data=True, location="big.weights", size_threshold=0)
    return inner / "big.onnx"


def fails(model, inputs, folder):
    raise ValueError("no such licence")


case = Case(
    model=lambda: generic_weights(Net()),
    inputs={
        "two": lambda: (torch.rand(2, 4), torch.rand(2, 4)),
        "three": lambda: (torch.rand(3, 4), torch.rand(3, 4)),
    },
    dynamic_shapes={"left": {0: "batch"}, "right": {0: "batch"}},
    exports={
        "onnx@20": Export(options={"opset_version": 20, "input_names": ["l", "r"]}),
        "onnx@static": Export(options={"dynamic_shapes": None}),
        "onnx@axes": Export(
            options={
                "dynamic_axes": {"left": {0: "n"}, "right": {0: "n"}},
                "input_names": ["left", "right"],
            }
        ),
        "onnx@old": Export(options={"opset_version": 7}),
        "onnx@odd": Export(options={"opset": 18}),
        "onnx@legacys": Export(options={"do_constant_folding": False}),
        "onnx-legacy@15": Export(options=lambda: {"opset_version": 15, "output_names": ["t", "s"]}),
        "onnx-legacy@read": Export(options=lambda: json.loads(Path(__file__).with_name("options.json").read_text())),
        "export@kept": Export(options={"preserve_module_call_signature": ("a",)}),
        "onnx@ours": Export(make=lambda m, i, f: legacy(f, m, i, input_names=["right", "left"])),
        "onnx@order": Export(make=lambda m, i, f: legacy(f, m, i)),
        "onnx@said": Export(
            make=lambda m, i, f: legacy(f, Wrapped(m), i, input_names=["x", "y"], output_names=["p", "q"]),
            inputs={"x": "right", "y": "left"},
            outputs={"q": "tanh", "p": "sum"},
        ),
        "onnx@big": Export(make=big),
        "onnx@fails": Export(make=fails),
        "onnx@nothing": Export(make=lambda m, i, f: "net.onnx"),
        "onnx@none": Export(make=lambda m, i, f: None),
        "onnx@missing": Export(file="artifacts/{dtype}.onnx"),
        "tensorflow@saved": Export(file="saved"),
        "tensorflow@here": Export(make=lambda m, i, f: f),
        "onnx@garbage": Export(file="garbage.onnx"),
        "torchscript-trace@ours": Export(make=lambda m, i, f: scripted(Wrapped(m), i[::-1], f)),
        "torchscript-trace@renamed": Export(make=lambda m, i, f: scripted(Renamed(m), i, f)),
        "export@ours": Export(make=lambda m, i, f: programmed(Wrapped(m), i[::-1], f)),
        "export@torchscript": Export(make=scripted),
    },
)
"""

FORMATS = "pytest_modelconform.formats"
Make = Callable[..., own_exports.Made]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    folder = tmp_path_factory.mktemp("own")
    (folder / "options.json").write_text('{"opset_version": 16}')
    (folder / "garbage.onnx").write_bytes(b"no protobuf at all")
    tensor = (1, [None, 4])
    saved_models.write(folder / "saved", {"left": tensor, "right": tensor}, {"tanh": tensor, "sum": tensor})
    path = folder / "net.py"
    path.write_text(CASE)
    made = build(str(path), "test_own_exports_net.py", "net")
    made.output_paths = references.make(made, str(folder))["output_paths"]
    return made


def case_file_of(built: Built) -> Path:
    """The fixture's; other tests of this process may have imported modules by this name, too, which count as well."""
    [found] = [path for path in map(Path, built.files) if path.name == "net.py" and path.parent.name.startswith("own")]
    return found


@pytest.fixture
def make(built: Built, tmp_path: Path) -> Make:
    registry = Registry()
    register_built_in(registry)

    def call(column: str, options: str = "", file: Path | None = None) -> own_exports.Made:
        exporter = importlib.import_module(registry.format(column).module)
        case_file = str(case_file_of(built))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            request = {"file": str(file or case_file), "column": column, "options": options, "own": None, "by": FORMATS}
            return own_exports.make(exporter, built, tmp_path, request)

    return call


def opset(folder: Path, file: str) -> int:
    return next(one.version for one in onnx.load(folder / file).opset_import if not one.domain)


def test_options_reach_the_exporter(make: Make, tmp_path: Path) -> None:
    found = make("onnx@20").signature
    assert opset(tmp_path, found["file"]) == 20
    assert [(value["name"], value["path"]) for value in found["inputs"]] == [("l", "/args/0"), ("r", "/args/1")]
    found = make("onnx-legacy@15").signature
    assert opset(tmp_path, found["file"]) == 15
    assert [value["name"] for value in found["outputs"]] == ["t", "s"]
    # Of the command line, for the plain column and on top of the case's.
    assert opset(tmp_path, make("onnx-legacy", "{'opset_version': 14}").signature["file"]) == 14
    found = make("onnx-legacy@15", "{'opset_version': 16}").signature
    assert (opset(tmp_path, found["file"]), found["outputs"][0]["name"]) == (16, "t")


def test_what_options_are_read_from_is_part_of_what_the_artifact_was_made_from(make: Make, tmp_path: Path) -> None:
    found = make("onnx-legacy@read")
    assert opset(tmp_path, found.signature["file"]) == 16
    assert "options.json" in {Path(name).name for name in found.files}
    assert not make("onnx-legacy").files


def test_shapes_are_those_of_the_options(make: Make) -> None:
    def batches(column: str) -> list[Any]:
        return [value["shape"][0] for value in make(column).signature["inputs"]]

    assert batches("onnx-legacy") == ["batch", "batch"]
    # What runs such a file with another batch is refused, and that is no fault of the runtime.
    assert batches("onnx@static") == [2, 2]
    left, right = batches("onnx@axes")
    assert left == right != 2


def test_options_of_other_exporters(make: Make, tmp_path: Path) -> None:
    make("export@kept")
    kept = torch.export.load(tmp_path / "model.pt2").module_call_graph
    assert {entry.fqn.partition("@")[0] for entry in kept if entry.signature is not None} == {"", "a"}
    # Heeded: what the trace is to be checked with is none.
    with pytest.raises(TypeError, match="'int' object is not iterable"):
        make("torchscript-trace", "{'check_trace': True, 'check_inputs': 5}")


@pytest.mark.parametrize(
    ("column", "why"),
    [
        ("onnx@odd", r"case 'net', exports\['onnx@odd'\], options: there is no option 'opset'.*takes .*opset_version"),
        ("onnx@legacys", "the option 'do_constant_folding' of torch.onnx.export can't be given here"),
        ("onnx@old", "opset_version=7 was asked for, and the exporter wrote operator set 18"),
        ("onnx@fails", r"exports\['onnx@fails'\], make: line \d+: ValueError: no such licence"),
        (
            "onnx@nothing",
            "the function returned 'net.onnx', and no such file is there: write the model into the folder",
        ),
        ("onnx@none", "the function returned a NoneType: return the path of the file"),
        ("onnx@missing", r"the file .*/artifacts/float32.onnx doesn't exist: write it before the run"),
        ("onnx@garbage", "garbage.onnx can't be read: DecodeError"),
        ("tensorflow@here", "no such file is there: write the model into the folder"),
        ("export@torchscript", "can't be read: "),
    ],
)
def test_what_goes_wrong_names_the_export(column: str, why: str, make: Make) -> None:
    with pytest.raises(Exception, match=why) as caught:
        make(column)
    assert isinstance(caught.value, WorkerError) or column == "onnx@old"


def test_files_of_ones_own_are_matched_and_copied(make: Make, tmp_path: Path) -> None:
    def pairs(column: str) -> tuple[dict[str, str], dict[str, str], list[str]]:
        found = make(column).signature
        both = ({value["name"]: value["path"] for value in found[kind]} for kind in ("inputs", "outputs"))
        return (*both, found["notes"])

    # Names come before the order, in which this file has them wrong.
    inputs, outputs, notes = pairs("onnx@ours")
    assert (inputs, list(outputs.values()), notes) == (
        {"right": "/args/1", "left": "/args/0"},
        ["/sum", "/tanh"],
        [],
    )
    inputs, _, [note] = pairs("onnx@order")
    assert list(inputs.values()) == ["/args/0", "/args/1"]
    assert "matched with the model's by their order" in note
    inputs, outputs, notes = pairs("onnx@said")
    assert (inputs, outputs, notes) == ({"x": "/args/1", "y": "/args/0"}, {"p": "/sum", "q": "/tanh"}, [])
    found = make("onnx@big").signature
    assert (found["file"], found["external"]) == ("big.onnx", ["big.weights"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["big.onnx", "big.weights"]


def test_a_folder_is_copied_and_is_part_of_what_the_artifact_was_made_from(
    make: Make, built: Built, tmp_path: Path
) -> None:
    made = make("tensorflow@saved")
    assert made.signature["file"] == "saved"
    assert [(value["name"], value["path"]) for value in made.signature["inputs"]] == [
        ("left", "/args/0"),
        ("right", "/args/1"),
    ]
    copied = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file())
    assert copied == ["saved/saved_model.pb", "saved/variables/variables.index"]
    case_file = case_file_of(built)
    assert sorted(made.files) == sorted(str(case_file.parent / name) for name in copied)


def test_a_file_is_beside_the_case_file_as_that_is_named(
    make: Make, built: Built, tmp_path_factory: pytest.TempPathFactory
) -> None:
    case_file = case_file_of(built)
    folder = tmp_path_factory.mktemp("named")
    (folder / "cases").symlink_to(case_file.parent)
    found = make("tensorflow@saved", file=folder / "cases" / "net.py").files
    # The link may point at the next version of that folder later.
    assert all(Path(name).is_relative_to(folder / "cases" / "saved") for name in found)
    # Of a case file that is a link itself: what only its target has beside it.
    (folder / "net.py").symlink_to(case_file)
    found = make("tensorflow@saved", file=folder / "net.py").files
    assert found
    assert all(Path(name).is_relative_to(case_file.parent / "saved") for name in found)


def test_files_that_are_called_like_the_model(make: Make, tmp_path: Path, built: Built) -> None:
    found = make("torchscript-trace@ours").signature
    # By name, since it takes them the other way round.
    assert found["arguments"] == [["right", "/args/1"], ["left", "/args/0"]]
    assert [path.name for path in tmp_path.iterdir()] == ["theirs.pt"]
    found = make("torchscript-trace@renamed").signature
    assert "arguments" not in found
    [note] = found["notes"]
    assert re.search("by their order: one is left, two is right", note)
    found = make("export@ours").signature
    assert found["arguments"] == [["", "/args/1"], ["", "/args/0"]]
    assert [leaf["shape"] for leaf in found["inputs"]] == [[2, 4], [2, 4]]


def test_a_file_is_part_of_what_the_artifact_was_made_from(make: Make, built: Built) -> None:
    case_file = case_file_of(built)
    target = case_file.parent / "artifacts"
    target.mkdir()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(built.model, built.clone_inputs()[0], str(target / "float32.onnx"), dynamo=False)
    found = make("onnx@missing")
    assert list(found.files) == [str(target / "float32.onnx")]
    # A link counts as such: it may point at another file later.
    (target / "float32.onnx").rename(target / "first.onnx")
    (target / "float32.onnx").symlink_to(target / "first.onnx")
    assert make("onnx@missing").files == found.files
    # What was made just now, in the artifact's folder, is none of it; the function's own modules are.
    assert not any(name.endswith("theirs.onnx") for name in make("onnx@ours").files)
