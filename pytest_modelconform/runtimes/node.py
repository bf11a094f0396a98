"""What the runtimes in Node share: their environment and their command line."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from .. import environments
from ..environments import Environment
from .base import WORKERS

FOLDER = WORKERS / "node"
# Each of the packages is tried by what would fail first on a machine that it isn't made for.
CHECK = """
import { createRequire } from "node:module";
const load = createRequire(process.cwd() + "/");
load("onnxruntime-node").Tensor;
load("onnxruntime-web").Tensor;
"""
ENVIRONMENT = Environment("node", npm=FOLDER, check=CHECK, megabytes=500)
# The JavaScript API knows the data types of ECMAScript's arrays, and float16.
LIMITS = {"dtype:bfloat16": "ONNX Runtime's JavaScript API has no bfloat16 tensors"}


# As workers/node/chromium.mjs looks for it.
CHROMIUM = "MODELCONFORM_CHROMIUM"
_NAMES = ("chromium", "chromium-browser", "google-chrome")
_MAC = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"


def browser_unavailable(device: str) -> str | None:
    """None if there is Node, and a Chromium or what brings one, else a sentence that says what to do."""
    if reason := environments.unavailable(ENVIRONMENT):
        return reason
    if named := os.environ.get(CHROMIUM):
        return None if shutil.which(named) else f"{CHROMIUM} names {named}, which can't be executed"
    # One of the environment's packages carries a Chromium for these.
    if sys.platform == "linux" and platform.machine() == "x86_64":
        return None
    if any(map(shutil.which, (*_NAMES, _MAC))):
        return None
    return f"needs a Chromium: install {_NAMES[0]}, or let {CHROMIUM} name one"


def node_worker(
    file: str, device: str, threads: int, cache: Path, progress: Callable[[str], None], *more: str
) -> list[str]:
    """Command line of a worker in `workers/node/`; installs the environment on first use. Raises EnvironmentFault."""
    node, folder = environments.node(ENVIRONMENT, cache, progress)
    # Python first: Node can't ask the kernel to be killed with its parent.
    start = [sys.executable, "-I", str(WORKERS / "become.py"), node, str(FOLDER / file)]
    return [*start, "--environment", str(folder), "--device", device, "--threads", str(threads), *more]
