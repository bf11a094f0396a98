"""Exports models to ONNX as PyTorch's documentation has it, and verifies the programs, or writes them to a folder.

Words: `verify MODEL …` or `write FOLDER MODEL …`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
import torchvision
from torch.export import Dim
from torch.onnx.verification import verify_onnx_program

from . import SIZES


def exported(name: str, sizes: str) -> Any:
    model = getattr(torchvision.models, name)().eval()
    # As in ExecuTorch's suite: multiples of 16.
    sides = {2: 16 * Dim("height", min=1, max=16), 3: 16 * Dim("width", min=1, max=16)}
    shapes = {"x": sides} if sizes == "dynamic" else None
    images = torch.randn(1, 3, 224, 224)
    return torch.onnx.export(model, (images,), dynamo=True, dynamic_shapes=shapes, verbose=False)


def main(what: str, *words: str) -> None:
    folder, names = (Path(words[0]), words[1:]) if what == "write" else (Path(), words)
    for name in names:
        for sizes in SIZES:
            program = exported(name, sizes)
            if what == "write":
                program.save(folder / f"{name}-{sizes}.onnx")
            else:
                for output in verify_onnx_program(program):
                    print(f"{name} {sizes}: largest absolute difference {output.max_abs_diff:.3g}")


if __name__ == "__main__":
    main(*sys.argv[1:])
