"""Which of the tensors that are fed back a case can't see: an engine that loses them would pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch

from pytest_modelconform.compare import compare_tensor, make_reference
from pytest_modelconform.terms import runs as terms
from pytest_modelconform.terms.tolerances import limits

from ...arrays import to_array
from ...tensors import Tensor
from ...torch_tensors import encode
from ..build import Built
from ..clones import clone
from ..generate import Call
from .carry import Wire, fed, tensors_of

# A call each, so that a cache of a hundred layers doesn't take minutes.
_MOST_TRIED = 64


def unseen(
    built: Built, fed_back: Sequence[Wire], last: Call, runs: Mapping[str, Tensor], call: Callable[..., Any]
) -> list[str]:
    """Paths in the call of what may be all zeros in the last step, and its outputs are the same within the tolerance.

    last: the last step's call. runs: of that step. call: runs the model in eager.
    """
    declared = built.case.tolerances.get(built.dtype, built.case.tolerance)
    bits_lost, worst = limits(declared, built.dtype)
    tolerance = replace(declared, bits_lost=bits_lost, worst=worst)
    references = {}
    for name, eager in runs.items():
        kind, _, path = name.partition(":")
        if kind == terms.FIRST:
            wide = runs.get(terms.key(terms.FLOAT64, path))
            moved = (terms.key(terms.noisy(k), path) for k in range(1, terms.NOISY_RUNS + terms.WIDE_RUNS + 1))
            noisy = [to_array(runs[one]) for one in moved if one in runs]
            wide_array = None if wide is None else to_array(wide)
            references[path] = make_reference(wide_array, to_array(eager), noisy, eager.dtype)
    found = []
    for wire in fed_back[:_MOST_TRIED]:
        value = tensors_of(last)[wire.taken]
        nothing = torch.zeros_like(value)
        if torch.equal(nothing, value):
            nothing = torch.ones_like(value)
        try:
            returned = call(*fed(clone(last), {wire.taken: nothing}))
        except Exception:
            continue  # Such a loss ends in an exception.
        outputs: dict[str, Tensor] = {}
        encode(returned, str, outputs)
        same = outputs.keys() == references.keys() and all(
            compare_tensor(to_array(tensor), references[path], tolerance, where=path, dtype=tensor.dtype).ok
            for path, tensor in outputs.items()
        )
        if same:
            found.append(wire.taken)
    return found
