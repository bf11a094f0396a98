"""How an artifact is called: what its `signature.json` says, checked once where it is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec


class BadSignature(ValueError):
    """A `signature.json` that is none. The message names the field."""


class Input(msgspec.Struct, frozen=True):
    """A tensor that the artifact takes."""

    path: str  # in the model's call: `/args/0`, `/kwargs/mask`
    shape: tuple[int | str, ...]  # a name stands for a dimension of any length
    dtype: str = ""  # by PyTorch's names
    name: str = ""  # of the graph's input; "" where the artifact is called like the model


class Output(msgspec.Struct, frozen=True):
    """A tensor that a graph returns."""

    name: str
    path: str  # in what the model returns: `/boxes`, "" for a bare tensor


class Signature(msgspec.Struct, frozen=True, kw_only=True):
    """How an artifact is called. docs/architecture.md, "The signature", says what each layout means."""

    file: str  # its main file, relative to its folder
    layout: Literal["tree", "flat"]
    format: str = ""
    inputs: tuple[Input, ...] | None = None  # None: the artifact doesn't say
    outputs: tuple[Output, ...] = ()  # of a graph, in its order
    dropped: tuple[str, ...] = ()  # paths of tensors that the exporter took for unused
    operators: tuple[str, ...] = ()  # packages whose operators have to be registered before it is loaded
    extensions: dict[str, tuple[str, ...]] = {}  # what registers the case's own operators, by kind (terms/operators.py)
    calls: tuple[str, ...] = ()  # of these operators, those that it calls
    static: str = ""  # why its shapes are static, though the case's are not
    # How one of layout `tree` is called where the model's own call won't do: pairs of the artifact's argument, "" for
    # one by place, and the path of the model's, `/args/0`.
    arguments: tuple[tuple[str, str], ...] = ()
    constants: tuple[str, ...] = ()  # paths of the arguments that are constants in it, and that it isn't called with
    pairs: bool = False  # what is complex in the model is pairs of real numbers in it, a last dimension of 2
    notes: tuple[str, ...] = ()  # what there is to know of how it was matched with the model, as sentences
    kept_devices: tuple[str, ...] = ()  # places that keep the device that they were exported on
    # The whole of signature.json: runtimes and converters read in it what only they know, such as `weights`.
    stored: dict[str, Any] = {}

    @classmethod
    def read(cls, stored: Mapping[str, Any]) -> Signature:
        """Of the content of a `signature.json`. Raises BadSignature."""
        try:
            return msgspec.convert({**stored, "stored": dict(stored)}, cls)
        except msgspec.ValidationError as error:
            raise BadSignature(f"the artifact's signature.json: {error}") from None
