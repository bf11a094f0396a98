"""The module of PyTorch's TorchScript and C++ tutorials: one matrix product. PyTorch: arXiv:1912.01703."""

import torch
from torch import Tensor, nn

from pytest_modelconform import Case, Train, generic_weights


class Net(nn.Module):
    def __init__(self, N: int, M: int) -> None:  # noqa: N803 (the tutorial's names)
        super().__init__()
        self.W = nn.Parameter(torch.empty(N, M))
        self.b = nn.Parameter(torch.empty(M))

    def forward(self, x: Tensor) -> Tensor:
        return torch.addmm(self.b, x, self.W)


case = Case(
    model=lambda: generic_weights(Net(10, 20)),
    inputs={
        "four": lambda: (torch.randn(4, 10),),
        "one": lambda: (torch.randn(1, 10),),
    },
    dynamic_shapes={"x": {0: "batch"}},
    dtypes=("float32", "float16", "bfloat16"),
    cpp="net.cpp",
    train=Train(loss="mse_loss", optimizer="sgd", lr=0.1, momentum=0.9, steps=8),
    tags=("plain",),
    paper="arXiv:1912.01703",
)
