"""Texts that come from elsewhere, made fit to be shown."""

from __future__ import annotations

import re
import signal
import traceback

PACKAGE = "pytest_modelconform"


def how_it_ended(status: int, why_killed: str = "by the kernel, where memory ran out") -> str:
    """A process's end in words, from `returncode`. why_killed: what SIGKILL may have been for."""
    if status >= 0:
        return f"ended with status {status} instead of answering"
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = f"signal {-status}"
    hint = {
        "SIGKILL": f" ({why_killed})",
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


def output_name(path: str) -> str:
    """An output as Python gets at it: `/boxes` is output['boxes'], `/0` is output[0]."""
    inside = "".join(f"[{part if part.isdigit() else repr(part)}]" for part in path.split("/")[1:])
    return f"output{inside}"


_ESCAPES = re.compile(
    r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]"
)


def shown(value: object) -> str:
    """A value as Python writes it; its type where its own code fails at that."""
    try:
        return repr(value)
    except Exception:
        return f"a value of type {type(value).__name__}"


def printable(text: str) -> str:
    """`text` without terminal escape sequences and control characters, newline and tab excepted.

    Nor halves of surrogate pairs, which JSON can name and no file can hold.
    """
    return _ESCAPES.sub("", text)


# Of a message about a case: what fits on a screen, beside the others.
MOST_LINES, MOST_CHARACTERS = 12, 600


def fitting(text: str) -> str:
    """A message as far as anybody reads it: its beginning and its end, where it is longer or wider."""
    lines = [line for line in text.splitlines() if line.strip()]
    if len(lines) > MOST_LINES:
        end = MOST_LINES // 2
        left_out = len(lines) - MOST_LINES + 1
        lines = [*lines[: MOST_LINES - end - 1], f"… {left_out} more lines", *lines[-end:]]
    return "\n".join(map(_narrow, lines))


def _narrow(line: str) -> str:
    if len(line) <= MOST_CHARACTERS:
        return line
    return f"{line[: MOST_CHARACTERS - 100]} … {line[-90:]}"


class Refused(Exception):
    """There is nothing of that name, or nothing that can be done. The message says why and what to do."""


def fault_of_ours(error: BaseException) -> str:
    """An exception that nobody foresaw, in a line: what, where, and to whom it is of use.

    The places are the innermost ones, in our code and where it was raised.
    """
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if PACKAGE in frame.filename]
    seen = dict.fromkeys(f"{_short(f.filename)}:{f.lineno}" for f in [*ours[-1:], *frames[-1:]])
    said = " ".join(printable(str(error)).split()) or "no message"
    return (
        f"{type(error).__name__}: {said} ({', '.join(seen)}); this is a fault of pytest-modelconform: please report it"
    )


def _short(path: str) -> str:
    """The end of a path, from the package's folder on."""
    return "/".join(path.replace("\\", "/").split("/")[-3:])
