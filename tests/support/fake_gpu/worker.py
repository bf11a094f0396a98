"""The worker of a GPU that nobody has: computes y = 3x + 1, a GiB for each row, in a ledger that all workers share."""

from __future__ import annotations

import array
import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from modelconform_workers import loop, tensors

GIB = 2**30
FOLDER = Path(os.environ["FAKE_GPU"])
TOTAL = int(os.environ["FAKE_GPU_GIB"])
MINE = FOLDER / f"{os.getpid()}.taken"


@contextlib.contextmanager
def ledger() -> Iterator[None]:
    with (FOLDER / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def taken_by_others() -> int:
    """What living processes hold: CUDA forgets the dead."""
    found = 0
    for path in FOLDER.glob("*.taken"):
        if path != MINE and Path(f"/proc/{path.stem}").exists():
            found += int(path.read_text() or 0)
    return found


def take(gibibytes: int) -> None:
    """Take memory. Notes what was asked for, and whether it was had, in the file `asked`."""
    most = int(os.environ.get("MODELCONFORM_GPU_BYTES", TOTAL * GIB)) // GIB
    with ledger():
        others = taken_by_others()
        is_had = gibibytes <= min(most, TOTAL - others)
        with (FOLDER / "asked").open("a") as notes:
            visible = os.environ.get("CUDA_VISIBLE_DEVICES", "")
            notes.write(json.dumps([gibibytes, most, others, is_had, os.getppid(), visible]) + "\n")
        if is_had:
            MINE.write_text(str(gibibytes))
    if not is_had:
        raise OutOfMemoryError(
            f"CUDA out of memory. Tried to allocate {gibibytes}.00 GiB. "
            f"GPU 0 has a total capacity of {TOTAL}.00 GiB of which {TOTAL - others}.00 GiB is free."
        )


class OutOfMemoryError(RuntimeError):
    """As PyTorch's."""


def handlers(device: str, threads: int) -> loop.Handlers:
    def load(request: dict[str, Any]) -> dict[str, Any]:
        return {"seconds": 0.0}

    def run(request: dict[str, Any]) -> dict[str, Any]:
        [tree] = request["args"]
        tensor = tensors.read(request["inputs"])[tree["tensor"]]
        if device == "cuda":
            take(tensor.shape[0])
        values = array.array("f", bytes(tensor.data))
        result = array.array("f", [3.0 * value + 1.0 for value in values])
        tensors.write(request["outputs"], {"0": tensor._replace(data=result.tobytes())})
        first = {"seconds": 0.001, "outputs": {"tensor": "0"}}
        return {"runs": [first] + [{"seconds": 0.001, "same_as": 0}] * (request["repeats"] - 1), "inputs_changed": []}

    def unload(request: dict[str, Any]) -> dict[str, Any]:
        MINE.unlink(missing_ok=True)
        return {}

    hello = {"name": "fake-gpu", "version": "1.0", "language": "Python", "layout": "tree", "devices": [device]}
    return {"hello": lambda request: hello, "load": load, "run": run, "unload": unload}
