"""Texts that come from elsewhere, made fit to be shown."""

from __future__ import annotations

import re
import signal


def how_it_ended(status: int) -> str:
    """A process's end in words, from `returncode`."""
    if status >= 0:
        return f"ended with status {status} instead of answering"
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = f"signal {-status}"
    hint = {
        "SIGKILL": " (by the kernel, where memory ran out)",
        "SIGSEGV": " (segmentation fault)",
        "SIGABRT": " (abort)",
    }
    return f"was killed by {name}{hint.get(name, '')}"


def input_name(path: str) -> str:
    """An input by the name that the model's call gives it: `/kwargs/image` is image, `/args/0` is input 0."""
    kind, _, inner = path.removeprefix("/").partition("/")
    name, *rest = inner.split("/")
    inside = "".join(f"[{part}]" for part in rest)
    return f"{name if kind == 'kwargs' else f'input {name}'}{inside}"


_ESCAPES = re.compile(
    r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]"
)


def printable(text: str) -> str:
    """`text` without terminal escape sequences and control characters, newline and tab excepted.

    Nor halves of surrogate pairs, which JSON can name and no file can hold.
    """
    return _ESCAPES.sub("", text)


class Refused(Exception):
    """There is nothing of that name, or nothing that can be done. The message says why and what to do."""
