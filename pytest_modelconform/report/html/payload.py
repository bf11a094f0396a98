"""What the page is made from, as JSON: an index that the matrix needs at once, and a line of details for each cell."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...terms.blame import UNKNOWN, Guilty
from ...terms.cell import COLLECT, EAGER, FULL, INFERENCE, Cell
from ...terms.outcome import STYLES, WITH_BITS, Outcome, Stage, Verdict
from ...terms.wording import input_name
from ..guilty import blame_of, name_of, right, title
from ..log import Log, missing
from ..matrix import Column, Row, field_of, fold, is_blocked, is_partly
from ..upstream import blame, is_upstream, repro

_VERDICTS = list(STYLES)
# JavaScript's numbers are exact up to here.
_EXACT = 2**53
# What the fonts of few systems have is another one here.
_SYMBOLS = {Verdict.TIMEOUT: "◷", Verdict.CRASH: "☠\ufe0e"}
_NOTED, _SURPRISE = 1, 2


@dataclass(frozen=True)
class Payload:
    """index: rows, columns, and of each cell what its square shows. details: the rest, in the order of its cells.

    The details of a cell are made when they are asked for.
    """

    index: Mapping[str, Any]
    shown: Sequence[tuple[Cell, Outcome]]
    log_path: str

    @property
    def details(self) -> Iterator[Mapping[str, Any]]:
        """Of one cell after another."""
        return (_details(cell, outcome, self.log_path) for cell, outcome in self.shown)


def make(log: Log) -> Payload:
    """The data of a page."""
    options = dict(log.environment.get("options", {}))
    folded = fold(log.cells, options.get("formats", ()), options.get("runtimes", ()))
    tags: dict[tuple[str, str], list[str]] = {}
    for cell, outcome in log.cells:
        known = tags.setdefault((cell.file, cell.case), [])
        known += [tag for tag in outcome.tags if tag not in known]
    names = ("format", "runtime", "device", "precision", "task")
    # The model check is the first column.
    every: list[Column] = [(EAGER, EAGER, "cpu", FULL, INFERENCE), *folded.columns]
    columns = [
        {
            **dict(zip(names, column, strict=True)),
            "rerun": rerun(column),
            "limits": [reason for reason, limited in folded.limits.items() if column in limited],
        }
        for column in every
    ]
    places = {column: place for place, column in enumerate(folded.columns, 1)}
    checks = {(c.file, c.case, c.dtype): c for c, o in log.cells if c.is_check and c.task == INFERENCE}
    log_path = _named_log(options.get("arguments", ()))
    cells: list[list[Any]] = []
    shown: list[tuple[Cell, Outcome]] = []
    for number, row in enumerate(folded.rows):
        found = [(place, *row.cells[column]) for column, place in places.items() if column in row.cells]
        if row.check is not None:
            found.insert(0, (0, checks[row.file, row.case, row.dtype], row.check))
        for place, cell, outcome in found:
            cells.append([number, place, *square(outcome)])
            shown.append((cell, outcome))
    index = {
        "about": about(log),
        "verdicts": verdicts(),
        "stages": [stage.value for stage in Stage],
        "columns": columns,
        "rows": [_row(row, tags[row.file, row.case], checks) for row in folded.rows],
        "cells": cells,
    }
    return Payload(index, shown, log_path)


def rerun(column: Column) -> str:
    """What a command begins with that runs a cell again, and ends with its id: cells that options asked for, too."""
    format_name, runtime, device, precision, _ = column
    words = ["pytest", "--modelconform"]
    if format_name != EAGER:
        words += [f"--modelconform-formats={format_name}", f"--modelconform-runtimes={runtime}"]
        words += [f"--modelconform-devices={device}"] if device != "cpu" else []
        words += [f"--modelconform-precisions={precision}"] if precision != FULL else []
    return shlex.join(words)


def verdicts() -> list[dict[str, Any]]:
    """What a page says of each verdict. Everywhere else a verdict is its place in this list."""
    return [
        {
            "name": verdict.value,
            "symbol": _SYMBOLS.get(verdict, style.symbol),
            "meaning": style.meaning,
            "failed": style.outcome == "failed",
        }
        for verdict, style in STYLES.items()
    ]


def about(log: Log) -> dict[str, Any]:
    """Versions, machine and options of the run, as far as they are shown."""
    found = log.environment
    names = ("date", "processor", "cores", "python", "platform", "pytest-modelconform")
    shown: dict[str, Any] = {name: found[name] for name in names if found.get(name) is not None}
    shown["packages"] = {name: version for name, version in dict(found.get("packages", {})).items() if version}
    shown["environments"] = {name: list(pins) for name, pins in dict(found.get("environments", {})).items()}
    shown["arguments"] = list(dict(found.get("options", {})).get("arguments", ()))
    shown["complete"] = log.complete
    shown["missing"] = missing(log)
    return shown


def _row(row: Row, tags: Sequence[str], checks: Mapping[tuple[str, str, str], Cell]) -> dict[str, Any]:
    shown = {"file": row.file, "case": row.case, "dtype": row.dtype, "field": field_of(row.file), "tags": list(tags)}
    # What stands for a file that could not be collected has an id of its own.
    check = checks.get((row.file, row.case, row.dtype))
    return {**shown, "collect": True} if check is not None and check.format == COLLECT else shown


def square(outcome: Outcome) -> list[Any]:
    """Verdict, 1 for a failure that expected.toml records or 2 for a surprise, whether a set is unsupported, bits."""
    surprise = outcome.expected is False or (outcome.failed and not outcome.expected)
    state = _SURPRISE if surprise else _NOTED if outcome.expected else 0
    bits = None if outcome.bits is None or outcome.verdict not in WITH_BITS else round(outcome.bits, 1)
    return [_VERDICTS.index(outcome.verdict), state, int(is_partly(outcome)), bits]


def _details(cell: Cell, outcome: Outcome, log: str) -> dict[str, Any]:
    # Those of the input sets that are right would look like a pass.
    numbers = outcome if outcome.verdict in WITH_BITS else Outcome(outcome.verdict)
    # What is said of a refused input set stands at the set.
    notes = [note for note in outcome.notes if not _of_refused_set(note, outcome)]
    found: dict[str, Any] = {
        "id": cell.id,  # the first: it is looked for in the line
        "stage": outcome.stage.value if outcome.stage else None,
        "message": outcome.message,
        "expected": outcome.expected,
        "blocked": is_blocked(cell, outcome) or None,
        "bits": numbers.bits,
        "reference_bits": numbers.reference_bits,
        "loss": numbers.loss,
        "worst": numbers.worst,
        "max_abs": numbers.max_abs,
        "inputs": {name: _input_set(entry) for name, entry in outcome.inputs.items()},
        "seconds": outcome.seconds,
        "bytes": outcome.artifact_bytes,
        "memory": outcome.memory,
        "cached": outcome.cached,
        "notes": notes,
        "hints": list(outcome.hints),
        "advises": True if outcome.hints and outcome.hints_advise else None,
        "threads": outcome.threads,
        "artifact": outcome.artifact,
        "repro": _report_command(cell, outcome, log) if is_upstream(cell, outcome) else None,
        "blame": _blame(outcome),
    }
    # Not by truth: no bits at all are 0 bits.
    return {name: _shown(value) for name, value in found.items() if value is not None and value not in ("", [], {})}


def _report_command(cell: Cell, outcome: Outcome, log: str) -> str:
    known = blame_of(outcome)
    return blame(cell.id) if known is not None and known.case else repro(cell.id, log)


def _blame(outcome: Outcome) -> dict[str, Any] | None:
    """Which operators the cell fails at, each as it is shown."""
    found = blame_of(outcome)
    if found is None:
        return None
    return {
        "guilty": [_guilty(one) for one in found.guilty],
        "note": found.note,
        "case": found.case,
        "reads": bool(found.tensors) or None,
        "tries": found.tries,
        "seconds": found.seconds,
        "way": found.way,
    }


def _guilty(found: Guilty) -> dict[str, Any]:
    shown = {
        "title": title(found),
        "party": found.party if found.party != UNKNOWN else "",
        "why": found.why,
        "right": right(found),
        "message": found.message if found.bits is None else "",
        "operators": [
            {
                "call": one.call or name_of(one),
                "module": one.module,
                "kind": one.kind,
                "at": f"{one.file}:{one.line}" if one.file else "",
                "source": one.source,
                "inputs": list(one.inputs),
                "returns": list(one.returns),
            }
            for one in found.operators
        ],
    }
    return {name: value for name, value in shown.items() if value}


def _input_set(entry: Mapping[str, Any]) -> dict[str, Any]:
    """What is shown of an input set: its numbers are those of its worst output, where it has outputs."""
    left_out = ("bits", "reference_bits", "loss", "worst", "max_abs") if entry.get("outputs") else ()
    # What was compiled is in the cell's notes.
    shown = {name: value for name, value in entry.items() if name not in (*left_out, "compiled")}
    if isinstance(shapes := entry.get("shapes"), dict):
        shown["shapes"] = {input_name(path): shape for path, shape in shapes.items()}
    return shown


def _of_refused_set(note: str, outcome: Outcome) -> bool:
    return any(
        note.startswith(f"input set {name!r}") and str(entry.get("message") or " ") in note
        for name, entry in outcome.inputs.items()
        if entry["verdict"] == Verdict.UNSUPPORTED.value
    )


def _named_log(arguments: Sequence[Any]) -> str:
    """The log that a run's command line named, as it did; "" for none."""
    words = [str(word) for word in arguments] if isinstance(arguments, (list, tuple)) else []
    for i, word in enumerate(words):
        option, has_value, value = word.partition("=")
        if option == "--modelconform-log":
            return value if has_value else "".join(words[i + 1 : i + 2])
    return ""


def _shown(value: Any, name: str = "") -> Any:
    """A value with as many digits as are shown of it; values of a model's outputs whole."""
    if isinstance(value, Mapping):
        return {key: _shown(v, key) for key, v in value.items() if v is not None}
    if isinstance(value, (list, tuple)):
        return [_shown(v) for v in value]
    if isinstance(value, float) and name not in ("actual", "expected"):
        return float(f"{value:.4g}")
    if isinstance(value, int) and abs(value) > _EXACT:
        return str(value)
    return value


def embedded(value: Any) -> str:
    """JSON, on one line, that is also safe between `<script>` and `</script>`."""
    text = json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    for character, escape in (("<", "\\u003c"), ("\u2028", "\\u2028"), ("\u2029", "\\u2029")):
        text = text.replace(character, escape)
    return text
