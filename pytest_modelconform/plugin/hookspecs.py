"""Hooks that other packages may implement."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..cells.registry import Registry


def pytest_modelconform_register(registry: Registry) -> None:
    """Add formats and runtimes: `registry.add_runtime("my-runtime", "my_package.my_runtime")`."""
