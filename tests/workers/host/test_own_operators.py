"""Which of a case's own operators a file calls, and which exporter's failure is for one of them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import onnx
import pytest
import torch
from torch import Tensor

from pytest_modelconform import Operators
from pytest_modelconform.workers.host import own_operators
from pytest_modelconform.workers.loop import UNSUPPORTED


@torch.library.custom_op("modelconform_host::shrink", mutates_args=())
def shrink(x: Tensor, by: float) -> Tensor:
    return torch.sign(x) * torch.relu(x.abs() - by)


class Calls(torch.nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return shrink(x + 1, 0.2)


class CallsNone(torch.nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x + 1


def built(operators: Operators | None, model: torch.nn.Module) -> Any:
    case = SimpleNamespace(operators=operators)
    return SimpleNamespace(case=case, model=model, clone_inputs=lambda: ((torch.ones(2),), {}))


def test_operators_outside_the_standard_are_found_in_a_file_of_onnx(tmp_path: Path) -> None:
    make = onnx.helper
    value = make.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [2])
    inner = make.make_graph([make.make_node("Inner", [], ["z"], domain="mine")], "g", [], [])
    nodes = [
        make.make_node("Relu", ["x"], ["a"]),
        make.make_node("Defined", ["a"], ["b"], domain="here"),
        make.make_node("Gelu", ["b"], ["c"], domain="com.microsoft"),
        make.make_node("Outer", ["c"], ["y"], domain="mine"),
        make.make_node("If", ["x"], ["w"], then_branch=inner, else_branch=inner),
    ]
    opsets = [make.make_opsetid("", 20), make.make_opsetid("mine", 1), make.make_opsetid("here", 1)]
    function = make.make_function(
        "here", "Defined", ["i"], ["o"], [make.make_node("InFunction", ["i"], ["o"], domain="mine")], opsets
    )
    model = make.make_model(make.make_graph(nodes, "g", [value], []), opset_imports=opsets, functions=[function])
    onnx.save(model, tmp_path / "m.onnx")
    signature = {"file": "m.onnx"}
    of_case = built(Operators(onnxruntime=("ops.so",)), Calls())
    found = own_operators.described(signature, of_case, "/here/net.py", tmp_path)
    assert found["calls"] == ["mine::InFunction", "mine::Inner", "mine::Outer"]
    assert found["extensions"] == {"onnxruntime": ["/here/ops.so"]}
    assert own_operators.described(signature, built(None, Calls()), "/here/net.py", tmp_path) == {}


def test_of_other_files_namespaces_layers_and_names_are_told(tmp_path: Path) -> None:
    of_case = built(Operators(torch=("ops.py",)), Calls())

    def calls(name: str, content: bytes = b"", operators: tuple[str, ...] = ()) -> Any:
        (tmp_path / name).write_bytes(content)
        signature = {"file": name, "operators": list(operators)}
        return own_operators.described(signature, of_case, "net.py", tmp_path)["calls"]

    assert calls("m.pt2", operators=("mine", "torchvision")) == ["mine"]
    layers = b'<layer type="Relu" version="opset1"/><layer type="Shrink" version="extension"/>'
    assert calls("m.xml", b"<net><layers>" + layers + b"</layers></net>") == ["Shrink"]
    assert calls("m.pte", b"..modelconform_host::shrink..") == ["modelconform_host::shrink"]
    assert calls("m.pte", b"..aten::add..") == []


@pytest.mark.parametrize(
    "said", ["no rule for modelconform_host.shrink.default", "modelconform_host::shrink is unknown"]
)
@pytest.mark.parametrize(
    ("given", "format_name", "kind", "words"),
    [
        (Operators(torch=("ops.py",)), "onnx", UNSUPPORTED, "{torch.ops.modelconform_host.shrink.default: a_function}"),
        (Operators(torch=("ops.py",)), "onnx-legacy", UNSUPPORTED, '{"modelconform_host::shrink": a_function}'),
        (Operators(torch=("ops.py",)), "openvino", UNSUPPORTED, "operators=Operators(openvino=(…,))"),
        (Operators(torch=("ops.py",)), "litert", UNSUPPORTED, "litert has no way to take one"),
        (None, "onnx", "", "modelconform_host::shrink is an operator of your own: say in the case how ONNX writes it"),
        # What the case says of it is what fails.
        (Operators(translations=dict), "onnx", None, ""),
        (Operators(openvino=("ops.so",)), "openvino", None, ""),
    ],
)
def test_a_failure_that_names_an_operator_of_the_model(
    given: Operators | None, format_name: str, kind: str | None, words: str, said: str
) -> None:
    error = RuntimeError("the export failed")
    error.__cause__ = ValueError(said)
    found = own_operators.explained(error, built(given, Calls()), format_name)
    if kind is None:
        assert found is None
        return
    assert found is not None
    assert (found.kind, found.stage) == (kind, "export")
    assert words in str(found)
    assert said in str(found)
    # The same words of a model that doesn't call it, and other words of this one.
    assert own_operators.explained(error, built(given, CallsNone()), format_name) is None
    assert own_operators.explained(RuntimeError("aten.add"), built(given, Calls()), format_name) is None
