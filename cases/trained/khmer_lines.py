"""CRNN: Shi et al., An End-to-End Trainable Network for Image-based Sequence Recognition, 2015, arXiv:1507.05717.

Trained on lines of Khmer: convolutions, a column of features for each place, a bidirectional LSTM, scores of letters.
"""

import numpy as np
import torch
from khmer_ocr_ocm.assets import get_khmer_font_paths
from khmer_ocr_ocm.inference import load_model
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torch.export import Dim

from pytest_modelconform import Case


def lines(width: int, *texts: str) -> Tensor:
    """Each text in black on white, (texts, 1, 48, width) in -1..1."""
    font = ImageFont.truetype(sorted(get_khmer_font_paths())[0], 26)
    drawn = []
    for text in texts:
        image = Image.new("L", (width, 48), 255)
        ImageDraw.Draw(image).text((6, 4), text, fill=0, font=font)
        drawn.append(np.asarray(image, dtype=np.float32) / 127.5 - 1)
    return torch.from_numpy(np.stack(drawn)[:, None])


case = Case(
    model=lambda: load_model(device="cpu"),
    inputs={"pair": lambda: (lines(96, "ភាសា", "ខ្មែរ"),), "one_wider": lambda: (lines(128, "សួស្តី"),)},
    # A width of 8 pixels is the least that has a column in the end; 1 column is another branch for torch.export.
    dynamic_shapes={"x": {0: "batch", 3: Dim("width", min=12)}},
    tags=("trained", "vision", "convolution", "recurrent", "slow"),
    paper="arXiv:1507.05717",
    requires=("khmer-ocr-ocm", "Pillow"),
)
