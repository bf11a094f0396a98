"""Small backbones that detectors and segmentation share, built of torchvision's own classes."""

from torch import nn
from torchvision.models._utils import IntermediateLayerGetter
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.backbone_utils import BackboneWithFPN
from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet
from torchvision.ops.feature_pyramid_network import ExtraFPNBlock


class NarrowResNet(ResNet):
    """A ResNet with an eighth of the paper's channels after its stem: 8, 16, 32, 64, or four times that."""

    def _make_layer(
        self, block: type[BasicBlock | Bottleneck], planes: int, blocks: int, stride: int = 1, dilate: bool = False
    ) -> nn.Sequential:
        return super()._make_layer(block, planes // 8, blocks, stride, dilate)


def layers(backbone: nn.Module, names: dict[str, str]) -> nn.Module:
    """Images (batch, 3, height, width) → a dict of what these layers return, by the names given to them."""
    getter: nn.Module = IntermediateLayerGetter(backbone, return_layers=names)
    return getter


def pyramid(extra: ExtraFPNBlock | None = None) -> nn.Module:
    """A feature pyramid of 32 channels: maps with a stride of 8, 16 and 32, and what `extra` makes of them.

    Images (batch, 3, height, width) → a dict of maps (batch, 32, height / stride, width / stride).
    """
    resnet = NarrowResNet(BasicBlock, [1, 1, 1, 1])
    names = {"layer2": "0", "layer3": "1", "layer4": "2"}
    pyramid: nn.Module = BackboneWithFPN(resnet, names, [16, 32, 64], out_channels=32, extra_blocks=extra)
    return pyramid


def anchors(levels: int) -> AnchorGenerator:
    """Anchors of three shapes: a side of 16 on the first map, and twice that on each further one."""
    return AnchorGenerator(tuple((16 * 2**level,) for level in range(levels)), ((0.5, 1.0, 2.0),) * levels)


def moderate(detector: nn.Module) -> nn.Module:
    """Make the maps of a detector's pyramid smaller, in place: with generic weights, scores would saturate and tie."""
    for block in detector.backbone.fpn.layer_blocks:
        block[0].weight.data *= 0.15
    return detector
