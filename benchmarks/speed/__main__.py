"""What a user waits for, beside the plain script and beside other tools, measured in one run: a table.

Each part can be measured alone (`--only`) and on few cases (`--cases`, `--models`). Ratios are of this run. Before a
figure is compared with a goal, nothing else should run on the machine. All parts take an hour on two cores.

    python -m benchmarks.speed --json speed.json
    python -m benchmarks.speed --only second,file --cases cases/plain/net.py
    python -m benchmarks.speed --only peers --models squeezenet1_1 --pairs 1

Polygraphy is measured where it is installed (`pip install polygraphy`).
"""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import platform
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from pytest_modelconform.cells.registry import Registry, register_built_in
from pytest_modelconform.terms.capacity import cores

from . import beside, table
from .measuring import Failed
from .peers import MODELS, Peers
from .runs import Runs
from .table import Row

PARTS = ("first", "second", "file", "overhead", "plain", "peers")
SECTIONS = {"overhead": "A warm cell", "plain": "The plain script"}
PACKAGES = ("pytest-modelconform", "torch", "onnxruntime", "openvino", "executorch", "polygraphy", "pytest-xdist")


def about() -> dict[str, Any]:
    """Of which machine and versions the figures are."""
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "cores": cores(),
        "processor": _processor(),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in PACKAGES},
        "arguments": sys.argv[1:],
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def measured(options: argparse.Namespace, folder: Path) -> Iterator[Row]:
    """The rows of each part, as they come. A part that fails is a row that says why."""
    registry = Registry()
    register_built_in(registry)
    more = ["-n", options.processes] if options.processes else []
    runs = Runs(registry, folder, options.cases, more, options.environments and options.environments.resolve())
    plain_cases = [f"cases/{name}" for name in beside.PLAIN_CASES] if options.cases == ["cases"] else options.cases
    parts: dict[str, Callable[[], Iterable[Row]]] = {
        "first": runs.first,
        "second": runs.second,
        "file": runs.new_file,
        "overhead": lambda: beside.overhead(runs.cache, options.repeats),
        "plain": lambda: beside.plain(registry, plain_cases, options.pairs, runs.cache, more),
        "peers": lambda: beside.peers(options.peers, Peers(options.models, options.pairs, more)),
    }
    for name in options.only:
        print(f"measuring: {name} …", file=sys.stderr, flush=True)
        try:
            yield from parts[name]()
        except Failed as failure:
            yield Row(SECTIONS.get(name, name), "could not be measured", None, note=str(failure))


def names(known: tuple[str, ...]) -> Callable[[str], list[str]]:
    """Type of an option: some of these names, separated by commas, in their order here."""

    def parse(text: str) -> list[str]:
        given = text.split(",")
        if unknown := [name for name in given if name not in known]:
            raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: name some of {', '.join(known)}")
        return [name for name in known if name in given]

    return parse


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.speed", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    known = tuple(beside.PEERS)
    parser.add_argument("--only", metavar="PARTS", type=names(PARTS), default=list(PARTS), help=", ".join(PARTS))
    parser.add_argument("--cases", metavar="PATH", nargs="+", default=["cases"], help="of our runs (default: cases)")
    parser.add_argument("--peers", metavar="NAMES", type=names(known), default=list(known), help=", ".join(known))
    parser.add_argument(
        "--models", metavar="NAMES", type=lambda text: text.split(","), default=list(MODELS),
        help=f"of torchvision, that ExecuTorch's suite has, for the peers (default: {','.join(MODELS)})",
    )  # fmt: skip
    parser.add_argument("--pairs", type=int, default=3, help="how often ours and theirs are measured in turn")
    parser.add_argument("--repeats", type=int, default=9, help="of a warm cell")
    parser.add_argument("--processes", metavar="N", default="", help="pytest's -n for ours (default: none is given)")
    parser.add_argument(
        "--environments", metavar="FOLDER", type=Path,
        help="take isolated environments from here, such as CACHE/environments, rather than install them (1.7 GB)",
    )  # fmt: skip
    parser.add_argument("--folder", type=Path, help="for caches and logs, which stay; a cache in it is used")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the table as JSON, too, after each row")
    return parser


def main() -> None:
    options = parser().parse_args()
    machine = about()
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="speed-") as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        for row in measured(options, folder.resolve()):
            rows.append(row)
            print(table.line(row), file=sys.stderr, flush=True)
            if options.json is not None:
                options.json.write_text(table.as_json(rows, machine))
    print(table.text(rows, machine))


if __name__ == "__main__":
    main()
