"""Scripts of exporters: they build the model from the case's own file, and export it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from ..formats.base import Format
from ..references.prepared import Prepared
from ..terms import devices
from ..terms.cell import CaseRef, Cell
from . import run_script, script
from .folder import Folder
from .run_script import call_of

CASE = "case"
WEIGHTS = "weights.safetensors"


def write_case(folder: Folder, ref: CaseRef, files: Sequence[str], root: Path, paths: Sequence[str]) -> dict[str, Any]:
    """Copy a case's file with the local files that it was made from; what a script says of them."""
    base = root if root in ref.file.parents else ref.file.parent
    for name in files:
        path = Path(name)
        if base in path.parents and path.is_file():
            folder.add(path, f"{CASE}/{path.relative_to(base).as_posix()}")
    own = f"{CASE}/{ref.file.relative_to(base).as_posix()}"
    if own not in folder.written:
        folder.add(ref.file, own)
    # Where an import looks for local modules.
    inside = [Path(path) for path in paths if Path(path) == base or base in Path(path).parents]
    found = [os.path.normpath(f"{CASE}/{path.relative_to(base).as_posix()}") for path in inside]
    names = [*(["case"] if ref.name == ref.file.stem else []), ref.name]
    return {"file": own, "names": names, "path": list(dict.fromkeys([*(found or [CASE]), Path(own).parent.as_posix()]))}


def facts_of(
    module: Format, cell: Cell, prepared: Prepared, case: Mapping[str, Any], weights: str, dynamic: bool
) -> dict[str, Any]:
    """What a script says of the model and its export. dynamic: whether the artifact has the case's dynamic shapes."""
    entry = prepared.sets[prepared.content.exporter_set]
    return {
        **case,
        "dtype": cell.dtype,
        "device": devices.route(cell.device, module.DEVICE_BOUND).exported_on,
        "weights": weights,
        "inputs_file": entry.file.name,
        "call": call_of(entry),
        "calls": {name: call_of(other) for name, other in prepared.sets.items()},
        "inputs": msgspec.to_builtins(prepared.content.input_leaves),
        "outputs": prepared.output_paths,
        "dynamic": dynamic,
        "longest": _longest(prepared),
        "other": _other(prepared),
        # What one of the formats that share an exporter asks of it.
        "options": dict(module.REPRO_OPTIONS),
    }


def call_text(module: Format, cell: Cell, prepared: Prepared, dynamic: bool) -> str:
    """The code that calls an exporter or converter, with the values of what it is told, as an issue quotes it."""
    code = script.calls_of(module.REPRO)
    facts = facts_of(module, cell, prepared, {}, "", dynamic)
    used = {name: facts[name] for name in facts if f'facts["{name}"]' in code}
    return f"facts = {script.literal(used)}\n\n{code}" if used else code


def text(docstring: str, part: str, facts: Mapping[str, Any]) -> str:
    """The script of an exporter that raises."""
    ending = run_script.ENDING.format("export_model(FACTS, export)")
    return script.assemble(docstring, [part, f"{script.PARTS}.export_model"], facts, ending)


def comparing_text(docstring: str, parts: tuple[str, str], export: Mapping[str, Any], run: Mapping[str, Any]) -> str:
    """The script of an exporter that writes something else than the model. parts: the exporter's, the runtime's."""
    exporter, runtime = parts
    modules = [exporter, runtime, f"{script.PARTS}.export_and_compare", run_script.main_of(runtime)]
    facts = {"export": dict(export), "run": dict(run)}
    call = run_script.call_in(runtime, 'FACTS["run"]')
    ending = run_script.ENDING.format(f"check_export(FACTS, export, lambda: {call})")
    return script.assemble(docstring, modules, facts, ending)


def converter_text(docstring: str, part: str, model: str) -> str:
    """The script of a converter that fails on another format's file."""
    ending = run_script.ENDING.format("convert_model(FACTS, convert)")
    return script.assemble(docstring, [part, f"{script.PARTS}.convert_file"], {"model": model}, ending)


def converting_text(docstring: str, parts: tuple[str, str], model: str, run: Mapping[str, Any]) -> str:
    """The script of a converter whose file gives other numbers. parts: the converter's, the runtime's."""
    converter, runtime = parts
    modules = [converter, runtime, f"{script.PARTS}.convert_file", run_script.main_of(runtime)]
    facts = {"convert": {"model": model}, "run": dict(run)}
    call = run_script.call_in(runtime, 'FACTS["run"]')
    ending = run_script.ENDING.format(f'convert_model(FACTS["convert"], convert) or {call}')
    return script.assemble(docstring, modules, facts, ending)


def _longest(prepared: Prepared) -> dict[str, int]:
    """The longest that each dynamic dimension is in any input set."""
    longest: dict[str, int] = {}
    for leaf in prepared.content.input_leaves:
        for entry in prepared.sets.values():
            for name, length in zip(leaf.shape, entry.shapes.get(leaf.path, ()), strict=False):
                if isinstance(name, str):
                    longest[name] = max(longest.get(name, 0), length)
    return longest


def _other(prepared: Prepared) -> list[dict[str, Any]]:
    """The tensors of the input set whose shapes differ most from the exporters', as formats/ncnn.py chooses it."""
    leaves: list[dict[str, Any]] = msgspec.to_builtins(prepared.content.input_leaves)
    best, most = [], 0
    for entry in prepared.sets.values():
        own = [{**leaf, "actual": list(entry.shapes.get(leaf["path"], ()))} for leaf in leaves]
        pairs = [pair for a, b in zip(leaves, own, strict=True) for pair in zip(a["actual"], b["actual"], strict=False)]
        differ = 0 if any(a == 1 != b for a, b in pairs) else sum(a != b for a, b in pairs)
        if differ > most:
            best, most = own, differ
    return best
