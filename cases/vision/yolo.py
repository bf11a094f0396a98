"""YOLOv8 and its suppression: Redmon et al., You Only Look Once, 2015, arXiv:1506.02640; Ultralytics, YOLOv8, 2023.

A box's sides are means over distances (distribution focal loss); torchvision's nms returns as many boxes as are left.
"""

import torch
from pictures import photo
from torch import Tensor, nn
from torch.export import Dim
from torchvision.ops import nms

from pytest_modelconform import Case, generic_weights

CLASSES = 4
DISTANCES = 8
STRIDES = (4, 8)


class Conv(nn.Sequential):
    """Convolution, norm, SiLU."""

    def __init__(self, channels: int, out: int, kernel: int = 1, stride: int = 1) -> None:
        super().__init__(
            nn.Conv2d(channels, out, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(out, eps=1e-3), nn.SiLU()
        )


class CSP(nn.Module):
    """Half of the channels pass a residual block; what came before, between and after is joined (C2f)."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.first = Conv(channels, out)
        self.block = nn.Sequential(Conv(out // 2, out // 2, 3), Conv(out // 2, out // 2, 3))
        self.last = Conv(out + out // 2, out)

    def forward(self, x: Tensor) -> Tensor:
        kept, y = self.first(x).chunk(2, 1)
        return self.last(torch.cat([kept, y, y + self.block(y)], 1))


class Pools(nn.Module):
    """Three times the same pool, each upon the last (SPPF)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = Conv(channels, channels // 2)
        self.pool = nn.MaxPool2d(5, 1, 2)
        self.last = Conv(channels * 2, channels)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        once = self.pool(x)
        twice = self.pool(once)
        return self.last(torch.cat([x, once, twice, self.pool(twice)], 1))


class Head(nn.Module):
    """A map (batch, channels, rows, columns) → (batch, 4 · distances + classes, rows · columns)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.box = nn.Sequential(Conv(channels, 16, 3), nn.Conv2d(16, 4 * DISTANCES, 1))
        self.score = nn.Sequential(Conv(channels, 16, 3), nn.Conv2d(16, CLASSES, 1))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.box(x), self.score(x)], 1).flatten(2)


class Yolo(nn.Module):
    """Images (batch, 3, height, width) → boxes (batch, places, 4), of two corners in pixels, and scores by class."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(Conv(3, 8, 3, 2), Conv(8, 16, 3, 2), CSP(16, 16))
        self.down = nn.Sequential(Conv(16, 32, 3, 2), CSP(32, 32), Pools(32))
        self.up = nn.Upsample(scale_factor=2, mode="nearest")
        self.fine, self.again, self.coarse = CSP(48, 16), Conv(16, 16, 3, 2), CSP(48, 32)
        self.heads = nn.ModuleList([Head(16), Head(32)])
        self.register_buffer("distances", torch.arange(DISTANCES).float())

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        shallow = self.stem(images)
        deep = self.down(shallow)
        fine = self.fine(torch.cat([self.up(deep), shallow], 1))
        coarse = self.coarse(torch.cat([self.again(fine), deep], 1))
        found, centres, strides = [], [], []
        for x, head, stride in zip((fine, coarse), self.heads, STRIDES, strict=True):
            found.append(head(x))
            rows = torch.arange(x.shape[2], device=x.device, dtype=x.dtype) + 0.5
            columns = torch.arange(x.shape[3], device=x.device, dtype=x.dtype) + 0.5
            y, x_ = torch.meshgrid(rows, columns, indexing="ij")
            centres.append(torch.stack([x_, y], -1).view(-1, 2))
            strides.append(torch.full((x_.numel(), 1), float(stride), device=x.device, dtype=x.dtype))
        box, score = torch.cat(found, 2).transpose(1, 2).split([4 * DISTANCES, CLASSES], 2)
        sides = box.unflatten(2, (4, DISTANCES)).softmax(-1) @ self.distances
        centre, stride = torch.cat(centres), torch.cat(strides)
        corners = torch.cat([centre - sides[..., :2], centre + sides[..., 2:]], -1)
        return corners * stride, score.sigmoid()


class Detector(nn.Module):
    """One image (3, height, width) → boxes (found, 4), their scores and classes, by falling scores."""

    def __init__(self, yolo: nn.Module, least: float, overlap: float) -> None:
        super().__init__()
        self.yolo = yolo
        self.least = least
        self.overlap = overlap

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        boxes, scores = self.yolo(image[None])
        best, classes = scores[0].max(1)
        likely = best > self.least
        boxes, best, classes = boxes[0][likely], best[likely], classes[likely]
        # Boxes of other classes are moved far away, so that they don't overlap.
        kept = nms(boxes + classes[:, None] * 4096.0, best, self.overlap)
        return boxes[kept], best[kept], classes[kept]


# Maps of both strides are joined, so that 8 divides the sides.
ROWS, COLUMNS = 8 * Dim("rows", min=2), 8 * Dim("columns", min=2)

yolo = Case(
    model=lambda: generic_weights(Yolo()),
    inputs={
        "pair": lambda: (torch.rand(2, 3, 32, 48),),
        "one_picture": lambda: (photo(1, 48, 40),),
    },
    dynamic_shapes={"images": {0: "batch", 2: ROWS, 3: COLUMNS}},
    tags=("vision", "detection", "convolution"),
    paper="arXiv:1506.02640",
    requires=("torchvision",),
)
yolo_with_nms = Case(
    model=lambda: generic_weights(Detector(Yolo(), least=0.5, overlap=0.45)),
    inputs={
        "noise": lambda: (torch.rand(3, 32, 48),),
        "picture": lambda: (photo(1, 48, 40)[0],),
    },
    dynamic_shapes={"image": {1: ROWS, 2: COLUMNS}},
    tags=("vision", "detection", "dynamic_output"),
    paper="arXiv:1506.02640",
    requires=("torchvision",),
)
