"""Basic Pitch: Bittner et al., A Lightweight Model for Polyphonic Note Transcription, 2022, arXiv:2203.09893.

Trained weights, from two seconds of sound to its notes: a constant-Q transform by convolution at halved rates, shifts
by harmonics, and convolutions. A model of TensorFlow's, of whose files the package carries this is the one in ONNX.
"""

import numpy as np
from torch import Tensor
from wheels import file_of

from cases.audio.sounds import chirp, speech
from pytest_modelconform import Case

FILES = "saved_models/icassp_2022"
SAMPLES = 43844  # two seconds at 22050 Hz, and no other length


def call(sound: Tensor) -> tuple[np.ndarray]:
    return (sound[..., None].numpy(),)


def chord(batch: int) -> Tensor:
    return chirp(3, SAMPLES, 22050).mean(0, keepdim=True).repeat(batch, 1)


basic_pitch = Case(
    model=lambda: file_of("basic_pitch", f"{FILES}/nmp.onnx"),
    framework="onnx",
    inputs={"speech": lambda: call(speech(2, SAMPLES, 22050)), "chord": lambda: call(chord(1))},
    dynamic_shapes=({0: "batch"},),
    tags=("trained", "audio", "convolution", "slow"),
    paper="arXiv:2203.09893",
    requires=("basic-pitch", "onnx"),
)
