"""What commands on a case share: the session of its file, and how it is found there."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..cells import case_files
from ..environments.packages import missing_of_case
from ..terms.cell import CaseRef, Cell
from ..terms.wording import Refused
from . import pytest_session

if TYPE_CHECKING:
    from ..plugin.run import Run


def located(file: str) -> str:
    """Where a file is that was named, or as it was named if it is nowhere.

    In the current folder, or in one above it, since reports name cells from the root.
    """
    path, here = Path(file), Path.cwd()
    if path.is_absolute() or path.exists():
        return file
    return next((os.path.relpath(folder / path, here) for folder in here.parents if (folder / path).is_file()), file)


def no_case_file(file: str) -> str | None:
    """None for a case file, else a sentence."""
    if case_files.is_case_file(Path(file)):
        return None
    why = "does not import pytest_modelconform" if Path(file).is_file() else "does not exist"
    return f"{file} {why}: name a case file"


def run(command: str, file: str, do: Callable[[Run], int], *, timeout: str, caches: bool = False) -> int:
    """pytest_session.session of a case file. 2 and a message where it is none."""
    if why := no_case_file(file):
        return pytest_session.refusal(command, why)
    return pytest_session.session(command, do, [f"--modelconform-timeout={timeout}", file], caches=caches)


def declared(run: Run, file: Path, name: str) -> case_files.Declared:
    """The case of a name in a file, or its only one. Raises Refused."""
    declaration = run.machinery.declare(file)
    if declaration.problem is not None:
        stage = declaration.problem.stage.value if declaration.problem.stage else "collect"
        raise Refused(f"{declaration.problem.verdict.value} at stage {stage}: {declaration.problem.message}")
    names = [declared.name for declared in declaration.cases]
    if not name and len(names) > 1:
        raise Refused(f"{file.name} has several cases: name one of {_spelled(file, names)}")
    wanted = name or names[0]
    found = next((declared for declared in declaration.cases if declared.name == wanted), None)
    if found is None:
        near = difflib.get_close_matches(wanted, names, 1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise Refused(f"{file.name} has no case {wanted!r}.{hint} It has {_spelled(file, names)}")
    if fault := found.fault:
        raise Refused(fault)
    if by_import := run.machinery.fault_of(file, found.name):
        raise Refused(by_import.message)
    if missing := missing_of_case(found.requires):
        raise Refused(f"case {found.name!r} {missing}")
    return found


def reference_to(run: Run, file: Path, case: case_files.Declared, dtype: str) -> CaseRef:
    """The case as pipelines ask for it."""
    relative = run.machinery.relative(file)
    return CaseRef(
        file,
        relative,
        case.name,
        dtype,
        framework=case.framework,
        operators=case.own_operators,
        own=case.own_columns,
    )


def name_of(argument: str) -> tuple[str, str]:
    """File and name of a cell that was named as a report does. Raises Refused where that is no cell's."""
    file, _, name = argument.partition("::")
    if "[" not in name or not name.endswith("]"):
        raise Refused(
            f"{argument!r} names no cell. Name one as the report does, FILE::CASE[FORMAT-RUNTIME-DEVICE]: "
            "cases/net.py::net[onnx-ort-cpu]"
        )
    return located(file), name


def cell(run: Run, file: Path, name: str) -> tuple[case_files.Declared, CaseRef, Cell]:
    """A cell of a file by its name, its case, and where that is. Raises Refused."""
    case = declared(run, file, name.partition("[")[0])
    ref = reference_to(run, file, case, "float32")
    cells = {cell.name: cell for cell in run.machinery.all_cells(ref.relative, case)}
    if name not in cells:
        near = difflib.get_close_matches(name, cells, 3)
        hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
        raise Refused(f"{file.name} has no cell {name!r}.{hint}")
    return case, replace(ref, dtype=cells[name].dtype), cells[name]


def _spelled(file: Path, names: Sequence[str]) -> str:
    return ", ".join(f"{file.name}::{name}" for name in names)
