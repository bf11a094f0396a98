"""ONNX files of old opsets in ONNX Runtime and OpenVINO: who is blamed for what, in whole runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import runs
from tests.support.fakes import REPOSITORY
from tests.support.processors import saturates
from tests.support.runs import Run

pytestmark = pytest.mark.compiles

CASES = f"""\
import sys

import numpy as np

sys.path.insert(0, {str(REPOSITORY)!r})

from pytest_modelconform import Case
from tests.support import onnx_graphs as graphs


def pair(*shape, low=None, high=None):
    def values(*lengths):
        random = np.random.normal(size=lengths) if low is None else np.random.uniform(low, high, size=lengths)
        return (random.astype(np.float32),)

    return {{"two": lambda: values(2, *shape), "three": lambda: values(3, *shape)}}


def boxes(count):
    corner = np.random.uniform(0.3, 18.7, size=(count, 2))
    return np.concatenate([corner, corner + np.random.uniform(20.3, 27.6, size=(count, 2))], 1).astype(np.float32)


def call(batch, count):
    features = np.random.normal(size=(batch, 4, 24, 30)).astype(np.float32)
    return features, boxes(count), np.random.randint(0, batch, size=count)


def case(model, inputs, shapes=({{0: "batch"}},)):
    return Case(model=model, framework="onnx", inputs=inputs, dynamic_shapes=shapes)


batch_norm_9 = case(lambda: graphs.batch_norm(9), pair(4, 5, 6))
batch_norm_7 = case(lambda: graphs.batch_norm(7), pair(4, 5, 6))
recognizer = case(lambda: graphs.ocr_like(11), pair(3, 8, 12))
int8 = case(lambda: graphs.int8_pairs(17), pair(3, 9, 9, low=1.2, high=4.4))
by_count = {{"five": lambda: call(2, 5), "eight": lambda: call(3, 8)}}
roi_file = case(graphs.roi_align, by_count, ({{0: "batch"}}, {{0: "n"}}, {{0: "n"}}))
nothing = graphs.node("NoSuchOperator", ["x"], ["y"], domain="com.microsoft")
broken = case(lambda: graphs.graph([nothing], [2, 3], 2), pair(3))
"""
JUDGED = ["batch_norm_9", "batch_norm_7", "recognizer", "int8"]


@pytest.fixture
def seen(session_folder: Path) -> Run:
    def make(folder: Path) -> Run:
        runs.write(folder, {"files.py": CASES})
        options = ("--modelconform-formats=onnx", "--modelconform-threads=0")
        return runs.run(folder, *options, runtimes="ort,openvino", seconds=900)

    return runs.once(session_folder, "yardsticks", make)


@pytest.mark.parametrize("case", JUDGED)
def test_right_runtimes_pass_with_numbers(seen: Run, case: str) -> None:
    # Its weights have their full range: without VNNI, the processor cuts sums of products off.
    for runtime in () if case == "int8" and saturates() else ("ort", "openvino"):
        name = f"{case}[onnx-{runtime}-cpu]"
        assert seen.verdict(name) == ("pass", None), seen.stdout
        assert seen.cells[name]["bits"] > 18
    assert "pure" not in seen.message(f"{case}[eager]")
    assert "the yardstick is ONNX's evaluator (" in seen.message(f"{case}[eager]")
    assert "without optimisation agrees" in seen.message(f"{case}[eager]")


def test_a_runtime_that_is_really_wrong_is_alone(seen: Run) -> None:
    """openvinotoolkit/openvino#37826: RoiAlign without the attribute sampling_ratio."""
    assert seen.verdict("roi_file[onnx-ort-cpu]") == ("pass", None), seen.stdout
    assert seen.verdict("roi_file[onnx-openvino-cpu]") == ("mismatch", "compare")
    assert "agree with each other" not in seen.message("roi_file[onnx-openvino-cpu]")


def test_what_nobody_can_run_is_said_of_each(seen: Run) -> None:
    message = seen.message("broken[eager]")
    assert seen.verdict("broken[eager]") == ("error", "reference")
    assert "case 'broken': there is nothing to measure it by: ONNX's evaluator fails: " in message
    assert "ONNX Runtime without optimisation fails: " in message
    assert "the model itself fails" not in message
