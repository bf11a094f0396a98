"""A small convolutional network in Keras 3, in the style of VGG: Simonyan and Zisserman, 2014, arXiv:1409.1556.

`relu` and `gelu` differ in nothing but their activation: Keras' own gelu is the exact one, by the error function.
"""

import keras
import numpy as np

from pytest_modelconform import Case


def normal() -> keras.initializers.Initializer:
    """A new initializer each time: it draws its seed when it is made, and at import nothing is seeded yet."""
    return keras.initializers.RandomNormal(stddev=0.3)


def block(x: keras.KerasTensor, filters: int, activation: str) -> keras.KerasTensor:
    """Convolution, norm, activation: (batch, height, width, channels) → (batch, height, width, filters)."""
    x = keras.layers.Conv2D(filters, 3, padding="same", bias_initializer=normal())(x)
    x = keras.layers.BatchNormalization(
        beta_initializer=normal(),
        gamma_initializer=keras.initializers.RandomUniform(0.5, 1.5),
        moving_mean_initializer=normal(),
        moving_variance_initializer=keras.initializers.RandomUniform(0.5, 2.0),
    )(x)
    return keras.layers.Activation(activation)(x)


def build(activation: str) -> keras.Model:
    """Images (batch, height, width, 3) → logits (batch, 5)."""
    keras.utils.set_random_seed(0)
    images = keras.Input((None, None, 3))
    x = block(images, 8, activation)
    x = keras.layers.MaxPooling2D(2)(x)
    x = block(x, 16, activation)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(images, keras.layers.Dense(5, bias_initializer=normal())(x))


def images(*shape: int) -> np.ndarray:
    return np.random.normal(size=shape).astype(np.float32)


inputs = {"two": lambda: (images(2, 16, 12, 3),), "one_larger": lambda: (images(1, 20, 24, 3),)}
dynamic_shapes = ({0: "batch", 1: "height", 2: "width"},)

relu = Case(
    model=lambda: build("relu"),
    framework="keras",
    inputs=inputs,
    dynamic_shapes=dynamic_shapes,
    tags=("frameworks",),
    paper="arXiv:1409.1556",
)
gelu = Case(
    model=lambda: build("gelu"),
    framework="keras",
    inputs=inputs,
    dynamic_shapes=dynamic_shapes,
    tags=("frameworks",),
    paper="arXiv:1409.1556",
)
