"""--modelconform-update-expected in runs of pytest: when a file is written, what is said, and how the run ends."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from pytest_modelconform.expected.file import load
from pytest_modelconform.expected.update import HEADER
from tests.support import fakes, runs
from tests.support.runs import Run

# One that is wrong by its structure: no cause of that is looked for, which would take a case host.
GOOD, WRONG, REFUSE = (
    f"plain.py::{runs.cell('plain', fake)}" for fake in ("good@never", "structure@run", "refuse@load")
)
ABSENT = f"plain.py::plain[torchscript_trace-{fakes.ABSENT.replace('-', '_')}-cpu]"
RUNTIMES = ",".join([*map(fakes.runtime_name, ("good@never", "structure@run", "refuse@load")), fakes.ABSENT])
UPDATE = "--modelconform-update-expected"
VARIANTS = [["-p", "no:xdist"], ["-n", "0"], ["-n", "2"]]
variants = pytest.mark.parametrize("variant", VARIANTS, ids=["no-xdist", "n0", "n2"])


def entry(cell: str, verdict: str = "error", stage: str = "run", reason: str = "known") -> str:
    return f'[[expect]]\ncell = "{cell}"\nverdict = "{verdict}"\nstage = "{stage}"\nreason = "{reason}"\n'


# Passes, fails elsewhere, has none (the third fake), matches nothing, is not here.
OLD = "# header\n\n" + "\n".join([entry(GOOD), "# of it\n" + entry(WRONG), entry("gone.py::*"), entry(ABSENT)])


class Project:
    """A folder with a case below `cases/`, the same for all tests of a process, so that the case is in the cache."""

    def __init__(self, folder: Path, pytester: pytest.Pytester) -> None:
        self.pytester = pytester
        self.folder = runs.write(folder, {"cases/plain.py": runs.PLAIN})
        self.file = folder / "cases" / "expected.toml"

    def begin(self, text: str | None, others: dict[str, str]) -> None:
        known = {"conftest.py", "cases/plain.py"}
        for path in [*self.folder.rglob("*.py"), *self.folder.rglob("expected.toml")]:
            if path.relative_to(self.folder).as_posix() not in known:
                path.unlink()
        runs.write(self.folder, others)
        if text is not None:
            self.file.write_text(text)

    def run(self, *arguments: str, runtimes: str = RUNTIMES) -> Run:
        """Of `cases`, in this process where it stays in one and nothing interrupts it."""
        arguments = (*(arguments or ("-p", "no:xdist", UPDATE)), "cases")
        if "2" in arguments or any("KeyboardInterrupt" in path.read_text() for path in self.folder.rglob("test_*.py")):
            return runs.run(self.folder, *arguments, runtimes=runtimes)
        return runs.run_here(self.pytester, self.folder, *arguments, runtimes=runtimes)

    def left_over(self) -> list[str]:
        return [path.name for path in self.folder.rglob(".expected*")]


Start = Callable[..., Project]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("updates")


@pytest.fixture
def started(folder: Path, pytester: pytest.Pytester) -> Start:
    """The project with this text of cases/expected.toml (None: without one) and with these other files."""

    def start(text: str | None, others: dict[str, str] | None = None) -> Project:
        project = Project(folder, pytester)
        project.begin(text, others or {})
        return project

    return start


# -- what is written ---------------------------------------------------------------------------------------------------


BROKEN = "from pytest_modelconform import Case\n1 / 0\n"


@variants
def test_the_file_agrees_afterwards(started: Start, variant: Sequence[str]) -> None:
    """In two processes one of the files can't be collected: each tells of it, and it gets one entry."""
    is_broken = variant == ["-n", "2"]
    project = started(OLD, {"cases/broken.py": BROKEN} if is_broken else None)
    project.file.chmod(0o640)
    run = project.run(*variant, UPDATE)
    assert run.status == 0, run.stdout
    new = project.file.read_text()
    collect = "\n# seen:\n" + entry("broken.py::broken[collect]", "error", "collect", "TODO") if is_broken else ""
    assert re.sub("# seen: .*", "# seen:", new) == (
        "# header\n\n# of it\n# seen:\n# before: error at stage run: known\n"
        + entry(WRONG, "mismatch", "compare", "TODO") + "\n"
        + entry(ABSENT) + "\n# seen:\n"
        + entry(REFUSE, "error", "load", "TODO")
        + collect
    )  # fmt: skip
    assert "# seen: RuntimeError: " in new
    assert f"{project.file}: {1 + is_broken} added, 1 changed, 2 removed\n" in run.stdout
    assert (
        f'{project.file}: {2 + is_broken} entries have the reason "TODO". Say why the cells fail: until then'
        in run.stdout
    )
    # The log says what the cells came to.
    assert run.verdict(GOOD.partition("::")[2]) == ("pass", None)
    assert run.verdict(WRONG.partition("::")[2]) == ("mismatch", "compare")
    assert run.verdict(REFUSE.partition("::")[2]) == ("error", "load")
    assert f"3 passed, 1 skipped, {2 + is_broken} xfailed" in run.stdout
    assert project.file.stat().st_mode & 0o777 == 0o640
    assert project.left_over() == []


def test_reasons_have_to_be_filled_in(started: Start) -> None:
    project = started(entry(WRONG, "mismatch", "compare", " todo ") + entry(REFUSE, stage="load"))
    run = project.run("-n", "0")
    assert run.status == 1
    assert f"entry 1 ('{WRONG}') still has the reason todo: say why the cell fails" in run.stdout
    # The cell is judged by the entry all the same.
    assert "1 failed, 2 passed, 1 skipped, 2 xfailed" in run.stdout
    assert run.cells[WRONG.partition("::")[2]]["expected"] is True
    # With the option it is no fault, and there is nothing to write.
    before = project.file.read_text()
    run = project.run()
    assert run.status == 0
    assert 'expected.toml: 1 entry has the reason "TODO"' in run.stdout
    assert "added" not in run.stdout
    assert project.file.read_text() == before
    project.file.write_text(before.replace(" todo ", "a wrong sign"))
    assert project.run("-n", "0").status == 0
    run = project.run()
    assert run.status == 0
    assert "no file needs an update" in run.stdout


def test_a_file_is_made_in_the_topmost_folder_of_the_command_line(started: Start) -> None:
    project = started(None, {"cases/deep/plain.py": runs.PLAIN})
    run = project.run("-n", "0", UPDATE, "cases/deep")
    assert run.status == 0, run.stdout
    text = project.file.read_text()
    assert text.startswith(HEADER + "\n# seen: ")
    assert {e.cell for e in load(project.file).entries} == {WRONG, REFUSE, f"deep/{WRONG}", f"deep/{REFUSE}"}
    assert f"{project.file}: 4 added, 0 changed, 0 removed (a new file)" in run.stdout
    assert not (project.folder / "cases" / "deep" / "expected.toml").exists()


def test_beside_the_case_file_where_no_folder_is_named(started: Start) -> None:
    project = started(None)
    run = runs.run_here(project.pytester, project.folder, "-n", "0", UPDATE, f"cases/{REFUSE}", runtimes=RUNTIMES)
    assert run.status == 0, run.stdout
    assert [e.cell for e in load(project.file).entries] == [REFUSE]


def test_no_file_is_made_where_nothing_fails(started: Start) -> None:
    project = started(None)
    run = project.run("-n", "0", UPDATE, runtimes="fake-good-never")
    assert run.status == 0
    assert "no file needs an update" in run.stdout
    assert not project.file.exists()


def test_only_what_ran_is_changed(started: Start) -> None:
    project = started(entry("plain.py::plain[*-fake_*]"))
    run = project.run("-n", "0", UPDATE, "-k", "good_never")
    assert run.status == 0, run.stdout
    expectations = load(project.file)
    assert expectations.find(GOOD) is None
    ids = [f"plain.py::{runs.cell('plain', fake)}" for fake in fakes.FAKES if fake != "good@never"]
    assert all(expectations.find(cell) is not None for cell in [*ids, ABSENT])
    assert expectations.check([*ids, ABSENT]) == []


def test_an_entry_of_a_case_that_can_be_collected_again_goes(started: Start) -> None:
    project = started(entry("plain.py::plain[collect]", stage="collect"))
    run = project.run("-n", "0", UPDATE, runtimes="fake-good-never")
    assert run.status == 0
    assert project.file.read_text() == ""


def test_a_case_file_that_can_not_be_collected_gets_an_entry(started: Start) -> None:
    kept = entry("broken.py::other[eager]")
    project = started(kept, {"cases/broken.py": BROKEN})
    run = project.run("-n", "0", UPDATE, runtimes="fake-good-never")
    assert run.status == 0, run.stdout
    new = entry("broken.py::broken[collect]", "error", "collect", "why")
    text = project.file.read_text()
    assert text.startswith(kept + "\n# seen: broken.py: ")
    # Which cells the file has nobody can tell: its entries are not stale.
    project.file.write_text(text.replace("TODO", "why"))
    assert project.file.read_text().endswith(new)
    run = project.run("-n", "0", runtimes="fake-good-never")
    assert run.status == 0, run.stdout


# -- what is not written -----------------------------------------------------------------------------------------------

FAILS = "def test_fails():\n    assert False\n"
INTERRUPTS = "def test_interrupts():\n    raise KeyboardInterrupt\n"
EXITS = "import pytest\n\n\ndef test_exits():\n    pytest.exit('enough', returncode=0)\n"


@pytest.mark.parametrize(
    ("others", "arguments"),
    [
        ({}, ["-n", "0", "--collect-only"]),
        ({"cases/test_z.py": FAILS}, ["-n", "0", "-x"]),
        ({"cases/test_z.py": FAILS}, ["-n", "2", "--maxfail=1"]),
        ({"cases/test_z.py": EXITS}, ["-n", "0"]),
        ({"cases/test_z.py": INTERRUPTS}, ["-n", "0"]),
        ({"cases/test_z.py": "import no_such_module\n"}, ["-n", "0"]),
    ],
    ids=["collect-only", "x", "maxfail", "exit", "ctrl-c", "collection-error"],
)  # fmt: skip
def test_a_session_that_does_not_end_writes_nothing(
    started: Start, others: dict[str, str], arguments: Sequence[str]
) -> None:
    project = started(OLD, others)
    run = project.run(*arguments, UPDATE)
    assert project.file.read_text() == OLD, run.stdout
    assert project.left_over() == []
    said = "expected.toml was not changed: the session ended before all cells had run" in run.stdout
    assert said is ("--collect-only" not in arguments)


def test_failures_of_other_tests_change_nothing(started: Start) -> None:
    project = started(OLD, {"cases/test_z.py": FAILS})
    run = project.run()
    assert run.status == 1
    assert f"{project.file}: 1 added, 1 changed, 2 removed" in run.stdout


UNKNOWN_KEY = (OLD + "colour = 1\n", "entry 4 (")


@pytest.mark.parametrize(
    ("variant", "text", "says"),
    [
        *((variant, *UNKNOWN_KEY) for variant in VARIANTS),
        (VARIANTS[0], "[[expect]\n", "Expected"),
        (VARIANTS[0], "expect = []\n", "only entries that are written as [[expect]] can be updated"),
    ],
    ids=["no-xdist", "n0", "n2", "no-toml", "no-tables"],
)
def test_a_faulty_file_is_an_error_at_the_start(started: Start, variant: Sequence[str], text: str, says: str) -> None:
    project = started(text)
    run = project.run(*variant, UPDATE, "-k", "nothing")
    assert run.status == pytest.ExitCode.USAGE_ERROR
    assert f"ERROR: --modelconform-update-expected: {project.file}: " in run.stderr
    assert says in run.stderr
    assert "Traceback" not in run.stderr
    assert project.file.read_text() == text


SPOILS = fakes.CONFTEST + (
    "\nimport pathlib, pytest\n\n\n@pytest.hookimpl(tryfirst=True)\ndef pytest_sessionfinish():\n"
    "    pathlib.Path('cases/expected.toml').write_text('nonsense')\n"
)


def test_what_can_not_be_written_is_a_failure(started: Start) -> None:
    project = started(OLD, {"conftest.py": SPOILS})
    run = project.run()
    assert run.status == 1
    assert f"not updated: {project.file}: " in run.stdout
    assert project.file.read_text() == "nonsense"


def test_overlapping_entries_are_left_to_the_author(started: Start) -> None:
    text = entry(REFUSE, stage="load") + "\n" + entry(REFUSE.replace("refuse", "refus?"), stage="load")
    project = started(text)
    run = project.run("-n", "0", UPDATE, "-k", "entries or refuse")
    assert run.status == 1
    assert f"entries 1 and 2 match the same cell, {REFUSE}: narrow the pattern of one" in run.stdout
    assert project.file.read_text() == text


# -- the commands that messages name -----------------------------------------------------------------------------------


def command_in(text: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the command that a message ends with, as a shell would."""
    words = shlex.split(text.rpartition("run: ")[2])
    assert words[:3] == ["pytest", "--modelconform", UPDATE]
    line = [sys.executable, "-m", *words, "-p", "no:cacheprovider"]
    return subprocess.run(line, cwd=folder, capture_output=True, encoding="utf-8", check=False)


def test_the_command_that_a_cell_names_updates_its_entry_alone(started: Start) -> None:
    project = started(OLD)
    run = project.run("-n", "0")
    message = run.cells[GOOD.partition("::")[2]]["message"]
    options = "--modelconform-formats=torchscript-trace --modelconform-runtimes=fake-good-never"
    assert message.endswith(
        "but the result is pass. Correct or remove the entry, or run: "
        f"pytest --modelconform {UPDATE} {options} 'cases/{GOOD}'"
    )
    done = command_in(message, project.folder)
    assert done.returncode == 0, done.stdout
    # Stale entries match no cell, whatever ran.
    assert [e.cell for e in load(project.file).entries] == [WRONG, ABSENT]


def test_the_command_that_stale_entries_name_removes_them(started: Start) -> None:
    project = started(OLD)
    run = project.run("-n", "0", "-k", "entries")
    line, *_ = (
        line for line in run.stdout.splitlines() if "match no cell, run: " in line
    )  # where CI is set the summary repeats it
    assert line.endswith(
        f"To remove the entries that match no cell, run: pytest --modelconform {UPDATE} cases/expected.toml::entries"
    )
    done = command_in(line, project.folder)
    assert done.returncode == 0, done.stdout
    assert [e.cell for e in load(project.file).entries] == [GOOD, WRONG, ABSENT]
