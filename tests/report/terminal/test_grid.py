"""The matrix at all widths, with colour and without: names are whole, and no line is wider than the terminal."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_modelconform.report import matrix
from pytest_modelconform.report.terminal import grid
from pytest_modelconform.terms.cell import Cell
from pytest_modelconform.terms.outcome import Outcome, Stage, Verdict
from tests.support import main_job
from tests.support.printing import plain, printed, writer

WIDTHS = (80, 120, 200)
SIGNS = set(".~-_?METCmetco!✓≈–□≠✗⧖☠◐")


def lines_of(
    cells: list[tuple[Cell, Outcome]],
    width: int,
    colour: bool = False,
    formats: dict[str, tuple[str, ...]] | None = None,
) -> list[str]:
    """The matrix with its legend."""
    file, made = writer(width, colour)
    names = formats or main_job.FORMATS
    grid.write(matrix.fold(cells, list(names), main_job.RUNTIMES), made)
    return plain(file.getvalue()).splitlines()


def blocks_of(lines: list[str]) -> list[list[str]]:
    """The blocks of a matrix whose names stand upright: lines up to the next empty one."""
    blocks: list[list[str]] = [[]]
    for line in lines:
        if line:
            blocks[-1].append(line)
        else:
            blocks.append([])
    return blocks[:-1]


def columns_of(block: list[str], left: int) -> list[tuple[str, str]]:
    """Format and runtime of each column of a block, read as a person does: the group that the rule below it marks."""
    rule = next(i for i, line in enumerate(block) if line.strip() and set(line.strip()) <= set("-─ "))
    foot = next(i for i, line in enumerate(block) if line.startswith("case"))
    width = max(map(len, block))
    padded = [line.ljust(width) for line in block]
    starts = [i for i in range(left, width) if padded[rule][i] in "-─" and padded[rule][i - 1] == " "]
    found = []
    last = ""
    for start, end in zip(starts, [*starts[1:], width], strict=True):
        group = "".join(line[start:end].strip() for line in padded[:rule])
        for i in range(start, end):
            if padded[foot][i] == " ":
                continue
            name = "".join(padded[j][i] for j in range(rule + 1, foot + 1)).strip()
            # What begins with + adds to the plain column before it.
            name, last = (f"{last} {name[1:]}", last) if name.startswith("+") else (name, name)
            found.append((group, name))
    return found


@pytest.mark.parametrize("colour", [False, True])
@pytest.mark.parametrize("width", WIDTHS)
def test_the_main_job(width: int, colour: bool) -> None:
    lines = lines_of(main_job.cells(), width, colour)
    assert max(map(len, lines)) <= width
    assert not any("…" in line for line in lines)
    blocks = blocks_of(lines)
    left = max(len(row) for row in ("case", "ssdlite320_mobilenet_v3_large")) + 1
    found = [column for block in blocks for column in columns_of(block, left)]
    wanted = [("model", "eager"), ("model", "eager training")]
    wanted += [(name, runtime) for name in list(main_job.FORMATS)[1:] for runtime in main_job.FORMATS[name]]
    assert found == wanted
    # Two halves at 80, all of it beside each other at 120, and room for numbers at 200.
    assert len(blocks) == {80: 2, 120: 1, 200: 1}[width]
    assert any("number: effective bits" in line for line in lines) == (width == 200)
    rows = {line.split("  ")[0]: line for block in blocks for line in block if line.startswith("resnet18")}
    assert list(rows) == ["resnet18", "resnet18 float16", "resnet18 bfloat16"]
    signs = [character for block in blocks for line in block if line.startswith("resnet18 ") and "float" not in line
             for character in line[left:].split() if not character.isdigit()]  # fmt: skip
    assert signs == ["✓" if colour else "."] * 27


@pytest.mark.parametrize("colour", [False, True])
@pytest.mark.parametrize("width", [20, 30, 45, 60, 100, 160])
def test_names_are_whole_at_any_width(width: int, colour: bool) -> None:
    lines = lines_of(main_job.cells(), width, colour)
    assert max(map(len, lines)) <= width
    assert not any("…" in line for line in lines)
    # Names of cases that leave no room for cells stand above theirs.
    assert "ssdlite320_mobilenet_v3_large" in "".join(line.strip() for line in lines)
    assert len([line for line in lines if line.startswith("case")]) == len(blocks_of(lines))


def test_where_there_is_room_names_lie() -> None:
    formats = {"torchscript-trace": ("torch", "libtorch-cpp"), "onnx": ("ort", "ort-cpp", "openvino")}
    found = [(Cell(f"{case}.py", case, "eager", "eager"), Outcome(Verdict.PASS, bits=21.4)) for case in ("net", "vit")]
    found += [
        (Cell(f"{case}.py", case, name, runtime), Outcome(Verdict.PASS, bits=20.6))
        for case in ("net", "vit")
        for name, runtimes in formats.items()
        for runtime in runtimes
    ]
    found.append((Cell("vit.py", "vit", "onnx", "ort"), Outcome(Verdict.MISMATCH, Stage.COMPARE, bits=-0.4)))
    assert lines_of(found, 80, formats=formats) == [
        "       model   torchscript-trace     onnx",
        "case   eager   torch  libtorch-cpp   ort   ort-cpp  openvino",
        "net    . 21    . 21   . 21           . 21  . 21     . 21",
        "vit    . 21    . 21   . 21           M 0   . 21     . 21",
        "",
        ". pass   M mismatch   number: effective bits",
    ]


def test_few_cases_stand_above_many_columns() -> None:
    cells = [(cell, outcome) for cell, outcome in main_job.cells() if cell.case in ("mlp", "twins")]
    lines = lines_of(cells, 80)
    assert lines[:4] == [
        "format              runtime                 mlp   mlp float64  twins",
        "model               eager                   . 23  . 19         . 20",
        "                    eager training          . 23  . 19",
        "torchscript-trace   torch                   . 23  . 19         . 20",
    ]
    assert lines[-1] == ". pass   m mismatch (expected)   e error (expected)   number: effective bits"
    assert len(lines) == 1 + 27 + 2


def test_devices_dtypes_and_precisions_are_named_where_they_differ() -> None:
    def cell(**more: str) -> Cell:
        return Cell("a.py", "a", "onnx", "ort", **more)

    found = [
        (cell(), Outcome(Verdict.PASS)),
        (cell(device="cuda"), Outcome(Verdict.PASS)),
        (cell(dtype="bfloat16"), Outcome(Verdict.PASS)),
        (cell(precision="fast"), Outcome(Verdict.MISMATCH, Stage.COMPARE)),
    ]
    lines = lines_of(found, 80)
    assert lines[:4] == [
        "             onnx",
        "case         ort  +fast  +cuda",
        "a            .    M      .",
        "a bfloat16   .",
    ]
    assert lines[-1] == ". pass   M mismatch   +NAME the runtime to its left, with NAME"
    # Without the plain one beside it, a column says all.
    assert lines_of(found[1:2], 80)[1] == "case   ort cuda"


def test_two_files_with_a_case_of_one_name() -> None:
    found = [(Cell(f"{folder}/a.py", "a", "onnx", "ort"), Outcome(Verdict.PASS)) for folder in ("x", "y")]
    assert [line.split()[0] for line in lines_of(found, 80)[2:4]] == ["x/a.py::a", "y/a.py::a"]


def test_with_colour() -> None:
    text = printed(main_job.cells(), width=200, colour=True)
    assert "\x1b[32m✓ 21" in text
    assert "\x1b[33m≠ 3" in text  # expected
    assert "\x1b[33m✗" in text
    assert "yellow: expected" in text


def test_nothing_ran() -> None:
    assert lines_of([], 80) == []


def test_the_documented_matrix_is_the_one_that_is_printed() -> None:
    formats = {"torchscript-trace": ("torch", "libtorch-cpp"), "onnx": ("ort", "ort-cpp", "openvino")}
    refused = {"pair": {"verdict": "pass"}, "one": {"verdict": "unsupported", "message": "another size"}}
    special = {
        ("resnet18", "ort"): Outcome(Verdict.PASS, bits=19.0, inputs=refused),
        ("vit", "ort"): Outcome(Verdict.MISMATCH, Stage.COMPARE, bits=12.0),
        ("vit", "ort-cpp"): Outcome(Verdict.ERROR, Stage.EXPORT, expected=True),
        ("vit", "openvino"): Outcome(Verdict.UNAVAILABLE, Stage.ENVIRONMENT),
    }
    found = [
        (
            Cell(f"{case}.py", case, name, runtime),
            special.get((case, runtime), Outcome(Verdict.PASS, bits=21.0 if case == "resnet18" else 20.0)),
        )
        for case in ("resnet18", "vit")
        for name, runtimes in formats.items()
        for runtime in runtimes
    ]
    shown = "\n".join(lines_of(found, 100, formats=formats))
    page = (Path(__file__).parents[3] / "docs" / "reports.md").read_text()
    assert f"```text\n{shown}\n```" in page


def test_long_names_of_others_are_whole() -> None:
    name = "a-runtime-of-somebody-else-with-a-name-that-is-longer-than-any-other"
    found = [
        (Cell(f"{case}.py", case, f"{name}-format", f"{name}-{i}"), Outcome(Verdict.PASS))
        for case in ("net", "case_" * 12)
        for i in range(3)
    ]
    for width in (40, 80):
        lines = lines_of(found, width)
        assert max(map(len, lines)) <= width
        text = "".join(lines).replace(" ", "")
        assert f"{name}-format".replace(" ", "") in text
        foot = next(i for i, line in enumerate(lines) if line.startswith("case"))
        starts = [i for i, letter in enumerate(lines[foot]) if letter == lines[foot][-1] or letter.isdigit()]
        turned = {"".join(line.ljust(width)[i] for line in lines[: foot + 1]) for i in starts}
        assert {f"{name}-{i}" for i in range(3)} <= {text[text.find(name[:9]) :].strip() for text in turned}
