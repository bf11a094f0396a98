"""ONNX Runtime in Python."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import onnxruntime

from .. import flat
from ..arrays import Array
from ..loop import Handlers, WorkerError

PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


def handlers(device: str, threads: int) -> Handlers:
    """Handlers for `loop.serve`."""

    def load(request: dict[str, Any]) -> flat.Model:
        session = open_session(request, device, threads)

        def model(feeds: Mapping[str, Array], fetches: Sequence[str]) -> Sequence[Any]:
            return session.run(list(fetches), dict(feeds))

        return model

    available = set(onnxruntime.get_available_providers())
    devices = [name for name, provider in PROVIDERS.items() if provider in available]
    return flat.handlers({"name": "ort", "version": onnxruntime.__version__, "devices": devices}, load)


def open_session(request: dict[str, Any], device: str, threads: int) -> onnxruntime.InferenceSession:
    """The model that a load request names, in its precision."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    fast = "1" if request.get("precision") == "fast" else "0"
    # bfloat16 products on ARM processors that have them; nothing elsewhere.
    options.add_session_config_entry("mlas.enable_gemm_fastmath_arm64_bfloat16", fast)
    for library in request.get("libraries", []):
        options.register_custom_ops_library(library)
    provider = (PROVIDERS[device], cuda_options(fast) if device == "cuda" else {})
    session = onnxruntime.InferenceSession(request["model"], options, providers=[provider])
    if PROVIDERS[device] not in session.get_providers():
        # It would compute on the CPU, and only warns.
        loaded = ", ".join(session.get_providers())
        raise WorkerError(
            f"ONNX Runtime could not load {PROVIDERS[device]}, and would compute with {loaded}: see its stderr for the "
            "library of CUDA or cuDNN that is missing",
            kind="Unavailable",
        )
    return session


def cuda_options(fast: str) -> dict[str, str]:
    """Options of the provider for CUDA. TF32 is its default; of the memory it takes no more than this process may."""
    options = {"use_tf32": fast}
    if most := os.environ.get("MODELCONFORM_GPU_BYTES"):
        options["gpu_mem_limit"] = most
    return options
