"""Two towers of a retrieval model in plain TensorFlow: Covington et al., Deep Neural Networks for YouTube, 2016.

A `tf.Module` with a lookup by integers, a perceptron, and a dict of results.
"""

import numpy as np
import tensorflow as tf

from pytest_modelconform import Case

ITEMS = 11
FEATURES = 6
WIDTH = 8


class Towers(tf.Module):
    """features (batch, FEATURES), item (batch,) of int64 → score and next, both (batch,)."""

    def __init__(self) -> None:
        super().__init__()
        random = np.random.default_rng(0)

        def variable(*shape: int, scale: float = 0.5) -> tf.Variable:
            return tf.Variable((scale * random.normal(size=shape)).astype(np.float32))

        self.table = variable(ITEMS, WIDTH)
        self.weight = variable(FEATURES, WIDTH)
        self.bias = variable(WIDTH)
        self.offset = variable()

    @tf.function
    def __call__(self, features: tf.Tensor, item: tf.Tensor) -> dict[str, tf.Tensor]:
        user = tf.nn.softplus(features @ self.weight + self.bias)
        score = tf.reduce_sum(user * tf.gather(self.table, item), axis=-1) + self.offset
        return {"score": score, "next": (item + 1) % ITEMS}


def call(batch: int) -> tuple[np.ndarray, np.ndarray]:
    return np.random.normal(size=(batch, FEATURES)).astype(np.float32), np.random.randint(0, ITEMS, size=batch)


case = Case(
    model=lambda: Towers(),
    framework="tensorflow",
    inputs={"four": lambda: call(4), "one": lambda: call(1)},
    dynamic_shapes=({0: "batch"}, {0: "batch"}),
    tags=("frameworks",),
    paper="doi:10.1145/2959100.2959190",
)
