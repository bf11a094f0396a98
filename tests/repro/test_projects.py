"""Every built-in exporter and runtime is somebody's."""

from __future__ import annotations

import importlib

import pytest

from pytest_modelconform.formats import base as format_base
from pytest_modelconform.formats.built_in import BUILT_IN as FORMATS
from pytest_modelconform.repro import projects
from pytest_modelconform.runtimes import base as runtime_base
from pytest_modelconform.runtimes.built_in import BUILT_IN as RUNTIMES


@pytest.mark.parametrize(
    ("name", "words", "tracker"),
    [
        ("onnx-legacy", "torch.onnx.export(..., dynamo=False) of PyTorch ", "pytorch/pytorch"),
        ("torchscript-trace", "torch.jit.trace of PyTorch ", "pytorch/pytorch"),
        ("executorch", "ExecuTorch's to_edge_transform_and_lower", "pytorch/executorch"),
        ("openvino", "openvino.convert_model of OpenVINO", "openvinotoolkit/openvino"),
        ("mnn", "MNN's converter of MNN", "alibaba/MNN"),
        ("stablehlo", "the exporter to stablehlo of torchax", "google/torchax"),
    ],
)
def test_whose_an_exporter_is(name: str, words: str, tracker: str) -> None:
    found = projects.exporter(format_base.described(importlib.import_module(FORMATS[name])))
    assert str(found).startswith(words)
    assert f"/{tracker}/issues" in found.tracker
    assert found.role == ("the converter" if name == "mnn" else "the exporter")


@pytest.mark.parametrize(
    ("name", "words"),
    [("ort", "ONNX Runtime"), ("ort-cpp", "ONNX Runtime"), ("ort-web", "ONNX Runtime"), ("libtorch-cpp", "PyTorch")],
)
def test_whose_a_runtime_is(name: str, words: str) -> None:
    found = projects.runtime(runtime_base.described(importlib.import_module(RUNTIMES[name])))
    assert str(found).startswith(words)
    assert str(found).endswith(f"({name})")


def test_all_that_have_a_script_have_a_tracker() -> None:
    formats = [format_base.described(importlib.import_module(module)) for module in FORMATS.values()]
    runtimes = [runtime_base.described(importlib.import_module(module)) for module in RUNTIMES.values()]
    assert not [found.NAME for found in formats if found.REPRO and not projects.exporter(found).tracker]
    assert not [found.NAME for found in runtimes if found.REPRO and not projects.runtime(found).tracker]
