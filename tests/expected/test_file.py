"""expected.toml: strict in both directions."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pytest_modelconform.expected import file as expected_file
from pytest_modelconform.expected.file import ExpectedError, find_file, hint, judge, load, settle, unjudged
from pytest_modelconform.terms.outcome import Outcome, Stage, Verdict
from tests.support import fakes, runs
from tests.support.runs import Run

ENTRY = 'cell = "a.py::a[*]"\nverdict = "error"\nstage = "run"\nreason = "known"\n'


def toml(tmp_path: Path, *entries: str) -> Path:
    path = tmp_path / "expected.toml"
    path.write_text("\n".join(f"[[expect]]\n{entry}" for entry in entries))
    return path


CAUSE = '[[cause]]\nid = "no-loops"\nreason = "can\'t do loops"\noperator = "aten.loop"\nlink = "https://x"\n'
OF_CAUSE = ENTRY.replace('reason = "known"', 'cause = "no-loops"')


# -- the file ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (ENTRY + "colour = 1", "unknown field 'colour'; the fields are cause, cell, link, or, reason, stage, .*"),
        (ENTRY.replace("known", " "), "field 'reason' is missing, empty or no text: give it a text in quotes"),
        ('verdict = "error"\nstage = "run"\nreason = "x"', r"\('no cell'\): field 'cell' is missing, empty"),
        (ENTRY.replace('"error"', '"broken"'), "'broken' is not a valid Verdict; the verdicts are pass, imprecise, "),
        (ENTRY.replace('"run"', '"running"'), "'running' is not a valid Stage; .*the stages are collect, env"),
        (ENTRY.replace('"error"', '"pass"'), "the verdict 'pass' is no failure and needs no entry: remove the entry"),
        (ENTRY.replace('"error"', '"unavailable"'), "the verdict 'unavailable' is no failure and needs no entry"),
        (ENTRY.replace('stage = "run"\n', ""), "field 'stage' is missing: say where the cell fails, collect, "),
        (ENTRY + 'or = "crash"', "field 'or' must be a table such as { verdict = \"mismatch\", stage = \"compare\" }"),
        (ENTRY + 'or = { stage = "run" }', "field 'or' must be a table"),
        (ENTRY + 'or = { verdict = "crash", stage = "run", reason = "x" }', "field 'or' must be a table"),
        (ENTRY + 'or = { verdict = "pass", stage = "run" }', "the verdict 'pass' is no failure and needs no entry"),
        (ENTRY + 'or = { verdict = "crash" }', "field 'stage' is missing"),
        (ENTRY + 'when = { torch = "new" }', "field 'when': .*; write it like { torch = \">=2.11\", platform"),
        (ENTRY + "when = { torch = 2 }", "field 'when'"),
        (ENTRY + 'when = "linux"', "field 'when'"),
    ],
)  # fmt: skip
def test_faulty_entries(tmp_path: Path, entry: str, message: str) -> None:
    path = toml(tmp_path, entry)
    with pytest.raises(ExpectedError, match=message) as caught:
        load(path)
    assert str(caught.value).startswith(f"{path}: entry 1 (")


@pytest.mark.parametrize(
    "text",
    ["[[expect]\n", "[[expected]]\ncell = 'a'\n", "\xff", "[expect]\ncell = 'a'\n", "expect = [1]\n", "expect = 1\n"],
)
def test_faulty_files(tmp_path: Path, text: str) -> None:
    path = tmp_path / "expected.toml"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(ExpectedError, match=r"expected\.toml: "):
        load(path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('id = "no-loops"\n', "", r"cause 1 \('no id'\): field 'id' is missing, empty or no text: give it a text"),
        ('id = "no-loops"', 'id = "No loops"', "field 'id' must be small letters and digits, with - or . between them"),
        ('operator = "aten.loop"', "operator = 1", "field 'operator' is missing, empty or no text"),
        (
            'link = "https://x"',
            'since = "2.0"',
            "unknown field 'since'; the fields are id, link, message, op",
        ),
        ('cause = "no-loops"', 'cause = "no-loop"', "no .* has the id 'no-loop'. Did you mean 'no-loops'?"),
        ('cause = "no-loops"', "cause = 1", r"entry 1 .*: field 'cause' is missing, empty or no text"),
        ("[[expect]]", CAUSE + "[[expect]]", "cause 2 .*: its id is that of an earlier cause: rename one"),
        ('link = "https://x"', 'message = "("', "field 'message' is no regular expression: missing "),
        ("[[cause]]", "[cause]", "'cause' must be a list of tables"),
    ],
)
def test_faulty_causes(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = toml(tmp_path, OF_CAUSE)
    path.write_text((CAUSE + path.read_text()).replace(old, new, 1))
    with pytest.raises(ExpectedError, match=message) as caught:
        load(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_a_cause_tells_why_for_all_entries_that_name_it(tmp_path: Path) -> None:
    own = OF_CAUSE.replace("a[*]", "b[*]") + 'reason = "and this one twice"\nlink = "https://y"\n'
    path = toml(tmp_path, OF_CAUSE, own)
    path.write_text(path.read_text() + CAUSE)
    expectations = load(path)
    [first, second] = expectations.entries
    assert expectations.check(["a.py::a[x]", "a.py::b[x]"]) == []
    seen = judge(Outcome(Verdict.ERROR, Stage.RUN, "boom"), first, path)
    cause = {"id": "no-loops", "reason": "can't do loops", "operator": "aten.loop", "link": "https://x"}
    assert (seen.expected, seen.cause, seen.notes) == (True, cause, ("expected: can't do loops (https://x)",))
    seen = judge(Outcome(Verdict.ERROR, Stage.RUN, "boom"), second, path)
    assert (seen.cause, seen.notes) == (cause, ("expected: and this one twice (https://y)",))
    # What is not as expected is of no known cause.
    assert judge(Outcome(Verdict.ERROR, Stage.LOAD, "boom"), first, path).cause is None


def test_a_cause_is_a_fault_where_no_entry_names_it_or_nobody_has_told_it(tmp_path: Path) -> None:
    path = toml(tmp_path, OF_CAUSE)
    path.write_text(path.read_text() + CAUSE.replace("can't do loops", "todo") + CAUSE.replace("no-loops", "idle"))
    assert [fault.partition(": ")[0] for fault in load(path).check(["a.py::a[x]"])] == [
        "entry 1 ('a.py::a[*]') still has the reason todo",
        "cause 'no-loops' still has the reason todo",
        "cause 'idle' is named by no entry",
    ]


@pytest.mark.parametrize(
    ("pattern", "cell", "matches"),
    [
        ("a.py::a[onnx-ort-cpu]", "a.py::a[onnx-ort-cpu]", True),
        ("a.py::a[onnx-*]", "a.py::a[onnx-ort_cpp-cpu]", True),
        ("a.py::a[onnx-*]", "a.py::a[onnx_legacy-ort-cpu]", False),
        ("*::a[*-cpu]", "deep/a.py::a[export-torch-cpu]", True),
        ("a.py::a[onnx-or?-cpu]", "a.py::a[onnx-ort-cpu]", True),
        ("a.py::a[onnx]", "a.py::ao", False),
        ("a.py::a", "a.py::a[onnx-ort-cpu]", False),
    ],
)
def test_only_star_and_question_mark_are_special(tmp_path: Path, pattern: str, cell: str, matches: bool) -> None:
    [entry] = load(toml(tmp_path, ENTRY.replace("a.py::a[*]", pattern))).entries
    assert entry.matches(cell) is matches


@pytest.mark.parametrize(
    ("when", "applies"),
    [
        ('torch = ">=2"', True),
        ('torch = "<2"', False),
        ('no-such-package = ">=1"', False),
        (f'platform = "{sys.platform}"', True),
        ('platform = "beos"', False),
        ('python = ">=3.10"', True),
        ('python = ">=3.10", torch = "<2"', False),
    ],
)
def test_when(tmp_path: Path, when: str, applies: bool) -> None:
    expectations = load(toml(tmp_path, f"{ENTRY}when = {{ {when} }}"))
    assert (expectations.find("a.py::a[onnx-ort-cpu]") is not None) is applies
    # An entry for another machine is not stale on this one.
    assert bool(expectations.check([])) is applies


def test_stale_and_overlapping_entries(tmp_path: Path) -> None:
    entries = [ENTRY, ENTRY.replace("a.py::a[*]", "a.py::a[onnx-*]"), ENTRY.replace("a.py::a", "b.py::b")]
    faults = load(toml(tmp_path, *entries)).check(["a.py::a[onnx-ort-cpu]", "a.py::a[export-torch-cpu]"])
    assert faults == [
        "entry 3 ('b.py::b[*]') matches no cell. Correct its pattern or remove the entry.",
        "entries 1 and 2 match the same cell, a.py::a[onnx-ort-cpu]: narrow the pattern of one of them",
    ]


@pytest.mark.parametrize(
    ("first", "second", "overlap"),
    [
        ("", "", True),
        ("", 'torch = ">=2"', True),
        ('torch = ">=2"', 'torch = ">=1", python = ">=3"', True),
        ('torch = ">=2"', 'torch = "<2"', False),
        ("", 'torch = "<2"', False),
        ('torch = "<1"', 'torch = "<2"', False),
    ],
)
def test_duplicates_overlap_where_both_hold(tmp_path: Path, first: str, second: str, overlap: bool) -> None:
    entries = [ENTRY + (f"when = {{ {when} }}\n" if when else "") for when in (first, second)]
    faults = load(toml(tmp_path, *entries)).check(["a.py::a[eager]"])
    said = "entries 1 and 2 match the same cell, a.py::a[eager]: narrow the pattern of one of them"
    assert faults == ([said] if overlap else [])


IDS = [
    "plain/net.py::net[eager]",
    "plain/net.py::net[onnx_legacy-ort-cpu]",
    "plain/net.py::net[onnx_legacy-ort_cpp-cpu]",
]


@pytest.mark.parametrize(
    ("pattern", "meant"),
    [
        # As options spell names.
        ("plain/net.py::net[onnx-legacy-ort-cpu]", "plain/net.py::net[onnx_legacy-ort-cpu]"),
        ("plain/net.py::net[onnx-legacy-ort-cpp-*]", "plain/net.py::net[onnx_legacy-ort_cpp-*]"),
        # From the root, where the file's folder is meant.
        ("cases/plain/net.py::net[onnx_legacy-*]", "plain/net.py::net[onnx_legacy-*]"),
        ("cases/plain/net.py::net[onnx-legacy-*]", "plain/net.py::net[onnx_legacy-*]"),
        ("plain/net.py::nett[eager]", "plain/net.py::net[eager]"),
        ("somewhere.py::else[entirely]", None),
    ],
)
def test_what_a_pattern_may_mean_that_matches_nothing(pattern: str, meant: str | None) -> None:
    assert hint(pattern, IDS) == (f" Did you mean {meant!r}?" if meant else "")


def test_a_reason_has_to_be_given_on_every_machine(tmp_path: Path) -> None:
    entries = [ENTRY.replace("known", " Todo") + 'when = { torch = "<1" }', ENTRY.replace("known", "TODO: later")]
    faults = load(toml(tmp_path, *entries)).check(["a.py::a[eager]"])
    assert faults == ["entry 1 ('a.py::a[*]') still has the reason Todo: say why the cell fails"]


def test_entries_of_a_file_with_unknown_cells_are_not_stale(tmp_path: Path) -> None:
    expectations = load(toml(tmp_path, ENTRY))
    assert expectations.check([], ["a.py"]) == []
    assert len(expectations.check([], ["b.py", "aa.py"])) == 1


def test_settle(tmp_path: Path) -> None:
    path = toml(tmp_path, ENTRY)
    entry = load(path).find("a.py::a[onnx-ort-cpu]")
    met = Outcome(Verdict.ERROR, Stage.RUN, "boom")
    assert settle(met, entry, path) == judge(met, entry, path)
    for verdict in (Verdict.PASS, Verdict.UNAVAILABLE, Verdict.NOT_RUN):
        assert settle(Outcome(verdict), entry, path) == Outcome(verdict)
    assert settle(Outcome(Verdict.UNSUPPORTED), None, None) == Outcome(Verdict.UNSUPPORTED)
    for outcome, known in (
        (Outcome(Verdict.CRASH, Stage.RUN, "boom"), None),
        (Outcome(Verdict.CRASH, Stage.RUN, "boom"), entry),
        (Outcome(Verdict.UNSUPPORTED, Stage.RUN, "boom"), entry),
    ):
        settled = settle(outcome, known, path)
        assert (settled.expected, settled.verdict, settled.message) == (True, outcome.verdict, "boom")
        assert settled.notes[-1].startswith("expected: --modelconform-update-expected records it in expected.toml")


def test_the_nearest_file_speaks(tmp_path: Path) -> None:
    case = tmp_path / "cases" / "text" / "t5.py"
    case.parent.mkdir(parents=True)
    assert find_file(case, tmp_path) is None
    (tmp_path / "expected.toml").touch()
    assert find_file(case, tmp_path) == tmp_path / "expected.toml"
    (tmp_path / "cases" / "expected.toml").touch()
    assert find_file(case, tmp_path) == tmp_path / "cases" / "expected.toml"
    assert find_file(case, tmp_path / "cases" / "text") is None


@pytest.mark.parametrize("message", ["boom", "boom\nat a frame", ""])
@pytest.mark.parametrize("verdict", [Verdict.ERROR, Verdict.MISMATCH, Verdict.PASS, Verdict.UNAVAILABLE])
@pytest.mark.parametrize("text", [ENTRY, OF_CAUSE, ENTRY + 'or = { verdict = "pass" }\n'])
def test_what_was_judged_can_be_judged_anew(tmp_path: Path, text: str, verdict: Verdict, message: str) -> None:
    path = toml(tmp_path, text)
    path.write_text(CAUSE + path.read_text() if text == OF_CAUSE else path.read_text())
    outcome = Outcome(verdict, Stage.RUN, message, notes=("expected: nothing", "a"))
    assert unjudged(judge(outcome, load(path).entries[0], path)) == outcome
    assert unjudged(judge(outcome, None, None)) == outcome


def test_judge(tmp_path: Path) -> None:
    path = toml(tmp_path, ENTRY + 'link = "https://example.org/1"')
    entry = load(path).find("a.py::a[onnx-ort-cpu]")
    met = judge(Outcome(Verdict.ERROR, Stage.RUN, "boom"), entry, path)
    assert (met.expected, met.message) == (True, "boom")
    assert met.notes == ("expected: known (https://example.org/1)",)
    for outcome, is_now in (
        (Outcome(Verdict.PASS), "pass"),
        (Outcome(Verdict.ERROR, Stage.LOAD, "boom"), "error at stage load"),
        (Outcome(Verdict.CRASH, Stage.RUN, "boom"), "crash at stage run"),
        (Outcome(Verdict.UNSUPPORTED, Stage.RUN), "unsupported at stage run"),
    ):
        judged = judge(outcome, entry, path)
        assert judged.expected is False
        says = f"{path}, entry 1 expects error at stage run (known), but the result is {is_now}. Correct or remove "
        says += "the entry."
        assert judged.message == f"{says}\n{outcome.message}".rstrip()
    for verdict in (Verdict.UNAVAILABLE, Verdict.NOT_RUN):
        assert judge(Outcome(verdict), entry, path) == Outcome(verdict)
    assert judge(Outcome(Verdict.PASS), None, None).expected is None


def test_what_a_fault_comes_to_elsewhere(tmp_path: Path) -> None:
    path = toml(tmp_path, ENTRY + 'or = { verdict = "mismatch", stage = "compare" }')
    entry = load(path).find("a.py::a[onnx-ort-cpu]")
    for verdict, stage in ((Verdict.ERROR, Stage.RUN), (Verdict.MISMATCH, Stage.COMPARE)):
        assert judge(Outcome(verdict, stage, "boom"), entry, path).expected is True
    for outcome in (Outcome(Verdict.ERROR, Stage.LOAD), Outcome(Verdict.CRASH, Stage.RUN), Outcome(Verdict.PASS)):
        judged = judge(outcome, entry, path)
        assert judged.expected is False
        assert (
            "entry 1 expects error at stage run or mismatch at stage compare (known), but the result is "
            in judged.message
        )


def test_what_shows_at_times_may_pass_and_is_told_of(tmp_path: Path) -> None:
    path = toml(tmp_path, ENTRY + 'or = { verdict = "pass" }')
    entry = load(path).find("a.py::a[onnx-ort-cpu]")
    assert judge(Outcome(Verdict.ERROR, Stage.RUN, "boom"), entry, path).expected is True
    passed = judge(Outcome(Verdict.PASS), entry, path)
    assert (passed.expected, passed.message, passed.notes) == (None, "", ("passes at times only: known",))
    other = judge(Outcome(Verdict.CRASH, Stage.RUN, "boom"), entry, path)
    assert other.expected is False
    assert "entry 1 expects error at stage run or pass (known), but the result is crash at" in other.message


def test_the_name_is_the_one_that_the_docs_say() -> None:
    assert expected_file.NAME == "expected.toml"


# -- a run -------------------------------------------------------------------------------------------------------------


def entry(fake: str, verdict: str, stage: str, case: str = "plain", more: str = "") -> str:
    pattern = f"{case}.py::{runs.cell(case, fake)}"
    return f'cell = "{pattern}"\nverdict = "{verdict}"\nstage = "{stage}"\nreason = "about {fake}"\n{more}'


# One that is wrong by its structure: no cause of that is looked for, which would take a case host.
FAKES = ("good@never", "structure@run", "refuse@load", "refuse@run", "segfault@run")
RUNTIMES = ",".join([*map(fakes.runtime_name, FAKES), fakes.ABSENT])
MET = [
    entry("structure@run", "mismatch", "compare"),
    entry("refuse@load", "error", "load"),
    entry("refuse@run", "error", "run"),
    entry("segfault@run", "crash", "run"),
    # Neither met nor broken by a runtime that is not there; not for this machine.
    entry("absent", "error", "load").replace("fake_absent", fakes.ABSENT.replace("-", "_")),
    entry("good@never", "error", "run", more='when = { torch = "<1" }'),
]


def run_with(project: Path, session_folder: Path, name: str, entries: list[str], *arguments: str) -> Run:
    """A run of the first case with an expected.toml, in a folder whose case is in the cache after the first."""

    def make(folder: Path) -> Run:
        cases = runs.write(session_folder / "expectations", {"plain.py": runs.PLAIN})
        toml(cases, *entries)
        return runs.run(cases, "-n", "0", *arguments, runtimes=RUNTIMES)

    # One after the other: they share the folder.
    with runs.alone(session_folder, "expectations"):
        return runs.once(session_folder, f"expected-{name}", make)


def test_a_run_in_which_all_is_as_expected_is_green(project: Path, session_folder: Path) -> None:
    run = run_with(project, session_folder, "met", MET)
    assert run.status == 0, run.stdout
    assert "3 passed, 1 skipped, 4 xfailed" in run.stdout  # the check, the good one, and expected.toml itself
    wrong = run.cells[runs.cell("plain", "structure@run")]
    assert (wrong["verdict"], wrong["stage"], wrong["expected"]) == ("mismatch", "compare", True)
    assert wrong["notes"] == ["expected: about structure@run"]
    assert run.cells["plain[torchscript_trace-fake_absent-cpu]"]["expected"] is None
    assert run.cells[runs.cell("plain", "good@never")]["expected"] is None
    assert "m 1 mismatch (expected), e 2 error (expected), c 1 crash (expected)" in run.stdout
    assert "  rerun: " not in run.stdout
    # Shown for what they are, in lower case.
    row = next(line for line in run.stdout.splitlines() if line.startswith("plain  "))
    assert " m " in row
    assert " e " in row
    assert " c" in row


def test_runxfail_shows_the_failures(project: Path, session_folder: Path) -> None:
    run = run_with(project, session_folder, "runxfail", MET, "--runxfail")
    assert run.status == 1
    assert "4 failed, 3 passed, 1 skipped" in run.stdout
    assert "mismatch at stage compare: input set 'seven'" in run.stdout
    assert "call_and_report" not in run.stdout
    assert run.cells[runs.cell("plain", "structure@run")]["expected"] is True


BROKEN = [
    entry("good@never", "mismatch", "compare"),
    entry("structure@run", "mismatch", "load"),
    entry("refuse@load", "crash", "load"),
    entry("refuse@run", "error", "run"),
    ENTRY,
    entry("segfault@run", "crash", "run"),
    entry("segfault@run", "crash", "run").replace("segfault_run", "segfault_ru?"),
]


def test_contradictions_fail(project: Path, session_folder: Path) -> None:
    run = run_with(project, session_folder, "broken", BROKEN)
    assert run.status == 1
    says = {
        "good@never": "entry 1 expects mismatch at stage compare (about good@never), but the result is pass. Correct",
        "structure@run": "entry 2 expects mismatch at stage load (about structure@run), but the result is mismatch at",
        "refuse@load": "entry 3 expects crash at stage load (about refuse@load), but the result is error at stage",
    }
    for fake, text in says.items():
        record = run.cells[runs.cell("plain", fake)]
        assert record["expected"] is False
        assert text in record["message"]
        assert text in run.failure(record["id"])
    good = runs.cell("plain", "good@never")
    assert run.cells[good]["verdict"] == "pass"
    # Never as a pass among failures: neither in pytest's lists nor in ours.
    assert f"UNEXPECTED PASS: {project.parent / 'expectations' / 'expected.toml'}, entry 1 expects" in run.stdout
    assert f"\nUNEXPECTED PASS plain.py::{good}" in run.stdout
    assert f"plain.py::{good}: UNEXPECTED PASS\n" in run.stdout
    assert ", ! 3 not as expected" in run.stdout
    assert "\nPASS plain.py" not in run.stdout
    assert run.cells[runs.cell("plain", "refuse@run")]["expected"] is True


def test_stale_and_overlapping_entries_fail_whatever_is_selected(project: Path, session_folder: Path) -> None:
    run = run_with(project, session_folder, "stale", BROKEN, "-k", "entries or refuse_run")
    assert "FAILED expected.toml::entries" in run.stdout
    assert "1 failed, 1 xfailed" in run.stdout or "1 failed, 6 deselected, 1 xfailed" in run.stdout
    assert "entry 5 ('a.py::a[*]') matches no cell. Correct its pattern" in run.stdout
    cell = f"plain.py::{runs.cell('plain', 'segfault@run')}"
    assert f"entries 6 and 7 match the same cell, {cell}: narrow the pattern of one" in run.stdout


def test_a_faulty_file_excuses_nothing(project: Path, session_folder: Path) -> None:
    run = run_with(project, session_folder, "faulty", [*MET, ENTRY + "colour = 1"])
    assert run.status == 1
    assert "entry 7 ('a.py::a[*]'): unknown field 'colour'" in run.stdout
    assert run.cells[runs.cell("plain", "structure@run")]["expected"] is None
    assert "5 failed, 2 passed, 1 skipped" in run.stdout


def test_two_processes(project: Path, session_folder: Path) -> None:
    run = run_with(project, session_folder, "two", [*MET, ENTRY], "-n", "2")
    assert run.status == 1
    assert "1 failed, 2 passed, 1 skipped, 4 xfailed" in run.stdout
    assert "entry 7 ('a.py::a[*]') matches no cell" in run.stdout
