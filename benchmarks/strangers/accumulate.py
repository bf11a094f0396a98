"""Matrix products and sums in float32 in any order of accumulation, by `accumulate.cpp`."""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import random
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pytest_modelconform.cache import store

SOURCE = Path(__file__).with_name("accumulate.cpp")
FLAGS = ("-O3", "-march=native", "-std=c++17", "-shared", "-fPIC", "-Wno-psabi")
# Whether a product is fused with its sum, by whether `Order.fused`.
CONTRACTION = {False: "-ffp-contract=off", True: "-ffp-contract=fast"}
KINDS = ("sequential", "blocked", "pairwise", "lanes")
LENGTHS = (4, 8, 16, 32, 64, 128, 256, 512)
LANES = (2, 4, 8, 16, 32)


@dataclass(frozen=True)
class Order:
    """An order of accumulation. length: of blocks, of the shortest halves, or how many lanes there are.

    fused: with FMA. backward: from the last product to the first. start_first: what the products are added to is what
    accumulators start with, rather than added in the end.
    """

    kind: str = "sequential"
    length: int = 1
    fused: bool = False
    backward: bool = False
    start_first: bool = True

    def __str__(self) -> str:
        words = [self.kind if self.kind == "sequential" else f"{self.kind} {self.length}"]
        words += ["FMA"] * self.fused + ["backward"] * self.backward
        return " ".join(words)


def draw(source: random.Random) -> Order:
    """Any order, each kind as likely as the others."""
    kind = source.choice(KINDS)
    length = 1 if kind == "sequential" else source.choice(LANES if kind == "lanes" else LENGTHS)
    return Order(kind, length, source.random() < 0.5, source.random() < 0.25, source.random() < 0.5)


class _Matrix(ctypes.Structure):
    _fields_ = (
        ("data", ctypes.c_void_p),
        ("count", ctypes.c_int64),
        ("batch_stride", ctypes.c_int64),
        ("row_stride", ctypes.c_int64),
        ("column_stride", ctypes.c_int64),
    )


@functools.cache
def _library(fused: bool) -> Any:
    """The compiled source, from the cache or compiled. Raises RuntimeError where there is no compiler."""
    flags = (*FLAGS, CONTRACTION[fused])
    compiler = os.environ.get("CXX") or shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")
    if compiler is None:
        raise RuntimeError("the faithful adversary needs a C++ compiler: install g++ or clang++, or say CXX=…")
    key = hashlib.sha256(repr((SOURCE.read_bytes(), compiler, flags, _processor())).encode()).hexdigest()[:16]
    target = store.default_folder() / "benchmarks" / f"accumulate-{key}.so"
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as folder:
            made = Path(folder) / target.name
            subprocess.run([compiler, *flags, str(SOURCE), "-o", str(made)], check=True, capture_output=True)
            made.replace(target)
    return ctypes.CDLL(str(target))


def _processor() -> str:
    """What -march=native depends on, where that can be read."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ""
    return next((line for line in lines if line.startswith("flags")), "")


def products(left: Tensor, right: Tensor, order: Order, start: Tensor | None = None) -> Tensor:
    """Start + left · right, (…, rows, columns), each output accumulated in that order.

    Batch dimensions come to one; a batch of `left` or `start` that is shorter is gone through again and again.

    Args:
        left: float32, (batch or a divisor of it, rows, products).
        right: float32, (batch, products, columns).
        order: of accumulation.
        start: float32, broadcast to (batch or a divisor of it, rows, columns).

    """
    assert left.dtype == right.dtype == torch.float32
    batch, count, columns = right.shape
    rows = left.shape[1]
    if not (batch and rows and columns and count):
        empty = right.new_zeros(batch, rows, columns)
        return empty if start is None else empty + start
    if start is not None:
        start = start.expand(start.shape[0], rows, columns)
    first = start if order.start_first else None
    out = torch.empty(batch, rows, columns)
    matrices = [ctypes.byref(_matrix(one)) for one in (left, right, first)]
    sizes = [ctypes.c_int64(size) for size in (batch, rows, count, columns)]
    options = (KINDS.index(order.kind), ctypes.c_int64(max(1, order.length)), int(order.backward))
    _library(order.fused).modelconform_products(*matrices, ctypes.c_void_p(out.data_ptr()), *sizes, *options)
    if start is None or order.start_first:
        return out
    return out + start.repeat(batch // start.shape[0], 1, 1)


def _matrix(tensor: Tensor | None) -> _Matrix:
    if tensor is None:
        return _Matrix(None, 1, 0, 0, 0)
    return _Matrix(tensor.data_ptr(), tensor.shape[0], *tensor.stride())


def total(values: Tensor, dims: Sequence[int], order: Order) -> Tensor:
    """Sums over dimensions, which are left out of the result, each added in that order."""
    dims = sorted(dim % max(1, values.dim()) for dim in dims)
    kept = [dim for dim in range(values.dim()) if dim not in dims]
    shape = [values.shape[dim] for dim in kept]
    if values.numel() == 0 or not values.dim():
        return values.sum(dims) if values.dim() else values.clone()
    rows = values.permute(*dims, *kept).reshape(1, -1, max(1, _product(shape)))
    ones = values.new_ones(1, 1, rows.shape[1])
    return products(ones, rows, order).reshape(shape)


def _product(lengths: Sequence[int]) -> int:
    result = 1
    for length in lengths:
        result *= length
    return result
