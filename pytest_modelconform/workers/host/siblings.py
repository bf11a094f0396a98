"""Modules that stand beside a case file, which it imports by plain name, as a script or a test does.

A process imports case files of several folders, and two of these may have a `model.py` each. So only the folder of the
case that is worked on is on the path, as the last one, and what others have of the same names is put aside meanwhile.
"""

from __future__ import annotations

import os
import sys
from types import ModuleType

from ..module_file import file_of

# The folders that were entered, each with its modules that are put aside while another folder's are there.
_aside: dict[str, dict[str, ModuleType]] = {}


def enter(path: str) -> None:
    """Let a case file find what stands beside it; path: the file's. What the path had before us is found first."""
    folder = os.path.dirname(os.path.realpath(path))
    if sys.path[-1:] == [folder]:
        return
    sys.path[:] = [entry for entry in sys.path if entry not in _aside]
    _put_aside(folder)
    for name, module in _aside.get(folder, {}).items():
        sys.modules.setdefault(name, module)
    if any(os.path.realpath(entry) == folder for entry in sys.path if entry):
        return  # the root folder, mostly
    _aside[folder] = {}
    sys.path.append(folder)


def _put_aside(folder: str) -> None:
    """Take modules of other folders away that have the names of what is in this one."""
    try:
        here = {entry.name.removesuffix(".py") for entry in os.scandir(folder)}
    except OSError:
        return
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in here:
            home = _home(module)
            if home is not None and home != folder:
                _aside[home][name] = sys.modules.pop(name)


def _home(module: ModuleType) -> str | None:
    """The folder among those that were entered that a module is from."""
    file = file_of(module)
    if not file:
        return None
    folder = os.path.dirname(os.path.realpath(file))
    return next((home for home in _aside if folder == home or folder.startswith(home + os.sep)), None)
