"""A case in Keras or TensorFlow as a SavedModel, and what is made from its function."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..base import Signature, flat_signature, in_order

if TYPE_CHECKING:
    from ...workers.host.build import Built

NAME = "saved_model"


def export(built: Built, folder: Path) -> Signature:
    """`tf.saved_model.save`."""
    model: Any = built.model
    return save(built, model.adapter, model.framework_parameters(), folder)


def save(built: Built, adapter: Any, parameters: Any, folder: Path) -> Signature:
    """Write the folder `saved_model`: tensors by name ("serving_default", for TensorFlow) and as a dict ("serve")."""
    import tensorflow as tf

    adapter.assign(parameters)
    serve, specs = function_of(built, adapter)
    names = output_names(built)
    module = tf.Module()
    # The variables themselves and not the Keras model that holds them: with that, LiteRT's converter leaves weights
    # unset, and its models compute with whatever is in memory (seen with TensorFlow 2.21: NaN, or other numbers).
    module.tracked = adapter.tracked
    module.serve = tf.function(
        lambda feeds: dict(zip(names, serve(**feeds), strict=True)), input_signature=[specs], autograph=False
    )
    by_name = tf.function(lambda **feeds: module.serve(feeds), autograph=False)
    signatures = {"serving_default": by_name.get_concrete_function(**specs)}
    tf.saved_model.save(module, str(folder / NAME), signatures=signatures)
    inputs = list(specs)
    return flat_signature(NAME, built, inputs, names, inputs)


def function_of(built: Built, adapter: Any) -> tuple[Callable[..., list[Any]], dict[str, Any]]:
    """The model as a function of the call's tensors by name, which returns the result's in order; and their specs.

    Dynamic dimensions are None in these.
    """
    import tensorflow as tf

    names = {leaf["path"]: leaf["path"].strip("/").replace("/", "_") for leaf in built.input_leaves}
    specs = {
        names[leaf["path"]]: tf.TensorSpec(
            [None if isinstance(length, str) else length for length in leaf["shape"]],
            leaf["dtype"],
            name=names[leaf["path"]],
        )
        for leaf in built.input_leaves
    }
    args, kwargs = built.clone_inputs()

    def put(value: Any, path: str, feeds: Any) -> Any:
        if isinstance(value, dict):
            return {key: put(entry, f"{path}/{key}", feeds) for key, entry in value.items()}
        if isinstance(value, (list, tuple)):
            return type(value)(put(entry, f"{path}/{i}", feeds) for i, entry in enumerate(value))
        return feeds[names[path]] if path in names else value

    def serve(**feeds: Any) -> list[Any]:
        found = adapter.call(adapter.model, put(args, "/args", feeds), put(kwargs, "/kwargs", feeds))
        return in_order(found, built.output_paths)

    return serve, specs


def output_names(built: Built) -> list[str]:
    """Names for the result's tensors, in order; such that sorting keeps it."""
    return [f"output_{number:03}" for number in range(len(built.output_paths))]
