"""libtorch in C++: TorchScript by `torch::jit::load`, packages of AOTInductor by `AOTIModelPackageLoader`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..building import harness
from ..environments import torch_versions
from ..terms.cell import TASKS as TASKS  # it can train, too
from . import base, cpp, taken

NAME = "libtorch-cpp"
FAMILY = "torch"
ENGINE = "libtorch"
FORMATS = ("torchscript-trace", "torchscript-script", "aoti", *torch_versions.THEIR_TORCHSCRIPT)
DEVICES = ("cpu", "cuda")
REQUIRES, unavailable, command = cpp.worker(ENGINE)
REPRO = "pytest_modelconform.repro.parts.torch"
REPRO_NOTE = "It was seen in the C++ API of PyTorch; the script tries the same library by its Python API."
MAIN = True
OPERATORS = ("torch",)
PRECISIONS = ("full", "fast")
memory = taken.by_libtorch


def load_request(artifact: Path, signature: dict[str, Any]) -> dict[str, Any]:
    """As usual, and the libraries that hold the operators that the artifact uses."""
    request = base.load_request(artifact, signature)
    if "torchvision" in request["operators"]:
        request["libraries"] = [str(path) for path in harness.torchvision_libraries()]
    return request
