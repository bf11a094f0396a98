"""Devices: routes, what a machine lacks, and the environment that workers get."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pytest_modelconform.cells.registry import Registry, register_built_in
from pytest_modelconform.terms import devices, gpus
from pytest_modelconform.terms.cell import Cell
from pytest_modelconform.terms.devices import Route
from pytest_modelconform.terms.gpus import Gpu, Portion

PART = Portion(Gpu("GPU-a", total=40_000), sharers=3, most=10_000)


@pytest.fixture
def registry() -> Registry:
    registry = Registry()
    register_built_in(registry)
    return registry


@pytest.mark.parametrize(
    ("device", "bound", "expected"),
    [
        ("cpu", False, Route("cpu", "cpu")),
        ("cuda", False, Route("cpu", "cuda")),
        ("cuda-to-cpu", False, Route("cuda", "cpu")),
        ("cuda", True, Route("cuda", "cuda")),
        ("npu", False, Route("cpu", "npu")),
        ("npu", True, Route("npu", "npu")),
    ],
)
def test_the_route_of_a_device(device: str, bound: bool, expected: Route) -> None:
    assert devices.route(device, bound) == expected


def test_both_devices_bring_the_way_back(registry: Registry) -> None:
    assert registry.select_devices(("cuda", "cpu")) == ("cpu", "cuda", "cuda-to-cpu")
    assert registry.select_devices(("cuda",)) == ("cuda",)
    assert registry.select_devices(("cuda-to-cpu",)) == ("cuda-to-cpu",)
    assert registry.select_devices(("all",)) == ("cpu", "cuda", "cuda-to-cpu")


def test_the_cells_of_each_device(registry: Registry) -> None:
    chosen = registry.select_devices(("cpu", "cuda"))
    cells = registry.cells("a.py", "a", ("torchscript-trace", "onnx"), ("libtorch-cpp", "ort-cpp"), chosen)
    assert [cell.name for cell in cells] == [
        "a[torchscript_trace-libtorch_cpp-cpu]",
        "a[torchscript_trace-libtorch_cpp-cuda]",
        "a[torchscript_trace-libtorch_cpp-cuda_to_cpu]",
        "a[onnx-ort_cpp-cpu]",
        "a[onnx-ort_cpp-cuda_to_cpu]",
    ]


def test_an_artifact_that_is_bound_to_its_device_goes_nowhere() -> None:
    runs_on = ("cpu", "cuda")
    assert [d for d in devices.ROUTES if devices.exists(d, runs_on, bound=False)] == ["cpu", "cuda", "cuda-to-cpu"]
    assert [d for d in devices.ROUTES if devices.exists(d, runs_on, bound=True)] == ["cpu", "cuda"]
    assert [d for d in devices.ROUTES if devices.exists(d, ("cuda",), bound=False)] == ["cuda"]


def test_the_id_has_no_hyphen_in_the_device() -> None:
    assert Cell("a.py", "a", "export", "torch", "cuda-to-cpu").name == "a[export-torch-cuda_to_cpu]"


@pytest.mark.parametrize("device", ["cuda", "cuda-to-cpu"])
def test_a_machine_without_a_gpu_lacks_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, device: str) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(gpus, "DEV", tmp_path)
    assert devices.lacking(device) == "this machine has no NVIDIA GPU (no /dev/nvidia0): run on one that has"
    assert devices.lacking("cpu") is None
    (tmp_path / "nvidia0").touch()
    assert devices.lacking(device) is None
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert devices.lacking(device) == "CUDA_VISIBLE_DEVICES hides this machine's GPU: unset it, or name one"


def test_what_computes_on_the_cpu_sees_no_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(gpus, "DEV", tmp_path)
    # Where there is no GPU there is nothing to hide.
    assert devices.environment("cpu") == devices.environment("cuda") == {}
    (tmp_path / "nvidia0").touch()
    monkeypatch.setattr(gpus, "ask", lambda arguments: pytest.fail("a run on the CPU has asked nvidia-smi"))
    assert devices.environment("cpu") == {"CUDA_VISIBLE_DEVICES": "", "JAX_PLATFORMS": "cpu"}
    # Of another package's device we know nothing.
    assert devices.environment("npu") == {}


def test_a_process_on_a_gpu_sees_its_own_and_takes_its_portion(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_ALLOC_CONF"):
        monkeypatch.delenv(name, raising=False)
    assert devices.environment("cuda", Portion(Gpu("3"))) == {"CUDA_VISIBLE_DEVICES": "3"}
    assert devices.environment("cuda", PART) == {
        "CUDA_VISIBLE_DEVICES": "GPU-a",
        "PYTORCH_ALLOC_CONF": "per_process_memory_fraction:0.25",
        "MODELCONFORM_GPU_BYTES": "10000",
    }
    assert devices.environment("cuda", PART, alone=True) == {"CUDA_VISIBLE_DEVICES": "GPU-a"}


@pytest.mark.parametrize("name", ["PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_ALLOC_CONF"])
def test_what_the_user_tells_pytorchs_allocator_stays(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    for known in ("PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_ALLOC_CONF"):
        monkeypatch.delenv(known, raising=False)
    monkeypatch.setenv(name, "expandable_segments:True")
    found = devices.environment("cuda", Portion(Gpu("0", total=4), sharers=2, most=1))
    assert {key: value for key, value in found.items() if key.startswith("PYTORCH")} == {
        name: "expandable_segments:True,per_process_memory_fraction:0.25"
    }


def test_pytorchs_allocator_knows_what_it_is_told() -> None:
    """A word that it doesn't know ends a process at its first tensor on the GPU."""
    [told] = (value for name, value in devices.environment("cuda", PART).items() if name.startswith("PYTORCH"))
    code = "import sys, torch; torch.version.cuda and torch._C._accelerator_setAllocatorSettings(sys.argv[1])"
    subprocess.run([sys.executable, "-c", code, told], check=True, timeout=120)


@pytest.mark.parametrize(
    ("device", "bound", "in_place", "exports", "needs"),
    [
        ("cpu", False, False, "cpu", False),
        # A trace that runs on the GPU is made on the CPU; a package of AOTInductor is compiled where it runs.
        ("cuda", False, False, "cpu", True),
        ("cuda", True, False, "cuda", True),
        # What is not stored is only described.
        ("cuda", True, True, "cpu", True),
        ("cuda-to-cpu", False, False, "cuda", True),
    ],
)
def test_exporters_that_need_the_gpu(device: str, bound: bool, in_place: bool, exports: str, needs: bool) -> None:
    assert devices.exported_on(device, bound, in_place) == exports
    assert devices.needs_gpu(device, bound) is needs


def test_a_device_that_was_written_into_the_artifact_is_told() -> None:
    kept = ["cpu (aten::arange, a.py:7)", "cuda:0 (aten::zeros, a.py:9)"]
    start = "keeps a device that was written into it at export, wherever it is loaded: "
    assert devices.kept_note(kept, "cuda") == (f"{start}cpu (aten::arange, a.py:7)",)
    assert devices.kept_note(kept, "cuda-to-cpu") == (f"{start}cuda:0 (aten::zeros, a.py:9)",)
    assert devices.kept_note([], "cuda") == ()
    many = [f"cpu (aten::arange, a.py:{i})" for i in range(9)]
    assert devices.kept_note(many, "cuda")[0].endswith("a.py:3) and 5 more")
