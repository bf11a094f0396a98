"""How ONNX's exporters write a case's own operators: what `Operators(translations=…)` returns, handed to them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..workers.host.build import Built

# Symbolic functions of the older exporter are for an opset and those above it; this is the oldest that it knows.
_OPSET = 9


class BadTranslations(ValueError):
    """`translations` returns something else than it has to. The message says what, and the remedy."""


def options(built: Built) -> dict[str, Any]:
    """The option of `torch.onnx.export(…, dynamo=True)` for operators by overload, if there are any."""
    table = {key: function for key, function in _translations(built).items() if not isinstance(key, str)}
    return {"custom_translation_table": table} if table else {}


@contextlib.contextmanager
def registered(built: Built) -> Iterator[None]:
    """While this is entered, the older exporter knows operators by name."""
    from torch.onnx import utils

    named = {key: function for key, function in _translations(built).items() if isinstance(key, str)}
    try:
        for name, function in named.items():
            utils.register_custom_op_symbolic(name, function, _OPSET)
        yield
    finally:
        for name in named:
            utils.unregister_custom_op_symbolic(name, _OPSET)


def _translations(built: Built) -> Mapping[Any, Callable[..., Any]]:
    import torch

    given = built.case.operators
    if given is None or given.translations is None:
        return {}
    found: Any = given.translations()
    if not isinstance(found, Mapping):
        kind = type(found).__name__
        raise BadTranslations(f"Operators(translations=…) returned a {kind}: return a dict of functions by operator")
    for key, function in found.items():
        if not (isinstance(key, torch._ops.OpOverload) or (isinstance(key, str) and "::" in key)):
            how = 'torch.ops.mine.shrink.default for onnx, or "mine::shrink" for onnx-legacy'
            raise BadTranslations(f"Operators(translations=…) has the key {key!r}: name an overload, {how}")
        if not callable(function):
            raise BadTranslations(f"Operators(translations=…) has {function!r} for {key}: give a function")
    return found
