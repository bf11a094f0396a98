"""Format `coreml`: a real conversion, its spec read back, and specs that don't fit; how its runtime is asked."""

from __future__ import annotations

import json
import platform
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pytest_modelconform.formats import coreml
from pytest_modelconform.formats.base import ExportMismatch
from pytest_modelconform.formats.foreign import of_coreml
from pytest_modelconform.runtimes import coreml as runtime
from pytest_modelconform.workers.host import host as host_module

pytestmark = pytest.mark.compiles

CASE = """\
import torch

from pytest_modelconform import Case, generic_weights


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = torch.nn.Embedding(5, 3)

    # coremltools reserves the word "state".
    def forward(self, tokens, state):
        y = self.embedding(tokens).masked_fill(state, 0.0)
        return y, y.argmax(-1), y > 0


case = Case(
    model=lambda: generic_weights(Net()),
    inputs={"two": lambda: (torch.randint(0, 5, (2, 4)), torch.rand(2, 4, 3) > 0.5)},
    dynamic_shapes={"tokens": {0: "batch"}, "state": {0: "batch"}},
)
"""


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The artifact and its signature."""
    folder = tmp_path_factory.mktemp("coreml")
    path = folder / "coreml_case.py"
    path.write_text(CASE)
    host = host_module.Host()
    where = {"file": str(path), "relative": path.name, "case": path.stem}
    artifact = folder / "artifact"
    artifact.mkdir()
    with warnings.catch_warnings():
        # coremltools' own, of versions that it wasn't tested with.
        warnings.simplefilter("ignore")
        digest = host.build(where)
        request = {**where, "module": coreml.__name__, "folder": str(artifact), "digest": digest.digest}
        answer = host.export({**request, "output_paths": ["/0", "/1", "/2"]})
    assert answer["bytes"] > sum(path.stat().st_size for path in artifact.iterdir() if path.is_file())
    return artifact, json.loads((artifact / "signature.json").read_text())


def test_the_spec_is_what_the_signature_says(converted: tuple[Path, dict[str, Any]]) -> None:
    folder, signature = converted
    import coremltools

    spec = coremltools.models.utils.load_spec(str(folder / signature["file"]))
    inputs, outputs = spec.description.input, spec.description.output
    assert [feature.name for feature in inputs] == [value["name"] for value in signature["inputs"]]
    assert [value["shape"] for value in signature["inputs"]] == [["batch", 4], ["batch", 4, 3]]
    assert [value["path"] for value in signature["outputs"]] == ["/0", "/1", "/2"]
    assert signature["booleans"] == [outputs[2].name]
    kinds = [f.type.multiArrayType.ArrayDataType.Name(f.type.multiArrayType.dataType) for f in (*inputs, *outputs)]
    assert kinds == ["INT32", "FLOAT32", "FLOAT32", "INT32", "FLOAT32"]
    # float32 in every step: no cast to float16 in the program.
    operations = [
        op for block in spec.mlProgram.functions["main"].block_specializations.values() for op in block.operations
    ]
    kinds_inside = {str(output.type.tensorType.dataType) for op in operations for output in op.outputs}
    assert str(coremltools.proto.MIL_pb2.DataType.Value("FLOAT16")) not in kinds_inside
    assert str(coremltools.proto.MIL_pb2.DataType.Value("FLOAT32")) in kinds_inside


def test_a_package_that_something_else_wrote_says_how_it_is_called(converted: tuple[Path, dict[str, Any]]) -> None:
    folder, signature = converted
    found = of_coreml(folder / signature["file"])
    assert found is not None
    assert found["file"] == signature["file"]
    described = [(value["name"], value["dtype"], value["shape"]) for value in found["inputs"]]
    assert described == [("tokens", "int32", ["?", 4]), ("state_workaround", "float32", ["?", 4, 3])]
    assert [value["name"] for value in found["outputs"]] == [value["name"] for value in signature["outputs"]]


def test_a_spec_that_does_not_fit_is_an_error(converted: tuple[Path, dict[str, Any]]) -> None:
    folder, signature = converted
    import coremltools

    inputs = coremltools.models.utils.load_spec(str(folder / signature["file"])).description.input
    tokens, mask = torch.empty(2, 4, dtype=torch.int64), torch.empty(2, 4, 3, dtype=torch.bool)
    with pytest.raises(ExportMismatch, match=r"the spec has 2 inputs \(tokens, state_workaround\), the program has 1"):
        coreml.check_features("input", inputs, [tokens])
    with pytest.raises(ExportMismatch, match=r"input tokens is INT32 in the spec and float32 .* Core ML has FLOAT32"):
        coreml.check_features("input", inputs, [tokens.float(), mask])
    with pytest.raises(ExportMismatch, match=r"Core ML has nothing"):
        coreml.check_features("input", inputs, [tokens.double(), mask])
    # The spec takes any batch; a program with a fixed one is another.
    with pytest.raises(
        ExportMismatch, match=r"input tokens has the shape \[\(0, .*\), \(4, 4\)\] .* \[2, 4\] in the pro"
    ):
        coreml.check_features("input", inputs, [tokens, mask])


def test_it_runs_on_a_mac_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    assert runtime.unavailable("cpu") == "Core ML exists on macOS only: run this on a Mac"
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    assert runtime.unavailable("cpu") is None


def test_the_runtime_is_told_which_numbers_are_bools(converted: tuple[Path, dict[str, Any]]) -> None:
    folder, signature = converted
    request = runtime.load_request(folder, signature)
    assert request["model"] == str(folder / "model.mlpackage")
    assert request["booleans"] == [signature["outputs"][2]["name"]]


def test_what_core_ml_has_no_type_for(converted: tuple[Path, dict[str, Any]]) -> None:
    from pytest_modelconform.workers.python import coreml_worker as worker

    assert worker.to_coreml("x", np.array([True, False])).tolist() == [1.0, 0.0]
    assert worker.to_coreml("x", np.array([True])).dtype == np.float32
    assert worker.to_coreml("x", np.array([3, -4])).dtype == np.int32
    half = np.ones(2, np.float16)
    assert worker.to_coreml("x", half) is half
    with pytest.raises(ValueError, match="input x has integers that 32 bits don't hold, and Core ML has no wider ones"):
        worker.to_coreml("x", np.array([2**40]))
    assert worker.to_bool("y", np.array([0.0, 1.0], np.float32)).tolist() == [False, True]
    with pytest.raises(ValueError, match="output y is bool in the model, and Core ML returned other numbers"):
        worker.to_bool("y", np.array([0.5]))
