"""Strangers in real runtimes: cells of the plugin itself, of case files that are written for it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from pytest_modelconform.report import log
from pytest_modelconform.terms.cell import Cell
from pytest_modelconform.terms.outcome import Outcome, Verdict

from ..faults.judge import SHOWN, Record
from .parts import REAL, Part
from .population import Subject

ROOT = Path(__file__).resolve().parents[2]
# (format, runtime) of every stranger: one export by each of two exporters serves five runtimes.
CHEAP = (
    ("torchscript-trace", "torch"),
    ("onnx-legacy", "ort"),
    ("onnx-legacy", "openvino"),
    ("onnx-legacy", "tract"),
    ("onnx-legacy", "opencv"),
)
# Those that have an export of their own, or are slow: strangers take turns.
OTHERS = (
    ("executorch", "executorch"),
    ("ncnn", "ncnn"),
    ("litert", "litert"),
    ("mnn", "mnn"),
    ("openvino", "openvino"),
    ("iree", "iree"),
    ("export", "torch"),
    ("stablehlo", "jax"),
    ("onnx", "ort"),
    ("tvm", "tvm"),
    ("onnx-legacy", "tinygrad"),
    ("aoti", "torch"),
    ("onnx-legacy", "ort-wasm"),
)
# Not comparable numbers: the cell says nothing of the tolerance.
OUTSIDE = tuple(verdict.value for verdict in (Verdict.UNSUPPORTED, Verdict.UNAVAILABLE, Verdict.NOT_RUN))


def rows(turn: int, others: int) -> list[tuple[str, str]]:
    """The (format, runtime) pairs of a turn: all cheap ones, and as many others as asked."""
    count = len(OTHERS)
    return [*CHEAP, *(OTHERS[(turn * others + k) % count] for k in range(min(others, count)))]


def run(batch: Sequence[Subject], pairs: Sequence[tuple[str, str]], folder: Path, timeout: float) -> None:
    """A session of the plugin over some strangers in (format, runtime) pairs; writes the part of each."""
    begin = time.monotonic()
    wanted: dict[str, Subject] = {}
    for subject in batch:
        Part(folder, REAL, subject.case).begin()
        file = subject.write(folder / "cases" / "generated", generated=True).relative_to(folder).as_posix()
        cells = [Cell(file, subject.case, *pair) for pair in (("eager", "eager"), *pairs)]
        wanted |= {cell.id: subject for cell in cells}
    cache, written = folder / "cache", folder / "session.jsonl"
    written.unlink(missing_ok=True)
    (folder / "pytest.ini").write_text("[pytest]\n")
    formats = sorted({pair[0] for pair in pairs})
    runtimes = sorted({pair[1] for pair in pairs})
    command = [
        *(sys.executable, "-m", "pytest", "-q", "--no-header", "--tb=no", "-p", "no:cacheprovider", "--modelconform"),
        *(f"--modelconform-formats={','.join(formats)}", f"--modelconform-runtimes={','.join(runtimes)}"),
        *(f"--modelconform-log={written}", f"--modelconform-cache={cache}", f"--modelconform-timeout={timeout:g}"),
        *("--modelconform-threads=0", "-c", "pytest.ini", "--rootdir", str(folder), *wanted),
    ]
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    # Threads that wait for each other by spinning take minutes for seconds' work where others use the cores, too.
    environment = {**os.environ, "PYTHONPATH": path, "OMP_WAIT_POLICY": "passive"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    found = log.read(written).cells if written.exists() else []
    seen = {cell.id for cell, _ in found}
    for cell, outcome in found:
        if cell.id in wanted:
            Part(folder, REAL, wanted[cell.id].case).record(record(wanted[cell.id], cell, outcome))
    for node, subject in wanted.items():
        if node not in seen:
            words = (done.stdout + done.stderr).strip()[-SHOWN:]
            lost = Record(subject.name, REAL, "", "", "", "crash", message=f"{node} has no record: {words}")
            Part(folder, REAL, subject.case).record(lost)
    each = (time.monotonic() - begin) / len(batch)
    for subject in batch:
        Part(folder, REAL, subject.case).put(done=each)
    for name in ("artifacts", "references"):
        # Gigabytes, of no use to the next batch.
        shutil.rmtree(cache / name, ignore_errors=True)


def record(subject: Subject, cell: Cell, outcome: Outcome) -> Record:
    """A cell's record. hard: whether it has no numbers."""
    return Record(
        subject.name,
        REAL,
        "",
        cell.format,
        cell.runtime,
        outcome.verdict.value,
        hard=outcome.loss is None,
        loss=outcome.loss,
        worst=outcome.worst,
        message="" if outcome.verdict is Verdict.PASS else outcome.message[: 4 * SHOWN],
        bits=outcome.bits,
        stage=outcome.stage.value if outcome.stage else None,
        hints=list(outcome.hints),
    )
