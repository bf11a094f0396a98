"""The check of the model itself, `case[eager]`: what it does that would be blamed on a runtime, or hide its faults."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np

from ..compare import Reference, compare_tensor, flatten, make_reference
from ..terms import runs as terms
from ..terms.case import MUTATES_INPUTS, Tolerance
from ..workers.arrays import Array
from .content import Inference, InferenceSet, Unseen

_MOST_NAMED = 6


class ModelFault(Exception):
    """The model itself, or the case, is not fit to be compared with. The message says what and the remedy.

    general: whether it is the model's fault rather than that of one input set.
    """

    def __init__(self, message: str, general: bool = False) -> None:
        super().__init__(message)
        self.general = general


def check_repeats(
    name: str, entry: InferenceSet, runs: Mapping[str, Array], generated: bool = False, dropout: Sequence[str] = ()
) -> None:
    """See to it that a second call with the same inputs gives the same. Raises ModelFault.

    entry: the case host's answer on an input set. runs: eager's outputs, see workers/host/references/runs.py.
    generated: whether the set isn't the case's own: then the second call had other numbers around its inputs. dropout:
    names of modules that drop numbers out, as `mode="train"` leaves them on.
    """
    for path, key in flatten(entry.outputs)[1].items():
        again = runs.get(terms.key(terms.AGAIN, key))
        if again is None:
            continue
        where, eager = f"output{path}", runs[terms.key(terms.FIRST, key)]
        # Not by the float64 run: it draws other random numbers, and its noise floor would cover the difference.
        alone = make_reference(None, eager, noisy(runs, key), eager.dtype.name)
        if alone.kind == "unstable" or alone.blind:
            # Noise decides nearly all of it: what a second call gives has to be this very one.
            alone = make_reference(None, eager, [], eager.dtype.name)
        if not alone.unstable:
            # What counts its calls differs in the noisy runs, too: beside masks that would be taken for noise.
            unmasked = make_reference(None, eager, [], eager.dtype.name).unmasked
            alone = replace(alone, unmasked=unmasked)
        alone = alone.said_by("the first call")
        difference = compare_tensor(again, alone, Tolerance(), where=where, dtype=again.dtype.name)
        if difference.ok:
            continue
        # What it would take to let that pass is nobody's question here.
        differs = difference.message.partition("; ")[0]
        if generated:
            cause = "It may read past its inputs, with an index that only the case's own sizes have"
        elif entry.repeats and dropout:
            cause = (
                f"It draws random numbers: mode='train' leaves dropout on (module {_list(map(repr, dropout))}). Leave "
                "`mode` out, or set the probability to 0"
            )
        elif entry.repeats:
            cause = (
                "It draws random numbers (noise, or dropout that eval() doesn't switch off, as F.dropout(x)?). Take "
                "them as an input, or switch them off"
            )
        else:
            wrote = f", in {_list(entry.state_changed)}" if entry.state_changed else ""
            cause = f"It keeps state between calls{wrote}. Take the state as an input and return it"
        raise ModelFault(
            f"input set {name!r}: the model gives other numbers on a second call with the same inputs, so that nothing "
            f"can be compared with it. {cause}.\nIn a second call: {differs}"
        )


def noisy(runs: Mapping[str, Array], key: str) -> list[Array]:
    """Return eager's noisy outputs of one path."""
    keys = (terms.key(terms.noisy(k), key) for k in range(1, terms.NOISY_RUNS + terms.WIDE_RUNS + 1))
    return [runs[name] for name in keys if name in runs]


def check_inputs(name: str, entry: InferenceSet, accept: Sequence[str]) -> None:
    """See to it that the model leaves its inputs alone, unless the case says that it is meant. Raises ModelFault."""
    if entry.inputs_changed and MUTATES_INPUTS not in accept:
        changed = _list(entry.inputs_changed)
        raise ModelFault(
            f"input set {name!r}: the model writes to its inputs ({changed}). Its caller sees that, the caller of an "
            "export may not. Let forward clone them, or say why it is meant: "
            'Case(accept={"mutates-inputs": "why"})',
            general=True,
        )


def check_layout(
    name: str, entry: InferenceSet, runs: Mapping[str, Array], references: Mapping[str, Reference]
) -> None:
    """See to it that transposed inputs give what their row-major copy does: they are the same. Raises ModelFault."""
    for path, key in flatten(entry.outputs)[1].items():
        row_major = runs.get(terms.key(terms.ROW_MAJOR, key))
        if row_major is None:
            continue
        transposed = references[path].said_by("the transposed input")
        difference = compare_tensor(
            row_major, transposed, Tolerance(), where=f"output{path}", dtype=row_major.dtype.name
        )
        if difference.ok:
            continue
        raise ModelFault(
            f"input set {name!r}: the model gives other numbers for a transposed (non-contiguous) input than for its "
            "row-major copy. It reads memory past the strides (as_strided, data_ptr, a kernel of its own). Call "
            '.contiguous() first, or say why it is meant: Case(accept={"layout": "why"}).\n'
            "For the row-major copy: " + difference.message.partition("; ")[0],
            general=True,
        )


@dataclass(frozen=True)
class Outputs:
    """What a case sees of its outputs.

    count: how many there are, over all input sets. blind: those that no set shows anything of, and what they are.
    notes: what to say of that.
    """

    count: int
    blind: Mapping[str, str]
    notes: Sequence[str]


def check_information(made: Mapping[str, Mapping[str, Reference]], blind_ok: bool) -> Outputs:
    """See to it that some output of some set tells a right export from a wrong one. Raises ModelFault.

    What holds no information (a flag, a count, padding) is compared all the same: a constant has to come back as that.
    """
    by_path: dict[str, dict[str, str]] = {}
    for name, references in made.items():
        for path, reference in references.items():
            by_path.setdefault(path, {})[name] = reference.blind or ("empty" if reference.kind == "empty" else "")
    unseen = {path: next(iter(found.values())) for path, found in by_path.items() if all(found.values())}
    if len(unseen) == len(by_path) and not blind_ok:
        said = ", ".join(f"output{path} is {what}" for path, what in list(unseen.items())[:_MOST_NAMED])
        raise ModelFault(
            f"no output of any input set tells a right export from a wrong one: {said}. Use other weights "
            "(`model=lambda: generic_weights(Net(…))`) or other inputs, or say why it is right: "
            'Case(blind_ok="why")',
            general=True,
        )
    found = []
    if unseen:
        said = _list(f"output{path} is {what}" for path, what in unseen.items())
        left = any("by rounding" in what for what in unseen.values())
        compared = "What rounding leaves of them is" if left else "They are"
        found.append(
            f"sees {len(by_path) - len(unseen)} of {len(by_path)} outputs: {said} in every input set. {compared} "
            'compared, but other inputs or weights would show more (blind_ok="why" silences this)'
        )
    partly = [
        f"output{path} is {what} in {name!r}"
        for path, sets in by_path.items()
        for name, what in sets.items()
        if what and path not in unseen
    ]
    if partly:
        found.append(f"sees nothing in some input sets: {_list(partly)}. Other sets show more")
    return Outputs(len(by_path), unseen, found)


def check_dependence(
    made: Mapping[str, Mapping[str, Reference]],
    inputs: Callable[[str], Mapping[str, Array]],
    blind_ok: bool,
) -> None:
    """See to it that other inputs give other outputs, in any two sets. Raises ModelFault.

    inputs: the tensors of a set. Sets whose outputs have other shapes, or whose inputs are the same numbers in another
    order (a generated set, where a case's function is not random), are no evidence.
    """
    if blind_ok:
        return
    repeated = ""
    for (one, ours), (two, theirs) in combinations(made.items(), 2):
        alike = ours.keys() == theirs.keys() and all(ours[path].shape == theirs[path].shape for path in ours)
        if not alike or not any(reference.kind in ("float", "tolerance") for reference in ours.values()):
            continue
        if not all(_same(ours[path], theirs[path]) for path in ours):
            return
        if not repeated and not _reordered(inputs(one), inputs(two)):
            repeated = f"{one!r} and {two!r}"
    if repeated:
        raise ModelFault(
            f"the outputs are the same for other inputs (input sets {repeated}), so that an export that ignores its "
            "inputs would pass. Use other weights (`model=lambda: generic_weights(Net(…))`) or other inputs, or say "
            'why it is right: Case(blind_ok="why")',
            general=True,
        )


def _same(one: Reference, two: Reference) -> bool:
    return one.eager.tobytes() == two.eager.tobytes()


def _reordered(one: Mapping[str, Array], two: Mapping[str, Array]) -> bool:
    """Whether the inputs of two sets are the same numbers, be it in another order."""
    return one.keys() == two.keys() and all(
        np.array_equal(np.sort(one[key], axis=None), np.sort(two[key], axis=None)) for key in one
    )


def notes(content: Inference, made: Mapping[str, Mapping[str, Reference]], left_out: Mapping[str, str]) -> list[str]:
    """Return what is worth knowing of a model that is fit all the same."""
    found = []
    for name, reason in left_out.items():
        why = content.generated[name].why
        found.append(f"input set {name!r} ({why}) is left out: {reason}")
    entries = content.sets.values()
    if views := sorted({path for entry in entries for path in entry.views}):
        found.append(
            f"returns views of its inputs ({_list(f'output{path}' for path in views)}): writing to the one changes the "
            "other, but not in an export. Return .clone()"
        )
    if written := sorted({path for entry in entries for path in entry.inputs_changed}):
        found.append(
            f"writes to its inputs ({_list(written)}): what an export writes there is not compared. Return it, too, to "
            "have it compared"
        )
    if state := sorted({name for entry in entries for name in entry.state_changed}):
        found.append(f"writes to its own state on every call ({_list(state)}), which an export may not")
    unseen = content.unseen
    if unseen.unseen:
        found.append(_of_unseen(unseen))
    if unseen.skipped:
        found.append(f"not all tensors that the case can't see are known: {unseen.skipped}")
    found += [
        f"input set {name!r}, output{path}: {reference.unstable} of {reference.eager.size} elements depend on rounding "
        "or on the order of equal ones, and are not compared"
        for name, references in made.items()
        for path, reference in references.items()
        if reference.unstable
    ]
    found += [
        f"input set {name!r}, output{path} is {reference.blind}: its numbers are not compared"
        for name, references in made.items()
        for path, reference in references.items()
        if reference.kind == "unstable"
    ]
    found += [
        f"input set {name!r}, output{path} is ill-conditioned: faithful arithmetic has "
        f"{reference.reference_bits:.1f} bits"
        for name, references in made.items()
        for path, reference in references.items()
        if reference.ill_conditioned and reference.reference_bits is not None
    ]
    return found


def _of_unseen(unseen: Unseen) -> str:
    """The tensors whose faults would pass, and what to do."""
    count = len(unseen.unseen)
    them, they_are = ("it", "It is") if count == 1 else ("them", "They are")
    said = (
        f"can't see {count} of its {unseen.tensors} tensors: if an export changed {them} by 1 %, no output would show "
        f"it ({_list(unseen.unseen)}). "
    )
    if unseen.constant:
        some = len(unseen.constant)
        which = they_are if some == count else f"{some} of them {'is' if some == 1 else 'are'}"
        return (
            f"{said}{which} all 0 or all 1, as in a model that was never trained: use "
            "`model=lambda: generic_weights(Net(…))`"
        )
    return (
        f"{said}Other inputs may show {them}, or other numbers in {them}; what the model computes away (a bias before "
        "a norm) nothing can"
    )


def _list(names: Any) -> str:
    names = list(names)
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(names[:_MOST_NAMED]) + more
