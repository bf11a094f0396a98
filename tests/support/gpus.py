"""GPUs for tests: device files and an nvidia-smi of their own. Nothing computes on them."""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Sequence
from pathlib import Path

import pytest

from pytest_modelconform.terms import gpus

# A machine of one GPU, one of two, and one whose first GPU is divided, as nvidia-smi 580 lists them.
H200 = "GPU-5f1a0000-aaaa-bbbb-cccc-000000000001, NVIDIA H200, 9.0, 143771, 143000"
A100 = "GPU-5f1a0000-aaaa-bbbb-cccc-000000000002, NVIDIA A100-SXM4-40GB, 8.0, 40960, 40000"
MIG = """\
GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-5f1a0000-aaaa-bbbb-cccc-000000000002)
  MIG 3g.20gb     Device  0: (UUID: MIG-11111111-1111-1111-1111-111111111111)
  MIG 1g.5gb+me   Device  1: (UUID: MIG-22222222-2222-2222-2222-222222222222)
GPU 1: NVIDIA H200 (UUID: GPU-5f1a0000-aaaa-bbbb-cccc-000000000001)
"""


def listing(figures: Sequence[str]) -> str:
    """What `nvidia-smi -L` prints of GPUs that are whole."""
    rows = [line.split(", ") for line in figures]
    return "".join(f"GPU {number}: {row[1]} (UUID: {row[0]})\n" for number, row in enumerate(rows))


def machine(folder: Path, monkeypatch: pytest.MonkeyPatch, figures: Sequence[str], listed: str = "") -> Path:
    """Make this process, and those that it starts with the folder's conftest.py, see GPUs; the folder that holds them.

    figures: lines of nvidia-smi's table; none: there is no nvidia-smi, and one GPU. listed: what `nvidia-smi -L` says.
    """
    dev, programs = folder / "dev", folder / "bin"
    dev.mkdir(parents=True)
    programs.mkdir()
    for number in range(max(1, len(figures))):
        (dev / f"nvidia{number}").touch()
    for other in ("nvidiactl", "nvidia-uvm"):
        (dev / other).touch()
    program = programs / "nvidia-smi"
    if figures:
        table, names = shlex.quote("\n".join(figures) + "\n"), shlex.quote(listed or listing(figures))
        program.write_text(f'#!/bin/sh\nif [ "$1" = -L ]; then printf %s {names}; else printf %s {table}; fi\n')
    else:
        program.write_text("#!/bin/sh\necho no driver >&2\nexit 9\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv(gpus.VISIBLE, raising=False)
    monkeypatch.setattr(gpus, "DEV", dev)
    gpus._asked.cache_clear()
    return dev
