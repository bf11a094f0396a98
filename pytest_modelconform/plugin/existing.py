"""Which cells can exist below a folder: what the entries of its `expected.toml` are judged against."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..cells.case_files import is_case_file, static_cases
from ..cells.machinery import Machinery
from ..terms.cell import COLLECT, Cell


@dataclass(frozen=True)
class Existing:
    """All case files below a folder x all registered names, whatever was selected.

    ids: relative to the folder. vague: case files that can't be imported here, and may have more cells than `ids`
    says. sound: by case file, the ids of its `[collect]` cells that stand for no fault: they exist only where there
    is one.
    """

    ids: Sequence[str]
    vague: Sequence[str]
    sound: Mapping[str, Sequence[str]]


def existing(machinery: Machinery, folder: Path, files: Iterable[Path]) -> Existing:
    """The cells that can exist below a folder. Imports, in the case host, those files that are not in the cache.

    files: the Python files below it that pytest would look at.
    """
    ids: list[str] = []
    vague: list[str] = []
    sound: dict[str, list[str]] = {}
    for path in sorted(files):
        if not is_case_file(path):
            continue
        file = path.relative_to(folder).as_posix()
        declaration = machinery.declare(path)
        # A file that can't be imported fails by itself; its entries are not stale for that.
        cases = declaration.cases or static_cases(path)
        whole = Cell(file, path.stem, COLLECT, COLLECT)
        ids.append(whole.id)
        for case in cases:
            ids += [cell.id for cell in machinery.all_cells(file, case)]
        if declaration.problem is not None or any(case.missing() for case in cases):
            vague.append(file)
        else:
            cells = [whole, *(Cell(file, case.name, COLLECT, COLLECT) for case in cases)]
            faulty = {case.name for case in cases if case.fault}
            sound[file] = [cell.id for cell in cells if cell.case not in faulty]
    return Existing(list(dict.fromkeys(ids)), vague, sound)
