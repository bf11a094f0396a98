"""What `torch.compile` made of a model: graphs, graph breaks, recompilations, and what it left to eager PyTorch.

Dynamo says it in its counters, in its list of reasons for graph breaks, and in a record of each function that it has
compiled or tried to.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import Any

from torch._dynamo import config, utils

# A function is compiled for so many calls that differ. Dynamo gives up after 8, and runs what comes then in eager. A
# case has more input sets than that, of as many sizes, and each is to be compiled.
_RECOMPILATIONS = 64
# How much of a reason is shown.
_LENGTH = 300
# What Dynamo advises whatever the model is, by how it begins.
_GENERAL = ("It may be possible to write Dynamo", "Please report an issue", "This ", "Your code may result in an error")


def allow_recompilations() -> None:
    """Have each input set compiled, in this process."""
    for name in ("recompile_limit", "cache_size_limit"):  # the second one is what it was called before
        if hasattr(config, name):
            setattr(config, name, max(getattr(config, name), _RECOMPILATIONS))
            break
    utils.set_compilation_metrics_limit(4 * _RECOMPILATIONS)


def forget() -> None:
    """Begin to count."""
    utils.counters.clear()
    utils.graph_break_reasons.clear()
    utils.clear_compilation_metrics()


def summary() -> dict[str, Any]:
    """What was made since `forget`.

    graphs: how many were compiled. seconds: that this took. breaks: where a graph ends before the function does.
    recompilations: of functions that had been compiled for other calls. eager: functions that PyTorch runs as they are,
    since they could not be compiled. Each is a list of `where`, `reason` and `times`.
    """
    tried = utils.get_compilation_metrics()
    broken = [reason for reason in utils.graph_break_reasons if reason.graph_break]
    return {
        "graphs": int(utils.counters["stats"]["unique_graphs"]),
        "seconds": sum(one.entire_frame_compile_time_s or 0.0 for one in tried),
        "breaks": _counted((_innermost(reason.user_stack), _said(reason.reason)) for reason in broken),
        "recompilations": _counted(
            (_of(one), _of_guard(one.recompile_reason)) for one in tried if one.recompile_reason and not one.fail_type
        ),
        "eager": _counted((_of(one), _said(one.fail_reason or one.fail_type)) for one in tried if one.fail_type),
    }


def _counted(found: Iterable[tuple[str, str]]) -> list[dict[str, Any]]:
    times: dict[tuple[str, str], int] = {}
    for pair in found:
        times[pair] = times.get(pair, 0) + 1
    return [{"where": where, "reason": reason, "times": number} for (where, reason), number in times.items()]


def _innermost(stack: Any) -> str:
    return place(stack[-1].filename, stack[-1].lineno, stack[-1].name) if stack else ""


def _of(tried: Any) -> str:
    file = tried.fail_user_frame_filename or tried.co_filename
    line = tried.fail_user_frame_lineno or tried.co_firstlineno
    return place(file, line, tried.co_name or "") if file else ""


def place(file: str, line: int | None, function: str) -> str:
    """Where something is, as short as can be: "net.py:12, in forward".

    "" for what Dynamo calls the model by, and for the code that an exported program makes of itself.
    """
    if f"{os.sep}_dynamo{os.sep}" in file or file.startswith("<"):
        return ""
    _, installed, inside = file.rpartition(f"site-packages{os.sep}")
    here = os.getcwd() + os.sep
    short = inside if installed else file.removeprefix(here) if file.startswith(here) else os.path.basename(file)
    # What comes after a graph break is a function of its own.
    name = re.sub(r"^torch_dynamo_resume_in_(\w+?)_at_\d+$", r"\1", function)
    return f"{short}:{line}" + (f", in {name}" if name else "")


def _said(text: str) -> str:
    """The first line of a reason, and the first of Dynamo's hints that says what to do."""
    first, _, rest = text.strip().partition("\n")
    hints = re.findall(r"^ *Hint: (.+)$", rest, re.MULTILINE)
    hint = next((hint for hint in hints if not hint.startswith(_GENERAL)), "")
    return f"{first} ({hint})"[:_LENGTH] if hint else first[:_LENGTH]


def _of_guard(text: str) -> str:
    """A guard that failed, without the number of the function before it and the comment behind it."""
    return re.sub(r"^\d+/\d+: ", "", text.strip()).partition("\n")[0].partition("  #")[0].rstrip()[:_LENGTH]
