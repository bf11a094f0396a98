"""Graphs as the models here take them: features (nodes, width) and edges (2, edges), sources above targets."""

import torch
from torch import Tensor


def ring(nodes: int, width: int) -> tuple[Tensor, Tensor]:
    """Each node to the next one and to itself, every other edge twice, and a last node that no other one reaches.

    Features are waves along the ring, one frequency a column.
    """
    around = torch.arange(nodes - 1)
    edges = torch.stack((around, (around + 1) % (nodes - 1)))
    loops = torch.arange(nodes).repeat(2, 1)
    angles = 2 * torch.pi * torch.arange(nodes)[:, None] * (1 + torch.arange(width)) / nodes
    return (angles + torch.arange(width)).sin(), torch.cat((edges, loops, edges[:, ::2]), 1)


def scattered(nodes: int, edges: int, width: int) -> tuple[Tensor, Tensor]:
    """Edges between any two nodes, most of them into the first few, so that many share a target, and some have none."""
    targets = (torch.rand(edges).square() * nodes).long()
    return torch.randn(nodes, width), torch.stack((torch.randint(0, nodes, (edges,)), targets))
