"""Calls into the modules of runtimes and formats, which may be another package's: what they raise is a message."""

from __future__ import annotations

import functools
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from ..cache.disk import DiskFull
from ..cache.made_once import BuildError
from . import EnvironmentFault

R = TypeVar("R")


class ModuleFault(EnvironmentFault):
    """A runtime's or a format's module failed. The message names module and function, in a line or two."""


def guarded(module: str, function: Callable[..., R], name: str, fits: Callable[[R], bool], expected: str) -> Any:
    """A module's function, which raises BuildError or ModuleFault only, for a result that doesn't fit as well.

    fits: whether a result is of the right type. expected: what that is, in words. Warnings are kept from the user's
    test run, where they may be errors.
    """

    @functools.wraps(function)
    def call(*arguments: Any, **more: Any) -> R:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                result = function(*arguments, **more)
            except (BuildError, DiskFull):
                raise
            except (Exception, SystemExit) as error:
                raise ModuleFault(f"{module}.{name} raised {said(error)}") from error
        if not fits(result):
            raise ModuleFault(f"{module}.{name} returned {result!r:.80}: it has to return {expected}")
        return result

    return call


def said(error: BaseException) -> str:
    """An exception in one line, with the place that raised it: "ValueError: no engine (my_runtime.py:12)"."""
    text = " ".join(str(error).split())
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    if isinstance(error, SyntaxError) and error.filename:
        text, place = error.msg, f" ({Path(error.filename).name}:{error.lineno})"
    return f"{type(error).__name__}{f': {text:.300}' if text else ''}{place}"


def is_command(found: Any) -> bool:
    """Whether that is a command line: a list of strings or paths, and not empty."""
    return isinstance(found, (list, tuple)) and bool(found) and all(isinstance(word, (str, Path)) for word in found)


def is_reason(found: Any) -> bool:
    """Whether that is None or a sentence."""
    return found is None or isinstance(found, str)


def is_size(value: Any) -> bool:
    """Whether it is a number of bytes."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < float("inf")


def is_table(found: Any) -> bool:
    """Whether that is a dict."""
    return isinstance(found, dict)


def reason_of(asked: Callable[..., str | None], *arguments: Any) -> str | None:
    """The answer of a guarded `unavailable`; where that fails, what it fails of is the reason."""
    try:
        return asked(*arguments)
    except BuildError as error:
        return str(error)
