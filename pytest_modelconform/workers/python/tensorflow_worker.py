"""TensorFlow: the default signature of a SavedModel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from .. import flat
from ..arrays import Array
from ..loop import Handlers


def handlers(device: str, threads: int) -> Handlers:
    """Handlers for `loop.serve`."""
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)

    def load(request: dict[str, Any]) -> flat.Model:
        loaded = tf.saved_model.load(request["model"])
        serve = loaded.signatures["serving_default"]

        def model(feeds: Mapping[str, Array], fetches: Sequence[str]) -> Sequence[Any]:
            found = serve(**{name: tf.constant(value) for name, value in feeds.items()})
            return [found[name].numpy() for name in fetches]

        # A signature alone does not keep the model's variables.
        model.loaded = loaded  # type: ignore[attr-defined]
        return model

    return flat.handlers({"name": "tensorflow", "version": tf.__version__, "devices": ["cpu"]}, load)
