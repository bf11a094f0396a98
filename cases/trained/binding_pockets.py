"""PocketNet: message passing over the atoms of a protein, https://pypi.org/project/pocketnet, version 0.3.

Trained weights. The graph comes from distances in forward: the nearest atoms, a mask on them, so that the number of
edges depends on the data; messages are added at indices that repeat.
"""

import math

import torch
from pocketnet.feat import N_PF, N_TYPES
from pocketnet.model import PocketNet
from torch import Tensor, nn
from torch.export import Dim
from wheels import file_of

from pytest_modelconform import Case


def model() -> nn.Module:
    saved = torch.load(file_of("pocketnet", "weights/v3_fold0.pt"), map_location="cpu", weights_only=False)
    net = PocketNet()
    net.load_state_dict(saved.get("model", saved) if isinstance(saved, dict) else saved)
    return net


def helix(residues: int, points: int) -> dict[str, Tensor]:
    """An α-helix: four atoms of the chain a residue, and points on a cylinder around it. Lengths are in Å."""
    at = torch.arange(residues * 4)
    turn = at * math.radians(100) / 4
    radius = torch.tensor([1.5, 2.3, 1.7, 2.0])[at % 4]
    xyz = torch.stack((radius * turn.cos(), radius * turn.sin(), at * 1.5 / 4), 1)
    around = torch.arange(points) * 2.4
    outside = torch.stack((6 * around.cos(), 6 * around.sin(), torch.linspace(0, float(xyz[-1, 2]), points)), 1)
    return features(at % 80 + 1, xyz, outside)


def cloud(atoms: int, points: int) -> dict[str, Tensor]:
    return features(torch.randint(0, N_TYPES, (atoms,)), 8 * torch.rand(atoms, 3), 10 * torch.rand(points, 3))


def features(ty: Tensor, xyz: Tensor, pts: Tensor) -> dict[str, Tensor]:
    return {"ty": ty, "xyz": xyz, "pts": pts, "pf": torch.rand(len(pts), N_PF)}


# The nearest 32 atoms of each point are looked at.
atoms = Dim("atoms", min=33)

pocketnet = Case(
    model=model,
    inputs={"helix": lambda: helix(12, 20), "cloud": lambda: cloud(60, 9)},
    dynamic_shapes={"ty": {0: atoms}, "xyz": {0: atoms}, "pts": {0: "points"}, "pf": {0: "points"}},
    tags=("trained", "graph", "scatter", "dynamic_output"),
    paper="https://pypi.org/project/pocketnet/",
    requires=("pocketnet",),
)
