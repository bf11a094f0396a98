"""What the processor at hand does with numbers of 8 bits."""

from __future__ import annotations

import re
from pathlib import Path


def saturates() -> bool:
    """Whether sums of two products of 8 bits are cut off at 16 bits, in ONNX Runtime and OpenVINO.

    x86 processors without VNNI multiply unsigned by signed bytes so (`pmaddubsw`): a right runtime then is off by more
    than quantising costs, where weights have their full range.
    """
    try:
        said = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    flags = re.search(r"^flags\s*:(.*)$", said, re.MULTILINE)
    return flags is not None and not {"avx512_vnni", "avx_vnni"} & set(flags[1].split())
