"""From the case host's runs to the references that outputs are compared with."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from msgspec.structs import replace

from ..compare import Reference, flatten, make_reference
from ..terms import runs as terms
from ..workers import arrays
from . import model_check
from .content import Inference, InferenceSet

Kind = TypeVar("Kind", bound=Inference)
# Whose numbers the references are, as messages say it.
SOURCES = {"torch": "PyTorch", "onnx": "the ONNX model", "jax": "JAX", "keras": "Keras", "tensorflow": "TensorFlow"}
_NOT_COMPARED = "not compared in a fast mode"
_MOST_UNSTABLE = 0.05  # share of the integers of an output that bfloat16 may change


def make(folder: Path, content: Kind, fast: bool = False) -> Kind:
    """Turn the runs that the case host left in `folder` into references.

    fast: for runtimes' fast modes: an output that says nothing there is noted and not compared, unless it is the last.
    Returns the content with the `sets` that can be compared with, and with further `notes`. Raises ModelFault for a
    case whose outputs can't be compared with.
    """
    left_out = dict(content.left_out)
    sets: dict[str, InferenceSet] = {}
    notes: list[str] = []
    made: dict[str, dict[str, Reference]] = {}
    for name, entry in content.sets.items():
        runs = arrays.read(folder / terms.runs_file(name))
        try:
            model_check.check_repeats(name, entry, runs, name in content.generated, content.dropout)
            model_check.check_inputs(name, entry, content.accept)
            found, more = _make_set(name, entry, runs, fast)
            found = {path: one.said_by(SOURCES[content.framework]) for path, one in found.items()}
            if not fast:
                model_check.check_layout(name, entry, runs, found)
        except model_check.ModelFault as fault:
            if name not in content.generated or fault.general:
                raise
            # What the case itself didn't ask for can't be its fault.
            left_out[name] = str(fault)
            continue
        finally:
            (folder / terms.runs_file(name)).unlink()
        sets[name], made[name] = entry, found
        notes += more
        write(folder, name, found)
    if fast:
        _check_something_is_compared(made, notes)
        return replace(content, sets=sets, notes=[*content.notes, *notes])
    # Of zeros no numbers are compared.
    made.pop(terms.ZEROS, None)
    outputs = model_check.check_information(made, content.blind_ok)
    model_check.check_dependence(made, lambda name: arrays.read(folder / terms.inputs_file(name)), content.blind_ok)
    content = replace(content, sets=sets, outputs=outputs.count, blind=outputs.blind)
    notes += model_check.notes(content, made, left_out)
    if not content.blind_ok:
        notes += outputs.notes
    return replace(content, notes=[*content.notes, *notes])


def _check_something_is_compared(made: Mapping[str, Mapping[str, Reference]], notes: list[str]) -> None:
    kinds = {reference.kind for found in made.values() for reference in found.values()}
    left_out = [note for note in notes if _NOT_COMPARED in note]
    if kinds <= {"empty", "unstable"} and left_out:
        raise model_check.ModelFault(f"nothing can be compared in a fast mode: {left_out[0]}")


def _make_set(
    name: str, entry: InferenceSet, runs: Mapping[str, Any], fast: bool
) -> tuple[dict[str, Reference], list[str]]:
    notes = [f"input set {name!r}: {entry.impure}"] if entry.impure else []
    found: dict[str, Reference] = {}
    for path, key in flatten(entry.outputs)[1].items():
        where = f"output{path}"
        eager = runs[terms.key(terms.FIRST, key)]
        # Where float64 takes another branch than the case's dtype does, it is no reference.
        wide = None if entry.impure else runs.get(terms.key(terms.FLOAT64, key))
        if wide is not None and wide.shape != eager.shape:
            wide = None
            notes.append(f"input set {name!r}, {where}: float64 has another shape")
        if fast and wide is None:
            # Eager's own rounding is nothing beside that of bfloat16.
            wide = eager.astype("complex128" if eager.dtype.kind == "c" else "float64")
        noisy, tied = model_check.noisy(runs, key), runs.get(terms.key(terms.TIED, key))
        found[path] = make_reference(wide, eager, noisy, eager.dtype.name, reduced=fast, tied=tied)
        if fast and (reason := _nothing_to_compare(found[path])):
            notes.append(f"input set {name!r}, {where} is {_NOT_COMPARED}: {reason}")
            if found[path].kind == "unstable":
                continue
            found[path] = Reference("empty", eager.dtype.name, tuple(eager.shape), eager.reshape(-1))
    return found, notes


def _nothing_to_compare(reference: Reference) -> str:
    """Why an output says nothing at the noise of a fast mode; "" if it does."""
    if reference.blind:
        return f"it is {reference.blind}"
    if reference.kind == "exact" and reference.unstable > _MOST_UNSTABLE * reference.eager.size:
        share = 100 * reference.unstable / reference.eager.size
        return f"{share:.3g} % of its elements depend on rounding or on the order of equal ones"
    return ""


def write(folder: Path, name: str, references: Mapping[str, Reference]) -> None:
    """Store the references of an input set."""
    stored: dict[str, Any] = {}
    metas: dict[str, Any] = {}
    for path, reference in references.items():
        metas[path], found = reference.to_arrays()
        stored.update({f"{path}#{part}": array for part, array in found.items()})
    arrays.write(folder / f"references-{name}.safetensors", stored)
    (folder / f"references-{name}.json").write_text(json.dumps(metas))


def eager_numbers(reference: Reference) -> dict[str, Any]:
    """How eager itself compares with its reference."""
    eager = reference.eager_numbers
    return {
        "bits": eager.bits,
        "reference_bits": reference.reference_bits,
        "loss": eager.loss,
        "worst": eager.worst,
        "max_abs": eager.max_abs,
    }
