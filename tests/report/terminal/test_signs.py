"""Signs: each has one meaning, whatever the terminal."""

from __future__ import annotations

from itertools import product

from pytest_modelconform.report import matrix
from pytest_modelconform.report.terminal import signs
from pytest_modelconform.terms.cell import Cell
from pytest_modelconform.terms.outcome import STYLES, Outcome, Verdict

PARTLY = {"one": {"verdict": "pass"}, "two": {"verdict": "unsupported", "message": "no"}}
# What looks alike is the same sign.
ALIKE = str.maketrans({"–": "-", "·": ".", "≈": "~"})


def all_outcomes() -> list[Outcome]:
    found = [Outcome(verdict, expected=expected) for verdict, expected in product(Verdict, (None, True, False))]
    return [*found, Outcome(Verdict.PASS, inputs=PARTLY)]


def meaning(outcome: Outcome) -> object:
    if outcome.expected is False:
        return "surprise"
    return outcome.verdict, bool(outcome.inputs)


def test_no_sign_means_two_things() -> None:
    found: dict[str, set[object]] = {}
    for outcome, colour in product(all_outcomes(), (False, True)):
        sign = signs.sign(outcome, colour)
        assert len(sign) == 1
        found.setdefault(sign.translate(ALIKE), set()).add(meaning(outcome))
    assert {sign: said for sign, said in found.items() if len(said) > 1} == {}
    # Small letters say that it is expected, and nothing else does.
    small = {signs.sign(o, colour=False) for o in all_outcomes() if o.expected and o.failed}
    assert small == {"m", "e", "t", "c", "b"}
    assert not small & {signs.sign(o, colour=False) for o in all_outcomes() if not o.expected}


def legend(*outcomes: Outcome, colour: bool = False) -> list[str]:
    cells = [(Cell("a.py", f"case{i}", "onnx", "ort"), outcome) for i, outcome in enumerate(outcomes)]
    return signs.legend(matrix.fold(cells), colour, bits=True)


def test_the_legend_names_what_occurs_and_no_more() -> None:
    assert legend(Outcome(Verdict.PASS)) == [". pass"]
    assert legend(Outcome(Verdict.PASS, bits=20.0)) == [". pass", "number: effective bits"]
    assert legend(Outcome(Verdict.PASS, bits=60.0)) == [". pass", "number: effective bits (60: no error)"]
    assert legend(Outcome(Verdict.ERROR, expected=True), Outcome(Verdict.ERROR)) == ["E error", "e error (expected)"]
    assert legend(Outcome(Verdict.ERROR, expected=True), Outcome(Verdict.ERROR), colour=True) == [
        "✗ error",
        "yellow: expected",
    ]
    assert legend(Outcome(Verdict.PASS, expected=False), Outcome(Verdict.PASS, inputs=PARTLY)) == [
        "o pass in part: an input set was refused, see below",
        "! not as expected.toml says",
    ]


def test_every_verdict_is_in_the_legend_if_it_occurs() -> None:
    for colour in (False, True):
        for verdict, style in STYLES.items():
            assert legend(Outcome(verdict), colour=colour) == [
                f"{style.symbol if colour else style.letter} {verdict.value}"
            ]


def test_bits_have_no_sign_where_they_are_zero() -> None:
    assert [signs.bits_text(bits) for bits in (-0.4, 0.4, -1.2, 20.6)] == ["0", "0", "-1", "21"]
