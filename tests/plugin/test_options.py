"""Each option, on the command line and in an ini file, without xdist and with it.

What options come to once cells have run is seen in two runs for each way to start processes: `everything`, and `again`.
"""

from __future__ import annotations

import json
import os
import shlex
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support import fakes, runs
from tests.support.runs import Run

GOOD, WRONG = runs.cell("plain", "good@never"), runs.cell("plain", "wrong@run")
# Wrong by its structure: no cause of that is looked for, which would take a case host.
STRUCTURE = runs.cell("plain", "structure@run")
SECOND_GOOD = runs.cell("second", "good@never")
RECORD = {
    "id", "case", "format", "runtime", "device", "dtype", "precision", "verdict", "stage", "expected", "message",
    "bits", "reference_bits", "loss", "worst", "max_abs", "inputs", "seconds", "artifact_bytes", "cached",
    "artifact", "tags",
}  # fmt: skip
ABSENT = "plain[torchscript_trace-fake_absent-cpu]"
# `-n 0` is what `runs.run` says in all other files: here it is where a run in this process is enough.
VARIANTS = {"no-xdist": ["-p", "no:xdist"], "n2": ["-n", "2"]}
IN_ONE = pytest.mark.parametrize("variant", [["-p", "no:xdist"], ["-n", "0"]], ids=["no-xdist", "n0"])

Start = Callable[..., pytest.RunResult]


@pytest.fixture
def start(project: Path, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Start:
    """Run pytest on the project, in this process where it stays in one, with an ini file of our own."""

    def started(
        *arguments: str | Path, ini: str = "", n: list[str] | None = None, cwd: Path = project
    ) -> pytest.RunResult:
        text = f"[pytest]\ncache_dir = {pytester.path / '.pytest_cache'}\n{ini}"
        (pytester.path / "pytest.ini").write_text(text)
        monkeypatch.chdir(cwd)
        line = [*(n or ["-p", "no:xdist"]), "-c", str(pytester.path / "pytest.ini"), "--rootdir", str(project)]
        line += ["--confcutdir", str(project), *runs.OTHERS_PLUGINS, *map(str, arguments)]
        return pytester.runpytest_inprocess(*line)

    return started


INI = """\
[pytest]
cache_dir = {folder}/.pytest_cache
modelconform_timeout = 3
modelconform_threads = 4
"""
EVERY = ["fake-good-never", "fake-endless-run", "fake-structure-run", "fake-wrong-run", "fake-good-concurrent"]


@dataclass(frozen=True)
class Everything:
    """Two runs of the project, the second one of what failed in plain.py, and what the first one wrote."""

    processes: int
    first: Run
    again: Run
    folder: Path


@pytest.fixture(params=VARIANTS)
def everything(request: pytest.FixtureRequest, project: Path, session_folder: Path) -> Everything:
    """One case in all of EVERY and in what is required and not there, the other in what is settled at once."""
    how = VARIANTS[request.param]
    folder = session_folder / f"options-{request.param}"
    line = [*how, "-c", str(folder / "pytest.ini"), "--rootdir", str(project), "--confcutdir", str(project)]
    ini = INI.format(folder=folder)
    runtimes = ",".join([*EVERY, fakes.ABSENT])

    def make(folder: Path) -> Run:
        (folder / "pytest.ini").write_text(f"{ini}modelconform_require = {fakes.ABSENT}\n")
        options = [f"--modelconform-html={folder / 'deep' / 'report.html'}", f"--junitxml={folder / 'junit.xml'}"]
        chosen = "plain or (second and (eager or good_never or structure))"
        return runs.run(project, *line, *options, "-k", chosen, runtimes=runtimes)

    def make_again(_: Path) -> Run:
        (folder / "pytest.ini").write_text(ini)
        return runs.run(project, *line, "--lf", "-k", "not endless and not wrong", "plain.py", runtimes=runtimes)

    first = runs.once(session_folder, folder.name, make)
    again = runs.once(session_folder, f"{folder.name}-again", make_again)
    return Everything(2 if "2" in how else 1, first, again, folder)


def given(runtimes: str = "fake-good-never", formats: str = "torchscript-trace") -> list[str]:
    return ["--modelconform", f"--modelconform-runtimes={runtimes}", f"--modelconform-formats={formats}"]


def cells(path: Path) -> dict[str, Any]:
    return {cell["id"].rpartition("::")[2]: cell for cell in json.loads(path.read_text())["cells"]}


def ids(result: pytest.RunResult) -> list[str]:
    return [line for line in result.outlines if "::" in line and not line.startswith(" ")]


# -- what is selected --------------------------------------------------------------------------------------------------


def test_collect_only_lists_the_ids(start: Start) -> None:
    result = start(*given("fake-good-never,fake-wrong-run"), "--collect-only", "-q")
    assert ids(result) == [
        "plain.py::plain[eager]", f"plain.py::{GOOD}", f"plain.py::{WRONG}",
        "second.py::second[eager]", f"second.py::{SECOND_GOOD}", f"second.py::{runs.cell('second', 'wrong@run')}",
    ]  # fmt: skip
    assert "compatibility matrix" not in result.stdout.str()


def test_formats_and_runtimes_as_ini_keys(start: Start) -> None:
    ini = (
        "modelconform = true\nmodelconform_formats = torchscript-trace,export\n"
        "modelconform_runtimes = fake-good-never, torch\nmodelconform_devices = cpu\n"
    )
    found = ids(start("--collect-only", "-q", "plain.py", ini=ini))
    assert found == [
        "plain.py::plain[eager]", "plain.py::plain[torchscript_trace-torch-cpu]", f"plain.py::{GOOD}",
        "plain.py::plain[export-torch-cpu]",
    ]  # fmt: skip


def test_the_command_line_beats_the_ini_file(start: Start) -> None:
    result = start(*given(), "--collect-only", "-q", "plain.py", ini="modelconform_runtimes = torch\n")
    assert ids(result) == ["plain.py::plain[eager]", f"plain.py::{GOOD}"]


def test_the_main_formats_and_runtimes_by_default(start: Start) -> None:
    found = ids(start("--modelconform", "--collect-only", "-q", "plain.py"))
    assert "plain.py::plain[torchscript_script-libtorch_cpp-cpu]" in found
    assert "plain.py::plain[onnx_legacy-openvino_cpp-cpu]" in found
    assert not any("fake" in item for item in found)


def test_all(start: Start) -> None:
    found = ids(start(*given("all", "all"), "--collect-only", "-q", "plain.py"))
    assert len([item for item in found if "fake" in item]) == len(fakes.FAKES) + 1
    assert "plain.py::plain[onnx-ort_cpp-cpu]" in found


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--modelconform-formats=onx", "unknown format 'onx'. Did you mean 'onnx'? Known formats: torchscript-trace, "),
        ("--modelconform-runtimes=ort-cp", "unknown runtime 'ort-cp'. Did you mean 'ort-cpp'? Known runtimes: torch, "),
        ("--modelconform-devices=gpu0", "unknown device 'gpu0'. Known devices: cpu, cuda"),
        ("--modelconform-precisions=half", "unknown precision 'half'. Known precisions: full, fast"),
        ("--modelconform-require=libtorch-cp", "unknown format or runtime 'libtorch-cp'. Did you mean 'libtorch-cpp'?"),
        (
            "--modelconform-timeout=soon",
            "--modelconform-timeout: invalid limit 'soon': expected a positive number of seconds",
        ),
        ("--modelconform-timeout=-1", "--modelconform-timeout: invalid limit '-1': expected"),
        ("--modelconform-timeout=nan", "--modelconform-timeout: invalid limit 'nan': expected"),
        (
            "--modelconform-memory=12",
            "--modelconform-memory: invalid size '12': expected a number and GB, GiB, MB or MiB",
        ),
        ("--modelconform-memory=0GB", "--modelconform-memory: invalid size '0GB': expected a number and GB"),
        ("--modelconform-threads=1,x", "--modelconform-threads: invalid list '1,x': expected numbers from 1 to 64"),
        ("--modelconform-threads=-2", "--modelconform-threads: invalid list '-2': expected"),
        ("--modelconform-threads=2,65", "--modelconform-threads: invalid list '2,65': expected"),
    ],
)
def test_a_wrong_value_lists_the_right_ones(start: Start, option: str, message: str) -> None:
    result = start("--modelconform", option)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert message in result.stderr.str()
    assert "Traceback" not in result.stderr.str()


def test_a_wrong_ini_value_as_well(start: Start) -> None:
    result = start("--modelconform", ini="modelconform_formats = onx\n")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "Did you mean 'onnx'?" in result.stderr.str()


def test_formats_and_runtimes_that_have_nothing_in_common(start: Start) -> None:
    result = start(*given("ort", "export"))
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    message = (
        "modelconform: these names were given, and have no cell:\n"
        "  format export: no runtime of this run (ort) loads it. Add one of torch, torch-compile, "
        "torch-compile-fullgraph, torch-compile-cudagraphs, torch-2.11, torch-2.15 to "
        "--modelconform-runtimes, or leave that option out.\n"
        "  runtime ort: it loads no format of this run (export). Add one of onnx, onnx-legacy, onnx-decomposed, "
        "onnx-opset9, onnx-fp16, onnx-int8 to --modelconform-formats, or leave that option out."
    )
    assert message in result.stderr.str()


@pytest.mark.parametrize("as_ini", [False, True], ids=["option", "ini"])
def test_precisions(start: Start, as_ini: bool) -> None:
    ini = "modelconform_precisions = full, fast\n" if as_ini else ""
    line = [*given("torch,fake-good-never"), *([] if as_ini else ["--modelconform-precisions=full,fast"]), "plain.py"]
    result = start(*line, "--collect-only", "-q", ini=ini)
    # A fake has no fast mode.
    assert ids(result) == [
        "plain.py::plain[eager]", "plain.py::plain[torchscript_trace-torch-cpu]",
        "plain.py::plain[torchscript_trace-torch-cpu-fast]", f"plain.py::{GOOD}",
    ]  # fmt: skip
    header = start(*line, "--collect-only", ini=ini).stdout.str()
    assert "modelconform: torchscript-trace in torch, fake-good-never on cpu in full and fast precision" in header


def test_a_precision_that_no_runtime_has(start: Start) -> None:
    result = start(*given(), "--modelconform-precisions=fast")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    says = (
        "modelconform: precision fast has no cell: nothing of this run (fake-good-never) runs so. "
        "Add one of torch, libtorch-cpp, "
    )
    assert says in result.stderr.str()


def test_a_node_id_on_the_command_line(start: Start) -> None:
    result = start(*given("fake-good-never,fake-wrong-run"), "-q", f"plain.py::{GOOD}")
    result.assert_outcomes(passed=1)
    assert "rerun" not in result.stdout.str()


@pytest.mark.parametrize("elsewhere", [False, True], ids=["root", "elsewhere"])
def test_the_rerun_command_of_a_failure_runs_just_it_where_one_stands(
    start: Start, project: Path, tmp_path: Path, elsewhere: bool
) -> None:
    cwd = tmp_path if elsewhere else project
    path = os.path.relpath(project / "plain.py", cwd)
    first = start(*given("fake-good-never,fake-structure-run"), path, "--modelconform-strict", cwd=cwd)
    [line] = [line for line in first.outlines if line.strip().startswith("rerun:")]
    command = shlex.split(line.strip().removeprefix("rerun: pytest "))
    # With the options that the cell would not be there without, and no other names.
    options = ["--modelconform-formats=torchscript-trace", "--modelconform-runtimes=fake-structure-run"]
    assert command == ["--modelconform", *options, "--modelconform-strict", f"{path}::{STRUCTURE}"]
    again = start(*command, cwd=cwd)
    again.assert_outcomes(failed=1)


@IN_ONE
def test_naming_a_file(start: Start, variant: list[str]) -> None:
    result = start(*given(), "second.py", n=variant)
    result.assert_outcomes(passed=2)
    assert result.ret == 0


def test_naming_a_folder_and_keywords(start: Start) -> None:
    result = start(*given(), ".", "-k", "second and not eager")
    assert result.parseoutcomes()["passed"] == 1


@pytest.mark.parametrize(
    ("expression", "count"),
    [
        ("format_torchscript_trace", 4),
        ("runtime_fake_wrong_run", 2),
        ("device_cpu and runtime_fake_good_never", 2),
        ("small", 3),
        ("eager", 2),
        ("dtype_float32", 6),
        ("precision_full", 4),
        ("small and not eager", 2),
    ],
)
def test_markers(start: Start, expression: str, count: int) -> None:
    line = [*given("fake-good-never,fake-wrong-run"), "-m", expression, "--collect-only", "-q", "--strict-markers"]
    result = start(*line, "-W", "error")
    assert len(ids(result)) == count
    assert result.ret == 0


def test_last_failed_in_a_file_that_is_named(everything: Everything) -> None:
    assert {name for name, cell in everything.first.cells.items() if cell["verdict"] == "mismatch"} == {
        STRUCTURE, WRONG, runs.cell("second", "structure@run")
    }  # fmt: skip
    assert set(everything.again.cells) == {STRUCTURE, ABSENT}
    assert everything.again.verdict(STRUCTURE) == ("mismatch", "compare")


@IN_ONE
def test_after_the_first_failure_the_rest_is_not_run(
    start: Start, pytester: pytest.Pytester, variant: list[str]
) -> None:
    report = pytester.path / "out.json"
    result = start(*given("fake-good-never,fake-structure-run"), "-x", f"--modelconform-json={report}", n=variant)
    result.assert_outcomes(passed=2, failed=1)
    found = cells(report)
    assert found[STRUCTURE]["verdict"] == "mismatch"
    assert {cell["verdict"] for name, cell in found.items() if name.startswith("second")} == {"not-run"}
    assert len(found) == 6
    assert "3 not-run" in result.stdout.str()


# -- what is shown and written -----------------------------------------------------------------------------------------


def test_json(everything: Everything) -> None:
    assert everything.first.status == pytest.ExitCode.TESTS_FAILED
    content = everything.first.report
    assert set(content) == {"schema", "complete", "environment", "cells"}
    assert (content["schema"], content["complete"]) == (1, True)
    for name in ("pytest-modelconform", "python", "platform", "processor", "cores", "processes", "threads", "packages"):
        assert name in content["environment"]
    assert content["environment"]["processes"] == everything.processes
    assert content["environment"]["options"]["runtimes"] == [*EVERY, fakes.ABSENT]
    found = everything.first.cells
    assert set(found) == {
        "plain[eager]", GOOD, STRUCTURE, WRONG, ABSENT, runs.cell("plain", "endless@run"),
        runs.cell("plain", "good@concurrent"), "second[eager]", SECOND_GOOD, runs.cell("second", "structure@run"),
    }  # fmt: skip
    for cell in found.values():
        assert set(cell) >= RECORD

    check = found["plain[eager]"]
    assert (check["format"], check["runtime"], check["device"], check["dtype"]) == ("eager", "eager", "cpu", "float32")
    good = found[GOOD]
    assert good["id"] == f"plain.py::{GOOD}"
    assert (good["case"], good["format"], good["runtime"]) == ("plain", "torchscript-trace", "fake-good-never")
    assert (good["verdict"], good["stage"], good["expected"], good["message"]) == ("pass", None, None, "")
    assert set(good["inputs"]) == {"seven", "one", "auto-transposed", "auto-zeros"}
    assert set(good["seconds"]) == {"export", "load", "run"}
    assert good["artifact_bytes"] > 100
    assert Path(good["artifact"]).stat().st_size > 100
    assert (good["tags"], found[SECOND_GOOD]["tags"]) == ([], ["small"])
    assert good["cached"] is True
    assert good["max_abs"] == 0
    wrong = found[WRONG]
    assert (wrong["verdict"], wrong["stage"]) == ("mismatch", "compare")
    assert wrong["max_abs"] == pytest.approx(0.1, rel=1e-3)
    assert 5 < wrong["bits"] < wrong["reference_bits"]
    assert wrong["loss"] > 3
    assert wrong["worst"] > 6
    assert wrong["inputs"]["seven"]["verdict"] == "mismatch"


def test_json_as_ini_key_is_relative_to_where_pytest_was_called(start: Start, project: Path) -> None:
    ini = "modelconform = true\nmodelconform_json = from-ini.json\n"
    start(*given()[1:], f"plain.py::{GOOD}", ini=ini).assert_outcomes(passed=1)
    assert set(cells(project / "from-ini.json")) == {GOOD}


def test_html(everything: Everything) -> None:
    text = (everything.folder / "deep" / "report.html").read_text(encoding="utf-8")
    assert text.startswith("<!doctype html>")
    assert f'"id":"plain.py::{ABSENT}"' in text
    assert "no-such-package" in text


def test_html_as_ini_key_is_relative_to_where_pytest_was_called(start: Start, project: Path) -> None:
    ini = "modelconform = true\nmodelconform_html = from-ini.html\n"
    start(*given()[1:], f"plain.py::{GOOD}", ini=ini).assert_outcomes(passed=1)
    assert (project / "from-ini.html").is_file()


def test_no_json_for_a_collection(start: Start, pytester: pytest.Pytester) -> None:
    report = pytester.path / "out.json"
    start(*given(), "--collect-only", f"--modelconform-json={report}")
    assert not report.exists()


def test_junit_xml(everything: Everything) -> None:
    [suite] = ElementTree.parse(everything.folder / "junit.xml").getroot()
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("10", "5", "0")
    failures = {case.get("name"): case.find("failure") for case in suite if case.find("failure") is not None}
    assert set(failures) == {
        STRUCTURE, WRONG, ABSENT, runs.cell("plain", "endless@run"), runs.cell("second", "structure@run")
    }  # fmt: skip
    [failed] = [case for case in suite if case.get("name") == STRUCTURE]
    properties = {element.get("name"): element.get("value") for element in failed.findall("properties/property")}
    assert properties == {
        "format": "torchscript-trace", "runtime": "fake-structure-run", "device": "cpu", "dtype": "float32",
        "precision": "full", "task": "inference", "verdict": "mismatch", "stage": "compare",
    }  # fmt: skip
    failure = failures[STRUCTURE]
    assert failure is not None
    assert "mismatch at stage compare: input set 'seven'" in (failure.text or "")


def test_progress_shows_the_verdict(start: Start) -> None:
    result = start(*given("fake-good-never,fake-structure-run,fake-segfault-run"), "plain.py")
    result.stdout.fnmatch_lines(["plain.py ..CM*"])
    verbose = start(*given("fake-good-never,fake-structure-run"), "plain.py", "-v")
    verbose.stdout.fnmatch_lines([f"plain.py::{STRUCTURE.replace('[', '[[]')} MISMATCH*"])


def test_the_header_says_what_will_run(start: Start) -> None:
    result = start(*given(f"fake-good-never,{fakes.ABSENT}"), "--collect-only")
    assert "modelconform: torchscript-trace in fake-good-never, fake-absent on cpu" in result.outlines
    says = "modelconform: fake-absent (cpu) is unavailable: needs no-such-package>=3: pip install 'no-such-package>=3'"
    assert says in result.outlines


# -- the other options -------------------------------------------------------------------------------------------------


def test_an_unavailable_runtime_is_shown_and_does_not_fail(everything: Everything) -> None:
    assert "1 failed, 1 skipped" in everything.again.stdout
    absent = everything.again.cells[ABSENT]
    assert (absent["verdict"], absent["stage"]) == ("unavailable", "environment")
    assert absent["message"] == "runtime fake-absent needs no-such-package>=3: pip install 'no-such-package>=3'"
    said = " ".join(line.strip() for line in everything.again.stdout.splitlines())
    assert f"Unavailable on this machine 1 cell: {absent['message']}" in said


def test_what_is_unavailable_alone_is_green(start: Start) -> None:
    result = start(*given(f"fake-good-never,{fakes.ABSENT}"), "plain.py")
    assert result.parseoutcomes() == {"passed": 2, "skipped": 1}
    assert result.ret == 0


REQUIRED = "pip install 'no-such-package>=3' (required by --modelconform-require)"


def test_require_as_ini_key(everything: Everything) -> None:
    assert "5 failed, 5 passed" in everything.first.stdout
    absent = everything.first.cells[ABSENT]
    assert absent["verdict"] == "unavailable"
    assert absent["message"].endswith(REQUIRED)


def test_require(start: Start, pytester: pytest.Pytester) -> None:
    report = pytester.path / "out.json"
    line = [*given(f"fake-good-never,{fakes.ABSENT}"), "plain.py", f"--modelconform-json={report}"]
    result = start(*line, f"--modelconform-require={fakes.ABSENT}", n=["-n", "0"])
    assert result.parseoutcomes() == {"passed": 2, "failed": 1}
    assert cells(report)[ABSENT]["verdict"] == "unavailable"
    assert cells(report)[ABSENT]["message"].endswith(REQUIRED)


def test_requiring_what_is_there_changes_nothing(start: Start) -> None:
    line = [*given(), "plain.py", "--modelconform-require=fake-good-never,torchscript-trace"]
    start(*line).assert_outcomes(passed=2)


def threads(found: dict[str, Any]) -> list[int] | None:
    """How many at once. The cache is the session's, so that another run may have tried all of it before."""
    tried = found[runs.cell("plain", "good@concurrent")]["threads"]
    return tried and tried.get("before", tried)["counts"]


@pytest.mark.parametrize(
    ("option", "ini", "counts"),
    [
        ([], "", [1, 2, 8]),
        (["--modelconform-threads=3, 2"], "modelconform_threads = 5\n", [2, 3]),
        (["--modelconform-threads=0"], "", None),
        (["--modelconform-threads="], "modelconform_threads = 4\n", None),
    ],
    ids=["default", "option", "zero", "empty"],
)
def test_threads(
    start: Start, pytester: pytest.Pytester, option: list[str], ini: str, counts: list[int] | None
) -> None:
    report = pytester.path / "out.json"
    line = [*given("fake-good-concurrent"), "plain.py", f"--modelconform-json={report}", *option]
    start(*line, ini=ini, n=["-n", "0"]).assert_outcomes(passed=2)
    assert threads(cells(report)) == counts


def test_threads_as_ini_key(everything: Everything) -> None:
    assert threads(dict(everything.first.cells)) == [4]


def test_timeout_as_ini_key(everything: Everything) -> None:
    endless = runs.cell("plain", "endless@run")
    assert everything.first.verdict(endless) == ("timeout", "run")
    assert "fake-endless-run gave no answer within" in everything.first.message(endless)
    said = everything.first.failure(f"plain.py::{endless}")
    assert said.startswith(f"plain.py::{endless}: timeout at stage run")


def test_the_cache_of_an_option(start: Start, pytester: pytest.Pytester) -> None:
    folder = pytester.path / "elsewhere"
    start(*given(), f"--modelconform-cache={folder}", "--collect-only", "nowhere", "--ignore=.")
    found = {path.name for path in folder.iterdir()}
    assert found >= {"cases", "references", "artifacts", "cpp", "locks", "sessions"}


def test_a_cache_that_others_may_write_to_is_refused(start: Start, pytester: pytest.Pytester) -> None:
    folder = pytester.mkdir("open")
    folder.chmod(0o777)
    result = start(*given(), f"--modelconform-cache={folder}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert f"others may write to the cache folder {folder}" in result.stderr.str()
    assert "chmod 700 it" in result.stderr.str()


@pytest.mark.parametrize("as_ini", [False, True], ids=["option", "ini"])
def test_inline_refuses_xdist(start: Start, as_ini: bool) -> None:
    line = [*given("torch"), *([] if as_ini else ["--modelconform-inline"])]
    result = start(*line, n=["-n", "2"], ini="modelconform_inline = true\n" if as_ini else "")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "--modelconform-inline runs everything in one process: leave out -n, or pass -n 0." in result.stderr.str()


@pytest.mark.compiles
def test_inline_has_no_worker_processes(project: Path, tmp_path: Path) -> None:
    # In a process of its own: this one is to stay without torch for as long as it can.
    conftest = f"""{fakes.CONFTEST}
import subprocess

import pytest


@pytest.fixture(autouse=True, scope="session")
def nothing():
    raise AssertionError("fixtures are for functions")


def pytest_sessionfinish():
    import sys
    assert "torch" in sys.modules
    assert subprocess.Popen.__module__ == "conftest"


class Refusing(subprocess.Popen):
    def __init__(self, line, *args, **kwargs):
        if "start.py" in str(line):
            raise AssertionError(f"a process: {{line}}")
        super().__init__(line, *args, **kwargs)


Refusing.__module__ = "conftest"
subprocess.Popen = Refusing
"""
    failing = runs.CASE.replace("* self.weight", "* self.weight.float_power(torch.tensor([1.0], dtype=torch.float64))")
    failing += "case = Case(model=lambda: Net(), inputs={'bad': lambda: 1 / 0})\n"
    folder = runs.write(tmp_path, {"plain.py": runs.PLAIN, "bad.py": failing, "conftest.py": conftest})
    run = runs.run(folder, "--modelconform-inline", "-n", "0", runtimes="torch,fake-good-never")
    assert run.verdict("plain[eager]") == run.verdict("plain[torchscript_trace-torch-cpu]") == ("pass", None)
    # Not a Python of this environment, so it can't run in this process.
    assert run.verdict(GOOD) == ("crash", "environment")
    assert "fake-good-never can't run in this process, since it isn't Python of this environment" in run.message(GOOD)
    assert "leave out --modelconform-inline" in run.message(GOOD)
    assert run.verdict("bad[eager]") == ("error", "build")
    assert "INTERNALERROR" not in run.stdout
