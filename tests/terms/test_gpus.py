"""Which GPUs there are, who has which, and how much of it: by device files and an nvidia-smi of the test's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_modelconform.terms import gpus
from pytest_modelconform.terms.gpus import Gpu, Portion
from tests.support.gpus import A100, H200, MIG, machine

GIB = 2**30
H200_UUID, A100_UUID = H200.partition(",")[0], A100.partition(",")[0]


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    yield
    gpus._asked.cache_clear()


def test_a_machine_without_one_is_asked_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpus, "DEV", tmp_path)
    monkeypatch.setattr(gpus, "ask", lambda arguments: pytest.fail("it was asked"))
    assert gpus.visible() == []
    assert not gpus.are_here()
    assert gpus.portion([], 0, 4) is None


def test_each_is_known_by_its_uuid_with_its_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine(tmp_path, monkeypatch, [H200, A100])
    assert gpus.visible() == [
        Gpu(H200_UUID, "NVIDIA H200 9.0", 143771 * 2**20, 143000 * 2**20),
        Gpu(A100_UUID, "NVIDIA A100-SXM4-40GB 8.0", 40960 * 2**20, 40000 * 2**20),
    ]


def test_one_that_is_divided_is_its_instances(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine(tmp_path, monkeypatch, [A100, H200], MIG)
    found = gpus.visible()
    assert [(gpu.name[:8], gpu.total // 10**9) for gpu in found] == [
        ("MIG-1111", 20),
        ("MIG-2222", 5),
        ("GPU-5f1a", 150),
    ]
    assert found[0].kind == "NVIDIA A100-SXM4-40GB 8.0 MIG 3g.20gb"


def test_without_nvidia_smi_they_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dev = machine(tmp_path, monkeypatch, [])
    # A container may have only the fourth GPU of its machine: CUDA calls it 0 there.
    (dev / "nvidia0").rename(dev / "nvidia3")
    assert gpus.visible() == [Gpu("0")]


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ("", []),
        ("-1", []),
        ("1", [("1", 40960)]),
        ("1, 0", [("1", 40960), ("0", 40960)]),
        ("0,-1,1", [("0", 40960)]),
        ("7", [("7", 0)]),
        (A100_UUID, [(A100_UUID, 40960)]),
        (A100_UUID[:-1] + "3", [(A100_UUID[:-1] + "3", 40960)]),
        # What may be either is neither.
        ("GPU-5f1a", [("GPU-5f1a", 0)]),
        ("MIG-GPU-5f1a/1/0", [("MIG-GPU-5f1a/1/0", 0)]),
    ],
)
def test_only_those_that_are_visible_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chosen: str, expected: list[tuple[str, int]]
) -> None:
    machine(tmp_path, monkeypatch, [A100, A100.replace("002,", "003,")])
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", chosen)
    assert [(gpu.name, gpu.total // 2**20) for gpu in gpus.visible()] == expected
    assert gpus.are_here() is bool(expected)
    assert gpus.are_hidden() is not bool(expected)


def test_of_different_ones_a_number_tells_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine(tmp_path, monkeypatch, [H200, A100])
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert gpus.visible() == [Gpu("1")]
    monkeypatch.setenv("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
    assert gpus.visible() == [Gpu("1", "NVIDIA A100-SXM4-40GB 8.0", 40960 * 2**20, 40000 * 2**20)]


def test_processes_take_them_in_turn() -> None:
    pair = [Gpu("a", total=80 * GIB), Gpu("b", total=80 * GIB)]
    found = [gpus.portion(pair, process, 5) for process in range(5)]
    assert [(one.gpu.name, one.sharers) for one in found if one] == [("a", 3), ("b", 2), ("a", 3), ("b", 2), ("a", 3)]


def test_those_that_share_one_divide_its_memory() -> None:
    gpu = Gpu("a", total=80 * GIB)
    assert gpus.portion([gpu], 0, 1) == Portion(gpu, 1, 0)
    shared = gpus.portion([gpu], 3, 4)
    assert shared == Portion(gpu, 4, 18 * GIB)
    assert shared is not None
    assert shared.fraction == 0.225
    # The parts of all, with their contexts, are no more than there is.
    for sharers in range(2, 12):
        portion = gpus.portion([gpu], 0, sharers)
        assert portion is not None
        assert portion.most >= GIB
        assert sharers > 20 or sharers * (portion.most + gpus.CONTEXTS) <= gpu.total


def test_what_nobody_tells_is_not_divided() -> None:
    assert gpus.portion([Gpu("0")], 1, 2) == Portion(Gpu("0"), 2, 0)
    assert Portion(Gpu("0"), 2, 0).fraction == 1.0


def test_what_is_in_use_now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpus, "ask", lambda arguments: "GPU-a, 1024\nGPU-b, [N/A]\nnonsense\n")
    assert [gpus.in_use(Gpu(name)) for name in ("GPU-a", "GPU-b", "MIG-c")] == [2**30, 0, 0]
    monkeypatch.setattr(gpus, "ask", lambda arguments: "")
    assert gpus.in_use(Gpu("GPU-a")) == 0


def test_how_many_fit() -> None:
    assert gpus.fitting([Gpu("0", total=40 * GIB, free=39 * GIB), Gpu("1")]) == 5
    assert gpus.fitting([Gpu("0", total=40 * GIB, free=GIB)]) == 1


@pytest.mark.parametrize(
    ("count", "processes", "expected"),
    [
        (1, 1, "1 GPU (NVIDIA X 9.0, 80.0 GiB), all of its memory for one process"),
        (2, 2, "2 GPUs (NVIDIA X 9.0, 80.0 GiB), one for each process"),
        (1, 4, "1 GPU (NVIDIA X 9.0, 80.0 GiB), shared by 4 processes, each of which may take 18.0 GiB"),
        (
            *(1, 16),
            "1 GPU (NVIDIA X 9.0, 80.0 GiB), shared by 16 processes, each of which may take 3.0 GiB; -n 10 would give "
            "each 8 GiB",
        ),
    ],
)
def test_the_header_says_so(count: int, processes: int, expected: str) -> None:
    assert gpus.line([Gpu(str(n), "NVIDIA X 9.0", 80 * GIB) for n in range(count)], processes) == expected
    assert gpus.line([Gpu("0")], 2) == "1 GPU, shared by 2 processes"
