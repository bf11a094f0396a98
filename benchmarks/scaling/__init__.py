"""What `benchmarks/scale.py` lets pytest load: formats and runtimes that answer at once, and a stopwatch.

It comes in by the hook that other packages use. A process leaves what it measured in the folder SCALE_FOUND.
"""

from __future__ import annotations

import functools
import json
import os
import resource
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Generator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from pytest_modelconform.cells.registry import Registry
from pytest_modelconform.runtimes.base import python_worker

FORMATS = [f"scale-{letter}" for letter in "abc"]
RUNTIMES = [f"scale-{number}" for number in "123"]
_WORKER = Path(__file__).with_name("worker.py")


def pytest_modelconform_register(registry: Registry) -> None:
    """The hook."""
    for name in FORMATS:
        registry.add_format(name, _module(name, FRAMEWORKS={"torch": "benchmarks.scaling.stored"}, export=None))
    for name in RUNTIMES:
        registry.add_runtime(name, _module(name, FORMATS=tuple(FORMATS), command=_command))


def _command(device: str, threads: int, cache: Path, progress: Callable[[str], None]) -> list[str]:
    return python_worker(_WORKER, device, threads)


def _module(name: str, **members: Any) -> str:
    module = ModuleType(f"modelconform_{name}".replace("-", "_"))
    vars(module).update({"NAME": name, "MAIN": True, **members})
    sys.modules[module.__name__] = module
    return module.__name__


# -- the stopwatch -----------------------------------------------------------------------------------------------------

# Seconds of processor time in this process, by phase; what a phase does for another one counts there.
seconds: defaultdict[str, float] = defaultdict(float)
_phases: list[str] = []
_since = 0.0

PHASES = {
    "collect": ["plugin.items:CaseFile.collect", "plugin.session:SessionPlugin.pytest_xdist_node_collection_finished"],
    "schedule": [
        f"plugin.scheduler:CellScheduling.{name}" for name in ("schedule", "mark_test_complete", "add_node_collection")
    ],
    "log": ["plugin.log:RunLog.record", "plugin.log:RunLog.finish"],
    "terminal": ["plugin.log:RunLog.summarise"],
    "json": ["report.json_report:write"],
    "html": ["report.html:write"],
}


def _switch(phase: str | None) -> None:
    global _since
    now = time.process_time()
    if _phases:
        seconds[_phases[-1]] += now - _since
    if phase is None:
        _phases.pop()
    else:
        _phases.append(phase)
    _since = now


def _timed(phase: str, function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def timed(*arguments: Any, **named: Any) -> Any:
        _switch(phase)
        try:
            return function(*arguments, **named)
        finally:
            _switch(None)

    return timed


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """All of pytest's own collection, too."""
    _switch("collect")
    try:
        return (yield)
    finally:
        _switch(None)


@pytest.hookimpl(wrapper=True)
def pytest_runtestloop() -> Generator[None, object, object]:
    """The rest of what happens while cells run."""
    _switch("run")
    begin = time.perf_counter()
    try:
        return (yield)
    finally:
        _switch(None)
        seconds["run, wall"] += time.perf_counter() - begin


@pytest.hookimpl(tryfirst=True)
def pytest_configure() -> None:
    """Put the stopwatch into the plugin, before pytest takes its hooks."""
    import importlib

    for phase, places in PHASES.items():
        for place in places:
            module, _, attribute = place.partition(":")
            owner: Any = importlib.import_module(f"pytest_modelconform.{module}")
            *parts, name = attribute.split(".")
            for part in parts:
                owner = getattr(owner, part)
            setattr(owner, name, _timed(phase, getattr(owner, name)))
    if os.environ.get("SCALE_SETTLED"):
        from . import settled

        settled.install()


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """Leave what was measured."""
    scale = 1 if sys.platform == "darwin" else 1024
    found = {
        "seconds": dict(seconds),
        "cpu": time.process_time(),
        "bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale,
    }
    name = "worker" if hasattr(config, "workerinput") else "pytest"
    Path(os.environ["SCALE_FOUND"], f"{name}-{os.getpid()}.json").write_text(json.dumps(found))
