"""What is asked of a runtime for an input set, and what its answers come to. Pure but for reading files."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..compare import Difference, Tree, compare_structure, compare_tensor, flatten
from ..references.prepared import InputSet
from ..terms.case import Tolerance
from ..terms.outcome import STYLES, Outcome, Stage, Verdict
from ..terms.runs import ZEROS
from ..terms.signature import Signature
from ..terms.wording import input_name
from ..workers import arrays
from ..workers.arrays import numpy_dtype
from .protocol import RunAnswer

# The outputs of one run: their tree, and the arrays by its keys.
Run = tuple[Tree, Mapping[str, arrays.Array]]


@dataclass(frozen=True)
class SetResult:
    """What an input set, or a trial of a training, came to: an entry of `inputs` in the report.

    numbers: bits, reference_bits, loss, worst and max_abs, the worst over outputs; none where nothing was compared.
    outputs: what a report shows of each, by its name in messages; None where none was compared. seconds: of the best
    run. generated: what a set that isn't the case's own is for. limit: the kind of the limit that makes the set
    unsupported in the whole column, whatever the case, "" otherwise. shapes: of the set's tensors, by path; none where
    that is not said. compiled: what a runtime that compiles while it runs made for the set, see cells/compiled.py.
    """

    verdict: Verdict
    stage: Stage | None = None
    message: str = ""
    numbers: Mapping[str, float | None] = field(default_factory=dict)
    outputs: Mapping[str, Mapping[str, Any]] | None = None
    seconds: float | None = None
    generated: str = ""
    limit: str = ""
    shapes: Mapping[str, Sequence[int]] = field(default_factory=dict)
    compiled: Mapping[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        """As it stands in the report; what there is not is left out."""
        entry: dict[str, Any] = {"verdict": self.verdict.value, **self.numbers}
        if self.outputs is not None:
            entry["outputs"] = dict(self.outputs)
        if self.stage is not None:
            entry["stage"] = self.stage.value
        texts = {"message": self.message, "generated": self.generated, "limit": self.limit}
        shapes = {path: list(shape) for path, shape in self.shapes.items()}
        optional: dict[str, Any] = {**texts, "seconds": self.seconds, "shapes": shapes, "compiled": self.compiled}
        return entry | {name: value for name, value in optional.items() if value not in ("", None, {})}


def other_arguments(exported: Collection[str], entry: InputSet) -> str | None:
    """Which tensor an input set or the exported one has alone, and what to do; None where both have the same.

    exported: the paths of the exported set's tensors.
    """
    odd = sorted(set(entry.shapes) ^ set(exported))
    if not odd:
        return None
    whose = "this set" if odd[0] in entry.shapes else "the exported set"
    return f"only {whose} has {input_name(odd[0])}, and an export has one fixed list of inputs: make two cases of it"


def other_constants(exported: Mapping[str, str], entry: InputSet) -> str | None:
    """Which number, text or None an input set gives another than the exported one, and what to do; None for none.

    exported: those of the exported set, by forward's parameters.
    """
    for name, value in entry.constants.items():
        if exported.get(name, value) != value:
            return (
                f"this set gives {name}={value}, the exported set {name}={exported[name]}, and an export has that as a "
                "constant: make two cases of it"
            )
    return None


class UnsuitableInputs(Exception):
    """An input set has other tensors than the one that was exported."""


def run_request(signature: Signature, entry: InputSet) -> dict[str, Any]:
    """The part of a `run` request that says what to call the artifact with. Raises UnsuitableInputs."""
    call = called_with(signature, entry)
    if signature.layout == "tree":
        return call
    inputs = signature.inputs or ()
    feeds = [[value.name, value.path] for value in inputs]
    known = {value.path for value in inputs} | set(signature.dropped)
    if odd := other_arguments(known, entry):
        raise UnsuitableInputs(odd)
    # Both, since the same artifact may be a graph in one language and called like the model in another.
    return {**call, "feeds": feeds, "fetches": [value.name for value in signature.outputs]}


def called_with(signature: Signature, entry: InputSet) -> dict[str, Any]:
    """What to call an artifact with: the model's call, or one of its own. Raises UnsuitableInputs."""
    if not signature.arguments:
        return {"args": entry.args, "kwargs": entry.kwargs}
    given = {f"/args/{place}": tree for place, tree in enumerate(entry.args)}
    given |= {f"/kwargs/{name}": tree for name, tree in entry.kwargs}
    paths = {path for _, path in signature.arguments}
    unused = {*signature.dropped, *signature.constants}
    if odd := sorted(paths - set(given)) or sorted(set(given) - paths - unused):
        raise UnsuitableInputs(f"the artifact's call was matched with the exported set's, and {odd[0]} is in one only")
    return {
        "args": [given[path] for name, path in signature.arguments if not name],
        "kwargs": [[name, given[path]] for name, path in signature.arguments if name],
    }


def static_conflict(signature: Signature, entry: InputSet) -> str | None:
    """A sentence if the artifact's signature declares a shape that the input set does not have."""
    for value in signature.inputs or ():
        shape = entry.shapes.get(value.path)
        if shape is None:
            return f"the artifact has an input {value.path}, this input set has none"
        declared = value.shape
        if len(shape) != len(declared) or any(
            isinstance(d, int) and d != s for d, s in zip(declared, shape, strict=True)
        ):
            said = ", ".join(map(str, declared))
            return f"the artifact declares {value.path} as ({said}), this input set has ({', '.join(map(str, shape))})"
    return None


def read_runs(answer: RunAnswer, file: Path, repeats: int, signature: Signature, expected: Tree) -> list[Run]:
    """The distinct results among the repeats: trees in the model's structure, and arrays by key.

    Raises one of protocol.NONSENSE for that.
    """
    if len(answer.runs) != repeats:
        raise ValueError(f"{len(answer.runs)} runs instead of {repeats}")
    found = arrays.read(file)
    distinct: list[Run] = []
    for i, run in enumerate(answer.runs):
        if run.same_as is not None:
            if not 0 <= run.same_as < i:
                raise ValueError(f"run {i} is said to be the same as run {run.same_as}")
            continue
        if run.outputs is None:
            raise ValueError(f"run {i} has no outputs")
        tree = structured(run.outputs, run.layout or signature.layout, signature, expected)
        distinct.append((tree, {key: found[key] for key in flatten(tree)[1].values()}))
    return distinct


def structured(outputs: Tree, layout: str, signature: Signature, expected: Tree) -> Tree:
    """Outputs in the model's structure, from the layout `tree` or `flat`. Raises KeyError as `named_outputs` does."""
    return outputs if layout == "tree" else named_outputs(outputs, signature, expected)


def named_outputs(tree: Tree, signature: Signature, expected: Tree) -> Tree:
    """A flat runtime's outputs in the model's structure: each goes where the signature says that it belongs.

    Where the model returns other leaves for this input set than for the exported one, the graph's outputs stay a list:
    they can't be equal. Raises KeyError for an answer that lacks an output.
    """
    by_name = {name: value["tensor"] for name, value in tree["dict"]}
    by_path = {value.path: by_name[value.name] for value in signature.outputs}
    if set(by_path) != set(flatten(expected)[1].values()):
        return {"list": [{"tensor": key} for key in by_path.values()]}
    return _substitute(expected, by_path)


def _substitute(tree: Tree, keys: Mapping[str, str]) -> Tree:
    kind, content = next(iter(tree.items()))
    if kind == "tensor":
        return {"tensor": keys[content]}
    if kind in ("list", "tuple"):
        return {kind: [_substitute(item, keys) for item in content]}
    if kind == "dict":
        return {"dict": [[name, _substitute(item, keys)] for name, item in content]}
    return tree


def compare_runs(
    runs: Sequence[Run],
    entry: InputSet,
    tolerance: Tolerance,
    narrows: Mapping[str, str],
) -> SetResult:
    """Compare every distinct result with the references of an input set; the worst numbers count.

    Where structure, shape or dtype differ there are no numbers: those of what could be compared would look like a pass.

    narrows: dtypes that the runtime is known to return narrower, which is then no difference.
    """
    numbers: list[Mapping[str, Any]] = []
    messages: list[str] = []
    comparable = close = True
    outputs: dict[str, dict[str, Any]] = {}
    for number, (tree, found) in enumerate(runs):
        again = f"run {number + 1} (the first one gave other bits): " if number else ""
        faults = compare_structure(entry.outputs, tree)
        messages += [again + fault for fault in faults]
        if faults:
            comparable = close = False
            continue
        for path, key in flatten(tree)[1].items():
            array = found[key]
            if narrows.get(entry.references[path].dtype) == array.dtype.name:
                array = array.astype(numpy_dtype(entry.references[path].dtype))
            difference = compare_tensor(
                array, entry.references[path], tolerance, where=f"output{path}", dtype=array.dtype.name
            )
            values = {name: getattr(difference, name) for name in _NUMBERS}
            numbers.append(values)
            about = {"dtype": array.dtype.name, "shape": list(array.shape), **values, **details(difference)}
            if not difference.ok:
                about["wrong"] = "imprecise" if difference.close else "mismatch"
            outputs[f"output{path}"] = _worse(outputs.get(f"output{path}"), about)
            if not difference.ok:
                comparable = comparable and difference.bits is not None
                close = close and difference.close
                messages.append(again + difference.message)
    return compared(messages[:8], numbers if comparable else (), outputs, close)


def _worse(one: dict[str, Any] | None, other: dict[str, Any]) -> dict[str, Any]:
    """What is said of an output that several runs returned: that of the run in which it is wrong, or lost most."""

    def badness(about: Mapping[str, Any]) -> tuple[int, float, float]:
        rank = ("", "imprecise", "mismatch").index(about.get("wrong", ""))
        loss, worst = (math.inf if about[name] is None else float(about[name]) for name in ("loss", "worst"))
        return rank, loss, worst

    return other if one is None or badness(other) > badness(one) else one


def compared(
    messages: Sequence[str],
    numbers: Sequence[Mapping[str, Any]],
    outputs: Mapping[str, Mapping[str, Any]],
    close: bool = False,
) -> SetResult:
    """The result of a comparison: if there is anything to say, a mismatch, or, if that is all close, imprecise."""
    if not messages:
        return SetResult(Verdict.PASS, numbers=merge(numbers), outputs=outputs)
    verdict = Verdict.IMPRECISE if close else Verdict.MISMATCH
    return SetResult(verdict, Stage.COMPARE, "\n".join(messages), merge(numbers), outputs)


def _named(name: str, result: SetResult) -> str:
    why = f" ({result.generated})" if result.generated else ""
    return f"input set {name!r}{why}"


def summarise(
    results: Mapping[str, SetResult],
    signature: Signature | None = None,
    named: Callable[[str, SetResult], str] = _named,
    exported: str = "",
    sizes: Mapping[str, str] | None = None,
) -> Outcome:
    """The outcome of a cell from the results of its input sets.

    named: how messages name one. exported: the exporters' set. Where that is already wrong, the cell is a mismatch
    whatever the others come to: an error for another size would tell of a lesser fault. sizes: of each set's inputs, in
    words, for a line that says which sets are right and which are not.
    """
    first = {exported: results[exported]} if exported in results else {}
    ran = {n: result for n, result in {**first, **results}.items() if result.verdict is not Verdict.UNSUPPORTED}
    name, worst = max((ran or results).items(), key=lambda item: STYLES[item[1].verdict].rank)
    if exported in ran and ran[exported].verdict is Verdict.MISMATCH:
        name, worst = exported, ran[exported]
    failing = [(n, r) for n, r in ran.items() if Outcome(r.verdict).doubtful]
    lines = [f"{named(n, r)}: {r.message}" for n, r in failing]
    telling = {n: result for n, result in results.items() if not _says_little(n, result)}
    if sizes is not None and failing and any(r.verdict is Verdict.PASS for r in telling.values()):
        # Before what is long, a library's stack say: reports cut messages.
        long = next((place for place, line in enumerate(lines) if line.count("\n") > 3), len(lines))
        lines.insert(long, _by_verdict(telling, sizes))
    message = "\n".join(lines)
    if worst.verdict is Verdict.UNSUPPORTED:
        message = f"{named(name, worst)}: {worst.message}"
    # What the whole column can't do, reports say once.
    notes = [f"{named(n, r)} is unsupported: {r.message}" for n, r in results.items() if n not in ran and not r.limit]
    if signature is not None and signature.dropped:
        notes.append(f"the exporter dropped inputs that it took for unused: {', '.join(signature.dropped)}")
    if signature is not None and signature.static:
        notes.append(f"the artifact's shapes are static, though the case's are not: {signature.static}")
    # In a mismatch, the numbers of the input sets that pass would hide those of the one that doesn't have any.
    mismatched = [result for _, result in failing if result.verdict is Verdict.MISMATCH]
    counted = mismatched if worst.verdict is Verdict.MISMATCH else list(ran.values())
    return Outcome(
        worst.verdict,
        None if worst.verdict is Verdict.PASS else worst.stage,
        message,
        inputs={name: result.to_json() for name, result in results.items()},
        seconds={"run": sum(result.seconds or 0.0 for result in results.values())},
        notes=tuple(notes),
        **merge([result.numbers for result in counted]),
    )


# What the results of input sets are called in one line; what isn't here says nothing of the set.
_SAID = {
    Verdict.PASS: "right for",
    Verdict.IMPRECISE: "inexact for",
    Verdict.MISMATCH: "wrong for",
    Verdict.ERROR: "an error for",
    Verdict.CRASH: "a crash for",
    Verdict.TIMEOUT: "a timeout for",
    Verdict.OUT_OF_MEMORY: "out of memory for",
    Verdict.UNSUPPORTED: "refused for",
}
_MOST_SETS = 4


def _says_little(name: str, result: SetResult) -> bool:
    """Whether a set is no example of what works: the whole column refuses it, or no number of it was compared."""
    return bool(result.limit) or (name == ZEROS and result.verdict is Verdict.PASS)


def _by_verdict(results: Mapping[str, SetResult], sizes: Mapping[str, str]) -> str:
    """Which input sets came to what: "Right for x (2, 5, 8) ('five'), wrong for x (2, 9, 8) ('nine')."."""
    found: dict[Verdict, dict[str, list[str]]] = {}
    for name, result in results.items():
        found.setdefault(result.verdict, {}).setdefault(sizes.get(name, ""), []).append(repr(name))

    def said(names: Sequence[str], size: str) -> str:
        more = [f"{len(names) - _MOST_SETS} more"] if len(names) > _MOST_SETS else []
        listed = ", ".join([*names[:_MOST_SETS], *more])
        return f"{size} ({listed})" if size else listed

    parts = [
        f"{words} {', '.join(said(names, size) for size, names in found[verdict].items())}"
        for verdict, words in _SAID.items()
        if verdict in found
    ]
    sentence = ", ".join(parts)
    return f"{sentence[0].upper()}{sentence[1:]}."


def details(difference: Difference) -> dict[str, Any]:
    """What a report shows of an output beside its numbers, as far as there is any."""
    found = {name: getattr(difference, name) for name in _DETAILS}
    return {name: value for name, value in found.items() if value is not None}


_DETAILS = ("identical", "worst_index", "actual", "expected", "histogram")
_NUMBERS = ("bits", "reference_bits", "loss", "worst", "max_abs")
_WORST: dict[str, Callable[..., float]] = {
    "bits": min,
    "reference_bits": min,
    "loss": max,
    "worst": max,
    "max_abs": max,
}


def merge(numbers: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The worst of each number."""
    merged: dict[str, Any] = {}
    for name in _NUMBERS:
        values = [float(entry[name]) for entry in numbers if entry.get(name) is not None]
        merged[name] = _WORST[name](values) if values else None
    return merged
