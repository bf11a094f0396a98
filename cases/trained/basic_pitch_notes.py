"""Basic Pitch: Bittner et al., A Lightweight Model for Polyphonic Note Transcription, 2022, arXiv:2203.09893.

Trained weights, from two seconds of sound to its notes: a constant-Q transform by convolution at halved rates, shifts
by harmonics, and convolutions. A model of TensorFlow's: of the files that the package carries the one in ONNX is the
model here, and those for LiteRT, Core ML and TensorFlow are what it is deployed as.
"""

import numpy as np
from torch import Tensor
from wheels import file_of

from cases.audio.sounds import chirp, speech
from pytest_modelconform import Case, Export

FILES = "saved_models/icassp_2022"
SAMPLES = 43844  # two seconds at 22050 Hz, and no other length


# Places of the outputs in what the file in ONNX returns; TensorFlow numbers them by their names.
ONSET, NOTE, CONTOUR = "0", "1", "2"
OUTPUTS = {"onset": ONSET, "note": NOTE, "contour": CONTOUR}


def shipped(name: str, **outputs: str) -> Export:
    path = file_of("basic_pitch", f"{FILES}/{name}")
    return Export(file=path, outputs=outputs or OUTPUTS)


def call(sound: Tensor) -> tuple[np.ndarray]:
    return (sound[..., None].numpy(),)


def chord(batch: int) -> Tensor:
    return chirp(3, SAMPLES, 22050).mean(0, keepdim=True).repeat(batch, 1)


basic_pitch = Case(
    model=lambda: file_of("basic_pitch", f"{FILES}/nmp.onnx"),
    framework="onnx",
    inputs={"speech": lambda: call(speech(2, SAMPLES, 22050)), "chord": lambda: call(chord(1))},
    dynamic_shapes=({0: "batch"},),
    exports={
        "litert@shipped": shipped("nmp.tflite"),
        "tensorflow@shipped": shipped("nmp"),
        "coreml@shipped": shipped("nmp.mlpackage", Identity=CONTOUR, Identity_1=NOTE, Identity_2=ONSET),
    },
    tags=("trained", "audio", "convolution", "slow"),
    paper="arXiv:2203.09893",
    requires=("basic-pitch", "onnx"),
)
