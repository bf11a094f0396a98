"""What the Python workers ask their frameworks for, in full precision and in fast."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto
from onnx import helper as graphs

from pytest_modelconform.workers import arrays
from pytest_modelconform.workers.loop import WorkerError
from pytest_modelconform.workers.python import openvino_worker, ort_worker, torch_worker


def model(folder: Path, dtype: int) -> Path:
    """y = x, flattened."""
    node = graphs.make_node("Reshape", ["x", "shape"], ["y"])
    graph = graphs.make_graph(
        [node],
        "graph",
        [graphs.make_tensor_value_info("x", dtype, ["a", "b"])],
        [graphs.make_tensor_value_info("y", dtype, ["c"])],
        [graphs.make_tensor("shape", TensorProto.INT64, [1], [-1])],
    )
    path = folder / "model.onnx"
    onnx.save(graphs.make_model(graph, opset_imports=[graphs.make_opsetid("", 20)], ir_version=10), path)
    return path


def flags() -> tuple[Any, ...]:
    cuda = torch.backends.cuda.matmul
    return (
        torch.get_float32_matmul_precision(),
        cuda.allow_tf32,
        torch.backends.cudnn.allow_tf32,
        cuda.allow_fp16_reduced_precision_reduction,
        cuda.allow_bf16_reduced_precision_reduction,
    )


def test_torch_is_told_at_every_load(tmp_path: Path) -> None:
    path = tmp_path / "model.pt2"
    torch.export.save(torch.export.export(torch.nn.Linear(2, 2), (torch.ones(1, 2),)), path)
    load = torch_worker.handlers("cpu", torch.get_num_threads())["load"]
    request = {"op": "load", "model": str(path), "format": "export"}
    try:
        for _ in range(2):
            load({**request, "precision": "fast"})
            assert flags() == ("medium", True, True, True, True)
            load({**request, "precision": "full"})
            assert flags() == ("highest", False, False, False, False)
        load({**request, "precision": "fast"})
        load(request)
        assert flags()[0] == "highest"
    finally:
        torch_worker.set_precision(fast=False)


def test_onnx_runtime(tmp_path: Path) -> None:
    request = {"model": str(model(tmp_path, TensorProto.FLOAT))}
    for precision, said in (("full", "0"), ("fast", "1")):
        session = ort_worker.open_session({**request, "precision": precision}, "cpu", 1)
        options = session.get_session_options()
        assert options.get_session_config_entry("mlas.enable_gemm_fastmath_arm64_bfloat16") == said


def test_onnx_runtime_takes_the_memory_of_a_gpu_that_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MODELCONFORM_GPU_BYTES", raising=False)
    assert ort_worker.cuda_options("0") == {"use_tf32": "0"}
    monkeypatch.setenv("MODELCONFORM_GPU_BYTES", "1000")
    assert ort_worker.cuda_options("1") == {"use_tf32": "1", "gpu_mem_limit": "1000"}


@pytest.mark.skipif("CUDAExecutionProvider" in onnxruntime.get_available_providers(), reason="this build has CUDA")
@pytest.mark.filterwarnings("ignore:Specified provider")
def test_onnx_runtime_without_cuda_is_not_taken_for_one_on_a_gpu(tmp_path: Path) -> None:
    request = {"model": str(model(tmp_path, TensorProto.FLOAT)), "precision": "full"}
    with pytest.raises(WorkerError, match="would compute with CPUExecutionProvider") as refused:
        ort_worker.open_session(request, "cuda", 1)
    assert refused.value.kind == "Unavailable"


def test_openvino(tmp_path: Path) -> None:
    import openvino

    request = {"model": str(model(tmp_path, TensorProto.FLOAT))}
    core = openvino.Core()
    full = openvino_worker.compile_model(core, {**request, "precision": "full"}, "cpu", 1)
    fast = openvino_worker.compile_model(core, {**request, "precision": "fast"}, "cpu", 1)
    assert full.get_property("INFERENCE_PRECISION_HINT") == openvino.Type.f32
    # The plugin's own choice: bfloat16 where the processor has it.
    own = core.compile_model(request["model"], "CPU").get_property("INFERENCE_PRECISION_HINT")
    assert fast.get_property("INFERENCE_PRECISION_HINT") == own


@pytest.mark.parametrize(
    ("dtype", "kind"),
    [
        (np.dtype("float32"), TensorProto.FLOAT),
        (np.dtype("float16"), TensorProto.FLOAT16),
        (np.dtype(ml_dtypes.bfloat16), TensorProto.BFLOAT16),
        (np.dtype(ml_dtypes.float8_e4m3fn), TensorProto.FLOAT8E4M3FN),
    ],
)
def test_openvino_gets_and_gives_the_bits_of_dtypes_that_numpy_has_not(
    dtype: np.dtype[Any], kind: int, tmp_path: Path
) -> None:
    handlers = openvino_worker.handlers("cpu", 1)
    handlers["load"]({"model": str(model(tmp_path, kind)), "precision": "full"})
    # Transposed, as an input may arrive.
    x = np.linspace(-3, 3, 12).reshape(4, 3).astype(dtype).T
    arrays.write(tmp_path / "in", {"/args/0": x})
    request = {"inputs": str(tmp_path / "in"), "outputs": str(tmp_path / "out"), "repeats": 2}
    answer = handlers["run"]({**request, "feeds": [["x", "/args/0"]], "fetches": ["y"]})
    [found] = arrays.read(tmp_path / "out").values()
    assert found.dtype == dtype
    assert found.tobytes() == np.ascontiguousarray(x).tobytes()
    assert answer["inputs_changed"] == []
