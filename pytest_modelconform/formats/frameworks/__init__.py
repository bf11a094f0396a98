"""The frameworks that a case may be written in, and what their case hosts need. Imports none of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ... import environments
from ...environments import Environment
from ...environments.packages import missing_packages
from ...environments.tensorflow import REQUIREMENTS as TENSORFLOW_REQUIREMENTS
from ...terms.case import TORCH


@dataclass(frozen=True)
class Framework:
    """A framework whose eager result is the reference.

    requires: packages, as pip names them. host: the name of the case host that builds its cases, "" for the common
    one: some change their process for good. environment: where that host lives; None is the main environment.
    """

    name: str
    requires: Sequence[str] = ()
    host: str = ""
    environment: Environment | None = None

    def unavailable(self) -> str | None:
        """None if its cases can be built, else a sentence that says what to do."""
        environment = environments.unavailable(self.environment) if self.environment else None
        return missing_packages(self.requires) or environment


# The case host for models in Keras and TensorFlow: these beside our own packages.
TENSORFLOW = Environment(
    "tensorflow-cases",
    requirements=(*TENSORFLOW_REQUIREMENTS, "tf2onnx==1.17.0", "onnx==1.23.2"),
    check="import keras, tensorflow as tf, torch; assert float(tf.reduce_sum(tf.ones(2))) == 2",
    megabytes=1700,
    beside=True,
)

FRAMEWORKS: Mapping[str, Framework] = {
    framework.name: framework
    for framework in (
        Framework(TORCH, ("torch",)),
        Framework("onnx", ("torch", "onnx")),
        Framework("jax", ("torch", "jax"), host="jax"),
        Framework("keras", ("torch",), host="tensorflow", environment=TENSORFLOW),
        Framework("tensorflow", ("torch",), host="tensorflow", environment=TENSORFLOW),
    )
}
