"""A machinery without pytest, as commands have one."""

from __future__ import annotations

from pathlib import Path

from pytest_modelconform.cells.machinery import Machinery, Place
from pytest_modelconform.cells.registry import Registry, register_built_in
from pytest_modelconform.cells.settings import Settings


def machinery(folder: Path) -> Machinery:
    """For case files in a folder, with a cache of its own there."""
    registry = Registry()
    register_built_in(registry)
    settings = Settings(
        formats=(),
        runtimes=(),
        devices=(),
        precisions=(),
        require=(),
        threads=(),
        threads_asked=False,
        shard=None,
        json=None,
        html=None,
        log=None,
        timeout=100,
        cache=folder / "cache",
        inline=False,
        strict=False,
        update_expected=False,
    )
    settings.cache.mkdir(mode=0o700)
    return Machinery(registry, settings, Place(folder, [str(folder)], lambda line: None))
