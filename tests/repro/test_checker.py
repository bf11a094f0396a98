"""What ONNX's own checker says of files."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from pytest_modelconform.repro.checker import refusal


def written(folder: Path, index: int, *, domain: str = "", opset: int = 18) -> Path:
    """A GatherND with indices of a dtype."""
    node = helper.make_node("GatherND", ["x", "i"], ["y"], domain=domain)
    graph = helper.make_graph(
        [node],
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [4]), helper.make_tensor_value_info("i", index, [2, 1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2])],
    )
    imports = [helper.make_opsetid("", opset), *([helper.make_opsetid(domain, 1)] if domain else [])]
    path = folder / "model.onnx"
    onnx.save(helper.make_model(graph, opset_imports=imports, ir_version=10), path)
    return path


def test_a_type_that_the_operator_does_not_take(tmp_path: Path) -> None:
    said = refusal(written(tmp_path, TensorProto.INT32))
    assert "GatherND" in said
    assert "tensor(int32)" in said
    assert "\n" not in said


@pytest.mark.parametrize("name", ["valid", "another's operator", "damaged", "no ONNX file", "no file"])
def test_what_is_not_refused(name: str, tmp_path: Path) -> None:
    if name == "another's operator":
        path = written(tmp_path, TensorProto.INT32, domain="com.microsoft")
    else:
        path = written(tmp_path, TensorProto.INT64)
    if name == "damaged":
        path.write_bytes(b"no protobuf")
    if name == "no ONNX file":
        path = path.rename(tmp_path / "model.pt2")
    if name == "no file":
        path.unlink()
    assert refusal(path) == ""


def test_a_checker_that_takes_too_long_says_nothing(tmp_path: Path) -> None:
    assert refusal(written(tmp_path, TensorProto.INT32), seconds=0.001) == ""
