"""StableHLO into a SavedModel of TensorFlow: the module is called by one operator, XlaCallModule."""

from __future__ import annotations

import json
import os
from typing import Any

import tensorflow as tf
from tensorflow.compiler.tf2xla.python import xla

from .. import convert
from ..loop import Handlers

NAME = "saved_model"


def to_saved_model(source: str, signature: dict[str, Any], folder: str) -> dict[str, Any]:
    """Write the folder `saved_model`, which returns tensors by name.

    It takes them by name ("serving_default", for TensorFlow) and as a dict ("serve", as Keras calls and exports it).
    """
    with open(os.path.join(source, "call.json"), encoding="utf-8") as file:
        call = json.load(file)
    with open(os.path.join(source, "model.mlirbc"), "rb") as binary:
        code = binary.read()
    # Keys of results; a dot has another meaning to those who read the SavedModel.
    outputs = [{**value, "name": value["name"].replace(".", "_")} for value in signature["outputs"]]
    dtypes = [tf.dtypes.as_dtype(value["dtype"]) for value in call["outputs"]]
    shapes = [shape(value) for value in call["outputs"]]

    def serve(feeds: dict[str, Any]) -> dict[str, Any]:
        given = [feeds[call["inputs"][i]["name"]] for i in call["kept"]]
        results = xla.call_module(
            given,
            version=call["calling_convention_version"],
            Tout=dtypes,
            Sout=shapes,
            module=code,
            platforms=[platform.upper() for platform in call["platforms"]],
            has_token_input_output=False,
        )
        return dict(zip((value["name"] for value in outputs), results, strict=True))

    specs = {value["name"]: tf.TensorSpec(shape(value), value["dtype"], name=value["name"]) for value in call["inputs"]}
    module = tf.Module()
    module.serve = tf.function(serve, input_signature=[specs], autograph=False)
    # It calls the other, so that code and weights are stored once.
    by_name = tf.function(lambda **feeds: module.serve(feeds), autograph=False)
    signatures = {"serving_default": by_name.get_concrete_function(**specs)}
    tf.saved_model.save(module, os.path.join(folder, NAME), signatures=signatures)
    return {**signature, "file": NAME, "outputs": outputs}


def shape(value: dict[str, Any]) -> Any:
    """The shape of one of the call's tensors; None for a dynamic length."""
    return tf.TensorShape([length if isinstance(length, int) else None for length in value["shape"]])


def handlers(device: str, threads: int) -> Handlers:
    """Handlers for `loop.serve`."""
    return convert.handlers("tensorflow", tf.__version__, to_saved_model)
