"""A package of AOTInductor, compiled once a session: it takes half a minute."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

from pytest_modelconform.cells.pool import Pool
from pytest_modelconform.cells.registry import Registry
from tests.support import shared

# The user's own, like the C++ harness: the headers that all packages share are compiled once and not once a test run.
CACHE = shared.CACHE

# Inputs: a fixed length and a free one, an integer, None, one that is not used, and keyword arguments. Outputs: the
# same tensor twice, an input, a constant, None, an integer, a transposed tensor, what another package's operator
# returns.
CASE = """\
import torch
from torchvision.ops import nms

from pytest_modelconform import Case


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor([3.0, 5.0, 7.0]))
        self.register_buffer("steps", torch.arange(3.0))

    def forward(self, fixed, free, factor, unused, *, boxes, scale=None):
        y = fixed.sum(0) + free * self.weight * factor
        kept = nms(boxes, boxes[:, 0], 0.5)
        turned = y.t() * 2
        some = {"y": y, "none": None, "pair": (free, y), "steps": self.steps}
        return {**some, "n": free.shape[0], "kept": kept, "turned": turned}


case = Case(
    model=lambda: Net(),
    inputs={
        "three": lambda: {
            "boxes": torch.tensor([[0.0, 0, 2, 2], [0.1, 0, 2, 2], [5.0, 5, 7, 7]]),
            "scale": None,
            "unused": torch.rand(1),
            "factor": 2,
            "free": torch.rand(3, 3),
            "fixed": torch.rand(2, 3),
        },
        "one": lambda: {
            "fixed": torch.rand(2, 3),
            "free": torch.rand(1, 3),
            "factor": 2,
            "unused": torch.rand(1),
            "boxes": torch.rand(3, 4),
            "scale": None,
        },
    },
    dynamic_shapes={"fixed": {}, "free": {0: "length"}, "factor": None, "unused": {}, "boxes": {}, "scale": None},
)
"""


def make(session_folder: Path) -> Path:
    """The folder of the case's references; below it is `artifact`, the case as a case host exported it."""
    return shared.made(session_folder, "aoti", _export)


def _export(folder: Path) -> None:
    (folder / "artifact").mkdir()
    path = folder / "package.py"
    path.write_text(CASE)
    pool = Pool(Registry(), CACHE, [], threads=1, share=1, inline=False, progress=print)
    where = {"file": str(path), "relative": path.name, "case": "package"}
    request = {**where, "module": "pytest_modelconform.formats.aoti", "folder": str(folder / "artifact")}
    try:
        content = pool.host().ask("reference", 300, folder=str(folder), **where)
        more = {"digest": content["digest"], "output_paths": content["output_paths"]}
        pool.host().ask("export", 600, **request, **more)
    finally:
        pool.kill()


def with_metadata(package: Path, target: Path, **changes: str) -> Path:
    """The package with other metadata, as one has that was compiled elsewhere."""
    with zipfile.ZipFile(package) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name.endswith("_metadata.json"):
                metadata: dict[str, Any] = json.loads(content)
                content = json.dumps({**metadata, **changes}).encode()
            # The loader expects the package's own name as the first folder, as PyTorch's writer does.
            new.writestr(name, content)
    return target
