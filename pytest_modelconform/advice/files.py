"""Files that were written elsewhere: by a newer library, or on a GPU."""

from __future__ import annotations

from .failure import Failure, option


def too_new(failure: Failure) -> str | None:
    """A file of a version that its reader doesn't know yet."""
    if found := failure.search(r"Your model ir_version (?P<has>\d+) is higher than the checker's \((?P<most>\d+)\)"):
        return _older_onnx(f"the file has IR version {found['has']}, the installed onnx knows {found['most']}", "onnx")
    if found := failure.search(r"Unsupported model IR version: (?P<has>\d+), max supported IR version: (?P<most>\d+)"):
        said = f"the file has IR version {found['has']}, this ONNX Runtime reads {found['most']} at the most"
        return _older_onnx(said, "onnxruntime")
    found = failure.search(
        r"Opset (?P<has>\d+) is under development.*Current official support for domain \S+ is till opset (?P<most>\d+)"
    )
    if found is not None:
        has, most = found["has"], found["most"]
        said = f"the file has opset {has}, this ONNX Runtime reads {most} at the most. Install a newer onnxruntime, or"
        if failure.framework == "onnx":
            return f"{said} convert the model: `onnx.version_converter.convert_version(model, {most})`"
        return f"{said} export with an older one: {option('opset_version', most, 'onnx')}"
    found = failure.search(
        r"read a PyTorch file with version (?P<has>\d+), but the maximum supported version for reading is (?P<most>\d+)"
    ) or failure.search(r"Saved archive version (?P<has>\d+) does not match our current archive version (?P<most>\d+)")
    found = found or failure.search(
        r"Serialized schema version (?P<has>.+?) does not match our current schema version (?P<most>\S+?)\.?(?:\s|$)"
    )
    if found is not None:
        return (
            f"a newer PyTorch wrote the file (version {found['has']}, and this one reads {found['most']}). Export it "
            "with the version that loads it, or install PyTorch as new as the exporter's"
        )
    return None


def _older_onnx(said: str, package: str) -> str:
    return (
        f"{said}. Install a newer {package}, or write the file with an older one: "
        "`onnx.helper.make_model(…, ir_version=10)`"
    )


def saved_on_gpu(failure: Failure) -> str | None:
    """Weights that were saved on a GPU, read where there is none."""
    if failure.search("Attempting to deserialize object on a CUDA device but torch.cuda.is_available\\(\\) is False"):
        return (
            "the weights were saved on a GPU, and this machine has none. Read them onto the CPU: "
            '`torch.load(file, map_location="cpu")`. Cells on a GPU move the model themselves'
        )
    return None


def asks_for_gpu(failure: Failure) -> str | None:
    """A model that puts itself on a GPU."""
    if failure.search("Found no NVIDIA driver on your system|Torch not compiled with CUDA enabled"):
        return (
            "the case asks for a GPU, and this machine has none. Build model and inputs on the CPU, without `.cuda()`, "
            '`.to("cuda")` and `device="cuda"`: `--modelconform-devices cuda` moves both. In forward, take the device '
            "from a tensor: `device=x.device`"
        )
    return None
