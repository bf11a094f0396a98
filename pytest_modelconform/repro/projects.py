"""Whose an exporter or a runtime is, and where its faults are reported."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import metadata

from packaging.requirements import Requirement

from ..formats.base import Format
from ..runtimes.base import Runtime
from . import script

EXPORTER, CONVERTER, RUNTIME = "the exporter", "the converter", "the runtime"

_PYTORCH = ("PyTorch", "https://github.com/pytorch/pytorch/issues")
_ONNX_RUNTIME = ("ONNX Runtime", "https://github.com/microsoft/onnxruntime/issues")
_LITERT = ("LiteRT", "https://github.com/google-ai-edge/LiteRT/issues")
_IREE = ("IREE", "https://github.com/iree-org/iree/issues")
# By the package that pip or npm installs. What isn't here is called like its package.
_PROJECTS = {
    "torch": _PYTORCH,
    "onnxruntime": _ONNX_RUNTIME,
    "onnxruntime-node": _ONNX_RUNTIME,
    "onnxruntime-web": _ONNX_RUNTIME,
    "openvino": ("OpenVINO", "https://github.com/openvinotoolkit/openvino/issues"),
    "onnx": ("ONNX", "https://github.com/onnx/onnx/issues"),
    "executorch": ("ExecuTorch", "https://github.com/pytorch/executorch/issues"),
    "ai-edge-litert": _LITERT,
    "@litertjs/core": _LITERT,
    "litert-torch": ("LiteRT Torch", "https://github.com/google-ai-edge/litert-torch/issues"),
    "torchax": ("torchax", "https://github.com/google/torchax/issues"),
    "jax": ("JAX", "https://github.com/jax-ml/jax/issues"),
    "coremltools": ("Core ML Tools", "https://github.com/apple/coremltools/issues"),
    "iree-base-runtime": _IREE,
    "iree-base-compiler": _IREE,
    "apache-tvm": ("TVM", "https://github.com/apache/tvm/issues"),
    "MNN": ("MNN", "https://github.com/alibaba/MNN/issues"),
    "ncnn": ("ncnn", "https://github.com/Tencent/ncnn/issues"),
    "pnnx": ("pnnx", "https://github.com/pnnx/pnnx/issues"),
    "opencv-python-headless": ("OpenCV", "https://github.com/opencv/opencv/issues"),
    "tinygrad": ("tinygrad", "https://github.com/tinygrad/tinygrad/issues"),
    "tract": ("tract", "https://github.com/sonos/tract/issues"),
}
# The package that a format's exporter or converter is of, where it is not the first that the format needs.
_EXPORTED_BY = {
    "executorch": "executorch",
    "executorch-portable": "executorch",
    "openvino": "openvino",
    "litert": "litert-torch",
    "stablehlo": "torchax",
    "coreml": "coremltools",
    "ncnn": "pnnx",
    "mnn": "MNN",
    "iree": "iree-base-compiler",
    "tvm": "apache-tvm",
}


@dataclass(frozen=True)
class Project:
    """The project of an exporter or a runtime.

    name: what people call it. role: what the part in question is, "the exporter". part: what that is called, such as
    "torch.jit.trace". tracker: a URL, or "" if none is known. package: as pip or npm installs it.
    """

    name: str
    role: str
    part: str
    tracker: str = ""
    package: str = ""

    def __str__(self) -> str:
        """In words: "torch.jit.trace of PyTorch 2.14.1"."""
        return f"{self.known} ({self.part})" if self.role == RUNTIME else f"{self.part} of {self.known}"

    @property
    def known(self) -> str:
        """The project with its version here, as far as it is known."""
        version = _version(self.package)
        return f"{self.name} {version}" if version else self.name


def exporter(module: Format) -> Project:
    """Whose a format's exporter or converter is."""
    package = _EXPORTED_BY.get(module.NAME) or next(iter(module.REQUIRES), "")
    role = CONVERTER if module.FROM and not module.export else EXPORTER
    part = script.title_of(module.REPRO) if module.REPRO else f"{role} to {module.NAME}"
    return _project(_name(package) or module.NAME, role, part)


def runtime(module: Runtime) -> Project:
    """Whose a runtime is. A runtime in C++ or JavaScript is of the project of its Python package."""
    package = _name(next(iter(module.REQUIRES), "")) or module.PACKAGE
    return _project(package, RUNTIME, module.NAME)


def capture(name: str) -> Project:
    """Whose torch.export and torch.jit.trace are."""
    return _project("torch", EXPORTER, name)


def _project(package: str, role: str, part: str) -> Project:
    name, tracker = _PROJECTS.get(package, (package, ""))
    return Project(name, role, part, tracker, package)


def _name(requirement: str) -> str:
    return Requirement(requirement).name if requirement else ""


def _version(package: str) -> str:
    try:
        return metadata.version(package).partition("+")[0] if package else ""
    except metadata.PackageNotFoundError:
        return ""
