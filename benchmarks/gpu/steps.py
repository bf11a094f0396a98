"""The steps, in the order of what one would miss most if the machine were gone after it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_modelconform.terms import devices

from . import full, machine, runs
from .kept import Kept, Step

# Small models of each kind; four need PyTorch only, so that there is something to run anywhere.
CASES = (
    *("plain/mlp.py", "plain/net.py", "plain/convnet.py", "plain/encoder_block.py", "plain/lstm.py"),
    *("vision/resnet.py", "vision/mobilenet_v3.py", "vision/vit.py", "text/bert.py", "text/gpt2.py"),
)
FORMATS = ("torchscript-trace", "torchscript-script", "export", "aoti", "onnx", "module")
RUNTIMES = ("torch", "libtorch-cpp", "ort", "torch-compile", "torch-compile-cudagraphs")
# Of a machine's time, what a step may take at the most; the first run is the one that may not be missed.
_PARTS = {"prepare": 0.25, "n4": 0.5, "full": 0.3, "n1": 0.95, "n4-again": 0.9}
# Seconds that are kept for the end: to write the page.
_RESERVE = 5.0
PROCESSES = 4


@dataclass(frozen=True)
class Plan:
    """What is asked for. device: "cuda", or "cpu" to try the steps. until: of time.monotonic, when all has to end."""

    device: str
    cases: Sequence[Path]
    formats: Sequence[str]
    runtimes: Sequence[str]
    cache: Path
    until: float

    def left(self, part: float = 1.0) -> float:
        """Seconds that a step may take."""
        return max(0.0, (self.until - time.monotonic() - _RESERVE) * part)

    @property
    def options(self) -> list[str]:
        """Those of each run of pytest."""
        lists = {"formats": self.formats, "runtimes": self.runtimes, "devices": [self.device]}
        return [f"--modelconform-{name}={','.join(values)}" for name, values in lists.items()]


def all_of(plan: Plan, kept: Kept, after: Callable[[], None], said: Callable[[str], None] = print) -> None:
    """Do what isn't done yet, as far as the time goes. after: what happens after each step."""
    if not kept.is_complete("machine"):
        _do(
            "machine", kept, after, said, lambda: Step(complete=True, told=machine.described(max(10.0, plan.left(0.2))))
        )
    for name, step in _STEPS.items():
        if kept.is_complete(name):
            said(f"{name}: done before")
        elif plan.left() < 1.0:
            said(f"{name}: no time is left")
        else:
            limit = plan.left(_PARTS[name])
            _do(name, kept, after, said, lambda step=step, limit=limit: step(plan, kept, limit))  # type: ignore[misc]


def _do(
    name: str, kept: Kept, after: Callable[[], None], said: Callable[[str], None], step: Callable[[], Step]
) -> None:
    begin = time.monotonic()
    found = step()
    found.seconds = found.seconds or time.monotonic() - begin
    kept.keep(name, found)
    how = "" if found.complete else f", {found.told.get('problem', 'cut off')}"
    said(f"{name}: {found.seconds:.1f} s{how}")
    after()


def log_of(kept: Kept, name: str) -> Path:
    """The log of a step that runs cells."""
    return kept.folder / f"{name}.jsonl"


def _prepare(plan: Plan, kept: Kept, limit: float) -> Step:
    """C++ programs and what starts for the first time: no figure of the runs behind it."""
    runs.forget(plan.cache)
    return runs.pytest(plan.cases[:1], plan.options, 0, plan.cache, log_of(kept, "prepare"), limit)


def _cold(name: str, processes: int) -> Callable[[Plan, Kept, float], Step]:
    def run(plan: Plan, kept: Kept, limit: float) -> Step:
        runs.forget(plan.cache)
        return runs.pytest(plan.cases, plan.options, processes, plan.cache, log_of(kept, name), limit)

    return run


def _warm(name: str, processes: int) -> Callable[[Plan, Kept, float], Step]:
    def run(plan: Plan, kept: Kept, limit: float) -> Step:
        return runs.pytest(plan.cases, plan.options, processes, plan.cache, log_of(kept, name), limit)

    return run


def _full(plan: Plan, kept: Kept, limit: float) -> Step:
    """Cells that can't be on the GPU together, by two processes, and one that can't be there at all."""
    total = kept.steps["machine"].told.get("torch", {}).get("bytes", 0) if plan.device == devices.CUDA else 2**20
    if not total:
        return Step(complete=True, told={"problem": "PyTorch sees no GPU"})
    runtimes = [name for name in ("torch", "libtorch-cpp") if name in plan.runtimes]
    if not runtimes:
        return Step(complete=True, told={"problem": "neither torch nor libtorch-cpp was asked for"})
    folder = full.write(plan.cache.parent / "full", total)
    options = [
        "--modelconform-formats=torchscript-script",
        f"--modelconform-runtimes={','.join(runtimes)}",
        f"--modelconform-devices={plan.device}",
        f"--rootdir={folder}",
    ]
    return runs.pytest([folder], options, 2, plan.cache, log_of(kept, "full"), limit)


_STEPS: dict[str, Callable[[Plan, Kept, float], Step]] = {
    "prepare": _prepare,
    "n4": _cold("n4", PROCESSES),
    "full": _full,
    "n1": _cold("n1", 1),
    "n4-again": _warm("n4-again", PROCESSES),
}
NAMES = ("machine", *_STEPS)
