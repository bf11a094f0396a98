from __future__ import annotations

from pytest_modelconform.terms.wording import MOST_CHARACTERS, MOST_LINES, fault_of_ours, fitting, output_name


def test_a_message_keeps_its_beginning_and_its_end() -> None:
    short = "\n".join(f"line {number}" for number in range(MOST_LINES))
    assert fitting(short) == short
    lines = fitting("\n\n".join(f"line {number}" for number in range(60))).splitlines()
    assert len(lines) == MOST_LINES
    assert (lines[0], lines[5], lines[-1]) == ("line 0", "… 49 more lines", "line 59")
    wide = fitting("a" * 5000 + "end")
    assert len(wide) <= MOST_CHARACTERS
    assert wide.startswith("aaa")
    assert wide.endswith("aend")


def test_a_fault_of_ours_is_one_line_with_its_places() -> None:
    try:
        fitting(3)  # type: ignore[arg-type]
    except AttributeError as error:
        said = fault_of_ours(error)
    assert said.startswith("AttributeError: 'int' object has no attribute 'splitlines' (")
    assert "pytest_modelconform/terms/wording.py:" in said
    assert said.endswith("this is a fault of pytest-modelconform: please report it")
    assert "\n" not in fault_of_ours(ValueError("several\nlines"))


def test_an_output_as_python_gets_at_it() -> None:
    assert [output_name(path) for path in ("", "/0", "/boxes", "/states/1")] == [
        "output",
        "output[0]",
        "output['boxes']",
        "output['states'][1]",
    ]
