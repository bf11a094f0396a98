"""What ONNX's own checker says of a file that a runtime doesn't load: an invalid one is its writer's fault.

Runtimes that load it all the same know no better: they leave a type unchecked.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from ..terms.wording import printable

_REFUSED = 3
# In a process of its own: the checker reads the whole file, and what is damaged may end it. Operators that nobody has
# registered with ONNX (a runtime's own, the case's) are no fault of the file, and it can't infer shapes behind them.
_SCRIPT = f"""
import sys
sys.path = [place for place in sys.path if place]  # a folder `onnx` where this was started is another one
import onnx
model = onnx.load(sys.argv[1], load_external_data=False)
own = {{(function.domain, function.name) for function in model.functions}}
nodes = [*model.graph.node, *(node for function in model.functions for node in function.node)]
known = ("", "ai.onnx", "ai.onnx.ml")
if all(node.domain in known or (node.domain, node.op_type) in own for node in nodes):
    try:
        onnx.checker.check_model(sys.argv[1], full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        print(error)
        sys.exit({_REFUSED})
"""


def refusal(file: Path, seconds: float = 60.0) -> str:
    """Why the checker refuses an ONNX file, in one line; "" where it doesn't, or where it can't be asked."""
    if file.suffix != ".onnx" or not file.exists():
        return ""
    try:
        done = subprocess.run(
            [sys.executable, "-c", _SCRIPT, str(file)], capture_output=True, text=True, timeout=seconds, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    if done.returncode != _REFUSED:
        return ""
    return " ".join(printable(done.stdout).split())[:300]
