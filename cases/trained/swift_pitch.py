"""SwiftF0: Nieradzik, Fast and Accurate Monophonic Pitch Detection, 2025, arXiv:2508.18440.

Trained weights, as the ONNX file that the package carries: Fourier transform, convolutions and a decoder that gathers
around the largest activation between two pitches, which are inputs without dimensions. It takes one sound at a time.
"""

import numpy as np
from torch import Tensor
from torch.export import Dim
from wheels import file_of

from cases.audio.sounds import chirp, speech
from pytest_modelconform import Case


def call(sound: Tensor, lowest: float, highest: float) -> tuple[np.ndarray, ...]:
    return sound.numpy(), np.array(lowest, np.float32), np.array(highest, np.float32)


swift_f0 = Case(
    model=lambda: file_of("swift_f0", "model.onnx"),
    framework="onnx",
    inputs={
        "speech": lambda: call(speech(1, 2048, 16000), 46.875, 2093.75),
        "longer_chirp": lambda: call(chirp(1, 2560, 16000), 60.0, 900.0),
    },
    # A frame is 1024 samples; of less nothing can be said.
    dynamic_shapes=({1: Dim("samples", min=1024)}, {}, {}),
    tags=("trained", "audio", "fft", "gather"),
    paper="arXiv:2508.18440",
    requires=("swift-f0", "onnx"),
)
