"""Hashes, and the fingerprint of the environment that is a part of every key."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import platform
import sys
from pathlib import Path
from typing import Any

from ..terms.version import __version__

# Environment variables that change numbers or exporters.
_PREFIXES = (
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
)


# Folders of this package that make nothing of what is cached. Named are these and not the others, so that a new or a
# moved module is part of every key until somebody says here that it need not be; a test holds that neither the case
# host nor what makes references imports one of these.
NOT_IN_KEYS = ("commands", "diagnosis", "expected", "plugin", "report", "repro", "runtimes", "_cpp")


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


@functools.cache
def fingerprint() -> str:
    """Hash of all that may change a result besides the case: Python, packages, the plugin, the processor.

    The names of `.dist-info` folders hold names and versions; reading them all takes milliseconds, where the metadata
    themselves take hundreds.
    """
    return hash_of(
        [__version__, _own_sources(), sys.version, sys.executable, platform.platform(), _cpu(), installed()],
        {name: value for name, value in sorted(os.environ.items()) if name.startswith(_PREFIXES)},
    )


def installed() -> list[str]:
    """Names and versions of all packages that Python can import, as in the names of their metadata folders."""
    found = set()
    for entry in sys.path:
        with contextlib.suppress(OSError):
            found |= {name for name in os.listdir(entry or ".") if name.endswith((".dist-info", ".egg-info"))}  # noqa: PTH208
    return sorted(found)


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
