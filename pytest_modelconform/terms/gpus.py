"""The NVIDIA GPUs of this machine that we may use, which of them a pytest process has, and how much of its memory.

Asked of the system: the device files, `nvidia-smi` where it is, and CUDA_VISIBLE_DEVICES. No framework is imported.
"""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

VISIBLE = "CUDA_VISIBLE_DEVICES"
# Where the device files are: the one thing that a test needs to replace, beside an nvidia-smi of its own on PATH.
DEV = Path("/dev")
# Bytes that the workers of one pytest process are taken to need on a GPU, for how many processes share one. An
# assumption: room for four CUDA contexts and for what most models of a gigabyte take.
A_PROCESS = 8 * 2**30
# Bytes that the CUDA contexts of one pytest process's workers take beside what they allocate. An assumption, too.
CONTEXTS = 2 * 2**30
# Bytes that a process may take at the least, however many share a GPU: what has too little is tried again alone.
_LEAST = 2**30
_ASK_LIMIT = 30.0
_QUERY = ("--query-gpu=uuid,name,compute_cap,memory.total,memory.free", "--format=csv,noheader,nounits")


@dataclass(frozen=True)
class Gpu:
    """A GPU, or an instance of one (MIG).

    name: as CUDA_VISIBLE_DEVICES has it. kind: its model and compute capability, "" where nobody tells. total, free:
    bytes, 0 where nobody tells.
    """

    name: str
    kind: str = ""
    total: int = 0
    free: int = 0


@dataclass(frozen=True)
class Portion:
    """What a pytest process has of a GPU. sharers: how many processes have it, with this one. most: bytes, 0: all."""

    gpu: Gpu
    sharers: int = 1
    most: int = 0

    @property
    def fraction(self) -> float:
        """The most that a process may take, as a part of all; 1 for all."""
        return int(self.most / self.gpu.total * 10_000) / 10_000 if self.most and self.gpu.total else 1.0


def ask(arguments: Sequence[str]) -> str:
    """What nvidia-smi prints; "" where it isn't there, fails or hangs."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return ""
    try:
        found = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=_ASK_LIMIT)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return found.stdout if found.returncode == 0 else ""


def are_here() -> bool:
    """Whether there is one that we may use. Costs microseconds: a look for device files, and at the environment."""
    return bool(_files()) and _chosen() != []


def are_hidden() -> bool:
    """Whether CUDA_VISIBLE_DEVICES leaves none of those that are here."""
    return bool(_files()) and _chosen() == []


def visible() -> list[Gpu]:
    """Those that we may use, in CUDA's order. Asks nvidia-smi once a process, where there is one at all."""
    if not are_here():
        return []
    known, chosen = _asked(), _chosen()
    if chosen is None:
        # CUDA counts what it sees from 0, whatever the device files are called: a container may have only /dev/nvidia3.
        return known or [Gpu(str(number)) for number in range(_files())]
    return [_named(name, known) for name in chosen]


def in_use(gpu: Gpu) -> int:
    """Bytes of a GPU that are in use now, by whomever; 0 where nobody tells, as of instances."""
    for line in ask(("--query-gpu=uuid,memory.used", "--format=csv,noheader,nounits")).splitlines():
        uuid, _, used = line.partition(", ")
        if uuid.startswith(gpu.name) or (gpu.name.isdecimal() and len(visible()) == 1):
            return _mebibytes(used.strip())
    return 0


def _files() -> int:
    return sum(path.name.removeprefix("nvidia").isdecimal() for path in DEV.glob("nvidia[0-9]*"))


def _chosen() -> list[str] | None:
    """The names in CUDA_VISIBLE_DEVICES, up to "-1", which hides itself and all that follow; None without it."""
    text = os.environ.get(VISIBLE)
    if text is None:
        return None
    names = [name.strip() for name in text.split(",")]
    names = names[: names.index("-1")] if "-1" in names else names
    return [name for name in names if name]


@functools.cache
def _asked() -> list[Gpu]:
    return _known(ask(_QUERY), ask(("-L",)))


def _known(figures: str, listed: str) -> list[Gpu]:
    """What nvidia-smi knows: each GPU by its UUID, or its instances where it is divided into such."""
    by_uuid: dict[str, Gpu] = {}
    for line in figures.splitlines():
        fields = [field.strip() for field in line.split(",")]
        if len(fields) == 5:
            uuid, model, capability, total, free = fields
            by_uuid[uuid] = Gpu(uuid, f"{model} {capability}", _mebibytes(total), _mebibytes(free))
    found: list[Gpu] = []
    parent: Gpu | None = None
    for line in listed.splitlines():
        if match := re.match(r"GPU \d+: .*\(UUID: (GPU-[^)]+)\)", line):
            parent = by_uuid.get(match[1], Gpu(match[1]))
            found.append(parent)
        elif parent and (match := re.match(r"\s+MIG (\S+)\s.*\(UUID: (MIG-[^)]+)\)", line)):
            if found[-1] is parent:
                # CUDA sees no GPU that is divided, but its instances.
                found.pop()
            size = re.search(r"\.(\d+)gb", match[1])
            room = int(size[1]) * 10**9 if size else 0
            found.append(Gpu(match[2], f"{parent.kind} MIG {match[1]}", room, room))
    return found or list(by_uuid.values())


def _mebibytes(text: str) -> int:
    return int(text) * 2**20 if text.isdecimal() else 0


def _named(name: str, known: Sequence[Gpu]) -> Gpu:
    """What is known of a GPU that CUDA_VISIBLE_DEVICES names: by UUID, or the beginning of one, or by its number."""
    if name.isdecimal():
        # By default CUDA counts the fastest first, and nvidia-smi by bus: only alike ones can be told by number.
        kinds = {(gpu.kind, gpu.total) for gpu in known}
        alike = len(kinds) == 1 or os.environ.get("CUDA_DEVICE_ORDER") == "PCI_BUS_ID"
        return replace(known[int(name)], name=name) if alike and int(name) < len(known) else Gpu(name)
    found = [gpu for gpu in known if gpu.name.startswith(name)]
    return replace(found[0], name=name) if len(found) == 1 else Gpu(name)


def fitting(gpus: Sequence[Gpu]) -> int:
    """How many pytest processes fit on GPUs by the memory that is free now; at least one on each."""
    return sum(max(1, gpu.free // A_PROCESS) for gpu in gpus)


def portion(gpus: Sequence[Gpu], process: int, processes: int) -> Portion | None:
    """What a pytest process has, of `processes` from 0: they take the GPUs in turn. None where there is no GPU."""
    if not gpus:
        return None
    place = process % len(gpus)
    sharers = len(range(place, max(processes, process + 1), len(gpus)))
    gpu = gpus[place]
    most = 0 if sharers == 1 or not gpu.total else max(_LEAST, gpu.total // sharers - CONTEXTS)
    return Portion(gpu, sharers, most)


def line(gpus: Sequence[Gpu], processes: int) -> str:
    """How pytest processes share GPUs, for the header of a run: "1 GPU (NVIDIA H200 9.0, 139.8 GiB): 4 processes …"."""
    kinds = dict.fromkeys(_said(gpu) for gpu in gpus)
    known = f" ({'; '.join(filter(None, kinds))})" if any(kinds) else ""
    found = f"{len(gpus)} GPU{'s' if len(gpus) > 1 else ''}{known}"
    shared = portion(gpus, 0, processes)
    if shared is None or shared.sharers == 1:
        return f"{found}, {'one for each process' if processes > 1 else 'all of its memory for one process'}"
    most = f", each of which may take {shared.most / 2**30:.1f} GiB" if shared.most else ""
    too_many = sum(max(1, gpu.total // A_PROCESS) for gpu in gpus)
    warning = f"; -n {too_many} would give each {A_PROCESS / 2**30:.0f} GiB" if too_many < processes and most else ""
    return f"{found}, shared by {processes} processes{most}{warning}"


def _said(gpu: Gpu) -> str:
    return ", ".join([*filter(None, [gpu.kind]), *([f"{gpu.total / 2**30:.1f} GiB"] if gpu.total else [])])
