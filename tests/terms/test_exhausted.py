"""What libraries say when a GPU has no memory left: texts of issues in their own trackers."""

from __future__ import annotations

import importlib.util
import mmap
from pathlib import Path

import pytest

from pytest_modelconform.terms import exhausted

TORCH = (
    "OutOfMemoryError: CUDA out of memory. Tried to allocate 146.00 MiB. GPU 0 has a total capacity of 8.00 GiB of "
    "which 0 bytes is free. Including non-PyTorch memory, this process has 7.33 GiB memory in use."
)
ORT = (
    "[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Non-zero status code returned while running Conv node. Name:'c' "
    "Status Message: /onnxruntime_src/onnxruntime/core/framework/bfc_arena.cc:376 void* "
    "onnxruntime::BFCArena::AllocateRawInternal(size_t, bool) Failed to allocate memory for requested buffer of size "
)
CUDA_CALL = (
    "[ONNXRuntimeError] : 1 : FAIL : cuda_call.cc:121 onnxruntime::CudaCall CUDA failure 2: out of memory ; GPU=0 ; "
    "hostname=X ; expr=cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);"
)


@pytest.mark.parametrize(
    "text",
    [
        TORCH,
        "terminate called after throwing an instance of 'c10::OutOfMemoryError'\n  what():  CUDA out of memory.",
        "OutOfMemoryError: Allocation on device 0 would exceed allowed memory. (out of memory)",
        "AcceleratorError: CUDA error: out of memory\nSearch for `cudaErrorMemoryAllocation' in the documentation",
        "RuntimeError: CUDA driver error: out of memory",
        "RuntimeError: cuda runtime error (2) : out of memory at THCStorage.cu:66",
        "RuntimeError: CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "RuntimeError: cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
        "cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED",
        "RuntimeError: cuFFT error: CUFFT_ALLOC_FAILED",
        "RuntimeError: Triton Error [CUDA]: out of memory",
        f"{ORT}939524096",
        "bfc_arena.cc:342 Available memory of 1048576 is smaller than requested bytes of 4194304",
        CUDA_CALL,
        "CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED ; GPU=0 ; expr=cublasCreate(&cublas_handle_);",
    ],
)
def test_that_is_said_in_many_ways(text: str) -> None:
    assert exhausted.on_gpu(text)


@pytest.mark.parametrize(
    "text",
    [
        "RuntimeError: mat1 and mat2 shapes cannot be multiplied",
        "RuntimeError: CUDA error: an illegal memory access was encountered",
        "RuntimeError: CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`",
        # A kernel that is too large for its block, on any GPU of that kind.
        "OutOfResources: out of resource: shared memory, Required: 262144, Hardware limit: 232448.",
        # The host's.
        "RuntimeError: [enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory: you tried to "
        "allocate 4000000000000 bytes. Error code 12 (Cannot allocate memory)",
        # Sizes that are none: a fault of who computed them.
        f"{ORT}4585490524328388608",
        "OutOfMemoryError: CUDA out of memory. Tried to allocate 8388608.00 GiB. GPU 0 has a total capacity of 8 GiB",
        "OutOfMemoryError: CUDA out of memory. Tried to allocate 1.50 EiB.",
        "OutOfMemoryError: CUDA out of memory. Tried to allocate more than 1EB memory.",
    ],
)
def test_other_errors_are_errors(text: str) -> None:
    assert not exhausted.on_gpu(text)


@pytest.mark.parametrize(
    ("package", "files", "words"),
    [
        ("torch", "lib/libc10_cuda.so", ["CUDA out of memory. Tried to allocate ", "more than 1EB memory"]),
        ("torch", "lib/libc10_cuda.so", ["would exceed allowed memory. (out of memory)"]),
        ("torch", "lib/libtorch_cuda.so", ["CUBLAS_STATUS_ALLOC_FAILED", "CUFFT_ALLOC_FAILED", "CUDA driver error: "]),
        (
            "onnxruntime",
            "capi/onnxruntime_pybind11_state*.so",
            ["Failed to allocate memory for requested buffer of size ", " is smaller than requested bytes of "],
        ),
    ],
)
def test_the_libraries_that_are_here_have_these_words(package: str, files: str, words: list[str]) -> None:
    spec = importlib.util.find_spec(package)
    found = next(Path(spec.origin).parent.glob(files), None) if spec and spec.origin else None
    if found is None:
        pytest.skip(f"no {files} of {package} is here")
    with found.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        assert [word for word in words if content.find(word.encode()) < 0] == []


def test_what_was_asked_for() -> None:
    assert exhausted.asked(TORCH) == 146 * 2**20
    assert exhausted.asked(f"{ORT}939524096") == 939524096
    assert exhausted.asked(CUDA_CALL) == 0
