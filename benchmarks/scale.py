"""What the plugin costs at 100, 1,000 and 10,000 cells: seconds of processor time by phase, memory, sizes of files.

Cases are generated, formats and runtimes are fakes that answer at once (benchmarks/scaling/), and come in by the hook
of other packages. Ten cells a case: the model check, and three formats in three runtimes each. The last line of each
size is as many trivial tests in plain pytest.

    python benchmarks/scale.py                  # real case hosts, fake runtimes: some minutes
    python benchmarks/scale.py --settled        # no processes besides pytest's: what collection, log and reports cost
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))

from benchmarks.scaling import FORMATS, RUNTIMES  # noqa: E402

A_CASE = 1 + len(FORMATS) * len(RUNTIMES)
A_FILE = 10
HEAD = """\
import torch

from pytest_modelconform import Case


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor([3.0]))

    def forward(self, x):
        return x * self.weight + 1.0


inputs = {"seven": lambda: (torch.arange(7.0, 11.0).reshape(2, 2),)}
"""
COLUMNS = ("collect", "schedule", "run", "log", "terminal", "json", "html")


def write(folder: Path, cells: int) -> None:
    """A project with that many cells."""
    (folder / "pytest.ini").write_text(f"[pytest]\npythonpath = {REPOSITORY}\n")
    for first in range(0, cells // A_CASE, A_FILE):
        names = [f"net_{number}" for number in range(first, min(first + A_FILE, cells // A_CASE))]
        file = folder / "cases" / f"field_{first // 200}" / f"family_{first // A_FILE}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(HEAD + "".join(f"{name} = Case(model=lambda: Net(), inputs=inputs)\n" for name in names))


def write_plain(folder: Path, cells: int) -> None:
    """As many tests that do nothing."""
    (folder / "pytest.ini").write_text("[pytest]\n")
    for first in range(0, cells, 100):
        tests = "".join(f"def test_{n}():\n    pass\n" for n in range(first, min(first + 100, cells)))
        (folder / f"test_{first // 100}.py").write_text(tests)


def run(folder: Path, processes: int, options: Sequence[str], env: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """What pytest's processes measured: "pytest" is the one that reports, "worker" the largest of xdist's workers."""
    with tempfile.TemporaryDirectory() as found:
        plugins = ("benchmarks.scaling", "xdist", "pytest_modelconform.plugin", "no:cacheprovider")
        words = [*(f"-p{name}" for name in plugins), "-n", str(processes), "-q", "--tb=no", *options]
        told = {**os.environ, "PYTHONPATH": str(REPOSITORY), "SCALE_FOUND": found, **env}
        told["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *words], cwd=folder, env=told, capture_output=True, text=True, check=False
        )
        measured: dict[str, dict[str, Any]] = {}
        for file in Path(found).iterdir():
            one = json.loads(file.read_text())
            name = file.name.partition("-")[0]
            if name not in measured or one["bytes"] > measured[name]["bytes"]:
                measured[name] = one
        if done.returncode not in (0, 1) or not measured:
            raise SystemExit(f"pytest ended with {done.returncode}:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
    return measured


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, nargs="+", default=[100, 1000, 10000])
    parser.add_argument("--processes", type=int, nargs="+", default=[0, 2])
    parser.add_argument("--settled", action="store_true", help="cells are answered in pytest's own process")
    given = parser.parse_args()
    print("seconds of processor time in pytest's process, or the largest of xdist's workers; MB of memory and of files")
    words = "".join(f"{name:>9}" for name in COLUMNS)
    print(f"{'cells':>6} {'-n':>2} {'process':12}{words}{'all':>9}{'MB':>7}{'ms/cell':>9}   log, json, html")
    for cells in given.cells:
        for processes in given.processes:
            with tempfile.TemporaryDirectory() as temporary:
                _line(Path(temporary), cells, processes, given.settled)


def _line(folder: Path, cells: int, processes: int, settled: bool) -> None:
    env = {"SCALE_SETTLED": "1"} if settled else {}
    files = [folder / name for name in ("log.jsonl", "report.json", "report.html")]
    ours = [f"--modelconform-{option}={file}" for option, file in zip(("log", "json", "html"), files, strict=True)]
    (folder / "ours").mkdir()
    write(folder / "ours", cells)
    lists = [f"--modelconform-formats={','.join(FORMATS)}", f"--modelconform-runtimes={','.join(RUNTIMES)}"]
    # Where cells are answered there is nothing to search, and a tenth of them are red.
    blame = ["--modelconform-blame=off"] if settled else []
    found = run(folder / "ours", processes, ["--modelconform", *lists, "--modelconform-threads=0", *blame, *ours], env)
    verdicts = Counter(cell["verdict"] for cell in json.loads(files[1].read_text())["cells"])
    if sum(verdicts.values()) != cells or (not settled and set(verdicts) != {"pass"}):
        print(f"{cells} cells should have passed: {dict(verdicts)}")
    sizes = ", ".join(f"{file.stat().st_size / 1e6:.1f}" for file in files)
    _show(cells, processes, "", found, sizes)
    (folder / "plain").mkdir()
    write_plain(folder / "plain", cells)
    _show(cells, processes, "plain ", run(folder / "plain", processes, [], {}))


def _show(cells: int, processes: int, kind: str, measured: Mapping[str, dict[str, Any]], sizes: str = "") -> None:
    for name, one in sorted(measured.items()):
        seconds = Counter(one["seconds"])
        columns = "".join(f"{seconds[column]:9.2f}" for column in COLUMNS)
        memory = f"{one['bytes'] / 1e6:7.0f}{1e3 * seconds['run, wall'] / cells:9.2f}"
        said = f"   {sizes}" if sizes and name == "pytest" else ""
        print(f"{cells:6} {processes:2} {kind + name:12}{columns}{one['cpu']:9.2f}{memory}{said}", flush=True)


if __name__ == "__main__":
    main()
