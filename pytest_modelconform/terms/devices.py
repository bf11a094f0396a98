"""Devices: on which one an artifact is exported, and on which it runs."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

CPU, CUDA, CUDA_TO_CPU = "cpu", "cuda", "cuda-to-cpu"
# Places in an artifact that a note names.
_SHOWN = 4


@dataclass(frozen=True)
class Route:
    """Where an artifact comes from, and where it goes."""

    exported_on: str
    runs_on: str


# The device of a cell, as in options and reports, and what it stands for. Deployed artifacts mostly cross: they are
# exported on the machine of a build and loaded where they serve.
ROUTES: Mapping[str, Route] = {
    CPU: Route(CPU, CPU),
    CUDA: Route(CPU, CUDA),
    CUDA_TO_CPU: Route(CUDA, CPU),
}


def route(device: str, bound: bool = False) -> Route:
    """The route of a cell's device.

    bound: whether the format's artifacts run on the device only that they were exported on.
    """
    # A device of another package's runtime: exported here, run there.
    found = ROUTES.get(device, Route(CPU, device))
    return Route(found.runs_on, found.runs_on) if bound else found


def exists(device: str, runs_on: Sequence[str], bound: bool) -> bool:
    """Whether a runtime that may run on `runs_on` has cells of a device. bound: see `route`."""
    if bound and route(device).exported_on != CPU:
        return False  # it would be the cell of another device
    return route(device).runs_on in runs_on


def select(names: Sequence[str]) -> Sequence[str]:
    """The devices that names given in an option come to: the CPU and the GPU bring the way back along."""
    return [*names, CUDA_TO_CPU] if {CPU, CUDA} <= set(names) else names


def lacking(device: str) -> str | None:
    """None if the machine has what a cell's device takes, else a sentence. Looks at the system, into no framework."""
    way = route(device)
    if CUDA in (way.exported_on, way.runs_on) and not gpus():
        return "this machine has no NVIDIA GPU (no /dev/nvidia0): run on one that has"
    return None


def gpus(folder: Path = Path("/dev")) -> list[str]:
    """The GPUs that this process may use, as CUDA_VISIBLE_DEVICES has them."""
    found = [path.name.removeprefix("nvidia") for path in folder.glob("nvidia[0-9]*")]
    numbers = sorted((name for name in found if re.fullmatch(r"\d+", name)), key=int)
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None or not numbers:
        return numbers
    # "-1", as any unknown one, hides itself and all that follow.
    names = [name.strip() for name in visible.split(",")]
    return names[: names.index("-1")] if "-1" in names else [name for name in names if name]


def environment(device: str, process: int) -> dict[str, str]:
    """What a worker's environment has for a cell's device: each pytest process has a GPU of its own, as far as they go.

    process: number of the pytest process, from 0. What was exported on a GPU and runs on the CPU does so as on a
    machine that has no GPU.
    """
    way = route(device)
    if way.runs_on == CPU and way.exported_on != CPU:
        return {"CUDA_VISIBLE_DEVICES": ""}
    if way.runs_on == CUDA and (found := gpus()):
        return {"CUDA_VISIBLE_DEVICES": found[process % len(found)]}
    return {}


def kept_note(kept: Sequence[str], device: str) -> tuple[str, ...]:
    """The note on a cell whose artifact creates tensors on another device than the one that it runs on; or none.

    kept: places in the artifact with the device that each keeps, as `Signature.kept_devices`.
    """
    runs_on = route(device).runs_on
    places = [place for place in kept if not place.startswith(runs_on)]
    if not places:
        return ()
    more = f" and {len(places) - _SHOWN} more" if len(places) > _SHOWN else ""
    return (
        f"keeps a device that was written into it at export, wherever it is loaded: {', '.join(places[:_SHOWN])}{more}",
    )
