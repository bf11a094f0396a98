"""The part of docs/gpu.md that is measured: what the steps came to, as far as they are done."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pytest_modelconform.report import log
from pytest_modelconform.report.log import Log, LogError
from pytest_modelconform.report.markdown import code, column_name, escaped
from pytest_modelconform.report.matrix import fold
from pytest_modelconform.terms.outcome import Outcome, Verdict

from . import full
from .kept import Kept, Step
from .steps import NAMES, PROCESSES, log_of

BEGIN, END = "<!-- measured by .ci/gpu -->", "<!-- end of what is measured -->"
_RUNS = {
    "n1": "`-n 1`, all made anew",
    "n4": f"`-n {PROCESSES}`, all made anew",
    "n4-again": f"`-n {PROCESSES}`, all in the cache",
}
_MOST_FAILURES = 12


def put(page: str, measured: str) -> str:
    """A page with another measured part. Raises ValueError where it has no place for one."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page has no lines {BEGIN} and {END}: write them where the figures shall stand")
    return f"{before}{BEGIN}\n\n{measured.strip()}\n\n{END}{after}"


def measured(kept: Kept) -> str:
    """Machine, times, verdicts and failures, in Markdown."""
    steps = kept.steps
    if "machine" not in steps:
        return "Nothing was measured yet."
    logs = {name: found for name in _RUNS if (found := _log(kept, name)) is not None}
    parts = ["\n".join(_machine(steps["machine"].told))]
    if lacking := [name for name in NAMES if not kept.is_complete(name)]:
        parts.append(f"**Not all steps are complete: {', '.join(lacking)}.** What is not here was not measured.")
    problems = {name: step.told["problem"] for name, step in steps.items() if "problem" in step.told}
    parts += [f"{name}: {escaped(str(problem))}" for name, problem in problems.items()]
    if logs:
        parts.append("\n".join(_times(steps, logs)))
        if speedup := _speedup(logs):
            parts.append(speedup)
        best = logs.get("n4") or next(iter(logs.values()))
        parts += ["\n".join(_columns(best)), *_failures(best)]
    if (found := _log(kept, "full")) is not None:
        parts.append("\n".join(_full(found)))
    return "\n\n".join(parts)


def _log(kept: Kept, name: str) -> Log | None:
    path: Path = log_of(kept, name)
    try:
        return log.read(path) if path.exists() else None
    except LogError:
        return None


def _machine(told: Mapping[str, Any]) -> Iterator[str]:
    torch = dict(told.get("torch") or {})
    found = [f"{escaped(gpu['kind'])}, {gpu['bytes'] / 2**30:.1f} GiB" for gpu in told.get("gpus", ())]
    driver = [f"driver {escaped(told['driver'])}"] if told.get("driver") else []
    yield f"GPU: {'; '.join([*found, *driver]) or 'none'}."
    if "problem" in torch:
        yield f"PyTorch: {escaped(torch['problem'])}."
    else:
        sees = "" if torch.get("is_available") else ", which sees no GPU"
        yield f"PyTorch {escaped(str(torch.get('torch')))} with CUDA {escaped(str(torch.get('cuda')))}{sees}."
    packages = ", ".join(f"{escaped(name)} {escaped(version)}" for name, version in told.get("packages", {}).items())
    memory = f"{told.get('bytes', 0) / 2**30:.0f} GiB"
    yield f"{told.get('cores')} cores, {memory}, Python {escaped(str(told.get('python')))}; {packages}."


def _times(steps: Mapping[str, Step], logs: Mapping[str, Log]) -> Iterator[str]:
    yield "| run | cells | seconds | cells a second | most of the GPU in use | |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for name, words in _RUNS.items():
        if name not in logs or name not in steps:
            continue
        step, ran = steps[name], [o for _, o in logs[name].cells if o.verdict is not Verdict.NOT_RUN]
        counts = Counter(outcome.verdict for outcome in ran)
        verdicts = ", ".join(f"{count} {verdict.value}" for verdict, count in counts.most_common())
        most = f"{step.most / 2**30:.1f} GiB" if step.most else ""
        rate = f"{len(ran) / step.seconds:.2f}" if step.seconds else ""
        cut = "" if step.complete else ", **cut off**"
        yield f"| {words} | {len(ran)} | {step.seconds:.0f}{cut} | {rate} | {most} | {verdicts} |"


def _speedup(logs: Mapping[str, Log]) -> str:
    """How much faster several processes are, over the cells that both runs have, since either may be cut off."""
    if "n1" not in logs or "n4" not in logs:
        return ""
    one, many = (
        {cell.id: _seconds(outcome) for cell, outcome in logs[name].cells if outcome.verdict is not Verdict.NOT_RUN}
        for name in ("n1", "n4")
    )
    both = [cell for cell in one if cell in many and one[cell] > 0]
    if not both:
        return ""
    slower = statistics.median(many[cell] / one[cell] for cell in both)
    alone, beside = (sum(seconds[cell] for cell in both) for seconds in (one, many))
    faster = PROCESSES * alone / beside
    return (
        f"Cells that are in both runs: {len(both)}. Their exports, loads and runs took {alone:.0f} s one after the "
        f"other, and {beside:.0f} s beside others, divided by {PROCESSES} processes: {faster:.2f} times as fast. The "
        f"cell in the middle took {slower:.2f} times as long beside others."
    )


def _seconds(outcome: Outcome) -> float:
    return sum(outcome.seconds.values())


def _columns(found: Log) -> Iterator[str]:
    """A line a column: what its cells came to, and what the middle one took."""
    verdicts: dict[tuple[str, str], Counter[Verdict]] = {}
    loads: dict[tuple[str, str], list[float]] = {}
    for row in fold(found.cells).rows:
        for column, (_, outcome) in row.cells.items():
            name = column_name(column)
            verdicts.setdefault(name, Counter())[outcome.verdict] += 1
            loads.setdefault(name, []).append(outcome.seconds.get("export", 0.0))
    yield "| format | runtime | cells | seconds of an export |"
    yield "| --- | --- | --- | --- |"
    for (format_name, runtime), counts in verdicts.items():
        said = ", ".join(f"{count} {verdict.value}" for verdict, count in counts.most_common())
        export = statistics.median(loads[format_name, runtime])
        yield f"| {code(format_name)} | {escaped(runtime)} | {said} | {export:.1f} |"


def _failures(found: Log) -> list[str]:
    reasons = Counter(o.message.partition("\n")[0] for _, o in found.cells if o.verdict is Verdict.UNAVAILABLE)
    lines = [f"- unavailable ({count}): {escaped(reason)}" for reason, count in reasons.most_common(_MOST_FAILURES)]
    failed = [(cell, outcome) for cell, outcome in found.cells if outcome.failed and not outcome.expected]
    for cell, outcome in failed[:_MOST_FAILURES]:
        first = escaped(outcome.message.partition("\n")[0][:300])
        lines.append(f"- {code(cell.id)}: {outcome.verdict.value}: {first}")
    if len(failed) > _MOST_FAILURES:
        lines.append(f"- and {len(failed) - _MOST_FAILURES} more")
    return ["What did not pass, and was not expected:\n\n" + "\n".join(lines)] if lines else []


def _full(found: Log) -> Iterator[str]:
    yield "What a full GPU makes of cells that two processes run (percent of the memory that each takes):"
    yield ""
    yield "| case | % | runtime | verdict | wanted | |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for cell, outcome in found.cells:
        if cell.is_check or cell.case not in full.CASES:
            continue
        about = _short([*outcome.notes, *outcome.message.splitlines()])
        row = (code(cell.case), str(full.CASES[cell.case]), cell.runtime, outcome.verdict.value)
        yield f"| {' | '.join([*row, full.EXPECTED[cell.case], about])} |"


def _short(lines: Sequence[str]) -> str:
    return escaped(lines[0][:160]).replace("|", "\\|") if lines else ""
