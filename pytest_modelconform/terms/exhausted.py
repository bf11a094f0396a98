"""The words in which libraries say that a GPU has no memory left for what they were asked to do."""

from __future__ import annotations

import re

# Of CUDA, and of the libraries that are built on it. PyTorch's type of exception is only raised for accelerators; the
# last two arenas serve the CPU, too, which is why only processes that use a GPU are looked at.
_SAID = re.compile(
    r"OutOfMemoryError"
    r"|CUDA out of memory"
    r"|CUDA (?:driver )?error:? out of memory"
    r"|(?:CUDA failure|cuda runtime error|cudaError)\W{0,2}2\W{0,4}out of memory"
    r"|cudaErrorMemoryAllocation|CUDA_ERROR_OUT_OF_MEMORY|cudaMalloc failed: out of memory"
    r"|would exceed allowed memory"
    r"|CU(?:BLAS|SOLVER|SPARSE|DNN)_STATUS_ALLOC_FAILED|CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED"
    r"|CUFFT_ALLOC_FAILED"
    r"|Triton Error \[CUDA\]: out of memory"
    r"|Failed to allocate memory for requested buffer of size"
    r"|is smaller than requested bytes of"
)
_ASKED = re.compile(r"Tried to allocate ([\d.]+) ([KMGTPE]?i?B)|(?:buffer of size|requested bytes of) (\d+)")
# PyTorch's words for such a size.
_MORE = "Tried to allocate more than 1EB memory"
_UNITS = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40, "PiB": 2**50, "EiB": 2**60}
# Bytes that no GPU has: who asks for as many has computed a wrong size, and more memory would not help. ONNX Runtime
# 1.19 has asked for 4585490524328388608 (its issue 22702).
NONSENSE = 2**44


def on_gpu(text: str) -> bool:
    """Whether a message of a process that uses a GPU says that the GPU's memory was not enough."""
    return bool(_SAID.search(text)) and asked(text) < NONSENSE and _MORE not in text


def asked(text: str) -> float:
    """The bytes that were asked for, as far as a message names them; else 0."""
    found = _ASKED.search(text)
    if found is None:
        return 0.0
    number, unit, size = found.groups()
    return float(size) if size else float(number) * _UNITS.get(unit, 1)
