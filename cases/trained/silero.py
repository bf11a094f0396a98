"""Silero VAD 6: is somebody speaking? Silero team, 2021, https://github.com/snakers4/silero-vad.

Trained weights in TorchScript. The package's own module keeps the state inside; these are the networks in it, which
take and return it. The one with both sampling rates has a branch, as the ONNX files that the package carries.
"""

import torch
from sounds import chirp, speech
from torch import Tensor, nn
from wheels import file_of

from pytest_modelconform import Case, Export, Sequence

# By sampling rate: samples in a chunk, behind those of the chunk before that are seen once more.
CHUNK = {16000: 512, 8000: 256}
CONTEXT = {16000: 64, 8000: 32}


def network(name: str) -> nn.Module:
    return getattr(torch.jit.load(file_of("silero_vad", "data/silero_vad.jit")), name)


class BothRates(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.wide = network("_model")
        self.narrow = network("_model_8k")

    def forward(self, sound: Tensor, state: Tensor, sr: Tensor) -> tuple[Tensor, Tensor]:
        """Sound (batch, samples), state (2, batch, 128), sr: 8000 or 16000; how sure (batch, 1), the next state."""
        if int(sr) == 16000:
            return self.wide(sound, state)
        return self.narrow(sound, state)


def chunk(batch: int, rate: int, step: int = 0) -> Tensor:
    """The sound of one call: the end of the chunk before, and the chunk."""
    end = 800 + (step + 1) * CHUNK[rate]
    return speech(batch, end, rate)[:, end - CHUNK[rate] - CONTEXT[rate] :]


def state(batch: int, scale: float = 0.3) -> Tensor:
    return scale * torch.randn(2, batch, 128)


def glide(batch: int) -> Tensor:
    return chirp(batch, CHUNK[8000] + CONTEXT[8000], 8000)


silero_vad = Case(
    model=lambda: torch.jit.script(BothRates()),
    inputs={
        "wide": lambda: {"sound": chunk(2, 16000), "state": state(2), "sr": torch.tensor(16000)},
        "narrow": lambda: {"sound": glide(3), "state": state(3), "sr": torch.tensor(8000)},
    },
    dynamic_shapes={"sound": {0: "batch", 1: "samples"}, "state": {1: "batch"}, "sr": {}},
    exports={
        "onnx@shipped": Export(file=str(file_of("silero_vad", "data/silero_vad.onnx")), inputs={"input": "sound"}),
        "onnx@ifless": Export(
            file=str(file_of("silero_vad", "data/silero_vad_op18_ifless.onnx")), inputs={"input": "sound"}
        ),
    },
    fixed_inputs="the network takes chunks of two lengths only, one for each rate",
    tags=("trained", "audio", "recurrent", "convolution", "control_flow", "script"),
    paper="https://github.com/snakers4/silero-vad",
    requires=("silero-vad",),
)
silero_vad_16k = Case(
    model=lambda: network("_model"),
    inputs={
        "speech": lambda: {"x": chunk(2, 16000), "state": state(2)},
        "chirp": lambda: {"x": chirp(3, 576, 16000), "state": state(3)},
        # The only size that the file for OpenVINO takes.
        "one": lambda: {"x": chunk(1, 16000), "state": state(1)},
    },
    dynamic_shapes={"x": {0: "batch"}, "state": {1: "batch"}},
    exports={
        "onnx@static": Export(
            file=str(file_of("silero_vad", "data/silero_vad_openvino_16k.onnx")), inputs={"input": "x"}
        )
    },
    sequence=Sequence(
        carry={"state": 1},
        steps=8,
        inputs=lambda step: {"x": chunk(1, 16000, step), **({"state": state(1, 0.0)} if step == 0 else {})},
    ),
    tags=("trained", "audio", "recurrent", "convolution", "script"),
    paper="https://github.com/snakers4/silero-vad",
    requires=("silero-vad",),
)
