"""Sessions whose cells wait for an environment: it is made beside them, once, and ends with them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_modelconform.cells.ahead import Event
from pytest_modelconform.cells.needs import Lacking
from pytest_modelconform.plugin.ahead import AheadPlugin
from pytest_modelconform.plugin.durations import Durations
from pytest_modelconform.terms.cell import Cell
from pytest_modelconform.terms.outcome import Outcome, Verdict
from pytest_modelconform.terms.records import to_record
from tests.support import fakes, runs

pytestmark = pytest.mark.installs

USELESS, ENDLESS = (f"{{}}[torchscript_trace-isolated_{name}-cpu]" for name in ("useless", "endless"))


@pytest.fixture
def isolated(project: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of one's own that has all but environments, beside the folder `pids`, which says who made what."""
    own, pids = tmp_path / "cache", tmp_path / "pids"
    own.mkdir(mode=0o700)
    for path in cache.iterdir():
        if path.is_dir() and path.name not in ("environments", "sessions"):
            (own / path.name).symlink_to(path)
    pids.mkdir()
    monkeypatch.setenv("MODELCONFORM_CACHE", str(own))
    monkeypatch.setenv("FAKE_PIDS", str(pids))
    monkeypatch.setenv("PYTHONPATH", str(fakes.REPOSITORY))
    return tmp_path


def run(project: Path, *arguments: str, runtimes: str = "isolated-useless,fake-good-never") -> runs.Run:
    return runs.run(project, "-p", "tests.support.isolated", *arguments, runtimes=runtimes)


def made(isolated: Path) -> Mapping[str, set[int]]:
    """By environment the processes that have made it, or tried to."""
    found: dict[str, set[int]] = {}
    for path in (isolated / "pids").iterdir():
        name, _, pid = path.name.partition("-")
        found.setdefault(name, set()).add(int(pid))
    return found


@pytest.mark.parametrize("processes", [0, 2])
def test_what_cannot_be_made_is_tried_once_and_its_cells_say_why(processes: int, project: Path, isolated: Path) -> None:
    ran = run(project, "-n", str(processes), "-v")
    for case in ("plain", "second"):
        assert ran.verdict(USELESS.format(case)) == ("error", "environment")
        assert "there is no such library" in ran.message(USELESS.format(case))
        assert ran.verdict(runs.cell(case, "good@never")) == ("pass", None)
    assert len(made(isolated)["useless"]) == 1
    # Of a short run and of a long one.
    assert (", idle for " in " ".join(ran.stdout.split())) == bool(processes)
    if not processes:
        order = [
            line.partition("[")[2].partition("]")[0]
            for line in ran.stdout.splitlines()
            if "::" in line and "%]" in line
        ]
        waits = [name.startswith("torchscript_trace-isolated") for name in order]
        assert waits == [False] * 4 + [True] * 2


@pytest.mark.parametrize("processes", [0, 2])
def test_what_is_being_made_ends_with_the_session(processes: int, project: Path, isolated: Path) -> None:
    """Cells that wait for nothing are first, and hang; meanwhile their neighbours' environment is made."""
    session = subprocess.Popen(
        [
            *runs.command("-p", "tests.support.isolated", "-n", str(processes), "-k", "endless"),
            "--modelconform-runtimes=isolated-endless,fake-endless-run",
            "--modelconform-formats=torchscript-trace",
        ],
        cwd=project,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    runs.wait_until(lambda: {"endless", "sleeping"} <= made(isolated).keys(), 120, "nothing is being made")
    os.killpg(session.pid, signal.SIGINT)
    session.wait(60)
    left = [pid for pids in made(isolated).values() for pid in pids]
    runs.wait_until(lambda: not any(map(runs.is_alive, left)), 20, f"processes are left: {left}")
    folder = isolated / "cache" / "environments"
    runs.wait_until(lambda: not [path for path in folder.iterdir() if path.is_dir()], 20, "half of it is left")


@pytest.mark.parametrize("arguments", [["--collect-only"], ["-n2", "-k", "good"], ["-k", "good"]])
def test_nothing_is_made_that_no_cell_needs(arguments: list[str], project: Path, isolated: Path) -> None:
    assert run(project, *arguments).status == 0
    assert made(isolated).keys() <= {"worker"}
    assert not (isolated / "cache" / "environments").exists()


FILE = """
from pytest_modelconform import Case

{name} = Case(model=None, inputs={{"two": None}}, dtypes={dtypes})
"""


@pytest.mark.parametrize(
    ("arguments", "options", "told"),
    [
        (["cases"], {}, ["one", "two"]),
        (["cases/two.py"], {}, ["two"]),
        (["cases/two.py::two[onnx-ort-cpu]"], {}, []),
        (["cases"], {"keyword": "ort"}, []),
        (["cases"], {"markexpr": "vision"}, []),
        (["cases"], {"lf": True}, []),
    ],
)
def test_what_the_files_tell_before_they_are_imported(
    arguments: list[str], options: dict[str, Any], told: list[str], tmp_path: Path
) -> None:
    """They can't be imported: only their syntax is read. Where some of the cells are chosen, nothing is told."""
    (tmp_path / "cases").mkdir()
    for name in ("one", "two"):
        text = FILE.format(name=name, dtypes='("float32", "bfloat16")')
        (tmp_path / "cases" / f"{name}.py").write_text(f"raise RuntimeError\n{text}")
    config = SimpleNamespace(
        args=arguments,
        rootpath=tmp_path,
        invocation_params=SimpleNamespace(dir=tmp_path),
        option=SimpleNamespace(collectonly=False, verbose=0),
        getoption=lambda name, default=None: options.get(name, default),
        getini=lambda name: {"python_files": ["test_*.py"], "norecursedirs": []}[name],
    )
    cells = lambda file, case: [Cell(file, case.name, "onnx", "ort", dtype=dtype) for dtype in case.dtypes]  # noqa: E731
    machinery = SimpleNamespace(
        place=SimpleNamespace(session=""),
        settings=SimpleNamespace(shard=None),
        relative=lambda path: path.relative_to(tmp_path).as_posix(),
        cells=cells,
    )
    settings = SimpleNamespace(cache=tmp_path, inline=False)
    run: Any = SimpleNamespace(config=config, settings=settings, machinery=machinery, is_xdist_worker=False)
    run.durations = run.resumed = run.cluster = None
    run.is_controller = False
    found = sorted((cell.case, cell.dtype, case.framework) for cell, case in AheadPlugin(run)._told())
    assert found == [(name, dtype, "torch") for name in told for dtype in ("bfloat16", "float32")]


RECORD = to_record(Cell("a.py", "a", "onnx", "ort-cpp"), Outcome(Verdict.PASS, duration=31.0, memory=5000))


def test_a_cell_that_waited_for_a_build_has_no_duration(tmp_path: Path) -> None:
    """It would look long ever after."""
    config = SimpleNamespace(
        rootpath=tmp_path,
        option=SimpleNamespace(collectonly=False, verbose=0),
        pluginmanager=SimpleNamespace(has_plugin=lambda name: True, get_plugin=lambda name: None),
    )
    place = SimpleNamespace(session="")
    settings = SimpleNamespace(cache=tmp_path, inline=False)
    run: Any = SimpleNamespace(
        config=config, settings=settings, machinery=SimpleNamespace(place=place), is_xdist_worker=False
    )
    run.durations, run.resumed, run.cluster = Durations(tmp_path, tmp_path), None, None
    run.is_controller = True
    plugin = AheadPlugin(run)
    ids = [f"a.py::a[onnx-ort_cpp-cpu{dtype}]" for dtype in ("", "-float16")]
    plugin._lacking = Lacking((), {node_id: {"the ort harness"} for node_id in ids})
    for node_id in ids:
        plugin.pytest_runtest_logstart(node_id)
        plugin._hear(Event("the ort harness is built (30 s)", "the ort harness"))
        report: Any = SimpleNamespace(modelconform=RECORD, when="call", nodeid=node_id, duration=33.0)
        plugin.pytest_runtest_logreport(report)
    plugin.pytest_sessionfinish()
    # Its wait for memory counts no more than one for a build.
    [found] = json.loads((tmp_path / "durations.json").read_text()).items()
    assert (found[0], found[1][1:]) == (ids[1], [31.0, 31.0, 5000, 5000])

    # Where its runtime is missing, nothing is learned.
    settings.cache = tmp_path / "again"
    run.durations, run.resumed, run.cluster = Durations(tmp_path, tmp_path), None, None
    run.is_controller = True
    plugin = AheadPlugin(run)
    report.modelconform = {**RECORD, "verdict": "unavailable", "duration": 0.01, "memory": None}
    plugin.pytest_runtest_logreport(report)
    plugin.pytest_sessionfinish()
    assert dict([found]) == json.loads((tmp_path / "durations.json").read_text())
