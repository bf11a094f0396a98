"""How a large log is divided among pages."""

from __future__ import annotations

import random

import pytest

from pytest_modelconform.report.html.parts import Part, divide
from pytest_modelconform.terms.cell import Cell
from pytest_modelconform.terms.outcome import Outcome, Verdict

Entry = tuple[Cell, Outcome]


def of(file: str, count: int, case: str = "net") -> list[Entry]:
    return [(Cell(file, case, "onnx", f"runtime-{number}"), Outcome(Verdict.PASS)) for number in range(count)]


def shown(parts: list[Part]) -> list[tuple[str, int]]:
    return [(part.name, len(part.cells)) for part in parts]


def test_each_folder_is_a_part() -> None:
    cells = [*of("cases/vision/b.py", 8), *of("cases/audio/a.py", 5), *of("cases/vision/a.py", 7)]
    parts = divide(cells, 15)
    assert shown(parts) == [("cases/audio", 5), ("cases/vision", 15)]
    assert [part.file for part in parts] == ["1-audio.html", "2-vision.html"]
    assert [cell.file for cell, _ in parts[1].cells] == ["cases/vision/a.py"] * 7 + ["cases/vision/b.py"] * 8


def test_a_folder_that_is_too_large_is_divided_by_what_is_in_it() -> None:
    cells = [*of("cases/x/a.py", 4), *of("cases/x/b.py", 4), *of("cases/x/c.py", 4), *of("cases/x/deep/d.py", 9)]
    assert shown(divide(cells, 10)) == [("cases/x: a.py to b.py", 8), ("cases/x/c.py", 4), ("cases/x/deep", 9)]


def test_a_file_that_is_too_large_is_divided_by_its_cases() -> None:
    cells = [entry for name in "abc" for entry in of("cases/big.py", 4, name)]
    assert shown(divide(cells, 8)) == [("cases: big.py::a to big.py::b", 8), ("cases/big.py::c", 4)]


def test_a_case_is_never_divided() -> None:
    assert shown(divide([*of("cases/a.py", 9), *of("cases/b.py", 1)], 4)) == [
        ("cases/a.py::net", 9),
        ("cases/b.py", 1),
    ]


def test_small_neighbours_are_one_part() -> None:
    cells = [entry for number in range(30) for entry in of(f"cases/field{number:02}/a.py", 2)]
    assert shown(divide(cells, 40))[:2] == [
        ("cases: field00 to field01", 4),
        ("cases: field02 to field03", 4),
    ]


@pytest.mark.parametrize(
    "name", ["a.py", "../elsewhere/a.py", "C:\\cases\\a.py", "<b>/ä.py", "/root/a.py", "COM1/nul.py"]
)
def test_a_page_has_a_plain_name_whatever_files_are_called(name: str) -> None:
    parts = divide([*of(name, 3), *of("z.py", 3)], 3)
    assert sum(len(part.cells) for part in parts) == 6
    for part in parts:
        assert part.file.removesuffix(".html").replace("-", "").isalnum()
        assert part.file.isascii()


@pytest.mark.parametrize("seed", range(30))
def test_every_cell_is_in_one_part_and_none_is_too_large(seed: int) -> None:
    drawn = random.Random(seed)
    cells: list[Entry] = []
    for number in range(drawn.randint(1, 60)):
        folders = "".join(f"{drawn.choice('abc')}/" for _ in range(drawn.randint(0, 4)))
        for case in range(drawn.randint(1, 3)):
            cells += of(f"{folders}file{number}.py", drawn.randint(1, 5), f"case{case}")
    drawn.shuffle(cells)
    most = drawn.randint(5, 60)
    parts = divide(cells, most)
    assert sorted(cell.id for part in parts for cell, _ in part.cells) == sorted(cell.id for cell, _ in cells)
    assert all(len(part.cells) <= most for part in parts)
    assert len({part.file for part in parts}) == len({part.name for part in parts}) == len(parts)
    homes = {(cell.file, cell.case): set[int]() for cell, _ in cells}
    for place, part in enumerate(parts):
        for cell, _ in part.cells:
            homes[cell.file, cell.case].add(place)
    assert all(len(places) == 1 for places in homes.values())
    assert divide(sorted(cells, key=lambda entry: entry[0].id), most) == divide(
        sorted(cells, key=lambda entry: entry[0].id), most
    )
