"""The script of a runtime: loads an artifact, runs all input sets, compares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..cells.answers import UnsuitableInputs, called_with, static_conflict
from ..cells.limits import of_column, of_set
from ..cells.stages import Artifact
from ..formats.base import Format
from ..references.prepared import InputSet, Prepared
from ..runtimes.base import Runtime
from ..terms import devices
from ..terms.cell import FAST, Cell
from ..terms.tolerances import choose
from . import expectations, script
from .folder import Folder


def write_inputs(
    folder: Folder, cell: Cell, prepared: Prepared, artifact: Artifact, through: Sequence[Format], runtime: Runtime
) -> dict[str, Any]:
    """Write inputs and expected outputs of the sets that the cell runs; what a script says of them."""
    tolerance, _ = choose(prepared.tolerance, prepared.tolerances, cell)
    stated: dict[str, Any] = {}
    for name, entry in prepared.sets.items():
        limited = (runtime.LIMITS, *(f.LIMITS for f in through))
        if any(of_set(known, prepared, entry) or of_column(known, entry) for known in limited):
            continue
        outputs, arrays = expectations.of_set(entry, tolerance, runtime.NARROWS)
        folder.add(entry.file)
        if artifact.signature.pairs:
            outputs = {name: expectations.as_pairs(about) for name, about in outputs.items()}
        folder.add_arrays(f"expected-{name}.safetensors", arrays)
        refuses = entry.may_refuse or static_conflict(artifact.signature, entry) is not None
        stated[name] = {"may_refuse": refuses, "outputs": outputs}
    return stated


def text(
    docstring: str,
    part: str,
    cell: Cell,
    prepared: Prepared,
    artifact: Artifact,
    sets: Mapping[str, Any],
    repeats: int,
) -> str:
    """The script."""
    facts = facts_of(part, cell, prepared, artifact, sets, repeats)
    return script.assemble(docstring, [part, main_of(part)], facts, ENDING.format(call_in(part, "FACTS")))


ENDING = 'if __name__ == "__main__":\n    raise SystemExit({})'


def main_of(part: str) -> str:
    """The part that calls a runtime's."""
    return f"{script.PARTS}.{'run_nested' if _is_nested(part) else 'run_graph'}"


def call_in(part: str, facts: str) -> str:
    """The expression of a script that runs all input sets. facts: how the script names what `facts_of` gives."""
    return f"run_artifact({facts}, load, {'run_nested' if _is_nested(part) else 'run'})"


def _is_nested(part: str) -> bool:
    return "run_nested" in script.functions(part)


def facts_of(
    part: str, cell: Cell, prepared: Prepared, artifact: Artifact, sets: Mapping[str, Any], repeats: int
) -> dict[str, Any]:
    """What a script says of the artifact and its input sets."""
    facts: dict[str, Any] = {
        "model": artifact.signature.file,
        "device": devices.route(cell.device).runs_on,
        "fast": cell.precision == FAST,
        "repeats": repeats,
    }
    if _is_nested(part):
        facts["calls"] = {name: called(artifact, prepared.sets[name]) for name in sets}
    else:
        facts["inputs"] = {value.name: value.path for value in artifact.signature.inputs or ()}
        facts["outputs"] = {value.name: f"output{value.path}" for value in artifact.signature.outputs}
        if artifact.signature.pairs:
            facts["pairs"] = True
    return facts | {"sets": dict(sets)}


def called(artifact: Artifact, entry: InputSet) -> script.Code:
    """What an artifact is called with for an input set, as a function of its tensors."""
    try:
        request = called_with(artifact.signature, entry)
    except UnsuitableInputs:  # The script then shows how the runtime refuses the model's own call.
        return call_of(entry)
    return _call(request["args"], request["kwargs"])


def call_of(entry: InputSet) -> script.Code:
    """The arguments of an input set, as a function of its tensors."""
    return _call(entry.args, entry.kwargs)


def _call(args: Sequence[Any], kwargs: Sequence[Sequence[Any]]) -> script.Code:
    placed = "".join(f"{_expression(tree)}, " for tree in args)
    named = ", ".join(f"{name!r}: {_expression(tree)}" for name, tree in kwargs)
    return script.Code(f"lambda x: (({placed.strip()}), {{{named}}})")


def _expression(tree: Any) -> str:
    """A nest of the wire (see "The wire" in docs/architecture.md) as Python."""
    kind, content = next(iter(tree.items()))
    if kind == "tensor":
        return f"x[{content!r}]"
    if kind == "float":
        number = float.fromhex(content)
        return repr(number) if number - number == 0 else f"float({str(number)!r})"
    if kind in ("list", "tuple"):
        inner = [_expression(item) for item in content]
        return f"[{', '.join(inner)}]" if kind == "list" else f"({''.join(f'{item}, ' for item in inner)})"
    if kind == "dict":
        return f"{{{', '.join(f'{key!r}: {_expression(value)}' for key, value in content)}}}"
    return "None" if kind == "none" else repr(content)
