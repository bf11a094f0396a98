"""The model that is compiled where it runs."""

from __future__ import annotations

from typing import Any

KEPT: list[Any] = []
