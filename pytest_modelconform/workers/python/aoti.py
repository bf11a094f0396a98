"""AOTInductor's packages in Python, loaded as users load them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

import torch

from ..loop import WorkerError

# Said of a refusal, since users mostly leave the check off. cpp/libtorch/aoti.cpp says the same.
WITHOUT_CHECK = " (AOTI_RUNTIME_CHECK_INPUTS=1; without it, the package reads such an input as if it fitted)"


def load(path: str, device: str) -> Callable[..., Any]:
    """`torch._inductor.aoti_load_package`, with its check of inputs on.

    Raises WorkerError for a package that was compiled for another device or processor.
    """
    # The package's code reads this at its first run. Without it, inputs of another shape or layout are computed with
    # as if they had the ones that were exported.
    os.environ["AOTI_RUNTIME_CHECK_INPUTS"] = "1"
    read: Any = torch._C
    if problem := unsuitable(read._aoti.AOTIModelPackageLoader.load_metadata_from_package(path, "model"), device):
        raise WorkerError(problem)
    package: Callable[..., Any] = torch._inductor.aoti_load_package(path)

    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return package(*args, **kwargs)
        except RuntimeError as error:
            if "input_handles[" not in str(error):
                raise
            raise WorkerError(str(error).strip() + WITHOUT_CHECK, kind="RuntimeError") from error

    return call


def unsuitable(metadata: Mapping[str, str], device: str) -> str | None:
    """None if a package can run here, else a sentence. The C++ engine says the same (cpp/libtorch/aoti.cpp)."""
    compiled_for = metadata.get("AOTI_DEVICE_KEY", device)
    if compiled_for != device:
        return f"the package was compiled for {compiled_for}, this is {device}: export it on the device that it runs on"
    needed = metadata.get("AOTI_CPU_ISA", "")
    supported = {"AVX512": torch.cpu._is_avx512_supported, "AVX2": torch.cpu._is_avx2_supported}
    for name, is_supported in supported.items():
        if needed.startswith(name) and not is_supported():
            return (
                f"the package was compiled for a processor with {needed}, which this one lacks: export it on this one"
            )
    return None
