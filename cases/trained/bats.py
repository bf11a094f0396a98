"""BatDetect2: Mac Aodha et al., A General Approach for Bat Echolocation Detection, 2022, bioRxiv 2022.12.14.520490.

A trained network over spectrograms: convolutions that see the frequency they are at, attention over time, and a way
back up by bilinear interpolation.
"""

import torch
from torch import Tensor, nn
from torch.export import Dim
from wheels import absent, file_of

from pytest_modelconform import Case

with absent("audioread", "soundfile"):  # They read sound.
    from batdetect2.detector.models import Net2DFast


class Detector(nn.Module):
    """The results that detections are made from, as a dict: the package's own tuple isn't there where artifacts run."""

    def __init__(self) -> None:
        super().__init__()
        saved = torch.load(file_of("batdetect2", "models/Net2DFast_UK_same.pth.tar"), map_location="cpu")
        said = saved["params"]
        classes = len(said["class_names"])
        self.net = Net2DFast(said["num_filters"], classes, said["emb_dim"], said["ip_height"], said["resize_factor"])
        self.net.load_state_dict(saved["state_dict"])

    def forward(self, spectrogram: Tensor) -> dict[str, Tensor]:
        found = self.net(spectrogram)
        return {"detection": found.pred_det, "size": found.pred_size, "classes": found.pred_class_un_norm}


def calls(batch: int, width: int) -> Tensor:
    """Sweeps from high to low on a quiet background, (batch, 1, 128, width)."""
    row = torch.linspace(0, 1, 128)[:, None]
    time = torch.linspace(0, 3, width) % 1
    pitch = torch.linspace(0.2, 0.5, batch)[:, None, None] + 0.4 * time**0.5
    loud = torch.exp(-((row - pitch) ** 2) / 0.002) * (time < 0.6)
    return (loud + 0.05 * torch.rand(batch, 128, width))[:, None]


batdetect2 = Case(
    model=Detector,
    inputs={"calls": lambda: (calls(2, 32),), "noise": lambda: (torch.rand(1, 1, 128, 48),)},
    # Time is halved three times and doubled again.
    dynamic_shapes={"spectrogram": {0: "batch", 3: 8 * Dim("time", min=2)}},
    tags=("trained", "audio", "detection", "convolution", "attention", "interpolation"),
    paper="https://doi.org/10.1101/2022.12.14.520490",
    requires=("batdetect2",),
)
