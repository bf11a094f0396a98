"""A node's keeper with real pytest processes, without Ray."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from pytest_modelconform.cluster.environment import facts
from pytest_modelconform.cluster.exchange import Piece, pieces
from pytest_modelconform.cluster.keeper import Hello, Keeper, moved, run_group
from pytest_modelconform.cluster.messages import Absent, Begun, Died, Done, Ended, Lease, Start, Told
from pytest_modelconform.cluster.plugin import start_of
from pytest_modelconform.cluster.processes import ProcessDied, environment
from pytest_modelconform.cluster.project import Project, pack, scan
from tests.support import runs, shared

SAYS = """
from pytest_modelconform.plugin import progress


def pytest_runtest_setup(item):
    progress.show(item.config, "modelconform: building")


def pytest_sessionfinish(session):
    progress.show(session.config, "modelconform: the end")
"""
ITEMS = ("a.py::a[eager]", "a.py::a[torchscript_trace-fake_good_never-cpu]")


FILES = {"a.py": runs.PLAIN, "ends.py": runs.DEADLY}
# Tests that change the project, or look at what is made the first time, ask for this one.
OWN = pytest.mark.parametrize("own", [True], ids=["own"])


@pytest.fixture
def own() -> bool:
    """Whether a test has a project of its own."""
    return False


@pytest.fixture
def project(own: bool, tmp_path: Path, session_folder: Path) -> Path:
    """One for all, whose cases are in the cache after the first of them."""
    if own:
        return runs.write(tmp_path / "project", FILES)

    def make(folder: Path) -> None:
        runs.write(folder, FILES)

    return shared.made(session_folder, "keeper", make)


@pytest.fixture
def start(project: Path, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Start:
    """What a run in the project would begin its processes with."""
    monkeypatch.chdir(project)
    words = ["--modelconform-formats=torchscript-trace", "--modelconform-runtimes=fake-good-never", runs.NO_BLAME]
    words = runs.command(*words, "--rootdir", str(project), *runs.OTHERS_PLUGINS, "a.py", program=())
    config = pytester.parseconfigure(*words)
    return start_of(config)


@pytest.fixture
def keep(start: Start) -> Iterator[Callable[..., tuple[Keeper, Hello]]]:
    """Begins keepers, and ends them."""
    made = []

    def keep(project: Project, data: bytes | None = None, cache: str = "", fetch: Any = None) -> tuple[Keeper, Hello]:
        keeper = Keeper(fetch, cache)
        made.append(keeper)
        return keeper, keeper.begin(start, project, data)

    yield keep
    for keeper in made:
        keeper.finish()


def said(hello: Hello, *items: str, peers: Sequence[str] = ()) -> list[object]:
    return list(run_group(hello.address, hello.key, Lease("a.py::a", items, peers), has_gpu=False))


@OWN
def test_a_node_that_sees_the_project(keep: Callable[..., tuple[Keeper, Hello]], project: Path, start: Start) -> None:
    keeper, hello = keep(scan(project, []))
    assert keeper.has(scan(project, []))
    assert hello.facts.packages == facts().packages
    found = said(hello, *ITEMS)
    assert [type(message) for message in found] == [Begun, Done, Begun, Done, Ended]
    done = [message for message in found if isinstance(message, Done)]
    assert [message.item for message in done] == list(ITEMS)
    assert [[report["when"] for report in message.reports] for message in done] == [["setup", "call", "teardown"]] * 2
    assert [message.reports[1]["modelconform"]["verdict"] for message in done] == ["pass", "pass"]

    # A file that has no such cell; and one that can't be collected.
    (project / "broken.py").write_text("from pytest_modelconform import Case\nraise ValueError('broken')\n")
    absent, *_ = said(hello, "a.py::a[onnx-ort-cpu]")
    assert absent == Absent("a.py::a[onnx-ort-cpu]", "the file there has no such cell")
    assert isinstance(said(hello, "gone.py::gone[eager]")[0], Absent)

    farewell = keeper.finish()
    assert len(farewell.outputs) == 1
    assert farewell.outputs[0]["modelconform_core_seconds"]
    # Who was on the way when the door was closed hears that the node is gone; after that, nobody gets in.
    with contextlib.suppress(OSError):
        assert [type(message) for message in said(hello, *ITEMS)] == [Died]
    with pytest.raises(OSError, match="refused"):
        said(hello, *ITEMS)


@OWN
def test_what_a_process_says_comes_with_its_cells(
    keep: Callable[..., tuple[Keeper, Hello]], project: Path, start: Start
) -> None:
    with (project / "conftest.py").open("a") as conftest:
        conftest.write(SAYS)
    keeper, hello = keep(scan(project, []))
    found = said(hello, ITEMS[0])
    assert [type(message) for message in found] == [Begun, Told, Done, Ended]
    assert found[1] == Told("modelconform: building")
    # What it says at its end is no reason to lose what it leaves.
    assert keeper.finish().outputs[0]["modelconform_core_seconds"]


@OWN
def test_a_node_that_is_sent_the_project(
    keep: Callable[..., tuple[Keeper, Hello]], project: Path, tmp_path: Path
) -> None:
    found = scan(project, [])
    data = pack(found)
    (project / "a.py").unlink()
    _, hello = keep(found, data, str(tmp_path / "node"))
    messages = said(hello, *ITEMS)
    assert [type(message) for message in messages] == [Begun, Done, Begun, Done, Ended]
    assert list((tmp_path / "node" / "projects").glob("*/0/project/a.py"))


def test_a_pytest_process_that_is_killed(keep: Callable[..., tuple[Keeper, Hello]], project: Path) -> None:
    _, hello = keep(scan(project, []))
    found = said(hello, "ends.py::ends[eager]")
    assert isinstance(found[0], Begun)
    assert isinstance(found[-1], Died)
    assert "the pytest process was ended by signal 9" in found[-1].how
    # The next group has another process.
    assert isinstance(said(hello, ITEMS[0])[-1], Ended)


def test_a_task_that_is_gone_ends_what_it_ran(keep: Callable[..., tuple[Keeper, Hello]], project: Path) -> None:
    keeper, hello = keep(scan(project, []))
    task = run_group(hello.address, hello.key, Lease("a.py::a", ITEMS), has_gpu=False)
    assert isinstance(next(task), Begun)
    task.close()  # type: ignore[attr-defined]
    # Another one runs meanwhile, and afterwards.
    assert isinstance(said(hello, *ITEMS)[-1], Ended)
    assert keeper.finish().outputs


def test_two_groups_at_a_time_have_a_process_each(keep: Callable[..., tuple[Keeper, Hello]], project: Path) -> None:
    keeper, hello = keep(scan(project, []))
    first = run_group(hello.address, hello.key, Lease("a.py::a", ITEMS), has_gpu=False)
    assert isinstance(next(first), Begun)
    assert isinstance(said(hello, *ITEMS)[-1], Ended)
    assert isinstance(list(first)[-1], Ended)
    assert len(keeper.finish().outputs) == 2


@OWN
def test_what_another_node_has_made_is_brought(
    keep: Callable[..., tuple[Keeper, Hello]], project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    monkeypatch.setenv("MODELCONFORM_CACHE", str(one))
    _, first = keep(scan(project, []), cache=str(one))
    said(first, *ITEMS)
    fetched = []

    def fetch(node: str, kind: str, name: str) -> Iterator[Piece]:
        found = list(pieces(one, kind, name))
        if found:
            fetched.append((node, kind))
        yield from found

    monkeypatch.setenv("MODELCONFORM_CACHE", str(two))
    _, second = keep(scan(project, []), cache=str(two), fetch=fetch)
    messages = said(second, *ITEMS, peers=["first"])
    assert {kind for _, kind in fetched} >= {"cases", "references", "artifacts"}
    cell = messages[-2]
    assert isinstance(cell, Done)
    assert cell.reports[1]["modelconform"]["cached"] is True
    assert cell.reports[1]["modelconform"]["verdict"] == "pass"


def test_a_process_that_can_not_begin_says_why(start: Start, project: Path) -> None:
    (project / "conftest.py").write_text("raise ValueError('no such conftest')\n")
    with pytest.raises(ProcessDied, match=r"(?s)ended with status 1.*no such conftest"):
        Keeper().begin(start, scan(project, []), None)


def test_paths_of_a_project_that_is_elsewhere() -> None:
    option = {"rootdir": "/home/me/models", "inifilename": "/home/me/models/pytest.ini", "keyword": ""}
    words = ["/home/me/models/a.py::a[x]", "/else/b.py"]
    start = Start("", "/home/me/models", "/home/me/models/sub", words, option, {}, {})
    there = moved(start, start.root, "/node/copy")
    assert (there.root, there.place) == ("/node/copy", "/node/copy/sub")
    assert there.arguments == ["/node/copy/a.py::a[x]", "/else/b.py"]
    assert there.option == {"rootdir": "/node/copy", "inifilename": "/node/copy/pytest.ini", "keyword": ""}


def test_the_environment_of_a_process() -> None:
    own = {"HOME": "/h", "OMP_NUM_THREADS": "1", "RAY_JOB_ID": "1", "PYTEST_X": "x", "CUDA_VISIBLE_DEVICES": ""}
    found = environment(own, {"OMP_WAIT_POLICY": "passive"}, "gw3", None)
    assert found == {"HOME": "/h", "OMP_WAIT_POLICY": "passive", "PYTEST_XDIST_WORKER": "gw3"}
    assert environment(own, {}, "gw0", "GPU-1")["CUDA_VISIBLE_DEVICES"] == "GPU-1"
    assert os.environ.get("RAY_JOB_ID") is None
