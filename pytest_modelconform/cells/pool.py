"""The live workers of one pytest process: the case host and a worker a runtime and device."""

from __future__ import annotations

import contextlib
import functools
import importlib
import importlib.metadata
import importlib.util
import math
import os
import sys
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any

from .. import environments
from ..cache import spare
from ..cache.disk import DiskFull
from ..cache.keeper import KEEPER
from ..cache.made_once import BuildError
from ..cache.reservations import Reservations
from ..environments import Environment
from ..formats.frameworks import Framework
from ..runtimes.base import WORKERS, python_worker
from ..terms import capacity, devices, gpus, resident
from .meter import Meter
from .registry import Registry
from .turns import Turns
from .worker import UNAVAILABLE, InlineWorker, Worker, WorkerCrashed, WorkerProblem, WorkerRefused, is_unavailable

AnyWorker = Worker | InlineWorker
HOST = "case host"
CONVERTER = "converter to"
HOST_FILE = WORKERS / "host" / "host.py"
# Seconds from the start of a process to its answer to hello: imports of a framework on a cold disk.
START_LIMIT = 180.0
# What a worker takes on average: PyTorch's with a model three quarters of a gigabyte, those in C++ a quarter. It
# decides how many live at a time. With too few, a process whose cells need eight starts two anew for each cell.
_BYTES_A_WORKER = 2**29


class Pool:
    """Starts workers, keeps them, and ends the one that is cheapest to have again when there are too many.

    Those of a cell that runs are never ended, even if they are more than the limit.

    path: folders that the case host adds to sys.path. threads: for each worker. share: pytest processes on this
    machine; process: which of them this is, from 0. inline: all workers are in this process; inline_host: only the case
    hosts are, for models that are in this process already. reservations: this process's, of memory. variables: what the
    environment of workers has besides.
    """

    def __init__(
        self,
        registry: Registry,
        cache: Path,
        path: Sequence[str],
        threads: int,
        share: int,
        inline: bool,
        progress: Callable[[str], None],
        process: int = 0,
        inline_host: bool = False,
        variables: Mapping[str, str] = MappingProxyType({}),
        reservations: Reservations | None = None,
    ) -> None:
        self.registry = registry
        self.cache = cache
        self.path = list(path)
        self.threads = threads
        self.inline = inline
        self.inline_host = inline_host
        self.variables = variables
        self.progress = progress
        self.process = process
        self.reservations = reservations or Reservations(None)
        self.share = share
        self.limit = worker_limit(share)
        # The last operation that any worker was asked for. meter: the memory that a cell's workers take.
        self.last_op = ""
        self.meter = Meter()
        self._workers: dict[tuple[str, str], AnyWorker] = {}
        self._unbuildable: dict[str, BuildError] = {}
        self._not_here: dict[tuple[str, str], WorkerProblem] = {}
        self._start_seconds: dict[tuple[str, str], float] = {}
        self._needed_since = math.inf

    @functools.cached_property
    def turns(self) -> Turns:
        """This process's turns on its GPU."""
        portion = gpus.portion(gpus.visible(), self.process, self.share)
        return Turns(portion, self.leave_gpu, self.progress)

    def begin(self) -> None:
        """A cell begins: the workers that it asks for stay until the next one does.

        It holds several at once, and asks for further ones while it does: a runtime's, then a host for the smoke model.
        """
        self._needed_since = time.monotonic()
        if any(worker.on_gpu for worker in self._workers.values()):
            self.turns.give_way()

    def leave_gpu(self) -> None:
        """End the workers that use the GPU: as long as they live, they keep some of its memory."""
        for worker in list(self._workers.values()):
            if worker.on_gpu:
                self.discard(worker)

    def host(self, name: str = "") -> AnyWorker:
        """The case host of a name; "" is the common one. Raises a WorkerProblem if it can't be started."""
        return self._ready((f"{HOST} {name}".strip(), "cpu"), path=self.path)

    def host_for(self, framework: Framework, device: str = devices.CPU) -> AnyWorker:
        """The case host of a framework. Raises a WorkerProblem or BuildError if it can't start."""
        return self._host_in(framework.host, framework.environment, device)

    def host_of(self, format_name: str, device: str = devices.CPU) -> AnyWorker:
        """The case host that exports to a format on a device. Raises a WorkerProblem or BuildError if it can't start.

        One that has exported on the GPU keeps some of its memory, so that there is another one for the CPU.
        """
        module = self.registry.format(format_name)
        return self._host_in(module.HOST, module.ENVIRONMENT, device)

    def _host_in(self, name: str, environment: Environment | None, device: str = devices.CPU) -> AnyWorker:
        if environment is None:
            return self._ready((f"{HOST} {name}".strip(), device), path=self.path)
        python = spare.attempt(self.cache, lambda cache: environments.python(environment, cache, self.progress))
        return self._ready((f"{HOST} {name or environment.name}", device), python=python, path=self.path)

    def converter(self, format_name: str) -> AnyWorker:
        """The converter of a format. Raises a WorkerProblem or BuildError if it can't be started."""
        return self._ready((f"{CONVERTER} {format_name}", "cpu"))

    def runtime(self, name: str, device: str) -> AnyWorker:
        """The worker of a runtime. Raises a WorkerProblem or BuildError if it can't be started."""
        return self._ready((name, device))

    def prestart(self, name: str, device: str) -> None:
        """Start a runtime's process without waiting for it, so that its imports overlap with other work."""
        if not self.inline and (name, device) not in self._workers:
            # What goes wrong here goes wrong again, and is reported, when the worker is asked for.
            with contextlib.suppress(WorkerProblem, BuildError, DiskFull):
                self._start((name, device))

    def give_way(self, niceness: int) -> None:
        """Lower the priority of the workers that run. Those that start later have that of this process."""
        for worker in self._workers.values():
            if isinstance(worker, Worker):
                # A worker leads a process group: all of its threads and children. It may be gone.
                with contextlib.suppress(OSError):
                    os.setpriority(os.PRIO_PGRP, worker.pid, niceness)

    def discard(self, worker: AnyWorker) -> None:
        """End a worker, so that the next one asked for is fresh."""
        worker.close(kill=True)
        self._workers = {key: known for key, known in self._workers.items() if known is not worker}

    def close(self) -> None:
        """End all workers, at the same time: a process that has loaded a framework takes half a second to end."""
        with ThreadPoolExecutor(max(1, len(self._workers))) as threads:
            list(threads.map(lambda worker: worker.close(), self._workers.values()))
        self._workers.clear()

    def resident(self) -> int:
        """Bytes that the workers have in memory."""
        return sum(resident.now(worker.pid) for worker in self._workers.values() if isinstance(worker, Worker))

    def end_others(self, name: str, device: str) -> None:
        """End the workers that a runtime's cells have no use for, whose memory is needed."""
        for key in [key for key in self._workers if key != (name, device) and not key[0].startswith(HOST)]:
            self._workers.pop(key).close()

    def end_makers(self) -> None:
        """End case hosts and converters, which were told where to write."""
        for key, worker in list(self._workers.items()):
            if key[0].startswith((HOST, CONVERTER)):
                self.discard(worker)

    def kill(self) -> None:
        """End all workers at once."""
        for worker in self._workers.values():
            worker.close(kill=True)
        self._workers.clear()

    def _ready(self, key: tuple[str, str], python: str = sys.executable, **hello: Any) -> AnyWorker:
        if key in self._not_here:
            raise self._not_here[key]
        worker = self._workers.get(key)
        if worker is not None and not worker.alive:
            # It died between two requests, of its own accord or by another's hand: nobody's verdict.
            self.discard(worker)
            worker = None
        worker = worker or self._start(key, python)
        if not worker.info:
            begin = time.monotonic()
            try:
                worker.hello(START_LIMIT, **hello)
                _check_device(worker, key)
            except BaseException as error:
                self.discard(worker)
                if isinstance(error, WorkerProblem) and is_unavailable(error):
                    self._not_here[key] = error
                raise
            self._start_seconds[key] = max(time.monotonic() - begin, self._start_seconds.get(key, 0.0))
        worker.last_used = time.monotonic()
        return worker

    def _start(self, key: tuple[str, str], python: str = sys.executable) -> AnyWorker:
        name, device = key
        runs_on = devices.route(device).runs_on
        self._make_room()
        worker: AnyWorker
        if name.startswith(HOST):
            command = python_worker(HOST_FILE, runs_on, self.threads, python)
        else:
            command = self._command(name, runs_on)
        if self.inline or (self.inline_host and name.startswith(HOST)):
            handlers = inline_handlers(name, command, runs_on, self.threads)
            worker = InlineWorker(name, handlers, raises=self.inline, on_gpu=runs_on == devices.CUDA)
        else:
            on_gpu = runs_on == devices.CUDA
            turn = (self.turns.portion, self.turns.is_alone) if on_gpu else ()
            mine = devices.environment(runs_on, *turn)
            mine |= {**self.reservations.environment(), **self.variables, **KEEPER.variables()}
            env = {**environment(self.threads, spare.current(self.cache)), **mine}
            if command[0] != sys.executable:
                # Our packages are none of another environment's.
                env = environments.surroundings(env)
            worker = Worker(name, command, env, on_gpu=on_gpu, meter=self.meter)
        self._workers[key] = worker
        return worker

    def _command(self, name: str, device: str) -> list[str]:
        if name in self._unbuildable:
            raise self._unbuildable[name]
        try:
            return spare.attempt(self.cache, lambda cache: self._command_in(cache, name, device))
        except BuildError as error:
            self._unbuildable[name] = error
            raise

    def _command_in(self, cache: Path, name: str, device: str) -> list[str]:
        if name.startswith(CONVERTER):
            module = self.registry.format(name.removeprefix(CONVERTER).strip())
            return module.command(self.threads, cache, self.progress)
        return self.registry.runtime(name).command(device, self.threads, cache, self.progress)

    def _make_room(self) -> None:
        while len(self._workers) >= self.limit:
            idle = [key for key, worker in self._workers.items() if worker.last_used < self._needed_since]
            if not idle:
                return
            # A C++ worker is back in a tenth of a second, one that imports a framework in several.
            key = min(idle, key=lambda k: (round(self._start_seconds.get(k, 0.0)), self._workers[k].last_used))
            self._workers.pop(key).close()


def _check_device(worker: AnyWorker, key: tuple[str, str]) -> None:
    """Raises WorkerRefused where a worker can't compute on the GPU: ONNX Runtime would compute on the CPU instead."""
    name, device = key[0], devices.route(key[1]).runs_on
    known = worker.info.get("devices")
    if device == devices.CUDA and isinstance(known, list) and device not in known:
        what = f"{worker.info.get('name', name)} {worker.info.get('version', '')}".strip()
        said = f"{name} can't use {device} here: {what} knows {', '.join(map(str, known)) or 'no device'}. Install a "
        raise WorkerRefused(UNAVAILABLE, f"{said}build of it for {device} that fits the driver", "", "")


def worker_limit(share: int, memory: int | None = None) -> int:
    """How many workers one of `share` pytest processes may have alive: at least 4, at most 12, as memory allows."""
    if memory is None:
        memory = capacity.memory().total
    return max(4, min(12, memory // 2 // _BYTES_A_WORKER // max(share, 1)))


def environment(threads: int, cache: Path, base: Mapping[str, str] | None = None) -> dict[str, str]:
    """Environment of a worker: ours, with the number of threads that libraries ask it for."""
    env = dict(os.environ if base is None else base)
    # The last one is of processes, which inductor starts to compile a GPU's kernels.
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TORCHINDUCTOR_COMPILE_THREADS"):
        env[name] = str(threads)
    # The default is a folder below /tmp that all programs of a user share, and that another user may have made.
    env["TORCHINDUCTOR_CACHE_DIR"] = str(cache / "inductor")
    # ONNX Runtime reports its use to its maker, on Linux, too (seen in 1.30 for Node, 1.32 for Python): no model's
    # business is anyone else's, and the reports leave files behind.
    env["ORT_DISABLE_TELEMETRY"] = "1"
    # What a worker inherits of pytest's own switches is none of a model's business.
    env.pop("PYTEST_CURRENT_TEST", None)
    env.pop("PYTHONSAFEPATH", None)
    # Where a user's warnings are errors, those of exporters and runtimes are still only theirs.
    env.pop("PYTHONWARNINGS", None)
    env["PYTHONUNBUFFERED"] = "1"
    return env


def inline_handlers(name: str, command: Sequence[str], device: str, threads: int) -> Mapping[str, Any]:
    """The handlers of a Python worker, imported into this process."""
    files = [Path(part) for part in command if part.endswith(".py")]
    if Path(command[0]).resolve() != Path(sys.executable).resolve() or not files:
        raise WorkerCrashed(
            f"{name} can't run in this process, since it isn't Python of this environment: leave out "
            "--modelconform-inline"
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        handlers: Mapping[str, Any] = _import(files[-1]).handlers(device, threads)
    return handlers


def _import(file: Path) -> ModuleType:
    if WORKERS in file.parents:
        relative = file.relative_to(WORKERS).with_suffix("")
        return importlib.import_module(".".join(["pytest_modelconform.workers", *relative.parts]))
    spec = importlib.util.spec_from_file_location(f"modelconform_worker_{file.stem}", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def threads(share: int) -> int:
    """Threads of each worker, where `share` pytest processes divide the machine."""
    return max(1, capacity.cores() // max(share, 1))
