"""Devices: on which one an artifact is exported, and on which it runs."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from . import gpus

CPU, CUDA, CUDA_TO_CPU = "cpu", "cuda", "cuda-to-cpu"
# Where PyTorch's allocator is told how much it may take, and workers of other runtimes: bytes.
_ALLOCATOR = ("PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_ALLOC_CONF")
MOST_BYTES = "MODELCONFORM_GPU_BYTES"
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
    if not needs_gpu(device, bound=False) or gpus.are_here():
        return None
    if gpus.are_hidden():
        return f"{gpus.VISIBLE} hides this machine's GPU: unset it, or name one"
    return "this machine has no NVIDIA GPU (no /dev/nvidia0): run on one that has"


def needs_gpu(device: str, bound: bool) -> bool:
    """Whether a cell of a device uses a GPU at some step. bound: see `route`."""
    way = route(device, bound)
    return CUDA in (way.exported_on, way.runs_on)


def exported_on(device: str, bound: bool, in_place: bool) -> str:
    """Where the exporter itself computes: what isn't stored is only described, which takes no GPU."""
    return CPU if in_place else route(device, bound).exported_on


def environment(device: str, portion: gpus.Portion | None = None, alone: bool = False) -> dict[str, str]:
    """What the environment of a process has that computes on a device: its GPU, and how much of its memory; or no GPU.

    A process that computes on the CPU does so as on a machine that has no GPU: some libraries take all of the memory of
    one that they see. portion: what the pytest process has of a GPU, for a process that computes on it. alone: whether
    nobody else uses that GPU now, so that all of it is to be had.
    """
    if device == CPU and gpus.are_here():
        # JAX fails where its plugin for GPUs is installed and finds none.
        return {gpus.VISIBLE: "", "JAX_PLATFORMS": "cpu"}
    if device != CUDA or portion is None:
        return {}
    found = {gpus.VISIBLE: portion.gpu.name}
    if portion.most and not alone:
        # The newer name of the two, unless the user has the older one, which counts first.
        name = next((name for name in _ALLOCATOR if os.environ.get(name)), _ALLOCATOR[-1])
        given = [part for part in os.environ.get(name, "").split(",") if part]
        found[name] = ",".join([*given, f"per_process_memory_fraction:{portion.fraction}"])
        found[MOST_BYTES] = str(portion.most)
    return found


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
