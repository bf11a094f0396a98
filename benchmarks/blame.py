"""Whether `modelconform blame` names the right operator: exporters that get one wrong, and what is blamed for it.

The exporters of TorchScript, ONNX and ExportedProgram are made to compute one operator of a case otherwise
(`benchmarks/planted`), wherever they find it: in the model, and in each part of it that the search tries. A mutant
counts if its cell is a mismatch. Scored is the first operator that is named: right; another one with no guilty one
before it is wrong; and nothing named is "not found". Kinds that begin with "folded" or "fused" need two operators in
a row to be wrong: right is a window that holds both.

    python -m benchmarks.blame --mutants 120 --json blame.json
"""

from __future__ import annotations

import argparse
import contextlib
import fnmatch
import json
import os
import random
import statistics
import sys
import tempfile
import time
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any
from unittest import mock

import torch

from pytest_modelconform.blame import find
from pytest_modelconform.blame.trial import Tried
from pytest_modelconform.cells.machinery import Machinery, Place
from pytest_modelconform.cells.registry import Registry
from pytest_modelconform.cells.settings import Settings
from pytest_modelconform.formats.built_in import BUILT_IN as FORMATS
from pytest_modelconform.runtimes.built_in import BUILT_IN as RUNTIMES
from pytest_modelconform.terms.blame import UNKNOWN, Blame
from pytest_modelconform.terms.cell import CaseRef, Cell
from pytest_modelconform.terms.outcome import Outcome, Verdict
from pytest_modelconform.workers.host.build import build

from .planted import plant
from .planted import site as sites
from .planted.kinds import FOLDED
from .planted.site import Site

REPOSITORY = Path(__file__).resolve().parent.parent
# Format -> the runtime that it is tried in.
COLUMNS = {"torchscript-trace": "torch", "onnx": "ort", "export": "torch"}
PLANTED = {
    "torchscript-trace": "benchmarks.planted.trace",
    "onnx": "benchmarks.planted.onnx",
    "export": "benchmarks.planted.export",
}
CASES = (
    "benchmarks/faults/cases.py::pixels",
    "benchmarks/faults/cases.py::activations",
    "benchmarks/faults/cases.py::masked",
    "cases/plain/convnet.py::convnet",
    "cases/plain/mlp.py::mlp",
    "benchmarks/planted/cases.py::attention",
    "benchmarks/planted/cases.py::residual",
)
RIGHT, WRONG, NOT_FOUND, FAILED = SCORES = ("right", "wrong", "not found", "failed")


@dataclass(frozen=True, kw_only=True)
class Record:
    """What a mutant came to. named: operators of the first guilty place; others: of those behind it."""

    case: str
    format: str
    kind: str
    operator: str
    score: str
    named: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    party: str = ""
    note: str = ""
    message: str = ""
    written: bool = False
    tries: int = 0
    seconds: float = 0.0


def scored(site: Site, blame: Blame) -> str:
    """Whether the first place that is named is where the fault was planted."""
    if not blame.guilty:
        return NOT_FOUND
    named = [operator.name for operator in blame.guilty[0].operators]
    wanted = {site.operator, site.after} - {""}
    if site.kind in FOLDED:
        return RIGHT if wanted <= set(named) else WRONG
    return RIGHT if named == [site.operator] else WRONG


def mutants(name: str, seed: int) -> Iterator[Site]:
    """Every fault that a case has a place for: one of each kind, then the next of each, and so on."""
    file, _, case = name.partition("::")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        built = build(str(REPOSITORY / file), file, case)
        program = plant.flat_program(built)
        every = sites.sites(program, plant.in_order(program, *built.clone_inputs()))
        found = [site for site in every if plant.applies(site, program, built)]
    kinds: dict[str, list[Site]] = defaultdict(list)
    for site in found:
        kinds[site.kind].append(site)
    source = random.Random(f"{seed}:{name}")
    order = list(kinds.values())
    source.shuffle(order)
    for members in order:
        source.shuffle(members)
    for i in range(max(map(len, order), default=0)):
        yield from (members[i] for members in order if i < len(members))


class Bench:
    """The machinery of runs in which exporters get something wrong. folder: for its cache, and for the fault."""

    def __init__(self, folder: Path, seconds: float) -> None:
        self.folder = folder
        self.seconds = seconds
        self.told = folder / "planted.pt"
        # Inherited by all that is started from here.
        os.environ[sites.VARIABLE] = str(self.told)
        self.registry = Registry()
        for name, module in FORMATS.items():
            self.registry.add_format(name, PLANTED.get(name, module))
        for name, module in RUNTIMES.items():
            self.registry.add_runtime(name, module)
        self.settings = Settings(
            formats=(),
            runtimes=(),
            devices=(),
            precisions=(),
            require=(),
            threads=(),
            threads_asked=False,
            shard=None,
            json=None,
            html=None,
            log=None,
            timeout=120.0,
            cache=folder / "cache",
            inline=False,
            strict=False,
            update_expected=False,
        )
        self.place = Place(REPOSITORY, [str(REPOSITORY)], lambda line: None)
        self.first: Machinery | None = None
        # Cases and formats that pass as they are.
        self.sound: set[tuple[str, str]] = set()

    def machinery(self) -> Machinery:
        """A new one, which knows of no failed exports; its workers are those of the first one."""
        made = Machinery(self.registry, self.settings, self.place)
        if self.first is None:
            self.first = made
        else:
            made.__dict__["pool"] = self.first.pool
        return made

    def close(self) -> None:
        """End the workers."""
        if self.first is not None:
            self.first.close()

    def cell(self, machinery: Machinery, name: str, format_name: str, site: Site | None) -> tuple[Any, ...]:
        """(declared case, reference, cell, outcome) of a case whose exporter gets this wrong, or nothing."""
        sites.write(site, self.told)
        file, _, case = name.partition("::")
        path = REPOSITORY / file
        declaration = machinery.declare(path)
        if declaration.problem is not None:
            raise SystemExit(f"{name}: {declaration.problem.message}")
        declared = next(each for each in declaration.cases if each.name == case)
        ref = CaseRef(path, machinery.relative(path), case)
        cell = Cell(ref.relative, case, format_name, COLUMNS[format_name], "cpu")
        return declared, ref, cell, machinery.pipeline.run(ref, cell, _undiagnosed)

    def tried(self, name: str, format_name: str, site: Site) -> Record | None:
        """What blame says of a mutant; None where its cell is no mismatch."""
        machinery = self.machinery()
        declared, ref, cell, outcome = self.cell(machinery, name, format_name, site)
        base = Record(case=name, format=format_name, kind=site.kind, operator=site.operator, score=FAILED)
        if outcome.verdict is not Verdict.MISMATCH:
            return None
        begin = time.monotonic()
        try:
            blame = find.find(machinery, declared, ref, cell, outcome, self.seconds, lambda line: None)
        except Exception as error:
            return replace(base, message=f"{type(error).__name__}: {error}", seconds=time.monotonic() - begin)
        guilty = [tuple(operator.name for operator in each.operators) for each in blame.guilty]
        return replace(
            base,
            score=scored(site, blame),
            named=guilty[0] if guilty else (),
            others=tuple(name for names in guilty[1:] for name in names),
            party=blame.guilty[0].party if guilty else "",
            note=blame.note,
            message=first_line(outcome),
            written=bool(blame.case),
            tries=blame.tries,
            seconds=time.monotonic() - begin,
        )


def _nobody(tried: Tried) -> tuple[str, str]:
    """Whom a part concerns, where no other runtime is asked."""
    return UNKNOWN, ""


def _undiagnosed(outcome: Outcome) -> bool:
    """Nobody asks here for the likely cause."""
    return True


def first_line(outcome: Outcome) -> str:
    return outcome.message.partition("\n")[0]


def table(records: list[Record]) -> str:
    """Scores and seconds, by format and in all."""
    lines = ["| format | mutants | right | wrong | not found | failed | median seconds |", "| --- " * 7 + "|"]
    for title, found in [*((name, [r for r in records if r.format == name]) for name in COLUMNS), ("all", records)]:
        if found:
            count = Counter(record.score for record in found)
            median = statistics.median(record.seconds for record in found)
            row = [title, len(found), *(count[score] for score in SCORES), f"{median:.0f}"]
            lines.append(f"| {' | '.join(map(str, row))} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", metavar="GLOB", default="*", help="of FILE::CASE")
    parser.add_argument("--formats", metavar="GLOB", default="*")
    parser.add_argument("--kinds", metavar="GLOB", default="*")
    parser.add_argument("--mutants", type=int, default=120, help="in all, spread over cases and formats")
    parser.add_argument("--seconds", type=float, default=90, help="for each search")
    parser.add_argument("--whole", action="store_true", help="the party and the case file, too, as users have it")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, metavar="FILE", help="records; those that are there already stay")
    options = parser.parse_args()
    pairs = [
        (case, name)
        for case in CASES
        for name in COLUMNS
        if fnmatch.fnmatch(case, options.cases) and fnmatch.fnmatch(name, options.formats)
    ]
    records: list[Record] = []
    if options.json and options.json.exists():
        records = [Record(**json.loads(line)) for line in options.json.read_text().splitlines()]
    done = {(r.case, r.format, r.kind, r.operator) for r in records}
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="blame-") as folder, contextlib.ExitStack() as stack:
        if not options.whole:
            # Most of the time, and no part of what is scored.
            stack.enter_context(mock.patch.object(find, "with_example", lambda machine, case, blame, progress: blame))
            stack.enter_context(mock.patch.object(find, "asked", return_value=_nobody))
        bench = Bench(Path(folder), options.seconds)
        try:
            waiting = {(case, name): mutants(case, options.seed) for case, name in pairs}
            made = 0
            while waiting and made < options.mutants:
                for pair in list(waiting):
                    record = _next(bench, pair, waiting, options.kinds, done)
                    if record is None or made >= options.mutants:
                        continue
                    made += 1
                    records.append(record)
                    print(json.dumps(asdict(record)), file=sys.stderr, flush=True)
                    if options.json:
                        with options.json.open("a") as file:
                            file.write(json.dumps(asdict(record)) + "\n")
        finally:
            bench.close()
    print(table(records))


def _next(
    bench: Bench,
    pair: tuple[str, str],
    waiting: dict[tuple[str, str], Iterator[Site]],
    kinds: str,
    done: set[tuple[str, str, str, str]],
) -> Record | None:
    """The record of a pair's next mutant that is one. None where there is none left, or the case fails as it is."""
    if pair not in bench.sound:
        outcome = bench.cell(bench.machinery(), *pair, None)[-1]
        bench.sound.add(pair)
        if outcome.verdict is not Verdict.PASS:
            print(f"{pair[0]} in {pair[1]} is left out: {first_line(outcome)}", file=sys.stderr)
            del waiting[pair]
            return None
    for site in waiting[pair]:
        if fnmatch.fnmatch(site.kind, kinds) and (*pair, site.kind, site.operator) not in done:
            record = bench.tried(*pair, site)
            if record is not None:
                return record
    del waiting[pair]
    return None


if __name__ == "__main__":
    main()
