"""A small convolutional network, three times: in PyTorch, in Keras and in JAX, with the same weights."""

import torch
from torch import Tensor, nn

from pytest_modelconform import Case, generic_weights


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.relu(self.norm(self.conv(x))).mean((2, 3)))


def in_keras(weights):
    import keras

    image = keras.Input((3, None, None))
    x = keras.ops.transpose(image, (0, 2, 3, 1))
    x = keras.layers.Conv2D(8, 3, padding="same", name="conv")(x)
    x = keras.layers.BatchNormalization(epsilon=1e-5, name="norm")(x)
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.ReLU()(x))
    model = keras.Model(image, keras.layers.Dense(5, name="head")(x))
    kernel = weights["conv.weight"].transpose(2, 3, 1, 0)
    model.get_layer("conv").set_weights([kernel, weights["conv.bias"]])
    norm = ("weight", "bias", "running_mean", "running_var")
    model.get_layer("norm").set_weights([weights[f"norm.{name}"] for name in norm])
    model.get_layer("head").set_weights([weights["head.weight"].T, weights["head.bias"]])
    return model


def in_jax(weights):
    import jax
    import jax.numpy as jnp

    def channels(vector):
        return vector[:, None, None]

    def apply(w, x):
        x = jax.lax.conv_general_dilated(x, w["conv.weight"], (1, 1), "SAME") + channels(w["conv.bias"])
        x = (x - channels(w["norm.running_mean"])) / jnp.sqrt(channels(w["norm.running_var"]) + 1e-5)
        x = jax.nn.relu(x * channels(w["norm.weight"]) + channels(w["norm.bias"]))
        return x.mean((2, 3)) @ w["head.weight"].T + w["head.bias"]

    return apply, weights


twins = Case(
    model=lambda: generic_weights(Net()),
    inputs={"pair": lambda: (torch.rand(2, 3, 8, 8),), "one": lambda: (torch.rand(1, 3, 8, 8),)},
    dynamic_shapes={"x": {0: "batch"}},
    twins={"keras": in_keras, "jax": in_jax},
    tags=("frameworks",),
)
