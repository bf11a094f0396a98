"""What a machine is and has, as far as the figures depend on it."""

from __future__ import annotations

import importlib.metadata
import json
import platform
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pytest_modelconform.terms import capacity, gpus

PACKAGES = ("torch", "onnxruntime", "onnxruntime-gpu", "onnx", "onnxscript", "triton", "torchvision", "transformers")
# Asked in a process of its own: this one imports no framework, and one that hangs in its driver is left.
_TORCH = """\
import json, torch
found = {"torch": torch.__version__, "cuda": torch.version.cuda, "is_available": torch.cuda.is_available()}
if found["is_available"]:
    properties = torch.cuda.get_device_properties(0)
    free, total = torch.cuda.mem_get_info()
    found |= {"device": properties.name, "bytes": total, "free": free, "cudnn": torch.backends.cudnn.version()}
print(json.dumps(found))
"""


def described(limit: float = 120.0) -> dict[str, Any]:
    """The machine: processor, GPUs, driver, versions."""
    driver = gpus.ask(["--query-gpu=driver_version", "--format=csv,noheader"]).split("\n")[0]
    return {
        "processor": platform.processor() or platform.machine(),
        "cores": capacity.cores(),
        "bytes": capacity.memory().total,
        "python": platform.python_version(),
        "gpus": [{"kind": gpu.kind, "bytes": gpu.total, "free": gpu.free} for gpu in gpus.visible()],
        "driver": driver,
        "packages": {name: version for name in PACKAGES if (version := _version(name))},
        "torch": _of_torch(limit),
    }


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _of_torch(limit: float) -> dict[str, Any]:
    try:
        done = subprocess.run([sys.executable, "-c", _TORCH], capture_output=True, text=True, timeout=limit)
        found = json.loads(done.stdout.splitlines()[-1])
    except (OSError, subprocess.TimeoutExpired, ValueError, IndexError) as error:
        return {"problem": f"{type(error).__name__}: {error}"}
    return found if isinstance(found, dict) else {}


@contextmanager
def watched(every: float = 1.0) -> Iterator[list[int]]:
    """The most bytes that were in use on all GPUs together while the block ran, as the one element of a list."""
    most, ended = [0], threading.Event()

    def watch() -> None:
        while not ended.wait(every):
            lines = gpus.ask(["--query-gpu=memory.used", "--format=csv,noheader,nounits"]).split()
            most[0] = max(most[0], sum(int(line) for line in lines if line.isdecimal()) * 2**20)

    thread = threading.Thread(target=watch, daemon=True)
    if gpus.are_here():
        thread.start()
    try:
        yield most
    finally:
        ended.set()
        if thread.is_alive():
            thread.join(2 * every + 5)
