"""Small models that are trained, for benchmarks/training.py."""

import torch
from torch import Tensor, nn

from pytest_modelconform import Case, Train, generic_weights


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(8, 16, batch_first=True)
        self.out = nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.out(self.lstm(x)[0][:, -1])
        return result


def perceptron() -> nn.Module:
    return nn.Sequential(nn.Linear(10, 64), nn.GELU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 4))


def convolution() -> nn.Module:
    return nn.Sequential(
        *(nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 32, 3, bias=False), nn.BatchNorm2d(32)),
        *(nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(128, 5)),
    )


def transformer() -> nn.Module:
    return nn.Sequential(nn.TransformerEncoderLayer(16, 2, 32, dropout=0.0, batch_first=True), nn.Linear(16, 4))


SGD = Train(loss="mse_loss", optimizer="sgd", lr=0.05, momentum=0.9, steps=8, batch_size=3)
ADAM = Train(loss="mse_loss", optimizer="adam", lr=0.01, steps=8, batch_size=3)
ADAMW = Train(loss="mse_loss", optimizer="adamw", lr=0.01, steps=8, batch_size=3)

mlp = Case(model=lambda: generic_weights(perceptron()), inputs={"all": lambda: (torch.randn(8, 10),)}, train=SGD)
conv = Case(model=lambda: generic_weights(convolution()), inputs={"all": lambda: (torch.rand(8, 3, 9, 9),)}, train=SGD)
lstm = Case(model=lambda: generic_weights(Recurrent()), inputs={"all": lambda: (torch.randn(8, 6, 8),)}, train=SGD)
block = Case(model=lambda: generic_weights(transformer()), inputs={"all": lambda: (torch.randn(8, 5, 16),)}, train=SGD)
