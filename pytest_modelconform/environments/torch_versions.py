"""PyTorch of other versions: their environments, and what their runtimes and formats have in common.

A file that one version wrote should load in another: libtorch is in servers that are older than the machine on which a
model was trained, or newer. Each version is a runtime (`torch-2.11`), which loads what today's PyTorch writes, and a
case host that writes (formats `torchscript-trace-2.11`, `export-2.11`), for today's to load.
"""

from __future__ import annotations

from . import Environment


def _environment(version: str, *requirements: str) -> Environment:
    """Only what has to be of that version; all else (numpy, transformers, CUDA's libraries) is ours."""
    check = f"import torch, torchvision; assert torch.__version__.startswith('{version}.'), torch.__version__"
    return Environment(f"torch-{version}", requirements, check=check, megabytes=1300, complete=True, beside=True)


# The oldest that pytest-modelconform itself works with.
V2_11 = _environment("2.11", "torch==2.11.0", "torchvision==0.26.0")
# What it asks for that we have in an older version.
_MORE = ("nvidia-nvshmem-cu13==3.7.2", "typing_extensions==4.15.0")
V2_15 = _environment("2.15", "torch==2.15.0", "torchvision==0.29.2", *_MORE)

# What today's PyTorch writes and other versions are asked to load, and what they write for it.
OURS = ("torchscript-trace", "torchscript-script", "export")
THEIR_TORCHSCRIPT = ("torchscript-trace-2.11", "torchscript-trace-2.15")
THEIRS = (*THEIR_TORCHSCRIPT, "export-2.11", "export-2.15")
