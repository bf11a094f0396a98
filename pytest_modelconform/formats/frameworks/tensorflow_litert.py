"""A case in Keras or TensorFlow as LiteRT's .tflite."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from ..base import Signature
from . import tensorflow_saved

if TYPE_CHECKING:
    from ...workers.host.build import Built


def export(built: Built, folder: Path) -> Signature:
    """`tf.lite.TFLiteConverter.from_saved_model`, with its defaults."""
    import tensorflow as tf

    with tempfile.TemporaryDirectory() as temporary:
        signature = tensorflow_saved.export(built, Path(temporary))
        converter = tf.lite.TFLiteConverter.from_saved_model(
            str(Path(temporary) / signature["file"]), signature_keys=["serving_default"]
        )
        (folder / "model.tflite").write_bytes(converter.convert())
    return {**signature, "file": "model.tflite"}
