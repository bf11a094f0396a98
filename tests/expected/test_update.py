"""--modelconform-update-expected: what becomes of the text of an expected.toml."""

from __future__ import annotations

import random
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from pytest_modelconform.expected.file import ExpectedError, parse
from pytest_modelconform.expected.text import MOST_CHARACTERS
from pytest_modelconform.expected.update import HEADER, Seen, Update, update
from pytest_modelconform.terms.outcome import Stage, Verdict

PATH = Path("cases/expected.toml")
# Two runtimes of a format, one of the other; one of them on two devices; suffixes where not the default.
RESTS = (
    "eager", "collect", "onnx-ort-cpu", "onnx-ort-cuda", "onnx-ort_cpp-cpu", "onnx-ort_cpp-cpu-bfloat16",
    "export-torch-cpu", "export-torch-cuda",
)  # fmt: skip
IDS = [f"{file}.py::{file.rpartition('/')[2]}[{rest}]" for file in ("text/t5", "text/bert", "net") for rest in RESTS]
ONNX = [cell for cell in IDS if cell.startswith("net.py::net[onnx-")]

PASS = Seen(Verdict.PASS)
EXPORT = Seen(Verdict.ERROR, Stage.EXPORT, "OSError: no source\nof it")
RUN = Seen(Verdict.ERROR, Stage.RUN, "RuntimeError: bad shape")


def entry(cell: str, verdict: str = "error", stage: str = "export", reason: str = "known", more: str = "") -> str:
    return f'[[expect]]\ncell = "{cell}"\nverdict = "{verdict}"\nstage = "{stage}"\nreason = "{reason}"\n{more}'


def todo(cell: str, says: str, verdict: str = "error", stage: str = "export", more: str = "") -> str:
    return f"# seen: {says}\n{more}" + entry(cell, verdict, stage, "TODO")


def updated(text: str, seen: Mapping[str, Seen], vague: tuple[str, ...] = ()) -> Update:
    """The update, which has to hold: what was seen agrees with the new text, and a second update changes nothing."""
    made = update(text, PATH, IDS, seen, vague)
    entries = [e for e in parse(made.text, PATH).entries if e.applies_here()]
    for cell, what in seen.items():
        if what.verdict not in (Verdict.UNAVAILABLE, Verdict.NOT_RUN):
            matching = [e for e in entries if e.matches(cell)]
            assert all(e.meets(what.verdict, what.stage) for e in matching), (cell, made.text)
            assert matching or not what.failed, (cell, made.text)
    again = update(made.text, PATH, IDS, seen, vague)
    assert (again.text, again.added, again.changed, again.removed) == (made.text, 0, 0, 0)
    return made


def counts(made: Update) -> tuple[int, int, int, int]:
    return made.added, made.changed, made.removed, made.todo


# -- nothing to do -----------------------------------------------------------------------------------------------------

ODD = (
    "\n# header  \n\n  [[ expect ]]   # odd\n\tcell='net.py::*' #why\n"
    'reason   = """\nmany\n[[expect]]\n# no comment"""\n'
    '\nverdict = "error"\n# inside\nstage="run"\n\n\n# tail of it\n\n[["expect"]]\ncell = "t*[export-*]"\n'
    'verdict = "unsupported"\nreason = \'é\'\n[expect.when]\ntorch = ">=2"\n\n   # end'
)


@pytest.mark.parametrize("text", ["", "# only\n", HEADER, ODD, ODD.replace("\n", "\r\n"), entry("net.py::*").rstrip()])
def test_a_file_that_agrees_stays_as_it_is_byte_for_byte(text: str) -> None:
    made = updated(text, {cell: Seen(Verdict.UNAVAILABLE) for cell in IDS})
    assert made.text == text
    assert counts(made) == (0, 0, 0, 0)


def test_a_met_entry_stays(tmp_path: Path) -> None:
    text = entry("net.py::net[onnx-*]") + "\n" + entry("net.py::net[export-*]", "unsupported", "run")
    seen = {**dict.fromkeys(ONNX, EXPORT), "net.py::net[export-torch-cpu]": Seen(Verdict.UNSUPPORTED, Stage.RUN)}
    assert updated(text, seen).text == text
    # Where the entry names no stage, any will do.
    text = text.replace('verdict = "unsupported"\nstage = "run"', 'verdict = "unsupported"')
    assert updated(text, seen).text == text


@pytest.mark.parametrize("verdict", [Verdict.UNAVAILABLE, Verdict.NOT_RUN])
def test_what_says_nothing_neither_adds_nor_removes(verdict: Verdict) -> None:
    text = entry("net.py::net[onnx-*]")
    seen = {cell: Seen(verdict, Stage.ENVIRONMENT) for cell in (*ONNX, "text/t5.py::t5[eager]")}
    assert updated(text, seen).text == text
    # All passed but one, which is not here: that one is kept.
    made = updated(text, {**dict.fromkeys(ONNX, PASS), ONNX[1]: Seen(verdict)})
    assert made.text == entry("net.py::net[onnx-ort-cuda]")


# -- causes ------------------------------------------------------------------------------------------------------------

CAUSE = '# of the cause\n[[cause]]\nid = "no-loops"\nreason = "no loops"  # seen twice\n'
OTHER = CAUSE.replace("no-loops", "other")


def of_cause(cell: str, name: str = "no-loops") -> str:
    return entry(cell).replace('reason = "known"', f'cause = "{name}"')


def test_a_cause_stays_as_long_as_an_entry_names_it() -> None:
    text = "# header\n\n" + CAUSE + "\n" + of_cause("net.py::net[onnx-*]") + "\n" + of_cause("text/t5.py::*")
    made = updated(text, dict.fromkeys(ONNX, PASS))
    assert made.text == "# header\n\n" + CAUSE + "\n" + of_cause("text/t5.py::*")
    made = updated(text, {**dict.fromkeys(ONNX, PASS), ONNX[1]: EXPORT})
    assert made.text == text.replace("net.py::net[onnx-*]", ONNX[1])


def test_a_cause_goes_with_the_last_entry_that_names_it() -> None:
    kept = "# header\n\n" + OTHER + "\n" + of_cause("text/t5.py::*", "other")
    text = kept.replace(OTHER, CAUSE + "\n" + OTHER) + "\n" + of_cause("net.py::net[onnx-*]")
    assert updated(text, dict.fromkeys(ONNX, PASS)).text == kept
    # One that none named before is a fault of the file, for its author to mend.
    assert updated(kept + "\n" + CAUSE, dict.fromkeys(ONNX, PASS)).text == kept + "\n" + CAUSE


def test_what_fails_otherwise_is_of_no_known_cause() -> None:
    text = CAUSE + "\n" + of_cause("net.py::net[onnx-*]") + "\n" + of_cause("text/t5.py::*")
    made = updated(text, dict.fromkeys(ONNX, RUN))
    before = "# before: error at stage export: no loops\n"
    changed = todo("net.py::net[onnx-*]", "RuntimeError: bad shape", stage="run", more=before)
    assert made.text == CAUSE + "\n" + changed + "\n" + of_cause("text/t5.py::*")


# -- cells that pass ---------------------------------------------------------------------------------------------------


def test_an_entry_none_of_whose_cells_meets_it_is_removed_with_its_comments() -> None:
    text = (
        "# header\n\n# a section\n\n# of the entry\n# as well\n" + entry("net.py::net[onnx-*]")
        + "\n# another section\n\n" + entry("text/t5.py::*")
    )  # fmt: skip
    made = updated(text, dict.fromkeys(ONNX, PASS))
    assert made.text == "# header\n\n# a section\n\n# another section\n\n" + entry("text/t5.py::*")
    assert counts(made) == (0, 0, 1, 0)


def test_the_last_entries_go_without_leaving_blank_lines() -> None:
    kept = "# header\n" + entry("text/t5.py::*")
    text = kept + "\n# section\n\n" + entry("net.py::net[onnx-*]") + "\n" + entry("net.py::net[export-torch-cpu]")
    made = updated(text, dict.fromkeys([*ONNX, "net.py::net[export-torch-cpu]"], PASS))
    assert made.text == kept + "\n# section\n"
    assert counts(made) == (0, 0, 2, 0)


def test_entries_in_the_middle_go_one_after_the_other() -> None:
    first, last = entry("text/t5.py::*"), entry("text/bert.py::*")
    gone = entry("net.py::net[onnx-*]") + entry("net.py::net[eager]") + "\n" + entry("net.py::net[export-torch-cpu]")
    made = updated(first + "\n" + gone + "\n" + last, {cell: PASS for cell in IDS if cell.startswith("net")})
    assert made.text == first + "\n" + last


def test_the_first_entry_goes_the_files_header_stays() -> None:
    rest = entry("text/t5.py::*")
    for begin in ("# header\n", "# header\n\n", ""):
        made = updated(begin + entry("net.py::net[onnx-*]") + "\n" + rest, dict.fromkeys(ONNX, PASS))
        assert made.text == begin + ("\n" if begin == "# header\n" else "") + rest
    made = updated(todo("net.py::net[onnx-*]", "what") + "\n" + rest, dict.fromkeys(ONNX, PASS))
    assert made.text == rest


@pytest.mark.parametrize(
    ("pattern", "passes", "left"),
    [
        # Only those of one device ran: the rest of the pattern is one again.
        ("net.py::net[onnx-*]", ["ort-cpu", "ort_cpp-cpu", "ort_cpp-cpu-bfloat16"], ["net.py::net[onnx-ort-cuda]"]),
        ("net.py::net[onnx-*]", ["ort-cpu", "ort-cuda"], ["net.py::net[onnx-ort_cpp-*]"]),
        ("net.py::net[onnx-*]", ["ort_cpp-cpu-bfloat16"], ["net.py::net[onnx-*-cpu]", "net.py::net[onnx-ort-cuda]"]),
        ("net.py::net[onnx-*]", ["ort-cpu", "ort_cpp-cpu"],
         ["net.py::net[onnx-ort-cuda]", "net.py::net[onnx-ort_cpp-cpu-bfloat16]"]),
        ("*[onnx-*]", ["ort-cpu", "ort-cuda", "ort_cpp-cpu", "ort_cpp-cpu-bfloat16"],
         ["text/t5.py::t5[onnx-*]", "text/bert.py::bert[onnx-*]"]),
    ],
)  # fmt: skip
def test_a_pattern_is_narrowed_to_exactly_what_is_left(pattern: str, passes: list[str], left: list[str]) -> None:
    more = 'link = "https://example.org"  # issue\n# by version\nwhen = { torch = ">=2" }\n'
    text = "# about it\n" + entry(pattern, more=more) + "\n# section\n"
    made = updated(text, {f"net.py::net[onnx-{rest}]": PASS for rest in passes})
    assert made.text == "# about it\n" + "\n".join(entry(cell, more=more) for cell in left) + "\n# section\n"
    assert counts(made) == (len(left) - 1, 1, 0, 0)


def test_a_folder_wide_pattern_keeps_its_folder() -> None:
    seen = {cell: PASS for cell in IDS if cell.startswith("text/") and cell.endswith("[export-torch-cpu]")}
    made = updated(entry("text/*[export-*]"), seen)
    assert made.text == entry("text/*[export-torch-cuda]")


def test_inline_comments_and_quotes_stay() -> None:
    text = "[[expect]] # one\ncell  =  'net.py::net[onnx-*]' # two\nverdict='error'\nstage='export'\nreason = 'x'#three"
    made = updated(text, dict.fromkeys(ONNX[:2], PASS))
    assert made.text == text.replace("'net.py::net[onnx-*]'", '"net.py::net[onnx-ort_cpp-*]"')


# -- cells that fail ---------------------------------------------------------------------------------------------------


def test_a_failing_cell_gets_an_entry_without_a_reason() -> None:
    made = updated("# header\n", {"net.py::net[onnx-ort-cpu]": EXPORT, "net.py::net[export-torch-cpu]": PASS})
    assert made.text == "# header\n\n" + todo("net.py::net[onnx-ort-cpu]", "OSError: no source")
    assert counts(made) == (1, 0, 0, 1)


def test_cells_that_fail_alike_are_folded_but_never_match_more() -> None:
    seen = {
        **dict.fromkeys(ONNX, EXPORT),
        "net.py::net[export-torch-cpu]": RUN,
        "text/t5.py::t5[onnx-ort-cpu]": EXPORT,
        "text/t5.py::t5[onnx-ort_cpp-cpu]": EXPORT,
        "text/t5.py::t5[eager]": Seen(Verdict.CRASH, Stage.REFERENCE, " \n"),
        "text/bert.py::bert[eager]": Seen(Verdict.UNSUPPORTED, Stage.RUN, "no failure"),
    }
    made = updated("", seen)
    assert made.text == "\n".join(
        [
            todo("text/t5.py::t5[eager]", "no message", "crash", "reference"),
            todo("text/t5.py::t5[onnx-*-cpu]", "OSError: no source"),
            todo("net.py::net[onnx-*]", "OSError: no source"),
            todo("net.py::net[export-torch-cpu]", "RuntimeError: bad shape", stage="run"),
        ]
    )
    assert counts(made) == (4, 0, 0, 4)


def test_a_new_entry_goes_beside_those_of_its_case_file() -> None:
    text = "# n\n\n" + entry("net.py::net[eager]") + "\n# t\n\n" + entry("text/t5.py::*") + "# end"
    made = updated(text, {"net.py::net[onnx-ort-cpu]": RUN, "text/bert.py::bert[eager]": RUN})
    new = [todo(cell, "RuntimeError: bad shape", stage="run") for cell in (IDS[18], "text/bert.py::bert[eager]")]
    assert made.text == (
        "# n\n\n"
        + entry("net.py::net[eager]")
        + "\n"
        + new[0]
        + "\n# t\n\n"
        + entry("text/t5.py::*")
        + "# end\n\n"
        + new[1]
    )


def test_a_new_entry_may_take_the_place_of_one_that_goes() -> None:
    text = "# n\n\n# why\n" + entry("net.py::net[eager]") + "\n# t\n\n" + entry("text/t5.py::*")
    made = updated(text, {"net.py::net[onnx-ort-cpu]": RUN, "net.py::net[eager]": PASS})
    new = todo("net.py::net[onnx-ort-cpu]", "RuntimeError: bad shape", stage="run")
    assert made.text == "# n\n\n" + new + "\n# t\n\n" + entry("text/t5.py::*")
    assert counts(made) == (1, 0, 1, 1)


def test_messages_are_escaped_and_cut() -> None:
    nasty = 'a "quoted" \\ \x1b[31m\t\udc80 é # b' + "x" * 200 + "\nsecond"
    made = updated("", {"net.py::net[eager]": Seen(Verdict.ERROR, Stage.RUN, nasty)})
    line = made.text.splitlines()[0]
    assert line.startswith('# seen: a "quoted" \\ \\x1b[31m\\t\\udc80 é # bxxx')
    assert len(line) == len("# seen: ") + MOST_CHARACTERS
    assert line.endswith("x…")
    made.text.encode("utf-8")


# -- cells that fail otherwise -----------------------------------------------------------------------------------------


def test_another_stage_rewrites_the_entry_where_it_stands() -> None:
    more = 'link = "https://example.org"\nwhen = { torch = ">=2" } # since\n'
    text = "# s\n\n# mine\n# seen: long ago\n" + entry("net.py::net[onnx-*]", more=more) + "\n" + entry("text/t5.py::*")
    made = updated(text, dict.fromkeys(ONNX, RUN))
    assert made.text == (
        "# s\n\n# mine\n# seen: RuntimeError: bad shape\n"
        "# before: error at stage export: known (https://example.org)\n"
        + entry("net.py::net[onnx-*]", stage="run", reason="TODO", more=more.partition("\n")[2])
        + "\n" + entry("text/t5.py::*")
    )  # fmt: skip
    assert counts(made) == (0, 1, 0, 1)


def test_what_a_fault_also_comes_to_is_met_and_goes_with_it() -> None:
    other = 'or = { verdict = "error", stage = "run" }\n'
    text = entry("net.py::net[onnx-*]", more=other)
    assert updated(text, {**dict.fromkeys(ONNX, EXPORT), ONNX[1]: RUN}).text == text
    made = updated(text, dict.fromkeys(ONNX, Seen(Verdict.CRASH, Stage.RUN, "gone")))
    before = "# before: error at stage export or error at stage run: known\n"
    assert made.text == todo("net.py::net[onnx-*]", "gone", "crash", "run", more=before)


def test_what_shows_at_times_only_is_kept_where_it_passes() -> None:
    text = entry("net.py::net[onnx-*]", more='or = { verdict = "pass" }\n')
    assert updated(text, dict.fromkeys(ONNX, PASS)).text == text


def test_some_pass_some_fail_otherwise_and_some_still_meet_it() -> None:
    text = "# mine\n\n# own\n" + entry("net.py::net[onnx-*]", reason="two\\nlines")
    made = updated(text, {ONNX[0]: PASS, ONNX[2]: RUN, ONNX[3]: Seen(Verdict.UNSUPPORTED, Stage.LOAD, "no")})
    before = "# before: error at stage export: two\\nlines\n"
    assert made.text == "# mine\n\n" + "\n".join(
        [
            "# own\n" + entry(ONNX[1], reason="two\\nlines"),
            todo(ONNX[2], "RuntimeError: bad shape", stage="run", more=before),
            todo(ONNX[3], "no", "unsupported", "load", more=before),
        ]
    )
    assert counts(made) == (2, 1, 0, 2)


def test_a_stage_is_added_and_taken_away_with_the_verdict() -> None:
    text = (
        '[[expect]]\ncell = "net.py::net[eager]"\nverdict = "unsupported"\nreason = "x"\n[expect.when]\ntorch=">=2"\n'
    )
    made = updated(text, {"net.py::net[eager]": RUN})
    [now] = parse(made.text, PATH).entries
    assert (now.fails, now.when) == (((Verdict.ERROR, Stage.RUN),), (("torch", ">=2"),))
    made = updated(made.text, {"net.py::net[eager]": Seen(Verdict.UNSUPPORTED, None, "can't")})
    [now] = parse(made.text, PATH).entries
    assert (now.fails, now.when) == (((Verdict.UNSUPPORTED, None),), (("torch", ">=2"),))
    # Nothing is worth keeping of an entry without a reason.
    assert "# before: error" not in made.text
    assert made.text.count("# seen: ") == 1


# -- when, stale, overlapping ------------------------------------------------------------------------------------------


def test_entries_for_other_machines_stay_as_they_are() -> None:
    text = entry("gone.py::*", more='when = { platform = "beos" }\n') + "\n" + entry(
        "net.py::net[onnx-*]", more='when = { torch = "<1" }\n'
    )  # fmt: skip
    made = updated(text, dict.fromkeys(ONNX, PASS))
    assert made.text == text
    made = updated(text, dict.fromkeys(ONNX, RUN))
    assert made.text == text + "\n" + todo("net.py::net[onnx-*]", "RuntimeError: bad shape", stage="run")
    here = entry("net.py::net[onnx-*]", more=f'when = {{ platform = "{sys.platform}" }}\n')
    assert updated(text + "\n" + here, dict.fromkeys(ONNX, PASS)).text == text


def test_stale_entries_go() -> None:
    text = entry("gone.py::*") + "\n" + entry("net.py::*[tflite-*]") + "\n" + entry("text/*[export-*]")
    made = updated(text, {})
    assert made.text == entry("text/*[export-*]")
    assert counts(made) == (0, 0, 2, 0)


def test_entries_of_a_case_file_that_can_not_be_imported_are_not_stale() -> None:
    for pattern in ("gone.py::gone[eager]", "go*", "*[tflite-*]", "gone.py::*"):
        assert updated(entry(pattern), {}, vague=("gone.py",)).text == entry(pattern)
    assert updated(entry("going.py::*"), {}, vague=("gone.py",)).text == ""


def test_overlapping_entries_are_each_judged() -> None:
    text = entry("net.py::net[onnx-*]") + "\n" + entry("net.py::*[onnx-ort-*]", stage="run")
    made = updated(text, {ONNX[0]: RUN, ONNX[1]: RUN})
    assert made.text == entry("net.py::net[onnx-ort_cpp-*]") + "\n" + entry("net.py::*[onnx-ort-*]", stage="run")
    made = updated(text, {ONNX[0]: Seen(Verdict.CRASH, Stage.LOAD, "dead")})
    before = "# before: error at stage export: known\n"
    assert made.text.count(todo(ONNX[0], "dead", "crash", "load", before)) == 1
    assert len(parse(made.text, PATH).entries) == 4


# -- files that can't be updated ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[[expect]\n", r"cases/expected\.toml: "),
        ('expect = [{cell = "a", verdict = "error", stage = "run", reason = "x"}]',
         r"cases/expected\.toml: only entries that are written as \[\[expect\]\] can be"),
        ("expect = []", r"cases/expected\.toml: only entries that are written as"),
    ],
)  # fmt: skip
def test_faulty_files_are_refused(text: str, says: str) -> None:
    with pytest.raises(ExpectedError, match=says):
        update(text, PATH, IDS, {})


# -- all of it ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(60))
def test_whatever_was_seen_the_new_text_agrees_and_keeps_what_was_not(seed: int) -> None:
    chance = random.Random(seed)
    patterns = [
        "net.py::*",
        "text/*[onnx-*]",
        "*[export-torch-cuda]",
        "gone.py::*",
        "text/t5.py::t5[e*]",
        "*bert[eager]",
    ]
    gaps = ["", "\n", "\n# section\n\n", "\n# own\n", "\n\n# two\n\n# own\n"]
    stages = ["export", "run"]
    newline = chance.choice(["\n", "\r\n"])
    text = "".join(
        chance.choice(gaps) + entry(pattern, stage=chance.choice(stages), reason=f"r{i}")
        for i, pattern in enumerate(chance.sample(patterns, 4))
    ).replace("\n", newline)
    kinds = [PASS, EXPORT, RUN, Seen(Verdict.UNAVAILABLE), Seen(Verdict.CRASH, Stage.RUN, "dead")]
    seen = {cell: chance.choice(kinds) for cell in chance.sample(IDS, chance.randrange(len(IDS)))}
    before, made = parse(text, PATH), updated(text, seen)
    after = parse(made.text, PATH)
    for cell in IDS:
        if cell not in seen or seen[cell].verdict is Verdict.UNAVAILABLE:
            was = [(e.says, e.reason) for e in before.entries if e.matches(cell)]
            assert [(e.says, e.reason) for e in after.entries if e.matches(cell)] == was
    assert made.text.count("# section") == text.count("# section")
    assert "\n" not in made.text.replace(newline, "")
    assert len(after.entries) == len(before.entries) + made.added - made.removed
    assert made.todo == sum(e.is_todo for e in after.entries)
    assert all(e.is_todo or e.reason in {old.reason for old in before.entries} for e in after.entries)


ASIDE = ("net.py::net[onnx-ort-cuda]", "net.py::net[export-torch-cuda]")


def test_devices_that_were_not_asked_for_keep_no_entry_alive() -> None:
    passed = {f"net.py::net[onnx-{name}]": PASS for name in ("ort-cpu", "ort_cpp-cpu", "ort_cpp-cpu-bfloat16")}
    text = entry("net.py::net[onnx-*]")
    assert update(text, PATH, IDS, passed, aside=ASIDE).text == ""
    # One that is about nothing else stays.
    assert update(entry("net.py::net[onnx-ort-cuda]"), PATH, IDS, passed, aside=ASIDE).removed == 0
    # Nor are they listed among the rest.
    made = update(text, PATH, IDS, {"net.py::net[onnx-ort_cpp-cpu]": PASS}, aside=ASIDE)
    assert [e.cell for e in parse(made.text, PATH).entries] == [
        "net.py::net[onnx-ort-cpu]", "net.py::net[onnx-ort_cpp-cpu-bfloat16]"
    ]  # fmt: skip


def test_new_entries_cover_devices_that_were_not_asked_for_unless_another_entry_does() -> None:
    failed = {f"net.py::net[onnx-{name}]": EXPORT for name in ("ort-cpu", "ort_cpp-cpu", "ort_cpp-cpu-bfloat16")}
    made = update("", PATH, IDS, failed, aside=ASIDE)
    assert [e.cell for e in parse(made.text, PATH).entries] == ["net.py::net[onnx-*]"]
    made = update(entry("net.py::net[onnx-ort-cuda]"), PATH, IDS, failed, aside=ASIDE)
    cells = [e.cell for e in parse(made.text, PATH).entries]
    assert cells[0] == "net.py::net[onnx-ort-cuda]"
    assert cells[1:] == ["net.py::net[onnx-*-cpu]", "net.py::net[onnx-ort_cpp-cpu-bfloat16]"]


# -- imprecise ---------------------------------------------------------------------------------------------------------


def test_what_is_imprecise_needs_an_entry_only_where_it_is_strict() -> None:
    close = Seen(Verdict.IMPRECISE, Stage.COMPARE, "loses some")
    assert updated("", {ONNX[0]: close}).added == 0
    made = updated("", {ONNX[0]: Seen(Verdict.IMPRECISE, Stage.COMPARE, "loses some", strict=True)})
    assert made.added == 1
    assert made.text.endswith(todo(ONNX[0], "loses some", "imprecise", "compare"))


def test_an_entry_that_says_imprecise_stays_while_it_is_so_and_goes_when_it_passes() -> None:
    text = entry(ONNX[0], "imprecise", "compare")
    assert updated(text, {ONNX[0]: Seen(Verdict.IMPRECISE, Stage.COMPARE)}).text == text
    assert updated(text, {ONNX[0]: PASS}).removed == 1


# -- causes that know messages -----------------------------------------------------------------------------------------

NO_SOURCE = '[[cause]]\nid = "no-source"\nreason = "reads source"\nmessage = "no source"\n\n'
KNOWN = NO_SOURCE + entry("text/t5.py::t5[collect]").replace('reason = "known"', 'cause = "no-source"')
OF_NO_SOURCE = '[[expect]]\ncause = "no-source"\ncell = "{}"\nverdict = "error"\nstage = "export"\n'


def test_a_new_failure_that_a_cause_explains_names_it() -> None:
    made = updated(KNOWN, {**dict.fromkeys(ONNX, EXPORT), "net.py::net[export-torch-cpu]": RUN})
    assert counts(made) == (2, 0, 0, 1)
    assert "\n" + OF_NO_SOURCE.format("net.py::net[onnx-*]") in made.text
    assert todo("net.py::net[export-torch-cpu]", "RuntimeError: bad shape", stage="run") in made.text
    assert made.text.count("# seen") == 1


def test_where_several_causes_explain_a_failure_somebody_has_to_look() -> None:
    other = NO_SOURCE.replace("no-source", "os-error").replace('"no source"', '"OSError"')
    also = entry("text/t5.py::t5[eager]").replace('reason = "known"', 'cause = "os-error"')
    made = updated(f"{other}{also}\n{KNOWN}", dict.fromkeys(ONNX, EXPORT))
    assert todo("net.py::net[onnx-*]", "OSError: no source") in made.text


def test_a_cell_that_fails_in_the_words_of_another_of_its_case_has_its_cause() -> None:
    silent = KNOWN.replace('message = "no source"\n', "").replace("text/t5.py::t5[collect]", ONNX[0])
    others = {ONNX[1]: EXPORT, "net.py::net[export-torch-cpu]": EXPORT}
    made = updated(silent, {ONNX[0]: EXPORT, **others})
    assert made.todo == 0
    assert made.text.count('cause = "no-source"') == 3

    # Nor is it of another case, in other words, or of a cell that fails otherwise than its entry says.
    more = Seen(EXPORT.verdict, EXPORT.stage, EXPORT.message + " else")
    made = updated(silent, {ONNX[0]: EXPORT, ONNX[1]: more, "text/bert.py::bert[export-torch-cpu]": EXPORT})
    assert made.todo == 2
    made = updated(silent, {ONNX[0]: RUN, ONNX[1]: RUN})
    assert made.todo == 2
    # A limit of time says nothing of what it was used for.
    late = Seen(Verdict.TIMEOUT, Stage.EXPORT, "export took longer than 300 s")
    text = silent.replace('verdict = "error"', 'verdict = "timeout"')
    assert updated(text, dict.fromkeys([*ONNX[:1], "net.py::net[export-torch-cpu]"], late)).todo == 1


def test_a_cell_that_fails_otherwise_for_a_known_cause_names_it() -> None:
    old = entry("net.py::net[onnx-*]", "mismatch", "compare")
    made = updated(f"{KNOWN}\n{old}", dict.fromkeys(ONNX, EXPORT))
    assert counts(made) == (0, 1, 0, 0)
    assert 'cell = "net.py::net[onnx-*]"\nverdict = "error"\nstage = "export"\ncause = "no-source"\n' in made.text


def test_a_cause_without_a_message_explains_nothing() -> None:
    made = updated(KNOWN.replace('message = "no source"\n', ""), dict.fromkeys(ONNX, EXPORT))
    assert made.todo == 1
