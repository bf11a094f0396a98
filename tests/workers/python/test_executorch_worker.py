"""What ExecuTorch says of a failure, beside the number that it raises."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys

import pytest

pytestmark = [
    pytest.mark.compiles,
    pytest.mark.skipif(importlib.util.find_spec("executorch") is None, reason="pip install executorch"),
]

SAID = """\
[cpuinfo_utils.cpp:125] CPU info and manual query on # of cpus dont match.
something else
[tensor_impl.cpp:135] Attempted to resize a static tensor. Expected shape (2, 1024), but received (1, 1024).
[op_mean.cpp:44] Check failed (resize_reduction_out(in, dim_list, keepdim, out) == Error::Ok):
[method.cpp:1483] KernelCall failed at instruction 0:95 in operator aten::mean.out: 0x12
[method.cpp:1493] arg 0 with type id 1
"""
# In a process of its own: ExecuTorch warns while it is imported, and registers operators.
SCRIPT = """\
import json
import sys
import torch
from executorch.exir import to_edge
from executorch.runtime import Runtime
from pytest_modelconform.workers.loop import WorkerError
from pytest_modelconform.workers.python.executorch_worker import execute, reason_in


class Twice(torch.nn.Module):
    def forward(self, x):
        return x + x


said = sys.stdin.read()
found = [reason_in(said), reason_in(said.partition("[op_mean")[0]), reason_in(said.partition("[tensor")[0])]
program = to_edge(torch.export.export(Twice(), (torch.ones(2, 3),))).to_executorch()
loaded = Runtime.get().load_program(bytes(program.buffer))
method = loaded.load_method("forward")
for rows in (2, 3, 2):
    try:
        found.append(execute(method, [torch.ones(rows, 3)])[0].tolist())
    except WorkerError as error:
        found.append(str(error))
json.dump(found, open(sys.argv[1], "w"))
"""


def test_a_failure_has_its_reason(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("said") / "found.json"
    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(path)], input=SAID, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    with_operator, alone, nothing, first, failed, last = json.loads(path.read_text())
    # The first thing that was wrong, and the operator that it was in.
    told = "Attempted to resize a static tensor. Expected shape (2, 1024), but received (1, 1024)."
    assert with_operator == f"{told} (aten::mean.out)"
    assert alone == told
    assert nothing == ""
    # Of a method that works before and after.
    assert first == last == [[2.0] * 3] * 2
    assert failed.startswith("RuntimeError: method->set_inputs() for method 'forward' failed with error 0x1"), failed
    assert ": Attempted to " in failed, failed
    assert "(3, 3)" in failed, failed
