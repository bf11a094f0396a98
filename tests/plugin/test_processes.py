"""How many processes a run takes where nobody says, and what the header says of it.

The cases here need a package that nobody has, so that their cells are settled without a worker.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from pytest_modelconform.plugin.processes import fitting, line
from pytest_modelconform.terms import capacity
from pytest_modelconform.terms.gpus import Gpu
from tests.support import runs

GIGABYTE = 2**30
CASE = "from pytest_modelconform import Case\n\ncase = Case(model=None, inputs={}, requires=('no-such-package',))\n"
# Four cores and 64 GiB, whatever this machine has.
MACHINE = """\
from pytest_modelconform.terms import capacity
from pytest_modelconform.terms.gpus import Gpu

capacity.cores = lambda: 4
capacity.memory = lambda: capacity.Memory(64 * 2**30, {free} * 2**30)
"""
TWO_FORMATS = ["--modelconform-formats=onnx,export", "--modelconform-runtimes=ort,torch"]
ALONE = "1 process, 4 threads (4 cores{})"
OTHER = "2 processes, 2 threads each (4 cores{})"

Header = Callable[..., str]


@pytest.mark.parametrize(
    ("cores", "gigabytes", "gpus", "number", "why"),
    [
        (1, 64, [], 1, ""),
        (4, 64, [], 4, "-n 0 for one process"),
        (64, 512, [], 64, "-n 0 for one process"),
        (64, 31.5, [], 15, "no more fit into 31.5 GiB; -n N for another number"),
        (4, 8, [], 4, "-n 0 for one process"),
        (4, 7.9, [], 3, "no more fit into 7.9 GiB; -n N for another number"),
        (4, 0.5, [], 1, "no more fit into 0.5 GiB; -n N for another number"),
        # Nobody tells of their memory.
        (16, 64, [0, 0], 2, "one for each GPU; -n N for another number"),
        (16, 64, [16], 2, "no more fit on the GPU; -n N for another number"),
        (16, 64, [7, 24], 4, "no more fit on the GPUs; -n N for another number"),
        (16, 64, [140], 16, "-n 0 for one process"),
        (1, 64, [140, 140], 1, ""),
    ],
)
def test_the_number_that_fits(cores: int, gigabytes: float, gpus: list[int], number: int, why: str) -> None:
    found = fitting(cores, int(gigabytes * GIGABYTE), [Gpu("0", free=size * GIGABYTE) for size in gpus])
    assert (found.number, found.why) == (number, why)


class Enough:
    """Notes the header's line, and ends the session before xdist starts processes."""

    said = ""

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        self.said = line(session.config)
        pytest.exit("enough")


@pytest.fixture
def header(pytester: pytest.Pytester) -> Header:
    """What the header of a run in this process says of processes, of one case in two formats."""

    def said(*arguments: str, ini: str = "", free: int = 64, files: Sequence[tuple[str, str]] = ()) -> str:
        for name, text in [("conftest.py", MACHINE.format(free=free)), ("net.py", CASE), *files]:
            (pytester.path / name).write_text(text)
        pytester.makeini(f"[pytest]\n{ini}")
        words = [*TWO_FORMATS, *runs.OTHERS_PLUGINS, *arguments]
        with pytest.MonkeyPatch.context() as patch:
            for name in ("cores", "memory"):
                # Put back afterwards what the conftest.py puts in its place.
                patch.setattr(capacity, name, getattr(capacity, name))
            enough = Enough()
            pytester.runpytest_inprocess("--modelconform", *words, plugins=[enough])
        return enough.said

    return said


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], OTHER.format("; there is no more to divide")),
        (["net.py"], OTHER.format("; there is no more to divide")),
        (["net.py::net[onnx-ort-cpu]"], ALONE.format("; there is no more to divide")),
        (["net.py::net[eager]", "net.py::net[onnx-ort-cpu]"], ALONE.format("; there is no more to divide")),
        (["net.py::net[onnx-ort-cpu]", "net.py::net[export-torch-cpu]"], OTHER.format("; there is no more to divide")),
        (["a" * 300], ALONE.format("")),
        (["nothing.py"], ALONE.format("; there is no more to divide")),
        (["-n", "0"], ALONE.format("")),
        (["-n", "2"], OTHER.format("")),
        (["-d", "--tx", "2*popen"], OTHER.format("")),
        (["-p", "no:xdist"], ALONE.format("")),
        (["--dist", "loadfile"], ALONE.format("")),
        (["--maxprocesses", "1"], ALONE.format("")),
        (["--pdb"], ALONE.format("; one because of --pdb")),
        (["--trace"], ALONE.format("; one because of --trace")),
        (["--collect-only"], ALONE.format("; one because of --collect-only")),
        (["--setup-plan"], ALONE.format("; one because of --setup-plan")),
        (["--stepwise"], ALONE.format("; one because of --stepwise")),
        (["-s"], ALONE.format("; one because of -s; -n auto for more")),
        (["--modelconform-inline"], ALONE.format("; one because of --modelconform-inline")),
    ],
    ids=lambda words: " ".join(words) if isinstance(words, list) else "",
)
def test_what_the_command_line_comes_to(header: Header, arguments: list[str], expected: str) -> None:
    assert header(*arguments) == expected


@pytest.mark.parametrize(
    ("ini", "expected"),
    [
        ("addopts = -n 0\n", ALONE.format("")),
        ("addopts = -s\n", ALONE.format("; one because of -s; -n auto for more")),
        ("modelconform_inline = true\n", ALONE.format("; one because of --modelconform-inline")),
    ],
)
def test_what_the_ini_file_comes_to(header: Header, ini: str, expected: str) -> None:
    assert header(ini=ini) == expected


def test_more_files_than_cores_are_for_all_cores(header: Header, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [(f"net{i}.py", CASE) for i in range(3)]
    assert header(files=files) == "4 processes, 1 thread each (4 cores; -n 0 for one process)"
    said = "; no more fit into 5.0 GiB; -n N for another number"
    assert header(files=files, free=5) == OTHER.format(said)
    assert header("--modelconform-memory=5GiB", files=files) == OTHER.format(said)
    # Typed, it heeds that, too. What xdist itself looks at:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(4), raising=False)
    monkeypatch.setitem(sys.modules, "psutil", None)
    assert header("-n", "auto", files=files, free=5) == OTHER.format(said)
    assert header("-n", "auto", "--maxprocesses", "1", files=files) == ALONE.format("")


def test_cases_that_cant_be_told_by_syntax_may_be_many(header: Header) -> None:
    assert header(files=[("net.py", f"{CASE}globals().update(other=Case(model=None, inputs={{}}))\n")]).startswith("4 ")


def test_ordinary_tests_are_not_divided_unless_somebody_says_so(header: Header) -> None:
    files = [("test_other.py", "def test_other():\n    pass\n")]
    said = "; one because test_other.py is no case file; -n auto for more"
    assert header(files=files) == ALONE.format(said)
    assert header("net.py", files=files) == OTHER.format("; there is no more to divide")
    assert header("net.py", "test_other.py", files=files) == ALONE.format(said)


def test_others_may_say_how_many(header: Header, monkeypatch: pytest.MonkeyPatch, pytester: pytest.Pytester) -> None:
    hook = "def pytest_xdist_auto_num_workers():\n    return 2\n"
    files = [("net1.py", CASE), ("net2.py", CASE)]
    name = pytester.path / "conftest.py"
    theirs = [*files, ("conftest.py", MACHINE.format(free=64) + hook)]
    assert header(files=theirs) == OTHER.format(f"; as {name.name} says")
    monkeypatch.setenv("PYTEST_XDIST_AUTO_NUM_WORKERS", "2")
    assert header(files=files) == OTHER.format("; as PYTEST_XDIST_AUTO_NUM_WORKERS says")
    monkeypatch.setenv("PYTEST_XDIST_AUTO_NUM_WORKERS", "0")
    assert header(files=files) == ALONE.format("")
    monkeypatch.delenv("PYTEST_XDIST_AUTO_NUM_WORKERS")
    # Within one of xdist's processes, which share the machine already.
    monkeypatch.setenv("PYTEST_XDIST_WORKER", "gw1")
    assert header(files=files) == ALONE.format("")


def test_where_xdist_is_missing(header: Header, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "xdist" else find(name, *rest))
    assert header("-p", "no:xdist") == ALONE.format("; pip install pytest-xdist to use 4 processes")


def test_a_run_is_divided(pytester: pytest.Pytester) -> None:
    """By the ini file, which stands for --modelconform."""
    for name, text in [("conftest.py", MACHINE.format(free=64)), ("net.py", CASE)]:
        (pytester.path / name).write_text(text)
    pytester.makeini("[pytest]\nmodelconform = true\n")
    words = [*TWO_FORMATS, *runs.OTHERS_PLUGINS, "--modelconform-json=out.json"]
    result = pytester.runpytest_subprocess(*words, "-v", "--durations=1", "--junitxml=junit.xml")
    assert "modelconform: " + OTHER.format("; there is no more to divide") in result.outlines
    assert "created: 2/2 workers" in result.outlines
    result.assert_outcomes(skipped=3)
    assert '"processes": 2' in Path("out.json").read_text()


def test_without_the_option_nothing_is_divided(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_a(): pass\n", test_b="def test_b(): pass\n")
    result = pytester.runpytest_inprocess(*runs.OTHERS_PLUGINS)
    result.assert_outcomes(passed=2)
    assert "workers" not in result.stdout.str()
