from __future__ import annotations

from pytest_modelconform.report.said import alike

ILL = "is ill-conditioned: faithful arithmetic has"


def test_notes_that_differ_in_place_and_numbers_are_one() -> None:
    notes = [f"input set {name!r}, output[{i}]['boxes'] {ILL} 1{i}.5 bits" for name in ("a", "b") for i in (0, 1, 2)]
    assert alike([*notes, "draws random numbers"]) == [
        f"input set 'a', output[0]['boxes'] {ILL} 10.5 bits; likewise output[1]['boxes'] of 'a', "
        "output[2]['boxes'] of 'a', output[0]['boxes'] of 'b' and 2 more",
        "draws random numbers",
    ]


def test_sets_without_outputs() -> None:
    notes = [f"input set {name!r}: the model does not run in float64: TypeError" for name in ("four", "one")]
    assert alike(notes) == [f"{notes[0]}; likewise 'one'"]
    why = "(the exporters' shapes with other values)"
    generated = [f"input set 'x' {why} is left out: no", f"input set 'y' {why} is left out: no"]
    assert alike(generated) == [f"{generated[0]}; likewise 'y'"]


def test_others_stay() -> None:
    assert alike(["one thing", "another of 2", "another of 3"]) == ["one thing", "another of 2", "another of 3"]
    assert alike([]) == []
