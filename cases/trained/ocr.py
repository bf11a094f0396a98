"""PP-OCR: Du et al., PP-OCR: A Practical Ultra Lightweight OCR System, 2020, arXiv:2009.09941.

Three trained networks from PaddlePaddle, as rapidocr-onnxruntime ships them in ONNX: weights are Constant nodes, sizes
have no useful names. They find text, say whether it is upside down, and read it.
"""

import numpy as np
from drawn import text_lines
from torch import Tensor
from torch.export import Dim
from wheels import file_of

from pytest_modelconform import Case

RAPIDOCR = "rapidocr-onnxruntime>=1.4"


def scaled(pictures: Tensor) -> np.ndarray:
    return (2 * pictures - 1).numpy().astype(np.float32)


def noise(*shape: int) -> np.ndarray:
    return np.random.uniform(-1, 1, shape).astype(np.float32)


ppocr_detection = Case(
    model=lambda: file_of("rapidocr_onnxruntime", "models/ch_PP-OCRv4_det_infer.onnx"),
    framework="onnx",
    inputs={
        "page": lambda: (scaled(text_lines(2, 64, 64, "Where is", "the text?")),),
        "wider": lambda: (scaled(text_lines(1, 32, 96, "one line")),),
    },
    # The network halves five times, and adds what it scales up again.
    dynamic_shapes=({0: "batch", 2: 32 * Dim("height"), 3: 32 * Dim("width")},),
    tags=("trained", "vision", "detection", "convolution", "interpolation", "slow"),
    paper="arXiv:2009.09941",
    requires=(RAPIDOCR, "Pillow"),
)
ppocr_direction = Case(
    model=lambda: file_of("rapidocr_onnxruntime", "models/ch_ppocr_mobile_v2.0_cls_infer.onnx"),
    framework="onnx",
    inputs={
        "text": lambda: (scaled(text_lines(2, 48, 192, "Which way up?")),),
        "upside_down": lambda: (
            np.ascontiguousarray(scaled(text_lines(3, 48, 192, "Which way up?"))[:, :, ::-1, ::-1]),
        ),
    },
    dynamic_shapes=({0: "batch"},),
    tags=("trained", "vision", "convolution", "slow"),
    paper="arXiv:2009.09941",
    requires=(RAPIDOCR, "Pillow"),
)
ppocr_reading = Case(
    model=lambda: file_of("rapidocr_onnxruntime", "models/ch_PP-OCRv4_rec_infer.onnx"),
    framework="onnx",
    inputs={
        "text": lambda: (scaled(text_lines(2, 48, 64, "Model")),),
        "noise": lambda: (noise(1, 3, 48, 40),),
    },
    dynamic_shapes=({0: "batch", 3: 8 * Dim("width", min=4)},),
    tags=("trained", "vision", "transformer", "attention", "slow"),
    paper="arXiv:2009.09941",
    requires=(RAPIDOCR, "Pillow"),
)
