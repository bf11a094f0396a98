"""Magika: Fratantonio et al., Magika: AI-Powered Content-Type Detection, 2024, arXiv:2409.13768.

A trained network from Keras, as the package ships it in ONNX: the first and the last 1024 bytes of a file, int32, and
256 where there is none; probabilities of 214 types. Trained probabilities are near 0 but for one.
"""

import numpy as np
from wheels import file_of

from pytest_modelconform import Case

PADDING = 256


def features(*files: bytes) -> np.ndarray:
    """As the package prepares them, (files, 2048)."""
    rows = []
    for content in files:
        start, end = content.lstrip()[:1024], content.rstrip()[-1024:]
        padding = [PADDING] * 1024
        rows.append([*(list(start) + padding)[:1024], *(padding + list(end))[-1024:]])
    return np.array(rows, dtype=np.int32)


def three() -> np.ndarray:
    """A module of Python, a page of HTML, and a table."""
    python = b"import sys\n\n\ndef main(words):\n    for word in words:\n        print(word)\n\n\nmain(sys.argv)\n" * 12
    page = b"<!DOCTYPE html>\n<html><head><title>A page</title></head><body><p>Text.</p></body></html>\n"
    table = b"name,number\n" + b"".join(b"row %d,%d\n" % (row, row * row) for row in range(60))
    return features(python, page, table)


magika = Case(
    model=lambda: file_of("magika", "models/standard_v3_3/model.onnx"),
    framework="onnx",
    inputs={
        "three": lambda: (three(),),
        "noise": lambda: (np.random.randint(0, 256, (2, 2048)).astype(np.int32),),
    },
    dynamic_shapes=({0: "batch"},),
    tags=("trained", "convolution"),
    paper="arXiv:2409.13768",
    requires=("magika>=1",),
)
