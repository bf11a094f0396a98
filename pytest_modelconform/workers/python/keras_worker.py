"""Keras 3 on TensorFlow: a SavedModel as a layer."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

# Keras reads it when it is imported.
os.environ["KERAS_BACKEND"] = "tensorflow"

import keras
import tensorflow as tf

from .. import flat
from ..arrays import Array
from ..loop import Handlers


def handlers(device: str, threads: int) -> Handlers:
    """Handlers for `loop.serve`."""
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)

    def load(request: dict[str, Any]) -> flat.Model:
        layer = keras.layers.TFSMLayer(request["model"], call_endpoint="serve")
        # Inputs of float16 are the model's business; the layer's own dtype is float32.
        layer.autocast = False

        def model(feeds: Mapping[str, Array], fetches: Sequence[str]) -> Sequence[Any]:
            found = layer({name: tf.constant(value) for name, value in feeds.items()})
            return [found[name].numpy() for name in fetches]

        return model

    return flat.handlers({"name": "keras", "version": keras.__version__, "devices": ["cpu"]}, load)
