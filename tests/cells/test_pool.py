"""The live workers of one pytest process."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from pytest_modelconform.cache.made_once import BuildError
from pytest_modelconform.cells.pool import Pool, environment, inline_handlers, worker_limit
from pytest_modelconform.cells.registry import Registry
from pytest_modelconform.cells.turns import Turns
from pytest_modelconform.cells.worker import InlineWorker, Worker, WorkerCrashed, WorkerRefused
from pytest_modelconform.runtimes.base import WORKERS, python_worker
from pytest_modelconform.terms import gpus
from pytest_modelconform.terms.gpus import Gpu
from tests.support import fakes, runs

GOOD, CHATTY, STATEFUL = (fakes.runtime_name(fake) for fake in ("good@never", "chatty@run", "stateful@run"))


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[Pool]:
    registry = Registry()
    fakes.register(registry)
    made = Pool(registry, tmp_path, [], threads=1, share=1, inline=False, progress=print)
    yield made
    made.kill()


def process(pool: Pool, name: str) -> Worker:
    worker = pool.runtime(name, "cpu")
    assert isinstance(worker, Worker)
    return worker


def test_a_worker_is_kept(pool: Pool) -> None:
    worker = process(pool, GOOD)
    assert worker.info["name"] == "fake"
    assert process(pool, GOOD) is worker
    assert not worker.used
    pool.discard(worker)
    assert not worker.alive
    assert process(pool, GOOD) is not worker


def test_workers_give_way(pool: Pool) -> None:
    worker = process(pool, GOOD)
    niceness = os.getpriority(os.PRIO_PROCESS, worker.pid) + 1
    pool.give_way(niceness)
    assert os.getpriority(os.PRIO_PROCESS, worker.pid) == niceness
    # One that is gone is none of its business.
    os.kill(worker.pid, signal.SIGKILL)
    runs.wait_until(lambda: not worker.alive, 10, "it lives")
    pool.give_way(niceness + 1)


def test_one_that_died_between_two_requests_is_replaced(pool: Pool) -> None:
    worker = process(pool, GOOD)
    os.kill(worker.pid, signal.SIGKILL)
    runs.wait_until(lambda: not worker.alive, 10, "it lives")
    assert process(pool, GOOD).alive


def test_one_that_refuses_hello_is_not_kept(pool: Pool) -> None:
    for _ in range(2):
        with pytest.raises(WorkerRefused, match="Unrecognized operator"):
            pool.runtime("fake-refuse-hello", "cpu")
    with pytest.raises(WorkerCrashed):
        pool.runtime("fake-segfault-hello", "cpu")


def test_the_least_recently_used_goes(pool: Pool) -> None:
    pool.limit = 2
    first, second = process(pool, GOOD), process(pool, CHATTY)
    assert process(pool, GOOD) is first
    # On a busy machine one may have taken a second to start, and would be dearer to have again.
    pool._start_seconds.clear()
    third = process(pool, STATEFUL)
    assert (first.alive, second.alive, third.alive) == (True, False, True)


def test_those_of_a_cell_that_runs_stay(pool: Pool) -> None:
    # Ending one that a cell holds was seen: "I/O operation on closed file", for a runtime that is in order.
    pool.limit = 2
    idle = process(pool, GOOD)
    pool.begin()
    held = process(pool, CHATTY)
    pool._start_seconds.clear()
    others = [process(pool, name) for name in (STATEFUL, fakes.runtime_name("wrong@run"))]
    assert (idle.alive, held.alive, *(other.alive for other in others)) == (False, True, True, True)
    pool.begin()
    assert process(pool, GOOD).alive
    assert sum(worker.alive for worker in (held, *others)) == 1


def test_one_that_is_started_early_is_the_one_that_is_used(pool: Pool) -> None:
    pool.prestart(GOOD, "cpu")
    [early] = pool._workers.values()
    assert process(pool, GOOD) is early
    assert early.info["name"] == "fake"
    # What goes wrong is said when it is asked for.
    pool.prestart("fake-sysexit-import", "cpu")
    with pytest.raises(WorkerCrashed, match="status 3"):
        pool.runtime("fake-sysexit-import", "cpu")


@pytest.mark.parametrize("kill", [False, True])
def test_at_the_end_all_end(pool: Pool, kill: bool) -> None:
    workers = [process(pool, name) for name in (GOOD, CHATTY)]
    (pool.kill if kill else pool.close)()
    assert not any(worker.alive for worker in workers)


def test_a_harness_that_does_not_build_is_built_once(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    module, builds = ModuleType("unbuildable"), []

    def command(*_: object) -> list[str]:
        builds.append(1)
        raise BuildError("engine.cpp:1: error: no")

    vars(module).update(NAME="unbuildable", FORMATS=("onnx",), command=command)
    monkeypatch.setitem(sys.modules, "unbuildable", module)
    pool.registry.add_runtime("unbuildable", "unbuildable")
    for _ in range(2):
        with pytest.raises(BuildError, match=r"engine\.cpp:1: error: no"):
            pool.runtime("unbuildable", "cpu")
    pool.prestart("unbuildable", "cpu")
    assert len(builds) == 1


def test_the_environment_of_a_worker() -> None:
    given = {"A": "b", "PYTEST_CURRENT_TEST": "x", "PYTHONSAFEPATH": "1", "OMP_NUM_THREADS": "64"}
    assert environment(3, Path("cache"), given) == {
        "A": "b", "OMP_NUM_THREADS": "3", "MKL_NUM_THREADS": "3", "OPENBLAS_NUM_THREADS": "3", "PYTHONUNBUFFERED": "1",
        "TORCHINDUCTOR_COMPILE_THREADS": "3", "TORCHINDUCTOR_CACHE_DIR": "cache/inductor",
        "ORT_DISABLE_TELEMETRY": "1",
    }  # fmt: skip


@pytest.mark.parametrize(("share", "gigabytes", "limit"), [(1, 3, 4), (1, 8, 8), (1, 256, 12), (2, 16, 8), (8, 16, 4)])
def test_how_many_live_at_a_time(share: int, gigabytes: int, limit: int) -> None:
    assert worker_limit(share, gigabytes * 2**30) == limit
    assert 4 <= worker_limit(share) <= 12


def test_inline(tmp_path: Path) -> None:
    registry = Registry()
    fakes.register(registry)
    pool = Pool(registry, tmp_path, [], threads=1, share=1, inline=True, progress=print)
    with pytest.raises(WorkerCrashed, match=r"can't run in this process, since .*: leave out --modelconform-inline"):
        pool.runtime(GOOD, "cpu")
    own = tmp_path / "own_worker.py"
    own.write_text("def handlers(device, threads):\n    return {'hello': lambda request: {'name': device * threads}}\n")
    handlers = inline_handlers("own", python_worker(own, "cpu", 2), "cpu", 2)
    worker = InlineWorker("own", handlers)
    worker.hello(1)
    assert worker.info["name"] == "cpucpu"
    built_in = inline_handlers("ort", python_worker(WORKERS / "python" / "ort_worker.py", "cpu", 1), "cpu", 1)
    assert set(built_in) == {"hello", "load", "run", "unload"}


# -- GPUs --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def on_gpu(tmp_path: Path, pool: Pool, monkeypatch: pytest.MonkeyPatch) -> Pool:
    """The pool of the second of three processes that share a GPU of 80 GiB."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev" / "nvidia0").touch()
    monkeypatch.setattr(gpus, "DEV", tmp_path / "dev")
    portion = gpus.portion([Gpu("GPU-a", "NVIDIA X", 80 * 2**30)], 1, 3)
    pool.turns = Turns(portion, pool.leave_gpu, lambda line: None, tmp_path / "turns")
    return pool


def seen_by(worker: object) -> dict[str, str]:
    """The environment that a process was started with, as far as it is of GPUs."""
    assert isinstance(worker, Worker)
    lines = Path(f"/proc/{worker.pid}/environ").read_text().split("\0")
    every = dict(line.partition("=")[::2] for line in lines if line)
    return {name: every[name] for name in ("CUDA_VISIBLE_DEVICES", "MODELCONFORM_GPU_BYTES") if name in every}


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="only Linux tells of a process's environment")
def test_workers_see_their_gpu_or_none(on_gpu: Pool) -> None:
    assert seen_by(on_gpu.runtime(GOOD, "cpu")) == {"CUDA_VISIBLE_DEVICES": ""}
    assert seen_by(on_gpu.runtime(GOOD, "cuda-to-cpu")) == {"CUDA_VISIBLE_DEVICES": ""}
    most = str(80 * 2**30 // 3 - gpus.CONTEXTS)
    mine = on_gpu.runtime(GOOD, "cuda")
    assert seen_by(mine) == {"CUDA_VISIBLE_DEVICES": "GPU-a", "MODELCONFORM_GPU_BYTES": most}
    with on_gpu.turns.alone():
        assert not mine.alive
        alone = on_gpu.runtime(GOOD, "cuda")
        assert seen_by(alone) == {"CUDA_VISIBLE_DEVICES": "GPU-a"}
    # One that may take all of the memory is not there when others share it again.
    assert not alone.alive
    assert on_gpu.runtime(GOOD, "cpu").alive


def test_idle_workers_leave_the_gpu_to_one_that_wants_it_alone(on_gpu: Pool, tmp_path: Path) -> None:
    mine, other = on_gpu.runtime(GOOD, "cuda"), on_gpu.runtime(GOOD, "cpu")
    on_gpu.begin()
    before = mine.alive
    portion = on_gpu.turns.portion
    elsewhere = Turns(portion, lambda: None, lambda line: None, tmp_path / "turns")
    with elsewhere.alone(), elsewhere.held():
        on_gpu.begin()
    assert (before, mine.alive, other.alive) == (True, False, True)
