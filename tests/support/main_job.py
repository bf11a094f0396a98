"""A log like that of the main job: 26 columns beside the model check, 36 rows, what the README shows of them."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_modelconform.report.matrix import Column
from pytest_modelconform.terms.cell import FULL, INFERENCE, Cell
from pytest_modelconform.terms.outcome import Outcome, Stage, Verdict

_CPP = ("libtorch-cpp", "libtorch-cpp gradients", "libtorch-cpp training", "libtorch-cpp resume")
_ONNX = ("ort", "ort-cpp", "openvino", "openvino-cpp")
_STATE_DICT = ("cpp-frontend", "cpp-frontend gradients", "cpp-frontend training", "cpp-frontend resume")
FORMATS = {
    "eager": ("eager training",),
    "torchscript-trace": ("torch", *_CPP),
    "torchscript-script": ("torch", *_CPP),
    "export": ("torch",),
    "aoti": ("torch", "libtorch-cpp"),
    "onnx": _ONNX,
    "onnx-legacy": _ONNX,
    "state-dict": _STATE_DICT,
}
RUNTIMES = ("torch", "libtorch-cpp", "cpp-frontend", "ort", "ort-cpp", "openvino", "openvino-cpp")
# A row: case and dtype; its model check, and a sign a column.
_ROWS = """\
whisper                       |. ..   ee   .......eeee    |
jax_mlp                       |.                          |
gelu                          |.              eeee        |
relu                          |.              ....        |
onnx_convnet                  |. ..        .  ....        |
tensorflow_mlp                |.              ....        |
twins                         |. ..   ..   ...........    |
ddpm_unet                     |. ..   ..   ...eeee....    |
convnet                       |...........................|
convnet float16               |. ..   ..   ............   |
encoder_block                 |...................eemm....|
encoder_block bfloat16        |. ..   ..   ...ee..eemme   |
lstm                          |.......eeeeeeee............|
lstm_fixed_length             |. ..   ee   ...........    |
mlp                           |...........................|
mlp float64                   |...............eemmeemm....|
net                           |...........................|
net float16                   |. ..   ..   ............   |
net bfloat16                  |. ..   ..   ...ee..ee...   |
seq2seq                       |. mm   ..   eeeeeeemmmm    |
bert                          |. ..   ee   .......eeee    |
bert float16                  |. ..   ee   .......eeee    |
bert bfloat16                 |. ..   ee   ...ee..eeee    |
gpt2                          |. ..   ee   .......eeee    |
t5                            |. ..   ee   ...........    |
deeplabv3_mobilenet_v3_large  |. ..   ..   ...........    |
densenet121                   |. ..   ..   ...........    |
mobilenet_v3_small            |. ..   ..   ...........    |
r3d_18                        |. ..   ..   ...........    |
resnet18                      |...........................|
resnet18 float16              |. ..   ..   ............   |
resnet18 bfloat16             |. ..   ..   ...eeeeee...   |
shufflenet_v2_x0_5            |. ..   ..   ...........    |
ssdlite320_mobilenet_v3_large |. ee   mm   eeeeeee....    |
swin                          |. ..   ..   ...........    |
vit                           |. ..   ..   ...........    |
"""
REFUSED = "format aoti can't take transposed (non-contiguous) tensors: a package keeps to the strides of its export"


def columns() -> list[Column]:
    """All 26, in order."""
    found = []
    for format_name, runtimes in FORMATS.items():
        for name in runtimes:
            runtime, _, task = name.partition(" ")
            found.append((format_name, runtime, "cpu", FULL, task or INFERENCE))
    return found


def cells() -> list[tuple[Cell, Outcome]]:
    """The log's. Bits are made up, verdicts are not."""
    return list(_cells())


def _cells() -> Iterator[tuple[Cell, Outcome]]:
    for number, line in enumerate(_ROWS.splitlines()):
        name, signs, _ = line.split("|")
        case, _, dtype = name.strip().partition(" ")
        file = f"cases/{case}.py"
        yield Cell(file, case, "eager", "eager", dtype=dtype or "float32"), _outcome(signs[0], number)
        for sign, (format_name, runtime, device, precision, task) in zip(signs[1:], columns(), strict=True):
            if sign != " ":
                cell = Cell(file, case, format_name, runtime, device, dtype or "float32", precision, task)
                yield cell, _outcome(sign, number, is_package=format_name == "aoti")


def _outcome(sign: str, number: int, is_package: bool = False) -> Outcome:
    bits = 19.0 + number % 5
    if sign == "m":
        return Outcome(Verdict.MISMATCH, Stage.COMPARE, "wrong values", expected=True, bits=3.2)
    if sign == "e":
        return Outcome(Verdict.ERROR, Stage.EXPORT, "no such operator", expected=True)
    sets = {"pair": {"verdict": "pass"}}
    if is_package:
        generated = {"generated": "inputs transposed in memory", "limit": "transposed-inputs"}
        sets["auto-transposed"] = {"verdict": "unsupported", "message": REFUSED, **generated}
    return Outcome(Verdict.PASS, bits=bits, inputs=sets)
