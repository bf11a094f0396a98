"""Hashes, and the fingerprint of the environment that is a part of every key."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.metadata
import json
import os
import platform
import sys
from pathlib import Path
from typing import Any

from ..terms.version import __version__

# Environment variables that change numbers or exporters.
PREFIXES = (
    "AOT",
    "ATEN_",
    "OMP_",
    "MKL_",
    "DNNL_",
    "ONEDNN_",
    "OPENBLAS_",
    "PYTORCH_",
    "TORCH",
    "CUBLAS_",
    "NVIDIA_TF32",
    "MODELCONFORM_EXTERNAL_DATA",
    "MODELCONFORM_LARGE_MODEL",
)


# Folders of this package that make nothing of what is cached. Named are these and not the others, so that a new or a
# moved module is part of every key until somebody says here that it need not be; a test holds that neither the case
# host nor what makes references imports one of these.
NOT_IN_KEYS = ("blame", "cluster", "commands", "diagnosis", "expected", "plugin", "report", "repro", "runtimes", "_cpp")


def hash_of(*values: Any) -> str:
    """SHA-256 of JSON-able values."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def hash_file(path: str | os.PathLike[str]) -> str:
    """SHA-256 of a file's content; of a file that is missing, a word."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123 (hashlib reads a file object)
            return (
                hashlib.file_digest(file, "sha256").hexdigest() if sys.version_info >= (3, 11) else _digest(file.read())
            )
    except OSError:
        return "missing"


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


# What the pytest process makes references with. What a case host imports is recorded beside each entry.
_OURS = ("ml_dtypes", "msgspec", "numpy", "safetensors")


@functools.cache
def fingerprint() -> str:
    """Hash of what every result depends on: Python, the plugin, what it computes with, the processor, variables.

    Python by its folder and not by the name that it was started by, which `pytest` and `python -m pytest` have two of.
    The packages that a case or an exporter imports are in no key, but in a record beside each entry
    (workers/lookups.py): so what nobody imports voids nothing.
    """
    ours = [_version(name) for name in _OURS]
    return hash_of(
        [__version__, _own_sources(), sys.version, sys.prefix, platform.platform(), _cpu(), ours],
        {name: value for name, value in sorted(os.environ.items()) if name.startswith(PREFIXES)},
    )


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _own_sources() -> str:
    """Hash of our own modules that make what is cached: an editable install changes without its version changing."""
    return hash_of([hash_file(path) for path in own_sources()])


def own_sources() -> list[Path]:
    """Our own modules that artifacts and references may depend on: all but those of the folders in `NOT_IN_KEYS`."""
    here = Path(__file__).resolve().parents[1]
    return sorted(path for path in here.rglob("*.py") if path.relative_to(here).parts[0] not in NOT_IN_KEYS)


def _cpu() -> str:
    """The processor and its instruction sets, which decide what kernels libraries choose."""
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return hash_of(sorted({line for line in lines if line.startswith(("model name", "flags", "Features"))}))
    return f"{platform.machine()} {platform.processor()}"


def processor() -> str:
    """The processor's name, as the system has it."""
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        if name := next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), ""):
            return name
    return platform.processor() or platform.machine()
