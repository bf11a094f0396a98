"""Devices: routes, what a machine lacks, and the environment that workers get."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_modelconform.cells.registry import Registry, register_built_in
from pytest_modelconform.terms import devices
from pytest_modelconform.terms.cell import Cell
from pytest_modelconform.terms.devices import Route


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


def test_gpus_are_counted_by_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert devices.gpus(tmp_path) == []
    for name in ("nvidia10", "nvidia2", "nvidia0", "nvidiactl", "nvidia-uvm"):
        (tmp_path / name).touch()
    assert devices.gpus(tmp_path) == ["0", "2", "10"]


@pytest.mark.parametrize(
    ("visible", "expected"),
    [("", []), ("1", ["1"]), ("1, 0", ["1", "0"]), ("0,-1,1", ["0"]), ("GPU-1f,GPU-2a", ["GPU-1f", "GPU-2a"])],
)
def test_only_visible_gpus_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, visible: str, expected: list[str]
) -> None:
    (tmp_path / "nvidia0").touch()
    (tmp_path / "nvidia1").touch()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert devices.gpus(tmp_path) == expected


@pytest.mark.parametrize("device", ["cuda", "cuda-to-cpu"])
def test_a_machine_without_a_gpu_lacks_it(monkeypatch: pytest.MonkeyPatch, device: str) -> None:
    monkeypatch.setattr(devices, "gpus", list)
    assert devices.lacking(device) == "this machine has no NVIDIA GPU (no /dev/nvidia0): run on one that has"
    assert devices.lacking("cpu") is None
    monkeypatch.setattr(devices, "gpus", lambda: ["0"])
    assert devices.lacking(device) is None


def test_each_process_has_a_gpu_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "gpus", lambda: ["0", "3"])
    seen = [devices.environment("cuda", process) for process in range(3)]
    assert seen == [{"CUDA_VISIBLE_DEVICES": number} for number in ("0", "3", "0")]
    assert devices.environment("cpu", 1) == {}


def test_what_comes_from_a_gpu_runs_as_where_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "gpus", lambda: ["0"])
    assert devices.environment("cuda-to-cpu", 0) == {"CUDA_VISIBLE_DEVICES": ""}


def test_a_device_that_was_written_into_the_artifact_is_told() -> None:
    kept = ["cpu (aten::arange, a.py:7)", "cuda:0 (aten::zeros, a.py:9)"]
    start = "keeps a device that was written into it at export, wherever it is loaded: "
    assert devices.kept_note(kept, "cuda") == (f"{start}cpu (aten::arange, a.py:7)",)
    assert devices.kept_note(kept, "cuda-to-cpu") == (f"{start}cuda:0 (aten::zeros, a.py:9)",)
    assert devices.kept_note([], "cuda") == ()
    many = [f"cpu (aten::arange, a.py:{i})" for i in range(9)]
    assert devices.kept_note(many, "cuda")[0].endswith("a.py:3) and 5 more")
