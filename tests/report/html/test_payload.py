"""What the page is made from."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pytest_modelconform.report.html.payload import embedded, make, rerun
from pytest_modelconform.report.log import Log
from pytest_modelconform.terms.cell import Cell
from pytest_modelconform.terms.outcome import Outcome, Stage, Verdict
from tests.support import html_logs


def square(log: Log, cell: str) -> dict[str, Any]:
    payload = make(log)
    details = [*payload.details]
    place = next(i for i, detail in enumerate(details) if detail["id"] == cell)
    row, column, verdict, state, partly, bits = payload.index["cells"][place]
    return {
        "row": payload.index["rows"][row],
        "column": payload.index["columns"][column],
        "verdict": payload.index["verdicts"][verdict]["name"],
        "state": state,
        "partly": partly,
        "bits": bits,
        "details": details[place],
    }


def one(outcome: Outcome) -> Log:
    return Log({}, [(Cell("a.py", "a", "onnx", "ort"), outcome)], True)


def test_columns_stand_as_they_were_asked_for_behind_the_model() -> None:
    columns = [(c["format"], c["runtime"], c["device"]) for c in make(html_logs.small()).index["columns"]]
    assert columns == [
        ("eager", "eager", "cpu"),
        ("onnx", "ort", "cpu"),
        ("onnx", "ort", "cuda"),
        ("onnx", "ort-cpp", "cpu"),
        ("export", "torch", "cpu"),
    ]


def test_a_square_has_what_the_matrix_shows_of_it() -> None:
    found = square(html_logs.small(), f"{html_logs.NET}::net[onnx-ort-cpu]")
    assert found["row"] == {
        "file": html_logs.NET, "case": "net", "dtype": "float32", "field": "vision", "tags": ["small"]
    }  # fmt: skip
    assert (found["verdict"], found["state"], found["partly"], found["bits"]) == ("pass", 0, 0, 20.5)


@pytest.mark.parametrize(
    ("outcome", "state"),
    [
        (Outcome(Verdict.ERROR, Stage.LOAD), 2),
        (Outcome(Verdict.ERROR, Stage.LOAD, expected=True), 1),
        (Outcome(Verdict.PASS, expected=False), 2),
        (Outcome(Verdict.PASS), 0),
        (Outcome(Verdict.UNAVAILABLE), 0),
    ],
)
def test_what_expected_toml_does_not_say_is_a_surprise(outcome: Outcome, state: int) -> None:
    assert square(one(outcome), "a.py::a[onnx-ort-cpu]")["state"] == state


def test_a_pass_with_an_unsupported_set_is_one_in_part() -> None:
    assert square(html_logs.small(), f"{html_logs.BERT}::bert[export-torch-cpu]")["partly"] == 1


def test_details_leave_out_what_there_is_none_of_but_keep_zeros() -> None:
    details = square(one(Outcome(Verdict.MISMATCH, Stage.COMPARE, bits=0.0)), "a.py::a[onnx-ort-cpu]")["details"]
    assert details == {
        "id": "a.py::a[onnx-ort-cpu]",
        "stage": "compare",
        "bits": 0.0,
        "repro": "modelconform repro 'a.py::a[onnx-ort-cpu]' -o repro",
    }


@pytest.mark.parametrize("verdict", [Verdict.ERROR, Verdict.CRASH, Verdict.TIMEOUT, Verdict.UNSUPPORTED])
def test_what_did_not_come_to_an_end_has_no_bits(verdict: Verdict) -> None:
    # They are those of the input sets that are right.
    shown = square(one(Outcome(verdict, Stage.RUN, bits=23.0, worst=1.0)), "a.py::a[onnx-ort-cpu]")
    assert shown["bits"] is None
    assert not {"bits", "worst"} & set(shown["details"])


def test_a_refused_set_is_said_once_and_has_the_sizes_of_its_inputs() -> None:
    details = square(html_logs.small(), f"{html_logs.BERT}::bert[export-torch-cpu]")["details"]
    assert details["notes"] == ["a note"]
    assert details["inputs"]["odd"]["shapes"] == {"input 0": [5, 16], "mask": []}
    assert details["inputs"]["odd"]["message"].startswith(html_logs.REFUSED)
    assert "repro" not in details


@pytest.mark.parametrize(
    ("arguments", "log"),
    [
        (["--modelconform-log", "my run.jsonl", "cases"], " --log 'my run.jsonl'"),
        (["cases", "--modelconform-log=out/run.jsonl"], " --log out/run.jsonl"),
        (["cases", "--modelconform-log"], ""),
        (["cases"], ""),
        (7, ""),
    ],
)
def test_the_command_for_a_report_names_the_log_that_was_named(arguments: object, log: str) -> None:
    found = Log({"options": {"arguments": arguments}}, one(Outcome(Verdict.CRASH, Stage.LOAD)).cells, True)
    if arguments == 7:
        found = Log({"options": {}}, found.cells, True)
    said = square(found, "a.py::a[onnx-ort-cpu]")["details"]["repro"]
    assert said == f"modelconform repro 'a.py::a[onnx-ort-cpu]' -o repro{log}"


def test_numbers_have_the_digits_that_are_shown_and_values_all_of_them() -> None:
    outcome = Outcome(
        Verdict.PASS,
        bits=20.123456789,
        inputs={
            "a": {
                "verdict": "pass",
                "seconds": 0.123456789,
                "outputs": {"output": html_logs.output(actual=0.1234567890123)},
            }
        },
    )
    details = square(one(outcome), "a.py::a[onnx-ort-cpu]")["details"]
    assert (details["bits"], details["inputs"]["a"]["seconds"]) == (20.12, 0.1235)
    assert details["inputs"]["a"]["outputs"]["output"]["actual"] == 0.1234567890123


def test_integers_that_javascript_would_round_are_text() -> None:
    details = square(html_logs.small(), f"{html_logs.BERT}::bert[onnx-ort-cpu]")["details"]
    assert details["inputs"]["pair"]["outputs"]["output"]["expected"] == "4611686018427387904"


def test_numbers_of_an_input_set_stand_where_it_has_no_outputs() -> None:
    numbers = {"verdict": "pass", "bits": 20.0}
    with_outputs = Outcome(
        Verdict.PASS, inputs={"a": {**numbers, "outputs": {"output": html_logs.output()}}, "b": numbers}
    )
    details = square(one(with_outputs), "a.py::a[onnx-ort-cpu]")["details"]
    assert ("bits" in details["inputs"]["a"], details["inputs"]["b"]["bits"]) == (False, 20.0)


@pytest.mark.parametrize(
    ("column", "command"),
    [
        (("eager", "eager", "cpu", "full", "training"), "pytest --modelconform"),
        (
            ("onnx", "ort", "cpu", "full", "inference"),
            "pytest --modelconform --modelconform-formats=onnx --modelconform-runtimes=ort",
        ),
        (
            ("onnx", "ort", "cuda", "fast", "inference"),
            "pytest --modelconform --modelconform-formats=onnx --modelconform-runtimes=ort "
            "--modelconform-devices=cuda --modelconform-precisions=fast",
        ),
    ],
)
def test_a_rerun_names_what_only_options_bring(column: tuple[str, str, str, str, str], command: str) -> None:
    assert rerun(column) == command


def test_embedded_json_ends_no_script_and_is_the_same_json() -> None:
    value = {"</script>": ["<!--", "\u2028\u2029", "</SCRIPT >", "\n", "ü"]}
    text = embedded(value)
    assert "<" not in text
    assert not {"\n", "\u2028", "\u2029"} & set(text)
    assert json.loads(text) == value


def test_a_cell_that_ran_twice_is_there_once() -> None:
    cell = Cell("a.py", "a", "onnx", "ort")
    log = Log({}, [(cell, Outcome(Verdict.ERROR)), (cell, Outcome(Verdict.PASS))], True)
    payload = make(log)
    assert [entry[2] for entry in payload.index["cells"]] == [0]
    assert len([*payload.details]) == 1


def test_what_a_whole_column_cannot_do_is_the_columns() -> None:
    refused = {"verdict": "unsupported", "message": "format onnx can't take them", "limit": "transposed-inputs"}
    outcome = Outcome(Verdict.PASS, bits=20, inputs={"a": {"verdict": "pass"}, "auto-transposed": refused})
    seen = square(one(outcome), "a.py::a[onnx-ort-cpu]")
    assert seen["column"]["limits"] == ["format onnx can't take them"]
    assert seen["partly"] == 0
    # The set and its reason are among the details all the same.
    assert seen["details"]["inputs"]["auto-transposed"]["message"] == "format onnx can't take them"
    own = Outcome(Verdict.PASS, inputs={"a": {"verdict": "pass"}, "b": {"verdict": "unsupported", "message": "static"}})
    assert square(one(own), "a.py::a[onnx-ort-cpu]")["partly"] == 1
    assert square(one(own), "a.py::a[onnx-ort-cpu]")["column"]["limits"] == []
