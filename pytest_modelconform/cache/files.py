"""Files and folders that are put in the place of earlier ones."""

from __future__ import annotations

import shutil
from pathlib import Path


def copy(source: Path, target: Path) -> None:
    """Copy a file or a folder, in the place of an earlier one."""
    # A program that has the old file mapped keeps it.
    partial = target.with_name(f".{target.name}.partial")
    if source.is_dir():
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(source, partial, dirs_exist_ok=True)
    else:
        shutil.copyfile(source, partial)
    partial.replace(target)
