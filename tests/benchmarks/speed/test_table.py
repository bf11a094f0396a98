"""The table of what a user waits for."""

from __future__ import annotations

import json

from benchmarks.speed.table import Row, as_json, line, text

ABOUT = {
    "date": "2026-11-28T21:00:00+00:00", "cores": 2, "processor": "AMD EPYC",
    "versions": {"torch": "2.14.1", "polygraphy": None},
}  # fmt: skip
ROWS = [
    Row("First run", "wall", 768.2, goal=600.0, note="604 cells", details={"core_seconds": {"export": 685.0}}),
    Row("First run", "wall × 2 cores / core-seconds of the work", 1.05, "×", 1.1),
    Row("A warm cell", "the dearest, 64 elements", 9.06, "ms", 20.0),
    Row("Peers", "ours / theirs: Polygraphy", None, "×", 1.0, "Polygraphy is not here: pip install polygraphy"),
]


def test_the_table_is_narrow_and_marks_what_is_beyond_its_goal() -> None:
    assert text(ROWS, ABOUT).splitlines() == [
        "2026-11-28T21:00:00+00:00, 2 cores of AMD EPYC",
        "torch 2.14.1",
        "",
        "                                                   measured        goal of goal",
        "",
        "First run",
        "wall                                                  768 s       600 s 1.28 !",
        "    604 cells",
        "wall × 2 cores / core-seconds of the work            1.05 ×      1.10 × 0.95",
        "",
        "A warm cell",
        "the dearest, 64 elements                             9.1 ms     20.0 ms 0.45",
        "",
        "Peers",
        "ours / theirs: Polygraphy                                 -      1.00 ×",
        "    Polygraphy is not here: pip install polygraphy",
        "",
        "3 measured, 1 beyond their goals (!), 1 not measured (-)",
    ]
    assert max(map(len, text(ROWS, ABOUT).splitlines())) <= 80


def test_a_long_note_is_wrapped() -> None:
    lines = line(Row("First run", "wall", 0.05, note=", ".join(f"kind{i} {i}" for i in range(30)))).splitlines()
    assert lines[0] == "wall                                                 0.05 s"
    assert len(lines) > 3
    assert all(part.startswith("    ") and len(part) <= 80 for part in lines[1:])


def test_json_has_goals_and_details() -> None:
    found = json.loads(as_json(ROWS, ABOUT))
    assert found["about"] == ABOUT
    assert [row["of_goal"] and round(row["of_goal"], 2) for row in found["rows"]] == [1.28, 0.95, 0.45, None]
    assert found["rows"][0]["details"] == {"core_seconds": {"export": 685.0}}
