"""Logs for the tests of the page: a small one with everything in it, and a large one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pytest_modelconform.report.log import Log
from pytest_modelconform.terms.cell import EAGER, Cell
from pytest_modelconform.terms.outcome import Outcome, Stage, Verdict

ABOUT: dict[str, Any] = {
    "date": "2026-11-23T06:00:00+00:00",
    "processor": "some processor",
    "cores": 2,
    "python": "3.11.7",
    "packages": {"torch": "2.14.1", "onnxruntime": "1.32.0", "absent": None},
    "environments": {"caffe2": ["torch==1.4.0", "onnx==1.7.0"]},
    "options": {
        "formats": ["onnx", "export"],
        "runtimes": ["torch", "ort", "ort-cpp"],
        "arguments": ["--modelconform"],
    },
}
EVIL = "<script>alert(1)</script>"
REFUSED = "input 0 was exported as (3, 16), this set has (5, 16): give dynamic_shapes"
NET, BERT = "cases/vision/net.py", "cases/text/bert.py"
HISTOGRAM = [900, 60, 20, 10, 5, 3, 1, 0, 0, 0, 0, 1]


def output(**fields: Any) -> dict[str, Any]:
    return {
        "dtype": "float32", "shape": [2, 500], "bits": 20.5, "reference_bits": 21.0, "loss": 0.5, "worst": 1.5,
        "max_abs": 1e-6, "identical": False, "worst_index": [1, 42], "actual": 0.123456789, "expected": 0.12345678,
        "histogram": HISTOGRAM, **fields,
    }  # fmt: skip


def passed(seconds: float, bits: float = 20.5, size: int = 4096, **fields: Any) -> Outcome:
    inputs = {
        "pair": {"verdict": "pass", "bits": bits, "seconds": seconds, "outputs": {"output": output(bits=bits)}},
        "auto-shape": {"verdict": "pass", "seconds": seconds, "generated": "other sizes", "outputs": {}},
    }
    times = {"export": 2.0, "load": 0.1, "run": 2 * seconds}
    about = {
        "cached": True,
        "artifact": "/cache/artifacts/1/model.onnx",
        "artifact_bytes": size,
        "loss": 0.5,
        "memory": 3 << 30,
    }
    more: dict[str, Any] = {"inputs": inputs, "seconds": times, "reference_bits": 21.0, "worst": 1.5, **about, **fields}
    return Outcome(Verdict.PASS, bits=bits, **more)


def small() -> Log:
    """Two fields, three verdicts and more, a tag, a file and a case of strange names."""
    mismatch = Outcome(
        Verdict.MISMATCH, Stage.COMPARE, "input set 'pair': output loses 13.1 bits\nlikely cause: bfloat16", bits=7.4,
        reference_bits=21.0, loss=13.1, worst=15.0, max_abs=0.5, hints=("bfloat16",),
        seconds={"export": 1.0, "run": 0.1},
        inputs={"pair": {"verdict": "mismatch", "outputs": {"output": output(bits=7.4, actual="nan", expected=2**62)}}},
    )  # fmt: skip
    known = Outcome(Verdict.ERROR, Stage.EXPORT, "no operator", expected=True, notes=("expected: upstream knows",))
    evil = Outcome(
        Verdict.ERROR, Stage.RUN, f"</script><!-- {EVIL} & \"quoted\" '\u2028'", notes=(EVIL,), hints=(EVIL,)
    )
    partly = passed(0.004, bits=20.0)
    partly.inputs["odd"] = {
        "verdict": "unsupported",
        "message": f"{REFUSED}\nTraceback:\n  line 1\n  line 2",
        "shapes": {"/args/0": [5, 16], "/kwargs/mask": []},
    }
    partly = replace(partly, notes=(f"input set 'odd' is unsupported: {partly.inputs['odd']['message']}", "a note"))
    cells = [
        (Cell(NET, "net", EAGER, EAGER), Outcome(Verdict.PASS, bits=21.0, tags=("small",))),
        (Cell(NET, "net", "onnx", "ort"), passed(0.002, tags=("small",))),
        (Cell(NET, "net", "onnx", "ort-cpp"), passed(0.001, bits=20.1)),
        (Cell(NET, "net", "export", "torch"), passed(0.01, bits=60.0, size=2**21)),
        (Cell(NET, "net", "onnx", "ort", device="cuda"), Outcome(Verdict.UNAVAILABLE, Stage.ENVIRONMENT, "no GPU")),
        (Cell(BERT, "bert", EAGER, EAGER), Outcome(Verdict.PASS, bits=21.0)),
        (Cell(BERT, "bert", "onnx", "ort"), mismatch),
        (Cell(BERT, "bert", "onnx", "ort-cpp"), known),
        (Cell(BERT, "bert", "export", "torch"), partly),
        (Cell(BERT, "bert", EAGER, EAGER, dtype="bfloat16"), Outcome(Verdict.PASS, bits=8.0)),
        (Cell(BERT, "bert", "onnx", "ort", dtype="bfloat16"), Outcome(Verdict.CRASH, Stage.LOAD, "signal 11")),
        (Cell("strange/x.py", EVIL, "onnx", "ort"), evil),
    ]
    return Log(ABOUT, cells, complete=True)


def large(cases: int = 200, columns: int = 60) -> Log:
    """As many cells as a page has to bear, each with the details that a real one has."""
    verdicts = [Verdict.MISMATCH, Verdict.ERROR, Verdict.CRASH, Verdict.UNSUPPORTED]
    cells = []
    for i in range(cases):
        file = f"cases/{('vision', 'text', 'audio', 'graph')[i % 4]}/family_{i // 5}.py"
        for j in range(columns):
            cell = Cell(file, f"case_{i}", f"format-{j // 5}", f"runtime-{j % 5}-{j // 20}")
            outcome = passed(0.001 * (1 + j), bits=22.0 - (i + j) % 9)
            if (7 * i + 3 * j) % 11 == 0:
                verdict = verdicts[(i + j) % 4]
                outcome = Outcome(
                    verdict, Stage.RUN, f"RuntimeError: operator {i % 7} is not there\n" + "at frame\n" * 20
                )
            cells.append((cell, outcome))
    return Log(ABOUT, cells, complete=True)
