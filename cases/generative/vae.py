"""VAE: Kingma and Welling, Auto-Encoding Variational Bayes, 2013, arXiv:1312.6114.

The noise is an input, so that nothing is drawn in the model.
"""

import torch
from torch import Tensor, nn

from pytest_modelconform import Case, generic_weights


class VAE(nn.Module):
    """Images (batch, 1, 16, 16) and noise (batch, 6) → the images again, mean and log of the variance (batch, 6)."""

    def __init__(self, latent: int = 6) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(1, 8, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(8, 16, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
        )
        self.mean, self.log_variance = nn.Linear(256, latent), nn.Linear(256, latent)
        self.decoder = nn.Sequential(
            nn.Linear(latent, 256),
            nn.ReLU(),
            nn.Unflatten(1, (16, 4, 4)),
            nn.ConvTranspose2d(16, 8, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(8, 1, 3, stride=2, padding=1, output_padding=1),
        )

    def forward(self, images: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        h = self.encoder(images)
        mean, log_variance = self.mean(h), self.log_variance(h)
        latent = mean + noise * torch.exp(0.5 * log_variance)
        return self.decoder(latent).sigmoid(), mean, log_variance


def strokes(count: int) -> Tensor:
    """Thick lines at rising angles, as in handwritten digits: (count, 1, 16, 16)."""
    y, x = torch.meshgrid(torch.linspace(-1, 1, 16), torch.linspace(-1, 1, 16), indexing="ij")
    angle = torch.pi * torch.arange(count)[:, None, None] / count
    distance = (x * angle.sin() - y * angle.cos()).abs()
    return (2 - 8 * distance).clamp(0, 1)[:, None]


case = Case(
    model=lambda: generic_weights(VAE()),
    inputs={
        "two": lambda: (torch.rand(2, 1, 16, 16), torch.randn(2, 6)),
        "five_strokes": lambda: (strokes(5), torch.randn(5, 6)),
    },
    dynamic_shapes={"images": {0: "batch"}, "noise": {0: "batch"}},
    tags=("generative", "vision", "convolution"),
    paper="arXiv:1312.6114",
)
