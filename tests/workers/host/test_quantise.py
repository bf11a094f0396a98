"""A case in int8: its references take a flipped step for noise, and a wrong scale or zero point for what it is."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pytest_modelconform.cells.typed import read
from pytest_modelconform.compare import compare_tensor
from pytest_modelconform.environments.packages import missing_packages
from pytest_modelconform.formats import executorch, export, onnx, openvino
from pytest_modelconform.references import from_runs
from pytest_modelconform.references.content import InferenceAnswer
from pytest_modelconform.references.prepared import InputSet, Prepared
from pytest_modelconform.terms.case import Tolerance
from pytest_modelconform.workers import lookups
from pytest_modelconform.workers.host import quantise
from pytest_modelconform.workers.host.build import Built, build
from pytest_modelconform.workers.host.references import runs
from pytest_modelconform.workers.loop import WorkerError
from tests.support.processors import saturates

pytestmark = [
    pytest.mark.compiles,
    pytest.mark.skipif(bool(missing_packages(quantise.REQUIRES)), reason="torchao and executorch aren't installed"),
]

CASE = """\
import torch
from torch import nn

from pytest_modelconform import Case, generic_weights


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU(),
            nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(128, 40),
        )

    def forward(self, image, places):
        # A sum of integers, as of positions in a text.
        return self.body(image) + image[:, 0, (places + 1) * 2, :5].flatten(1)


def inputs(batch):
    return {"image": torch.rand(batch, 3, 16, 16), "places": torch.tensor([0, 3, 4, 1, 2, 5, 0, 2])}


net = Case(
    model=lambda: generic_weights(Net()),
    inputs={"two": lambda: inputs(2), "three": lambda: inputs(3)},
    dynamic_shapes={"image": {0: "batch"}, "places": {}},
    dtypes=("float32", "int8"),
)
static = Case(model=lambda: generic_weights(Net()), inputs=net.inputs, dtypes=("int8",))
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Built, Prepared]:
    """The case in int8, and its references."""
    folder = tmp_path_factory.mktemp("quantised")
    path = folder / "nets.py"
    path.write_text(CASE)
    built = build(str(path), path.name, "net", "int8")
    answer = runs.make(built, str(folder))
    built.output_paths = answer["output_paths"]
    packages = {"packages": lookups.record()}
    content = from_runs.make(folder, read({**answer, **packages}, InferenceAnswer))
    return built, Prepared(content, "", folder, cached=False)


def message(entry: InputSet, outputs: Any) -> str:
    """What is wrong with a result; "" if nothing."""
    [reference] = entry.references.values()
    values = np.asarray(outputs.detach() if isinstance(outputs, torch.Tensor) else outputs)
    return compare_tensor(values, reference, Tolerance(), where="output", dtype=values.dtype.name).message


def test_the_references(made: tuple[Built, Prepared]) -> None:
    built, prepared = made
    [note] = built.notes
    assert note.startswith("quantised to int8 by PT2E and XNNPACK's quantizer: it is right to ")
    assert not any(word in " ".join(prepared.content.notes) for word in ("isn't pure", "moved by", "left out"))
    for entry in prepared.sets.values():
        [reference] = entry.references.values()
        assert reference.kind == "float"
        assert reference.reference_bits is not None
        # Of zeros no number is compared.
        assert entry.name == "auto-zeros" or 5.5 < reference.reference_bits < 12


def faulty(built: Built, change: Callable[[list[Any]], list[Any]], which: int, name: str) -> torch.nn.Module:
    """The model with other arguments of one of its operators."""
    model: Any = copy.deepcopy(built.model)
    target = getattr(torch.ops.quantized_decomposed, name).default
    node = [node for node in model.graph.nodes if node.target == target][which]
    node.args = (node.args[0], *change(list(node.args[1:])))
    model.recompile()
    return model


# Of the activations of the first layer, and of the output.
@pytest.mark.parametrize("which", [2, -1])
@pytest.mark.parametrize(
    ("fault", "name", "change"),
    [
        ("scale", "dequantize_per_tensor", lambda args: [args[0] * 1.1, *args[1:]]),
        ("zero point", "quantize_per_tensor", lambda args: [args[0], args[1] + 6, *args[2:]]),
        ("range", "quantize_per_tensor", lambda args: [*args[:2], 0, *args[3:]]),
    ],
)
def test_a_wrong_scale_or_zero_point_is_a_mismatch(
    made: tuple[Built, Prepared], fault: str, name: str, change: Any, which: int
) -> None:
    built, prepared = made
    entry = prepared.sets[built.exporter_set]
    args, kwargs = built.clone_inputs()
    assert not message(entry, built.model(*args, **kwargs))
    assert message(entry, faulty(built, change, which, name)(*args, **kwargs)).startswith(("wrong", "inexact"))


def test_flipped_steps_are_none(made: tuple[Built, Prepared]) -> None:
    """As a runtime's other order makes them: where a number is moved by a thousandth of a step before it is rounded."""
    built, prepared = made
    entry = prepared.sets[built.exporter_set]
    args, kwargs = built.clone_inputs()
    model: Any = copy.deepcopy(built.model)
    generator = torch.Generator().manual_seed(3)
    rounding = torch.ops.quantized_decomposed.quantize_per_tensor.default
    for node in [node for node in model.graph.nodes if node.target == rounding]:
        shift = (torch.rand((), generator=generator).item() - 0.5) * 2e-3 * node.args[1]
        with model.graph.inserting_before(node):
            moved = model.graph.call_function(torch.ops.aten.add.Tensor, (node.args[0], shift))
        node.args = (moved, *node.args[1:])
    model.recompile()
    assert not message(entry, model(*args, **kwargs))


def is_right(entry: InputSet, values: Any) -> bool:
    """As far as the processor computes with bytes: where it cuts sums off, no more than most of it."""
    if not saturates():
        return not message(entry, values)
    [reference] = entry.references.values()
    return bool(np.corrcoef(np.ravel(values), np.ravel(reference.eager))[0, 1] > 0.99)


def test_formats_hold_it(made: tuple[Built, Prepared], tmp_path: Path) -> None:
    """Exported, and run by each one's own runtime, in another batch than the exported one."""
    built, prepared = made
    entry = prepared.sets["three"]
    args, kwargs = built.clone_inputs("three")
    call = built.by_name(args, kwargs)
    feeds = {name: value.numpy() for name, value in call.items()}
    for module in (export, onnx, openvino, executorch):
        (tmp_path / module.NAME).mkdir()
    found = export.export(built, tmp_path / "export")
    assert found["operators"] == ["torch.ao.quantization.fx._decomposed"]
    assert not message(entry, torch.export.load(tmp_path / "export" / "model.pt2").module()(*args, **kwargs))

    if not missing_packages((*onnx.REQUIRES, "onnxruntime")):
        import onnxruntime

        signature = onnx.export(built, tmp_path / "onnx")
        session = onnxruntime.InferenceSession(tmp_path / "onnx" / "model.onnx")
        assert is_right(entry, session.run([signature["outputs"][0]["name"]], feeds)[0])
    if not missing_packages(openvino.REQUIRES):
        import openvino as library

        openvino.export(built, tmp_path / "openvino")
        hints = {"INFERENCE_PRECISION_HINT": "f32"}
        compiled = library.Core().compile_model(tmp_path / "openvino" / "model.xml", "CPU", hints)
        assert is_right(entry, compiled(feeds)["output.0"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of ExecuTorch's own
        executorch.export(built, tmp_path / "executorch")
    assert b"XnnpackBackend" in (tmp_path / "executorch" / "model.pte").read_bytes()


def test_a_set_of_another_size_needs_dynamic_shapes(tmp_path: Path) -> None:
    path = tmp_path / "nets.py"
    path.write_text(CASE)
    with pytest.raises(WorkerError, match=r"the captured model refuses 'three'.*Say in dynamic_shapes"):
        build(str(path), path.name, "static", "int8")
