"""A project that is not only ours: other plugins with a say in how cells run, files with our names, environments."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import fakes, runs
from tests.support.runs import Run

# What pytest-timeout's method "signal" does, to one cell.
CONFTEST = (
    fakes.CONFTEST
    + """\


import signal

import pytest


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    def end(*_):
        pytest.fail("Timeout (>2.0s) from pytest-timeout.")

    if item.name == "held[eager]":
        signal.signal(signal.SIGALRM, end)
        signal.setitimer(signal.ITIMER_REAL, 2.0)
    try:
        return (yield)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
"""
)
HELD = (
    runs.CASE
    + """\

import time
from pathlib import Path

NOTE = Path(__file__).with_suffix(".txt")


def model():
    if not NOTE.exists():
        NOTE.touch()
        time.sleep(100)
    return Net()


case = Case(model=model, inputs=inputs)
"""
)
ABSENT = "import absent_package\n\n" + runs.CASE
ABSENT += 'case = Case(model=lambda: Net(), inputs=inputs, requires=("absent-package",))\n'
WRONG = runs.CASE + "case = Case(model=lambda: Net().nothing, inputs=inputs)\n"
GONE = '[[expect]]\ncell = "*.py::gone[*]"\nverdict = "error"\nreason = "it was"\n'
PROJECT = {
    "pytest.ini": "[pytest]\naddopts = --doctest-modules\n",
    "conftest.py": CONFTEST,
    "held.py": HELD,
    "absent.py": ABSENT,
    "faulty/expected.toml": "[[expect]]\ncell = wrong\n",
    "faulty/wrong.py": WRONG,
    "golden/expected.toml": "[server]\nport = 80\n",
    "stale/expected.toml": GONE,
    "stale/plain.py": runs.PLAIN,
    "stale/.venv/pyvenv.cfg": "",
    "stale/.venv/lib/broken.py": "import pytest_modelconform\n\nraise RuntimeError\n",
}


@pytest.fixture
def run(session_folder: Path) -> Run:
    return runs.once(session_folder, "neighbours", lambda folder: runs.run(runs.write(folder, PROJECT)))


def test_case_files_are_not_imported_for_doctests(run: Run) -> None:
    assert "errors during collection" not in run.stdout
    assert "1 error during collection" not in run.stdout
    assert run.verdict("absent[eager]")[0] == "unavailable"


def test_a_cell_that_another_plugin_ends_is_a_timeout_and_the_next_one_is_not(run: Run) -> None:
    assert run.verdict("held[eager]") == ("timeout", None)
    assert "another plugin has ended it: Timeout (>2.0s) from pytest-timeout." in run.message("held[eager]")
    assert run.verdict(runs.cell("held", "good@never")) == ("pass", None)


def test_a_faulty_file_of_expectations_is_told_with_what_it_might_expect(run: Run) -> None:
    assert run.verdict("wrong[eager]")[0] == "error"
    assert "no entry holds, since this can't be read: " in run.message("wrong[eager]")
    assert "FAILED faulty/expected.toml::entries" in run.stdout


def test_a_file_of_others_with_the_name_of_ours_is_left_to_them(run: Run) -> None:
    assert "golden" not in run.stdout


def test_what_is_installed_beside_cases_says_nothing_of_entries(run: Run) -> None:
    assert "FAILED stale/expected.toml::entries" in run.stdout
    assert "gone[*]" in run.stdout
    assert ".venv" not in run.stdout
