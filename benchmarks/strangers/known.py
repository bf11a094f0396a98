"""Red cells that are understood: faults of runtimes and exporters, each with a reason.

A red cell that none of these names is a finding: somebody has to say whose fault it is.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass

from ..faults.judge import Record


@dataclass(frozen=True)
class Known:
    """A fault. Patterns of a stranger's name, a format and a runtime, and words of the cell's message.

    hints: words of which a right hint has one; empty where no hint could tell.
    """

    stranger: str
    format: str
    runtime: str
    reason: str
    message: str = ""
    hints: Sequence[str] = ()

    def fits(self, record: Record) -> bool:
        """Whether a record is of this fault."""
        pairs = ((record.case, self.stranger), (record.format, self.format), (record.runtime, self.runtime))
        return all(fnmatch.fnmatch(name, pattern) for name, pattern in pairs) and self.message in record.message


KNOWN: tuple[Known, ...] = (
    Known("torchvision.convnext_*", "mnn", "mnn", "MNN computes GELU by tanh, not by erf", hints=("GELU by tanh",)),
    Known("torchvision.swin_*", "mnn", "mnn", "MNN computes GELU by tanh, not by erf", hints=("GELU by tanh",)),
    Known("transformers.*", "mnn", "mnn", "MNN computes GELU by tanh, not by erf", "nearer", hints=("GELU by tanh",)),
    Known(
        "transformers.longformer.*",
        "onnx-legacy",
        "*",
        "the legacy exporter's ONNX is wrong where the trace that it is made of is right: ONNX Runtime, OpenVINO and "
        "OpenCV all return other numbers, the same ones",
    ),
    Known(
        "timm.mobilevit_*",
        "*",
        "openvino",
        "OpenVINO's generated kernels of subgraphs lose 5 bits in MobileViT's attention: with SNIPPETS_MODE=DISABLE "
        "the largest error is 1.3e-6 of the largest output in place of 5.1e-5",
    ),
)


def of(record: Record) -> Known | None:
    """The fault that a red record shows, if it is known."""
    return next((known for known in KNOWN if known.fits(record)), None)
