"""What a case file says of the failure that it shows: what is wrong, where it was found, with which versions."""

from __future__ import annotations

import platform
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import fields

from ..cells.machinery import Machinery
from ..formats.base import Format
from ..repro.seen import versions
from ..runtimes.base import Runtime
from ..terms.blame import PARTIES, UNKNOWN, Guilty
from ..terms.case import TORCH, Tolerance
from ..terms.cell import Cell
from ..terms.outcome import WITH_BITS, Outcome
from ..terms.program import Operator
from ..terms.tolerances import choose
from .sameness import gist

_WIDTH = 110


def told(machinery: Machinery, cell: Cell, guilty: Guilty, outcome: Outcome) -> list[str]:
    """The paragraphs of a docstring. cell: the one that was searched; outcome: of the small case."""
    found = [_what(cell, guilty, outcome), _where(cell, guilty), _with(machinery, cell)]
    return ["\n".join(textwrap.wrap(text, _WIDTH, break_long_words=False)) for text in found if text]


def title(operators: Sequence[Operator]) -> str:
    """What a report calls a window: its first and last operator, `aten.avg_pool2d`."""
    names = [_plain(operator) for operator in operators]
    return names[0] if len(names) == 1 else f"{names[0]} to {names[-1]}"


def tolerance_text(tolerance: Tolerance, others: Mapping[str, Tolerance], cell: Cell) -> str:
    """A cell's tolerance as Python; "" for the usual one."""
    chosen = choose(tolerance, others, cell)[0]
    usual = choose(Tolerance(), {}, cell)[0]
    # What is in the units of a model's own outputs says nothing of a part's.
    names = [f.name for f in fields(Tolerance) if f.name not in ("reason", "strict", "rtol", "atol", "cosine")]
    changed = {name: getattr(chosen, name) for name in names if getattr(chosen, name) != getattr(usual, name)}
    return f"Tolerance({', '.join(f'{name}={value!r}' for name, value in changed.items())})" if changed else ""


def _what(cell: Cell, guilty: Guilty, outcome: Outcome) -> str:
    where = f"in {cell.format} run by {cell.runtime} on {cell.device}"
    if outcome.verdict in WITH_BITS and outcome.bits is not None and outcome.reference_bits is not None:
        right = f"{max(outcome.bits, 0.0):.1f} of {outcome.reference_bits:.1f} significant bits are right"
        return f"{title(guilty.operators)}: {right} {where}."
    stage = f" at stage {outcome.stage.value}" if outcome.stage else ""
    message = textwrap.shorten(gist(outcome.message), 200, placeholder=" …")
    return f"{title(guilty.operators)}: {outcome.verdict.value}{stage} {where}: {message}"


def _where(cell: Cell, guilty: Guilty) -> str:
    operator = guilty.operators[-1]
    module = f"`{operator.module}` of " if operator.module else ""
    line = f", {operator.file.rpartition('/')[2]}:{operator.line}" if operator.file else ""
    source = f": `{textwrap.shorten(operator.source, 80, placeholder=' …')}`" if operator.source else ""
    concerns = f" At fault: the {guilty.party}." if guilty.party in PARTIES and guilty.party != UNKNOWN else ""
    return f"Found in {module}{cell.id}{line}{source}.{concerns}"


def _with(machinery: Machinery, cell: Cell) -> str:
    """Versions of what exports and runs, and of the machine."""
    registry = machinery.registry
    modules: list[Format | Runtime] = [registry.format(name) for name in registry.made_through(cell.format)]
    modules.append(registry.runtime(cell.runtime))
    elsewhere: dict[str, str] = {}
    requires = [TORCH]
    for module in modules:
        elsewhere |= module.ENVIRONMENT.versions() if module.ENVIRONMENT else {}
        requires += module.REQUIRES
    found = {**elsewhere, **versions(list(dict.fromkeys(requires)))}
    packages = ", ".join(f"{name} {version}" for name, version in found.items())
    return f"With {packages}; Python {platform.python_version()}, {platform.system()} {platform.machine()}."


def _plain(operator: Operator) -> str:
    """An operator without its overload: `aten.conv2d`."""
    return ".".join(operator.target.split(".")[:2])
