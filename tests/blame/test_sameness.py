"""Two failures of one fault, and of two: messages that exporters and runtimes have given here."""

from __future__ import annotations

import pytest

from pytest_modelconform.blame.sameness import gist, is_same
from pytest_modelconform.terms.outcome import Outcome, Stage, Verdict


def ended(message: str, stage: Stage = Stage.EXPORT, verdict: Verdict = Verdict.ERROR) -> Outcome:
    return Outcome(verdict, stage, message)


ONNX_STEP = "Failed to convert the exported program to an ONNX model. This is step 3/3 of exporting the model to ONNX."


def onnxscript(node: str, cause: str, args: str = "%getitem") -> str:
    """As the case host says it: what was raised, and what it wraps."""
    return (
        f"ConversionError: {ONNX_STEP} Next steps:\n"
        f"caused by ConversionError: Error when translating node %{node} : [num_users=1] = "
        f"call_function[target=torch.ops.aten.{node}.default](args = ({args},), kwargs = {{}}). See the stack trace.\n"
        f"caused by {cause}\n"
        "- If there is a missing ONNX function, implement it and register it to the registry.\n\n"
        f"## Exception summary\n\n<class 'AssertionError'>: {node}"
    )


def guard(expression: str, place: str = "torchvision/ops/boxes.py:86 in batched_nms") -> str:
    return (
        f"GuardOnDataDependentSymNode: Could not guard on data-dependent expression {expression} (unhinted: "
        f"{expression}).  (Size-like symbols: u1, u0)\n\nconsider using data-dependent friendly APIs.\n"
        f"Caused by: ({place})\nFor more information, run with TORCH_LOGS"
    )


def no_kernel(operator: str, node: str) -> str:
    return (
        "NotImplemented: [ONNXRuntimeError] : 9 : NOT_IMPLEMENTED : Could not find an implementation for "
        f"{operator} node with name '{node}'"
    )


def bad_type(operator: str, node: str, kind: str = "bfloat16", file: str = "d921287f") -> str:
    return (
        f"InvalidGraph: [ONNXRuntimeError] : 10 : INVALID_GRAPH : Load model from /root/.cache/{file}/model.onnx "
        f"failed:This is an invalid model. Type Error: Type 'tensor({kind})' of input parameter (x) of operator "
        f"({operator}) in node ({node}) is invalid."
    )


def openvino(*blocks: tuple[str, str, str]) -> str:
    """blocks: operator, name of its node, what is wrong with it."""
    begin = (
        "RuntimeError: Exception from src/inference/src/cpp/core.cpp:132:\n"
        "Exception from src/inference/src/dev/plugin.cpp:59:\n"
        "Check 'false' failed at src/frontends/common_translators/src/unconverted_ops_report.cpp:151:\n"
        "FrontEnd API failed with OpConversionFailure:\n"
        "Model wasn't fully converted. Failed operations detailed log:\n"
    )
    return begin + "\n".join(
        f"-- {kind}-20 with a message:\nWhile validating ONNX node '<Node({kind}): {node}>': Check "
        f"'element::Type::merge(result_et)' failed at src/core/src/op/{kind.lower()}.cpp:45:\n{what}\n"
        for kind, node, what in blocks
    )


def reshape(node: str, shape: str, asked: str) -> str:
    return (
        f"input set 'two_longer': Fail: [ONNXRuntimeError] : 1 : FAIL : Non-zero status code returned while running "
        f"Reshape node. Name:'{node}' Status Message: /onnxruntime_src/core/providers/cpu/tensor/reshape_helper.h:91 "
        "onnxruntime::ReshapeHelper::ReshapeHelper(const onnxruntime::TensorShape&, bool) input_shape_size == "
        f"requested_shape_size was false. Input shape:{shape}, requested shape:{asked}"
    )


def crash(how: str, *last: str) -> str:
    return "\n".join([f"ort-cpp was killed by {how}", *(f"  | {line}" for line in last)])


TOO_FEW = "AssertionError: only 4D query, key, and value are supported"
MISSING = "DispatchError: No ONNX function found for <OpOverload(op='mine.{}', overload='default')>. Failure: none"
LEGALIZE = (
    "ValueError: Failed to run converter passes: /venv/torch/nn/modules/linear.py:134:0: error: failed to legalize "
    "operation '{}' that was explicitly marked illegal: %4 = \"{}\"(%arg0) : (tensor<{}xf64>) -> tensor<3x4xf64>"
)
NO_SOURCE = "caused by OSError: could not get source code"
CONV = ("Conv", "getitem", "Element types for data batch and filters do not match (bf16, f32).")
GEMM = ("Gemm", "linear", "Arguments do not have the same element type (f32, bf16).")


def constraint(guard: str, name: str = "height") -> str:
    """What torch.export says of a size."""
    return (
        f'UserError: Constraints violated ({name})! For more information, run with TORCH_LOGS="+dynamic".\n'
        f"  - Not all values of {name} = L['x'].size()[2] in the specified range satisfy the generated guard {guard}.\n"
        f"Suggested fixes:\n  {name} = 2*_{name}"
    )


# Name; the whole's message, the part's, at which stage.
SAME = [
    ("names of nodes", onnxscript("scaled_dot_product_attention", TOO_FEW),
     onnxscript("scaled_dot_product_attention", TOO_FEW, args="%value_1, %value_2"), Stage.EXPORT),
    ("another question", guard("4*Min(300, u0) + 4*Min(300, u1) > 4000"), guard("Min(300, u0) > 4000"), Stage.EXPORT),
    ("opset and node", no_kernel("Gemm(13)", "node_addmm"), no_kernel("Gemm(13)", "/Gemm_4"), Stage.LOAD),
    ("file and node", bad_type("Conv", "/conv1/Conv"), bad_type("Conv", "node_Conv_292", file="aa11"), Stage.LOAD),
    ("one of two", openvino(CONV, GEMM), openvino(("Gemm", "linear_1", GEMM[2])), Stage.LOAD),
    ("shapes", reshape("/self_attn/Reshape_4", "{16,2,32}", "{9,8,8}"), reshape("Reshape", "{4,2}", "{1,8}"),
     Stage.RUN),
    ("sizes in a type", LEGALIZE.format("tfl.batch_matmul", "tfl.batch_matmul", "3x8"),
     LEGALIZE.format("tfl.batch_matmul", "tfl.batch_matmul", "1x2"), Stage.EXPORT),
    ("our advice", f"{guard('Eq(u0, 1)')}\nwhat to change: look at it", guard("Eq(u3, 1)"), Stage.EXPORT),
    ("addresses", "OSError: no source for <function f at 0x7fed7bc10680>",
     "OSError: no source for <function f at 0x7f>", Stage.EXPORT),
    ("a guard in other numbers", constraint("2*(((-3) + L['x'].size()[2]) // 2) < (-2) + L['x'].size()[2]"),
     constraint("2*(L['input'].size()[3] // 2) < L['input'].size()[3]", "width"), Stage.EXPORT),
    ("a few words", "RuntimeError: the kernel of this node could not be made on the device that was asked for",
     "RuntimeError: the kernel of a node could not be made on the device that was asked for", Stage.LOAD),
]  # fmt: skip
OTHER = [
    ("operator", no_kernel("Gemm(13)", "node_addmm"), no_kernel("Erf(13)", "node_addmm"), Stage.LOAD),
    ("operator in a sentence", bad_type("Conv", "a"), bad_type("Gemm", "a"), Stage.LOAD),
    ("type", bad_type("Conv", "a"), bad_type("Conv", "a", kind="float16"), Stage.LOAD),
    ("cause", onnxscript("stft", TOO_FEW), onnxscript("stft", "AssertionError: only 3D is supported"), Stage.EXPORT),
    ("missing function", onnxscript("shrink", MISSING.format("shrink")),
     onnxscript("stretch", MISSING.format("stretch")), Stage.EXPORT),
    ("what wraps it", f"OSError: no source of <function T5Config.__init__ at 0x7f>\n{NO_SOURCE}",
     f"OSError: no source of <bound method forward of Alone(\n{NO_SOURCE}\n  (module): T5Attention(", Stage.EXPORT),
    ("illegal operation", LEGALIZE.format("tfl.batch_matmul", "tfl.batch_matmul", "3x8"),
     LEGALIZE.format("tfl.sort", "tfl.sort", "3x8"), Stage.EXPORT),
    ("neither of two", openvino(CONV, GEMM), openvino(("Resize", "up", "Mode is not known.")), Stage.LOAD),
    ("all of another", openvino(CONV), openvino(GEMM), Stage.LOAD),
    ("guard", constraint("2*(((-3) + L['x'].size()[2]) // 2) < (-2) + L['x'].size()[2]"),
     constraint("((-2) + L['input'].size()[2]) != 1"), Stage.EXPORT),
    ("exception", "RuntimeError: the size is wrong", "ValueError: the size is wrong", Stage.EXPORT),
    ("only the frame", "RuntimeError: the size is wrong", "RuntimeError: the cast is wrong", Stage.EXPORT),
]  # fmt: skip


@pytest.mark.parametrize(("whole", "part", "stage"), [each[1:] for each in SAME], ids=[each[0] for each in SAME])
def test_the_same_error_in_a_smaller_model(whole: str, part: str, stage: Stage) -> None:
    assert is_same(ended(whole, stage), ended(part, stage))


@pytest.mark.parametrize(("whole", "part", "stage"), [each[1:] for each in OTHER], ids=[each[0] for each in OTHER])
def test_another_error(whole: str, part: str, stage: Stage) -> None:
    assert is_same(ended(whole, stage), ended(whole, stage))
    assert not is_same(ended(whole, stage), ended(part, stage))


def test_stage_and_verdict_must_be_equal() -> None:
    said = no_kernel("Gemm(13)", "node_addmm")
    assert not is_same(ended(said, Stage.LOAD), ended(said, Stage.RUN))
    assert not is_same(ended(said, Stage.LOAD), Outcome(Verdict.MISMATCH, Stage.LOAD, said))
    assert not is_same(Outcome(Verdict.PASS), Outcome(Verdict.PASS))


def test_processes_that_die() -> None:
    def died(message: str, verdict: Verdict = Verdict.CRASH) -> Outcome:
        return ended(message, Stage.RUN, verdict)

    fault = crash("SIGSEGV (segmentation fault)", "a warning of the library")
    assert is_same(died(fault), died(crash("SIGSEGV (segmentation fault)")))
    assert not is_same(died(fault), died(crash("SIGABRT (abort)")))
    aborted = crash("SIGABRT (abort)", "loading", "terminate called", "  what():  axis 3 out of range in Gather")
    assert is_same(died(aborted), died(crash("SIGABRT (abort)", "  what():  axis 0 out of range in Gather")))
    assert not is_same(died(aborted), died(crash("SIGABRT (abort)", "  what():  no kernel for Conv")))
    # How long it took is no property of the fault; that it did is.
    slow = "torch gave no answer within 60 s (--modelconform-timeout)"
    assert is_same(died(slow, Verdict.TIMEOUT), died("torch gave no answer within 5 s", Verdict.TIMEOUT))
    assert not is_same(died(slow, Verdict.TIMEOUT), died(slow))


def test_what_input_sets_say_counts_for_the_cell() -> None:
    """The cell's message may begin with another set's, or with a sentence about all of them."""

    def cell(**sets: tuple[Verdict, str]) -> Outcome:
        entries = {name: {"verdict": verdict.value, "message": said} for name, (verdict, said) in sets.items()}
        return Outcome(Verdict.ERROR, Stage.RUN, "Right for src (3, 9), an error for others.", inputs=entries)

    fault = reshape("/self_attn/Reshape_4", "{16,2,32}", "{9,8,8}")
    whole = cell(one=(Verdict.PASS, ""), two=(Verdict.ERROR, fault), three=(Verdict.UNSUPPORTED, "refused"))
    assert is_same(whole, cell(two=(Verdict.ERROR, reshape("Reshape", "{4}", "{2}"))))
    assert not is_same(whole, cell(three=(Verdict.ERROR, "RuntimeError: refused")))


@pytest.mark.parametrize(
    ("message", "line"),
    [
        (onnxscript("scaled_dot_product_attention", TOO_FEW), TOO_FEW),
        (no_kernel("Gemm(13)", "n"), no_kernel("Gemm(13)", "n")),
        (
            openvino(CONV),
            "While validating ONNX node '<Node(Conv): getitem>': Check 'element::Type::merge(result_et)' failed at "
            "src/core/src/op/conv.cpp:45:",
        ),
        ("Right for x (3, 9) ('three').\ninput set 'two': Fail: it can't be reshaped", "Fail: it can't be reshaped"),
        ("input set 'two': " + crash("SIGABRT (abort)", "loading", "  what():  no axis"), "what():  no axis"),
        ("ort gave no answer within 60 s", "ort gave no answer within 60 s"),
        ("", ""),
    ],
)
def test_the_line_that_tells_most(message: str, line: str) -> None:
    assert gist(message) == line
