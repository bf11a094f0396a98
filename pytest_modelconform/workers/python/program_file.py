"""A .pt2 file, read so that an error says why: torch.export.load logs the reason, and raises a pointer to its log."""

from __future__ import annotations

import logging
from typing import Any

import torch


class _Reason(logging.Handler):
    """Keeps the exceptions that are logged."""

    def __init__(self) -> None:
        super().__init__()
        self.found: BaseException | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the exception of a record."""
        if record.exc_info and record.exc_info[1]:
            self.found = record.exc_info[1]


def read(path: str) -> Any:
    """The program in a file. Raises what torch.export.load raises; what it only logs is the cause."""
    log = logging.getLogger("torch.export")
    reason = _Reason()
    log.addHandler(reason)
    try:
        return torch.export.load(path)
    except RuntimeError:
        if reason.found is None:
            raise
        raise RuntimeError(f"torch.export.load can't read it: {_innermost(reason.found)}") from None
    finally:
        log.removeHandler(reason)


def _innermost(error: BaseException) -> str:
    """What the exception says that all the others were raised for, in a line."""
    while error.__cause__ is not None:
        error = error.__cause__
    return " ".join(str(error).split())
