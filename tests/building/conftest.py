"""Workers of the C++ harness: one of its own for a test that looks at the process, a shared one for all others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.building.talking import Kept, Worker, built


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Worker]]:
    """Starts a process."""
    workers: list[Worker] = []

    def start_one(engine: str, **environment: str) -> Worker:
        workers.append(Worker(built(engine), tmp_path, **environment))
        return workers[-1]

    yield start_one
    for worker in workers:
        worker.end()


@pytest.fixture(scope="module")
def kept() -> Iterator[Kept]:
    workers = Kept()
    yield workers
    workers.end()


@pytest.fixture
def ask(kept: Kept, tmp_path: Path) -> Callable[..., Worker]:
    """A worker of an engine that other tests have used and will use."""

    def worker(engine: str, **environment: str) -> Worker:
        return kept.get(engine, tmp_path, **environment)

    return worker


@pytest.fixture
def libtorch(ask: Callable[..., Worker]) -> Worker:
    return ask("libtorch")
