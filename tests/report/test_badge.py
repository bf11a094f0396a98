from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree

import pytest

from pytest_modelconform.report import badge
from pytest_modelconform.report.badge import Badge, UnknownName
from pytest_modelconform.report.log import Log
from pytest_modelconform.terms.cell import Cell
from pytest_modelconform.terms.outcome import LEFT_OUT, Outcome, Stage, Verdict
from tests.support import nasty

PASS = Outcome(Verdict.PASS)


def cell(case: str = "net", format_name: str = "onnx", runtime: str = "ort", file: str = "a.py") -> Cell:
    return Cell(file, case, format_name, runtime)


def log(*outcomes: Outcome, complete: bool = True) -> Log:
    return Log({}, [(cell(runtime=f"r{i}"), outcome) for i, outcome in enumerate(outcomes)], complete)


@pytest.mark.parametrize(
    ("verdict", "counts"),
    [
        (Verdict.PASS, (1, 1)),
        (Verdict.IMPRECISE, (0, 1)),
        (Verdict.MISMATCH, (0, 1)),
        (Verdict.ERROR, (0, 1)),
        (Verdict.CRASH, (0, 1)),
        (Verdict.TIMEOUT, (0, 1)),
        (Verdict.NOT_RUN, (0, 1)),
        (Verdict.UNSUPPORTED, (0, 0)),
        (Verdict.UNAVAILABLE, (0, 0)),
    ],
)
def test_what_counts(verdict: Verdict, counts: tuple[int, int]) -> None:
    # That a failure is expected makes it no pass.
    for expected in (None, True, False):
        assert badge.counted({cell(): Outcome(verdict, expected=expected)}) == counts


def test_model_checks_do_not_count_and_files_that_are_not_collected_fail() -> None:
    assert badge.counted({cell(format_name="eager", runtime="eager"): PASS}) == (0, 0)
    broken = {cell(format_name="collect", runtime="collect"): Outcome(Verdict.ERROR, Stage.COLLECT)}
    assert badge.counted(broken) == (0, 1)
    assert badge.of_all(Log({}, [*broken.items(), (cell(), PASS)], True)).message == "passes 1/2"


def test_of_what() -> None:
    found = Log(
        {},
        [
            (cell(), PASS),
            (cell(runtime="ort-cpp"), Outcome(Verdict.ERROR, Stage.RUN, expected=True)),
            (cell("mlp", "export", "torch"), PASS),
            (cell("mlp", "onnx", "ort"), PASS),
        ],
        True,
    )
    assert badge.of_all(found) == Badge("modelconform", "passes 3/4", "yellow", False)
    assert badge.of_case(found, "net") == Badge("net", "runs on 1/2", "orange", False)
    assert badge.of_case(found, "a.py::mlp") == Badge("mlp", "runs on 2/2", "brightgreen", False)
    assert badge.of_format(found, "onnx") == Badge("onnx", "passes 2/3", "yellow", False)
    assert badge.of_runtime(found, "ort") == Badge("ort", "passes 2/2", "brightgreen", False)


def test_a_rerun_counts_as_it_ended() -> None:
    found = Log({}, [(cell(), Outcome(Verdict.CRASH)), (cell(), PASS)], True)
    assert badge.of_all(found).message == "passes 1/1"


@pytest.mark.parametrize(
    ("failing", "colour"),
    [(0, "brightgreen"), (1, "yellowgreen"), (2, "yellow"), (5, "orange"), (9, "red"), (10, "red")],
)
def test_colours(failing: int, colour: str) -> None:
    outcomes = [Outcome(Verdict.ERROR)] * failing + [PASS] * (10 - failing)
    assert badge.of_all(log(*outcomes)).colour == colour


@pytest.mark.parametrize("passing", range(11))
def test_a_log_that_is_cut_off_is_never_green(passing: int) -> None:
    outcomes = [PASS] * passing + [Outcome(Verdict.ERROR)] * (10 - passing)
    for found in (log(*outcomes, complete=False), log(*outcomes, Outcome(Verdict.NOT_RUN))):
        made = badge.of_all(found)
        assert "green" not in made.colour
        assert made.message.endswith(", cut off")
        assert json.loads(badge.endpoint(made))["isError"] is True


def test_what_was_not_to_run_is_not_missing() -> None:
    made = badge.of_all(log(PASS, Outcome(Verdict.NOT_RUN, None, f"{LEFT_OUT}slow")))
    assert (made.message, made.cut_off) == (badge.of_all(log(PASS)).message, False)


def test_what_is_imprecise_is_named_and_is_no_failure() -> None:
    close, strict = Outcome(Verdict.IMPRECISE, Stage.COMPARE), Outcome(Verdict.IMPRECISE, Stage.COMPARE, strict=True)
    found = badge.of_all(log(PASS, PASS, close))
    assert (found.message, found.colour) == ("passes 2/3, 1 imprecise", "yellowgreen")
    assert badge.of_all(log(PASS, close, close)).colour == "yellowgreen"
    found = badge.of_all(log(PASS, PASS, strict))
    assert (found.message, found.colour) == ("passes 2/3", "yellow")


def test_nothing_ran() -> None:
    assert badge.of_all(log(Outcome(Verdict.UNAVAILABLE))) == Badge("modelconform", "nothing ran", "lightgrey", False)
    assert badge.of_all(Log({}, [], False)).colour == "lightgrey"


def test_names_that_are_not_there() -> None:
    found = log(PASS)
    with pytest.raises(UnknownName, match=r"this log has no case 'nets'. Did you mean 'net'\? It has: net"):
        badge.of_case(found, "nets")
    with pytest.raises(UnknownName, match=r"this log has no format 'x'. It has: onnx"):
        badge.of_format(found, "x")
    with pytest.raises(UnknownName, match=r"this log has no runtime 'eager'. It has: none"):
        badge.of_runtime(Log({}, [(cell(format_name="eager", runtime="eager"), PASS)], True), "eager")
    twice = Log({}, [(cell(), PASS), (cell(file="b.py"), PASS)], True)
    with pytest.raises(UnknownName, match=r"2 cases have the name 'net': name one of a.py::net, b.py::net"):
        badge.of_case(twice, "net")


def test_the_endpoint_is_what_shields_takes() -> None:
    content = json.loads(badge.endpoint(badge.of_all(log(PASS))))
    assert content == {"schemaVersion": 1, "label": "modelconform", "message": "passes 1/1", "color": "brightgreen"}


def test_the_image() -> None:
    image = ElementTree.fromstring(badge.svg(badge.of_case(log(PASS), "net")))
    assert image.tag == "{http://www.w3.org/2000/svg}svg"
    texts = [element.text for element in image.iter("{http://www.w3.org/2000/svg}text")]
    assert texts == ["net", "net", "runs on 1/1", "runs on 1/1"]
    assert "#4c1" in {element.get("fill") for element in image.iter()}


def test_every_colour_can_be_drawn() -> None:
    for colour in ("brightgreen", "yellowgreen", "yellow", "orange", "red", "lightgrey"):
        assert badge.svg(Badge("a", "b", colour, False)).startswith("<?xml")


@pytest.mark.parametrize("text", nasty.TEXTS)
def test_whatever_names_hold(text: str) -> None:
    found = Log({}, [(Cell("a.py", text, text, text), PASS)], True)
    for made in (badge.of_case(found, text), badge.of_format(found, text), badge.of_runtime(found, text)):
        assert json.loads(badge.endpoint(made))["label"] == text
        image = ElementTree.fromstring(badge.svg(made))
        assert {element.tag.rpartition("}")[2] for element in image.iter()} == {
            "svg", "linearGradient", "stop", "mask", "rect", "g", "path", "text",
        }  # fmt: skip
