"""Orders of equal elements that PyTorch doesn't promise: of sort unless it is stable, of topk, kthvalue, median, mode.

Eager's own order is that of its kernel on this processor (a vectorised sort takes them as they come), and any other is
as right. argmax, max and min promise the first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from .call import Call, Tensor


def other_order(call: Call, turn: int) -> Any:
    """What the operator returned, with another of the right answers for its indices.

    Equal elements stand in their order in the operand, turned round by `turn` places: two turns that differ by less
    than their number have another one in each place.
    """
    operand = call["self"]
    if not operand.dim() or not operand.numel() or not isinstance(call.everything, tuple):
        return call.everything
    values, indices = call.everything
    return values, _INDICES[call.name](call, operand, values, indices, turn)


def _of_sort(call: Call, operand: Tensor, values: Tensor, indices: Tensor, turn: int) -> Tensor:
    if call.func._overloadname == "stable" and call["stable"]:
        return indices
    turned = _sorted(operand, call["dim"], call["descending"], turn)
    return indices if turned is None else turned


def _of_topk(call: Call, operand: Tensor, values: Tensor, indices: Tensor, turn: int) -> Tensor:
    if not call["sorted"]:
        # They stand in any order, equal or not.
        return indices
    turned = _sorted(operand, call["dim"], call["largest"], turn)
    return indices if turned is None else turned.narrow(call["dim"], 0, call["k"])


def _sorted(operand: Tensor, dim: int, descending: bool, turn: int) -> Tensor | None:
    """The indices of a sorted tensor, equal elements turned round; None if there are none."""
    values, indices = torch.sort(operand, dim=dim, descending=descending, stable=True)
    values, indices = values.movedim(dim, -1), indices.movedim(dim, -1)
    same = _equal(values[..., 1:], values[..., :-1])
    if not bool(same.any()):
        return None
    places = torch.arange(values.shape[-1], device=values.device).expand(values.shape)
    begins = torch.cat([torch.ones_like(same[..., :1]), ~same], -1)
    ends = torch.cat([~same, torch.ones_like(same[..., :1])], -1)
    first = torch.where(begins, places, 0).cummax(-1).values
    last = torch.where(ends, places, values.shape[-1]).flip(-1).cummin(-1).values.flip(-1)
    taken = first + (places - first + turn) % (last - first + 1)
    return indices.gather(-1, taken).movedim(-1, dim)


def _of_one(call: Call, operand: Tensor, values: Tensor, indices: Tensor, turn: int) -> Tensor:
    """Of kthvalue, median and mode, whose index is that of any element with the value."""
    dim = call["dim"]
    kept = (values, indices) if call["keepdim"] else (values.unsqueeze(dim), indices.unsqueeze(dim))
    equal = _equal(operand, kept[0])
    ranks = equal.cumsum(dim)
    wanted = turn % ranks.amax(dim, keepdim=True).clamp(min=1) + 1
    found = (equal & (ranks == wanted)).to(torch.uint8).argmax(dim, keepdim=True)
    return found if call["keepdim"] else found.squeeze(dim)


def _equal(one: Tensor, two: Tensor) -> Tensor:
    return (one == two) | ((one != one) & (two != two))


_INDICES: dict[str, Callable[[Call, Tensor, Tensor, Tensor, int], Tensor]] = {
    "sort": _of_sort,
    "topk": _of_topk,
    **dict.fromkeys(("kthvalue", "median", "nanmedian", "mode"), _of_one),
}
ANY_ORDER = frozenset(_INDICES)
