"""How far the plugin's verdicts can be trusted: faults that it has to detect, and clean reruns that it has to let pass.

Faults are made in real artifacts and runtimes of the cases, and judged by the functions that decide in production. A
mutant whose verdict is not `pass` is detected. What passes is computed once more in float64: where the fault itself,
without rounding, moves the outputs by no more than a faithful runtime's rounding does, the mutant is equivalent to the
model; where it stays under bits_lost + 1 it is faint, within what the limit admits; every other one is a survivor.
Clean reruns (other seeds, magnitudes, threads, optimisation levels, memory formats) have to pass.
Models that nobody here wrote: `python -m benchmarks.strangers`.

    python -m benchmarks.detection --json detection.json
    python -m benchmarks.detection --again detection.json --bits-lost 2 --worst 4
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import math
import multiprocessing
import random
import sys
import time
import warnings
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from pytest_modelconform.cells.case_files import is_case_file, static_cases
from pytest_modelconform.terms.case import DEFAULTS, TORCH
from pytest_modelconform.terms.outcome import Verdict

from .faults import answers, clean, graph, hints, operators, report, weights
from .faults.artifact import OnnxArtifact, TorchArtifact
from .faults.judge import Record, mutant_record
from .faults.mutants import Mutant, NotApplicable
from .faults.subject import Subject, find_cases, subject, temporary

REPOSITORY = Path(__file__).resolve().parent.parent
LOCAL = REPOSITORY / "benchmarks" / "faults" / "cases.py"
PACKAGES = ("torch", "onnx", "onnxruntime", "openvino", "torchvision", "transformers", "numpy")


@dataclass(frozen=True)
class Task:
    """What one process does: a case, and how many mutants and reruns of it."""

    file: Path
    root: Path
    name: str
    mutants: int
    reruns: int
    seed: int
    bits_lost: float | None
    worst: float | None
    explained: int = 0


def all_mutants(case: Subject, seed: str) -> Iterator[Mutant]:
    """Every mutant of a case, by artifact."""
    first = next(iter(case.prepared.sets.values()))
    for artifact in case.artifacts.values():
        yield from weights.mutants(artifact, seed)
        yield from answers.mutants(artifact, case.prepared.sets, seed)
        if isinstance(artifact, TorchArtifact):
            yield from operators.mutants(artifact, first)
        elif isinstance(artifact, OnnxArtifact):
            yield from graph.mutants(artifact, first)


def spread(mutants: Iterator[Mutant], seed: str) -> Iterator[Mutant]:
    """All of them: one of each kind, then the next of each kind, and so on; within a kind at random."""
    kinds: dict[str, list[Mutant]] = defaultdict(list)
    for mutant in mutants:
        kinds[mutant.kind].append(mutant)
    source = random.Random(seed)
    for members in kinds.values():
        source.shuffle(members)
    order = list(kinds.values())
    source.shuffle(order)
    for i in range(max(map(len, order), default=0)):
        yield from (members[i] for members in order if i < len(members))


def injected(case: Subject, wanted: int, seed: str, explained: int = 0, folder: Path | None = None) -> Iterator[Record]:
    """Records of that many mutants of a case, or of all there are.

    explained: how many of the first mismatches are diagnosed, as the plugin does it, with files in `folder`.
    """
    made = 0
    for mutant in spread(all_mutants(case, seed), seed):
        if made == wanted:
            return
        base = Record(case.name, mutant.kind, mutant.where, mutant.format, mutant.runtime, "")
        try:
            try:
                faulty = mutant.make()
            except NotApplicable:
                continue
            record = mutant_record(base, faulty, case.prepared.sets, case.tolerance)
            if folder is not None and explained and record.verdict == Verdict.MISMATCH.value:
                record = replace(record, hints=hints.of_mutant(case, faulty, record.runtime, folder))
                explained -= 1
            yield record
        except NotApplicable:
            continue
        made += 1


def examine(task: Task, output: Path) -> None:
    """The whole work of a process; records are appended to a file, so that a crash loses only what follows."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    seed = f"{task.seed}:{task.name}"
    with temporary() as folder, output.open("w") as file:

        def put(**content: Any) -> None:
            file.write(json.dumps(content) + "\n")
            file.flush()

        case = subject(task.file, task.root, task.name, Path(folder) / "case", task.bits_lost, task.worst)
        put(left_out=dict(case.left_out))
        for record in injected(case, task.mutants, seed, task.explained, Path(folder) / "diagnosis"):
            put(mutant=asdict(record))
        for record in clean.reruns(case, task.reruns, seed, Path(folder)):
            put(rerun=asdict(record))
        put(done=True)


def find(pattern: str) -> list[tuple[Path, Path, str]]:
    """(file, root, name) of every case whose file or name fits; the small local ones come last."""
    found = []
    for root, files in ((REPOSITORY / "cases", sorted((REPOSITORY / "cases").rglob("*.py"))), (LOCAL.parent, [LOCAL])):
        for file in files:
            # A case of another framework needs that framework here, and gives no TorchScript to put faults into.
            if is_case_file(file) and all(case.framework == TORCH for case in static_cases(file)):
                relative = file.relative_to(root).as_posix()
                found += [
                    (file, root, name)
                    for name in find_cases(file, root)
                    if fnmatch.fnmatch(relative, pattern) or fnmatch.fnmatch(name, pattern)
                ]
    return found


def run(tasks: list[Task], jobs: int, folder: Path) -> tuple[list[Record], list[Record], dict[str, Any]]:
    """(mutants, reruns, formats left out by case). One process a case; one that dies shows as a crash."""
    context = multiprocessing.get_context("spawn")

    def one(task: Task) -> tuple[list[Record], list[Record], dict[str, Any]]:
        output = folder / f"{task.name}.jsonl"
        begin = time.monotonic()
        process = context.Process(target=examine, args=(task, output), daemon=True)
        process.start()
        process.join()
        rows = [json.loads(line) for line in output.read_text().splitlines()] if output.exists() else []
        mutants = [Record(**row["mutant"]) for row in rows if "mutant" in row]
        reruns = [Record(**row["rerun"]) for row in rows if "rerun" in row]
        if not any("done" in row for row in rows):
            message = f"the process ended with status {process.exitcode} after {len(rows)} records"
            reruns.append(Record(task.name, "process", "", "", "", "crash", hard=True, message=message))
        seconds = time.monotonic() - begin
        print(f"{task.name}: {len(mutants)} mutants, {len(reruns)} reruns, {seconds:.0f} s", file=sys.stderr)
        left_out: dict[str, str] = next((row["left_out"] for row in rows if "left_out" in row), {})
        return mutants, reruns, {task.name: left_out} if left_out else {}

    with ThreadPoolExecutor(jobs) as threads:
        results = list(threads.map(one, tasks))
    left_out = {name: reasons for _, _, one_left in results for name, reasons in one_left.items()}
    return [m for ms, _, _ in results for m in ms], [r for _, rs, _ in results for r in rs], left_out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", metavar="GLOB", default="*", help="of a case's name, or its file in cases/")
    parser.add_argument("--mutants", type=int, default=2500, help="in all, spread over the cases")
    parser.add_argument("--reruns", type=int, default=2000, help="in all, spread over the cases")
    parser.add_argument("--explained", type=int, default=0, help="mismatching mutants of a case that are diagnosed")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2, help="processes at a time")
    parser.add_argument("--bits-lost", type=float, help="instead of the cases' own")
    parser.add_argument("--worst", type=float, help="instead of the cases' own")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--again", type=Path, metavar="FILE", help="judge an earlier run's records by other limits")
    options = parser.parse_args()
    if options.again:
        if options.bits_lost is None or options.worst is None:
            parser.error("--again needs --bits-lost and --worst")
        mutants, reruns, _ = report.from_json(options.again)
        mutants, reruns = (
            [report.judged_again(record, options.bits_lost, options.worst) for record in records]
            for records in (mutants, reruns)
        )
    else:
        found = find(options.cases)
        if not found:
            parser.error(f"no case fits {options.cases!r}")
        each = [math.ceil(count / len(found)) for count in (options.mutants, options.reruns)]
        limits = options.bits_lost, options.worst
        tasks = [Task(*case, each[0], each[1], options.seed, *limits, options.explained) for case in found]
        with temporary() as folder:
            mutants, reruns, left_out = run(tasks, options.jobs, Path(folder))
        about = {
            "seed": options.seed,
            "bits_lost": options.bits_lost,
            "worst": options.worst,
            "versions": {name: version(name) for name in PACKAGES},
            "left_out": left_out,
        }
        if options.json:
            options.json.write_text(report.to_json(mutants, reruns, about))
    default_bits, default_worst = DEFAULTS["float32"]
    bits_lost = default_bits if options.bits_lost is None else options.bits_lost
    worst = default_worst if options.worst is None else options.worst
    tables = [report.mutant_tables(mutants), report.rerun_tables(reruns)]
    tables.append(report.limits_table(mutants, reruns, bits_lost, worst))
    if judged := report.hints_of_mutants(mutants):
        tables.append(report.hint_table(judged))
    print(*tables, sep="\n\n")


if __name__ == "__main__":
    main()
