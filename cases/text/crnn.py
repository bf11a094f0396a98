"""CRNN: Shi et al., An End-to-End Trainable Network for Image-based Sequence Recognition, 2015, arXiv:1507.05717.

Lines of text of several widths: convolutions, then two bidirectional LSTMs over packed sequences.
"""

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from pytest_modelconform import Case, generic_weights

HEIGHT = 16


class CRNN(nn.Module):
    """Images (batch, 1, 16, width) and their widths (batch,) → log probabilities (batch, width // 4, characters)."""

    def __init__(self, characters: int = 20, width: int = 24) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(8, 16, 3, padding=1),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 24, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d((2, 2), (2, 1), (0, 1)),  # halves the height, keeps the width
            nn.Conv2d(24, 24, 2),
            nn.ReLU(),
        )
        self.memory = nn.LSTM(24, width, num_layers=2, bidirectional=True, batch_first=True)
        self.head = nn.Linear(2 * width, characters)

    def forward(self, image: Tensor, widths: Tensor) -> Tensor:
        columns = self.features(image).squeeze(2).transpose(1, 2)
        packed = pack_padded_sequence(columns, widths // 4, batch_first=True, enforce_sorted=False)
        states = pad_packed_sequence(self.memory(packed)[0], batch_first=True, total_length=columns.size(1))[0]
        return self.head(states).log_softmax(2)


def lines(*widths: int) -> dict[str, Tensor]:
    """Black strokes on white paper, a few letters a line, and paper as padding."""
    image = torch.ones(len(widths), 1, HEIGHT, max(widths))
    for row, width in enumerate(widths):
        for left in range(1, width - 4, 6):
            stem, bar = int(torch.randint(0, 4, ())), int(torch.randint(3, 13, ()))
            image[row, 0, 2:14, left + stem] = 0.1
            image[row, 0, bar, left : left + 4] = 0.2
    return {"image": image + 0.02 * torch.randn_like(image), "widths": torch.tensor(widths)}


case = Case(
    model=lambda: generic_weights(CRNN()),
    inputs={"two": lambda: lines(32, 20), "three_wider": lambda: lines(24, 48, 40)},
    dynamic_shapes={"image": {0: "batch", 3: 4 * torch.export.Dim("columns", min=2)}, "widths": {0: "batch"}},
    tags=("text", "vision", "recurrent", "convolution", "packed"),
    paper="arXiv:1507.05717",
)
