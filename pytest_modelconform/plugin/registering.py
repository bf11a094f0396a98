"""The registry of a session: what the hook adds to it, each package's part for itself."""

from __future__ import annotations

import pytest

from ..cells.registry import NameTaken, Registry
from ..environments.outside import said


def registry_of(config: pytest.Config) -> Registry:
    """All formats and runtimes. A package whose hook raises loses what it had not added, and the others nothing."""
    registry = Registry()
    # In the order of pluggy's own calls.
    for implementation in reversed(config.hook.pytest_modelconform_register.get_hookimpls()):
        arguments = [registry] if "registry" in implementation.argnames else []
        try:
            implementation.function(*arguments)
        except NameTaken as error:
            registry.faults.append(str(error))
        except (Exception, SystemExit) as error:
            name = getattr(implementation.plugin, "__name__", implementation.plugin_name)
            registry.faults.append(f"{name}.{implementation.function.__name__} raised {said(error)}")
    return registry
