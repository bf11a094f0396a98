"""What `modelconform blame -o` writes: the small case, and its report for the upstream project."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from ..cells.machinery import Machinery
from ..repro.folder import Folder
from ..repro.maker import Logged, Maker
from ..repro.work import Work
from ..terms.blame import Blame
from ..terms.cell import CaseRef, Cell
from ..terms.wording import Refused
from .told import title
from .written import FILE, NAME, TENSORS

REPORT = "report"
# What a log may hold of tensors, in bytes.
_MOST = 1 << 20


def packed(file: Path | None) -> str | None:
    """A file of tensors as `Blame.tensors` has it, "" for none; None where it is too large for a log."""
    if file is None:
        return ""
    content = zlib.compress(file.read_bytes())
    return base64.b64encode(content).decode() if len(content) <= _MOST else None


def unpacked(tensors: str) -> bytes:
    """The other way round. Raises ValueError for what `packed` hasn't made."""
    try:
        return zlib.decompress(base64.b64decode(tensors, validate=True))
    except zlib.error as error:
        raise ValueError(str(error)) from error


def write(
    folder: Path, machinery: Machinery, cell: Cell, blame: Blame, progress: Callable[[str], None]
) -> Sequence[str]:
    """Write the case that shows the first guilty one, and its report; the names of what was written.

    cell: the one that was searched. Raises Refused where there is no such case, or the folder can't be used; OSError.
    """
    if not blame.case:
        why = f": {blame.note}" if blame.note else ""
        raise Refused(f"there is no small case of {cell.name} to write{why}")
    place = Folder.opened(folder)
    place.add_text(FILE, blame.case)
    if blame.tensors:
        (place.path / TENSORS).write_bytes(unpacked(blame.tensors))
        place.written.append(TENSORS)
    file = (folder / FILE).resolve()
    own = replace(cell, file=machinery.relative(file), case=NAME)
    place.close(own.id)
    return [*place.written, *_report(file, machinery, own, blame, progress)]


def _report(
    file: Path, machinery: Machinery, cell: Cell, blame: Blame, progress: Callable[[str], None]
) -> Sequence[str]:
    """The report on the case, in a folder beside it. Raises Refused."""
    declaration = machinery.declare(file)
    if declaration.problem is not None:
        raise Refused(declaration.problem.message)
    case = next(case for case in declaration.cases if case.name == NAME)
    ref = CaseRef(file, cell.file, NAME, cell.dtype, framework=case.framework, operators=case.own_operators)
    subject = title(blame.guilty[0].operators) if blame.guilty else ""
    maker = Maker(Work(machinery, case, ref, cell, subject=subject), Logged(), progress)
    maker.make(file.parent / REPORT)
    for line in maker.problems:
        progress(line)
    return [f"{REPORT}/{name}" for name in maker.written]
