"""Runs on a real cluster: three node processes with a cache each, one of which is killed in the middle."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pytest_modelconform.report import log
from pytest_modelconform.terms.outcome import Outcome, Verdict
from tests.support import clusters, runs
from tests.support.clusters import Cluster, needs_ray

pytestmark = needs_ray

# A model that takes minutes the first time that it is built, and says on which node that was: until it is killed there.
HELD = (
    runs.CASE
    + """\

import os
import time
from pathlib import Path

NOTE = Path(__file__).with_suffix(".txt")


def model():
    if not NOTE.exists():
        NOTE.write_text(os.environ["MODELCONFORM_CACHE"])
        time.sleep(300)
    return Net()


case = Case(model=model, inputs=inputs)
"""
)
OTHERS = ("a", "b", "c", "d")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three nodes."""
    with clusters.cluster(tmp_path_factory.mktemp("nodes"), 3) as made:
        yield made


def begin(cluster: Cluster, folder: Path, *words: str) -> subprocess.Popen[str]:
    """Start a run in a folder."""
    options = ["--modelconform-formats=torchscript-trace", "--modelconform-runtimes=fake-good-never", runs.NO_BLAME]
    return subprocess.Popen(
        [sys.executable, "-m", "pytest_modelconform", "cluster", "--address", cluster.address, *options, *words],
        cwd=folder,
        env={**os.environ, "COLUMNS": str(runs.WIDTH)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def wait(holds: Callable[[], bool], process: subprocess.Popen[str], seconds: float = 400) -> None:
    """Wait until something holds, as long as the run goes on."""
    until = time.monotonic() + seconds
    while not holds():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < until
        time.sleep(0.2)


def test_a_node_is_killed_in_the_middle_and_another_is_a_stranger(cluster: Cluster, tmp_path: Path) -> None:
    stranger = tmp_path / "stranger" / "stranger-1.0.dist-info"
    stranger.mkdir(parents=True)
    (stranger / "METADATA").write_text("Metadata-Version: 2.1\nName: stranger\nVersion: 1.0\n")
    cluster.add(PYTHONPATH=str(stranger.parent))
    project = runs.write(tmp_path / "project", {"held.py": HELD, **{f"{name}.py": runs.PLAIN for name in OTHERS}})
    process = begin(cluster, project, "--modelconform-log=run.jsonl", "--junitxml=run.xml", "-v")
    note = project / "held.txt"
    wait(lambda: note.exists() and bool(note.read_text()), process)
    killed = cluster.node_of(note.read_text())
    cluster.kill(killed)
    output = process.communicate(timeout=600)[0]

    assert process.returncode == 0, output
    found = log.read(project / "run.jsonl")
    assert found.complete
    expected = {f"{name}.py::{name}[{cell}]" for name in ("held", *OTHERS) for cell in _CELLS}
    assert Counter(cell.id for cell, _ in found.cells) == Counter(expected)
    assert {outcome.verdict.value for _, outcome in found.cells} == {"pass"}
    said = " ".join(output.split())
    # The node took either of its cells first.
    assert "has lost held.py::held[" in said, output
    assert "it runs again" in said, output
    # What is said while it runs may be wrapped.
    assert "takes no cell: its environment differs: stranger is 1.0 instead of missing" in output, output
    nodes = found.environment["cluster"]
    assert [node["why"] for node in nodes if "stranger" in node.get("why", "")]
    assert "passed" in output, output
    assert (project / "run.xml").read_text().count("<testcase ") == len(expected)
    assert cluster.processes() == []
    assert [path for path in cluster.left() if f"node{killed}" not in path.parts] == []
    # The runs that follow would lose cells to it, too.
    cluster.wait_until_gone(killed)


def test_ctrl_c_ends_all_and_the_rest_can_be_run(cluster: Cluster, tmp_path: Path) -> None:
    project = runs.write(tmp_path, {"held.py": HELD, "a.py": runs.PLAIN})
    # The same words begin a run and go on with it.
    words = ("--modelconform-log=run.jsonl", "--modelconform-resume=run.jsonl")
    process = begin(cluster, project, *words)
    path = project / "run.jsonl"

    def passed() -> dict[str, Outcome]:
        try:
            cells = log.read(path).cells
        except (FileNotFoundError, log.NothingYet):
            return {}
        return {cell.id: outcome for cell, outcome in cells if outcome.verdict is Verdict.PASS}

    wait(lambda: (project / "held.txt").exists() and len(passed()) == 2, process)
    before = passed()
    process.send_signal(signal.SIGINT)
    output = process.communicate(timeout=300)[0]

    assert process.returncode == pytest.ExitCode.INTERRUPTED, output
    found = Counter(cell.id for cell, _ in log.read(path).cells)
    assert found == Counter(f"{name}.py::{name}[{cell}]" for name in ("held", "a") for cell in _CELLS)
    until = time.monotonic() + 60
    while cluster.processes() and time.monotonic() < until:
        time.sleep(0.2)
    assert cluster.processes() == []

    # Whichever nodes run the cells now, one of them knows what the case was made of.
    output = begin(cluster, project, *words).communicate(timeout=300)[0]
    assert "2 cells as in" in output, output
    again = {cell.id: outcome for cell, outcome in log.read(path).cells}
    assert {outcome.verdict.value for outcome in again.values()} == {"pass"}, output
    assert {name: again[name].duration for name in before} == {name: before[name].duration for name in before}


def test_a_cell_that_is_lost_again_and_again_is_not_run(cluster: Cluster, tmp_path: Path) -> None:
    project = runs.write(tmp_path, {"deadly.py": runs.DEADLY, "a.py": runs.PLAIN})
    process = begin(cluster, project, "--modelconform-log=run.jsonl")
    output = process.communicate(timeout=400)[0]

    assert process.returncode == pytest.ExitCode.TESTS_FAILED, output
    found = log.read(project / "run.jsonl")
    expected = {f"{name}.py::{name}[{cell}]" for name in ("deadly", "a") for cell in _CELLS}
    assert Counter(cell.id for cell, _ in found.cells) == Counter(expected)
    by_case = {name: {o.verdict.value for cell, o in found.cells if cell.case == name} for name in ("deadly", "a")}
    assert by_case == {"deadly": {"not-run"}, "a": {"pass"}}, output
    messages = [outcome.message for cell, outcome in found.cells if cell.case == "deadly"]
    assert all("not run: it was lost 3 times" in message for message in messages)
    assert all("was ended by signal 9" in message for message in messages), messages


def test_the_first_failure_ends_all(cluster: Cluster, tmp_path: Path) -> None:
    wrong = runs.PLAIN.replace("return x", "return x.nothing + x")
    project = runs.write(tmp_path, {"held.py": HELD, "wrong.py": wrong})
    process = begin(cluster, project, "--modelconform-log=run.jsonl", "-x")
    output = process.communicate(timeout=250)[0]

    assert process.returncode == pytest.ExitCode.TESTS_FAILED, output
    assert "stopping after 1 failures" in output, output
    verdicts = {cell.id: outcome.verdict.value for cell, outcome in log.read(project / "run.jsonl").cells}
    assert verdicts["held.py::held[eager]"] == "not-run"
    assert "error" in verdicts.values()


def test_options_of_one_machine_are_refused(cluster: Cluster, tmp_path: Path) -> None:
    project = runs.write(tmp_path, {"a.py": runs.PLAIN})
    process = begin(cluster, project, "--modelconform-inline")
    assert "--modelconform-inline is for runs on one machine" in process.communicate()[0]
    assert process.returncode == pytest.ExitCode.USAGE_ERROR


_CELLS = ("eager", "torchscript_trace-fake_good_never-cpu")
