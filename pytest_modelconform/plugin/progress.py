"""Lines about work that takes long and happens once: installations, builds."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest


def show(config: pytest.Config, text: str) -> None:
    """Write a line to the terminal, past pytest's capturing; to stderr where there is no terminal reporter."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    capture = config.pluginmanager.get_plugin("capturemanager")
    if reporter is None or capture is None:
        os.write(2, f"{text}\n".encode())
        return
    with capture.global_and_fixture_disabled():
        reporter.write_line(text)
