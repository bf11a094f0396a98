"""What users are told to change: on the errors that exporters raise for real models, and whether it helps."""

from __future__ import annotations

import copy
import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy
import onnxruntime
import pytest
import torch

from pytest_modelconform.advice.failure import Failure
from pytest_modelconform.advice.table import STAGES, advice, advised
from pytest_modelconform.terms.outcome import NOT_FIT, Outcome, Stage, Verdict
from pytest_modelconform.workers.host.build import build
from pytest_modelconform.workers.python import program_file
from tests.support import refusals
from tests.support.fakes import REPOSITORY
from tests.support.refusals import said

pytestmark = [pytest.mark.compiles, pytest.mark.filterwarnings("ignore")]
# Not imported here: its operators can be registered once only.
FILE = REPOSITORY / "tests" / "support" / "refused.py"

# A case, the format that refuses it, what the advice says, and the cases (of the same format) that follow it.
TOLD = [
    ("branch", "export", "`if x.sum() > 0:` branches on a tensor's value", ["branch_chosen", "branch_both"]),
    ("branch", "onnx", "`if x.sum() > 0:` branches on a tensor's value", []),
    ("compared_always", "export", "torch.equal(x, self.seen))` asks whether tensors are equal", ["compared"]),
    ("asserted", "export", "`assert (x.abs() < 100.0).all()` checks a tensor's value", ["asserted_in_eager"]),
    ("sorted_unstably", "onnx", "none for its argument `stable`", ["sorted_plainly"]),
    ("sorted_unstably", "onnx-legacy", "none for its argument `stable`", ["sorted_plainly"]),
    ("imaginary", "onnx-legacy", "the older ONNX exporter has no complex numbers", []),
    ("mask", "export", "`if kept.shape[0] == 0:` asks for a length that values", ["mask_checked", "mask_kept"]),
    ("cut", "export", "`return self.a(x)[:, : int(n)]` makes a size of a tensor's value", ["cut_kept"]),
    ("added", "export", "forward takes batch = 6 only, but `dynamic_shapes` promises any", ["added_static"]),
    ("stretched", "export", "of a size times a fraction became the constant 9", ["stretched_trunc", "stretched_whole"]),
    ("positions", "export", '`torch.export.Dim("batch", max=6)` in place of "batch"', ["positions_bound"]),
    ("pair", "export", '`{"y": {0: "n"}, "x": {0: "n"}}`', ["pair_named"]),
    ("pairs", "export", '`2 * torch.export.Dim("part")` in place of "batch"', ["pairs_even"]),
    ("rounded", "export", "can't prove that 2*(", []),
    ("one", "export", "torch.export takes a length of 1 for a constant", ["pair_named"]),
    ("cache", "torchscript-trace", "a DynamicCache is an object", ["cache_off", "cache_inside"]),
    ("several", "torchscript-trace", "`return y, *states`", ["several_tuple"]),
    ("nothing", "torchscript-trace", "without None", ["several_tuple"]),
    ("best", "export", "Make a tuple of it: `tuple(x.topk(…))`", ["best_tuple"]),
    ("chosen", "export", '`torch.export.Dim("batch", max=1024)` in place of "batch"', ["chosen_bound"]),
    ("clamped", "onnx", "`x.clamp(0.0, 0.5)`", ["clamped_floats"]),
    ("packed", "export", "Give the layer the padded batch", ["packed_not"]),
    ("packed", "onnx", "Give the layer the padded batch", ["packed_not"]),
    ("score", "export", "`torch.autograd.grad(f(x).sum(), x)[0]`", ["score_by_autograd"]),
    ("score", "onnx", "`torch.autograd.grad(f(x).sum(), x)[0]`", ["score_by_autograd"]),
    ("score_of_one", "export", "`torch.autograd.grad(f(x).sum(), x)[0]`", []),
    ("recurrent", "export", "an nn.LSTM or nn.GRU, which it unrolls over time", ["recurrent_fixed"]),
    ("masked", "torchscript-script", "`mask: Optional[torch.Tensor] = None`", ["masked_or_not"]),
    ("guided", "torchscript-trace", "`return self.model(x, (3.0, mask))`", ["guided_default", "guided_more"]),
    ("guided_by_name", "torchscript-trace", "a string beside tensors in a list", ["guided_default", "guided_more"]),
    ("named", "export", "a named tuple of your own, Row,", ["named_plain", "detected_tuple"]),
    ("detected", "torchscript-trace", "and no Found", ["detected_tuple"]),
    ("detected", "export", "and no Found", ["detected_tuple"]),
    ("detected", "onnx", "and no Found", ["detected_tuple"]),
    ("checkpointed", "torchscript-trace", "`use_reentrant=False`", ["checkpointed_otherwise"]),
    ("estimated", "torchscript-trace", "Straight is a torch.autograd.Function", ["estimated_in_training"]),
    ("compiled", "torchscript-trace", "was given to torch.compile", ["compiled_not"]),
    ("triangle", "onnx-opset9", "aten::tril needs ONNX opset 14, and this export has 9", ["triangle_old"]),
    ("spectrum", "onnx-legacy", "Use the format `onnx`", ["spectrum_real"]),
    ("deformed", "onnx-legacy", "no torchvision::deform_conv2d. Try the format `onnx`", []),
    ("rotary", "onnx-legacy", "compute with real and imaginary parts", ["rotary_real"]),
    ("rotary", "onnx", "Compute with real and imaginary parts", ["rotary_real"]),
    ("values", "onnx-legacy", "the older ONNX exporter has no aten::linalg_eigvalsh", []),
    ("shrunk", "onnx", "ONNX has no operator refused::shrink", []),
    ("shrunk", "onnx-legacy", "ONNX has no operator refused::shrink", []),
    ("no_fake", "export", '`@torch.library.register_fake("refused::unseen")`', ["shrunk"]),
    ("no_meta", "export", '`@torch.library.register_fake("refused::defined")`', ["shrunk"]),
]  # fmt: skip


def export(case: str, format_name: str, folder: Path) -> None:
    refusals.export(FILE, case, format_name, folder)


@pytest.mark.parametrize(
    ("case", "format_name", "words", "fixed"), TOLD, ids=[f"{case}-{format_name}" for case, format_name, *_ in TOLD]
)
def test_real_errors_of_exporters(case: str, format_name: str, words: str, fixed: list[str], tmp_path: Path) -> None:
    failure = said(lambda: export(case, format_name, tmp_path / "refused"))
    assert words in str(advice(failure)), failure.message
    for name in fixed:
        export(name, format_name, tmp_path / name)


@pytest.mark.parametrize("format_name", ["torchscript-trace", "onnx-legacy"])
def test_formats_that_keep_a_recurrent_layer(format_name: str, tmp_path: Path) -> None:
    export("recurrent", format_name, tmp_path / "made")
    longer = torch.randn(2, 9, 4)
    if format_name == "onnx-legacy":
        [y] = onnxruntime.InferenceSession(tmp_path / "made" / "model.onnx").run(None, {"x": longer.numpy()})
    else:
        y = torch.jit.load(tmp_path / "made" / "model.pt")(longer)
    assert tuple(y.shape) == (2, 9, 4)


def test_a_dtype_that_onnx_runtime_has_no_kernel_for(tmp_path: Path) -> None:
    export("autocast", "onnx", tmp_path / "made")
    failure = said(lambda: onnxruntime.InferenceSession(tmp_path / "made" / "model.onnx"), Stage.LOAD)
    assert "no Gemm on the CPU for the dtype that this one has: bfloat16" in str(advice(failure)), failure.message


def test_an_index_of_32_bits(tmp_path: Path) -> None:
    for name in ("picked", "picked_long"):
        export(name, "onnx", tmp_path / name)
    failure = said(lambda: onnxruntime.InferenceSession(tmp_path / "picked" / "model.onnx"), Stage.LOAD)
    assert "`x[:, i.long()]`" in str(advice(failure)), failure.message
    onnxruntime.InferenceSession(tmp_path / "picked_long" / "model.onnx")


def test_a_number_beyond_64_bits() -> None:
    """Of a robot's arm, whose quaternions are chosen by a mask; with a bound it is exported."""
    said = (
        "ConversionError: Failed to convert the exported program to an ONNX model.\n"
        "caused by ConversionError: Error when translating node %le_2 : [num_users=0] = call_function"
        "[target=operator.le](args = (%sym_size_int_4, 36893488147419103224), kwargs = {}).\n"
        "<class 'OverflowError'>: Python int too large to convert to C long"
    )
    assert '`torch.export.Dim("batch", max=1024)`' in str(advice(Failure(Stage.EXPORT, said)))


def test_what_torch_export_cannot_follow_is_not_said_of_forward() -> None:
    """It suggests multiples of 4 for a Conformer, whose reshaped positions take every length."""
    said = (
        'UserError: Constraints violated (steps)! For more information, run with TORCH_LOGS="+dynamic".\n'
        "Suggested fixes:\n    _steps = Dim('_steps', min=4, max=250)\n    steps = 4*_steps"
    )
    found = str(advice(Failure(Stage.EXPORT, said)))
    assert found.startswith("as torch.export reads it, forward takes multiples of 4 only as steps. If that is so, ")
    assert found.endswith(
        "If forward takes others, too, a pooling, a `view` or a `//` of steps is beyond this torch.export"
    )


class Rounded(torch.nn.Module):
    """Pools columns by two, and rounds up; in refused.py, too."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.max_pool2d(x[:, None, None], (1, 2), ceil_mode=True)


def violated(*guards: str, within: str = " 12 <= w ") -> str | None:
    """What is said of guards on a size w, whose multiple torch.export suggests besides."""
    size = "L['x'].size()[2]"
    lines = [
        f"  - Not all values of w = {size} in the specified range{within} satisfy the generated guard "
        f"{guard.replace('w', size)}.\n"
        for guard in guards
    ]
    message = "UserError: Constraints violated (w)!\n" + "".join(lines) + "Suggested fixes:\n  w = 2*_w\n"
    return advice(Failure(Stage.EXPORT, message))


def test_sizes_that_a_pooling_takes() -> None:
    """PyTorch 2.11 asks whether a stride divides a size, and suggests nothing."""
    lines = [
        f"  - Not all values of {name} = L['x'].size()[{axis}] in the specified range 33 <= {name} satisfy the "
        f"generated guard ((((-1) + L['x'].size()[{axis}]) // 2) % 2) != 0.\n"
        for name, axis in (("height", 2), ("width", 3))
    ]
    told = str(advice(Failure(Stage.EXPORT, "UserError: Constraints violated (height, width)!\n" + "".join(lines))))
    assert "only where ((((-1) + height) // 2) % 2) != 0: multiples of 4, say" in told
    assert '`4 * torch.export.Dim("part")` in place of "height"' in told


def test_an_output_of_transformers_in_a_trace() -> None:
    said = "RuntimeError: Tracer cannot infer type of CLIPOutput(loss=None, logits=tensor([1.]))"
    assert '`"return_dict": False`' in str(advice(Failure(Stage.EXPORT, said)))
    assert "`return y, *states`" in str(advice(Failure(Stage.EXPORT, said.replace("CLIPOutput", "Found"))))


def test_an_object_that_is_no_nest_of_tensors() -> None:
    said = "case 'gp', input set 'a': a gpytorch.distributions.{} has no place in inputs or outputs: tensors, numbers"
    told = str(advice(Failure(Stage.REFERENCE, said.format("MultivariateNormal"))))
    assert told.startswith("no format stores a MultivariateNormal. Wrap the model in a module that")
    assert told.endswith("as tensors, of a distribution its mean and variance, say")
    assert str(advice(Failure(Stage.REFERENCE, said.format("Graph")))).endswith("as tensors")
    said = "kwargs/dtype: a torch.dtype has no place in inputs or outputs"
    assert str(advice(Failure(Stage.REFERENCE, said))).startswith("input sets hold no dtype. Leave it out")


def test_a_bound_is_one_that_its_own_guards_take() -> None:
    said = (
        "UserError: Constraints violated (points)!\n"
        "  - Not all values of points = L['xyz'].size()[1] in the specified range satisfy the generated guard "
        "L['xyz'].size()[1] != 8.\n"
        "  - Not all values of points = L['xyz'].size()[1] in the specified range satisfy the generated guard "
        "8 <= L['xyz'].size()[1].\nSuggested fixes:\n  points = Dim('points', min=8)\n"
    )
    assert '`torch.export.Dim("points", min=9)`' in str(advice(Failure(Stage.EXPORT, said)))
    as_it_is = said.replace("!= 8", "!= 4")
    assert '`torch.export.Dim("points", min=8)`' in str(advice(Failure(Stage.EXPORT, as_it_is)))


def test_a_bound_is_one_from_which_on_they_do() -> None:
    """As of a U-Net whose encoder halves a picture five times."""
    height = "L['x'].size()[2]"
    said = (
        "UserError: Constraints violated (h)!\n"
        f"  - Not all values of h = {height} in the specified range satisfy the generated guard "
        f"(1 + (((-1) + {height}) // 32)) != 1.\n"
        f"  - Not all values of h = {height} in the specified range satisfy the generated guard "
        f"17 <= {height} and {height} <= IntInfinity()\n"
        "Suggested fixes:\n  h = Dim('h', min=17)\n"
    )
    assert '`torch.export.Dim("h", min=33)`' in str(advice(Failure(Stage.EXPORT, said)))
    for kept in ("!= 41", "> 1000", "% 7 != 0"):
        assert "min=17" in str(advice(Failure(Stage.EXPORT, said.replace("!= 1.", f"{kept}."))))


def test_a_check_of_a_distribution_is_no_branch() -> None:
    said = (
        "GuardOnDataDependentSymNode: Could not guard on data-dependent expression Eq(u0, 1) (unhinted: Eq(u0, 1)).  "
        "(Size-like symbols: none)\n  at net.py:9, in forward: LINE"
    )
    for line, words in (
        ("d = Normal(mean, self.std)", "pass `validate_args=False` to Normal"),
        ("if LayerNorm(x).sum() > 0:", "branches on a tensor's value"),
    ):
        assert words in str(advice(Failure(Stage.EXPORT, said.replace("LINE", line))))


def test_an_operator_of_torchs_own_takes_no_fake_kernel() -> None:
    name = "aten.fake_quantize_per_tensor_affine_cachemask"
    told = str(advice(Failure(Stage.EXPORT, f"UnsupportedOperatorException: {name}.default")))
    assert "register_fake" not in told
    assert "Leave `dynamic_shapes` out" in told


def test_a_script_that_an_older_torch_does_not_know() -> None:
    told = str(advice(Failure(Stage.LOAD, "RuntimeError: \nUnknown builtin op: aten::_upsample_lanczos2d_aa.\n")))
    assert "aten::_upsample_lanczos2d_aa" in told
    assert "`torch.jit.freeze`" in told
    assert "an operator of your own" in str(
        advice(Failure(Stage.LOAD, "RuntimeError: \nUnknown builtin op: mine::shrink.\n"))
    )


def test_a_guard_that_always_holds_is_no_fault_of_the_sizes() -> None:
    always = "torch.export can't prove that 2*(((-3) + w) // 2) < (-2) + w, which holds for every w"
    assert always in str(violated("2*(((-3) + w) // 2) < (-2) + w"))
    assert "can't prove that (w // 2) < 20, which" in str(violated("(w // 2) < 20", within=" 12 <= w <= 39 "))
    assert "can't prove that w < 40, which" in str(violated("w < 40", within=" w <= 39 "))


def test_another_guard_on_the_same_size_has_to_be_one_on_small_sizes() -> None:
    assert "can't prove that w > 0" in str(violated("w > 0", "(w // 2) != 6"))
    assert "can't prove" not in str(violated("w > 0", "w % 2 == 0"))


def test_what_it_says_to_do_exports_the_model_for_all_sizes() -> None:
    model = Rounded()
    program = torch.export.export(
        model,
        (torch.randn(2, 5),),
        dynamic_shapes={"x": {0: torch.export.Dim("batch"), 1: torch.export.Dim("width", min=4)}},
        prefer_deferred_runtime_asserts_over_guards=True,
    ).module()
    for width in (4, 7, 10):
        x = torch.randn(3, width)
        assert torch.equal(program(x), model(x))


@pytest.mark.parametrize(
    ("guard", "within"),
    [
        ("w % 2 == 0", " 12 <= w "),
        ("(w // 2) < 20", " 12 <= w <= 40 "),
        ("w != 3", " "),
        # A range in which it holds for the small sizes only.
        ("w < 100", " 12 <= w "),
        # What can't be computed from the one size is not tried.
        ("w < other", " 12 <= w "),
        ("w**w >= 0", " 12 <= w "),
        ("1 << w >= 0", " 12 <= w "),
        ("w // 0 < 1", " 12 <= w "),
        ("Max(1, w) > 0", " 12 <= w "),
    ],
)
def test_a_guard_that_some_size_breaks_or_that_is_not_understood_leaves_the_other_advice(
    guard: str, within: str
) -> None:
    assert '`2 * torch.export.Dim("part")` in place of "w"' in str(violated(guard, within=within))


def test_a_guard_without_a_suggestion_may_be_one_that_always_holds() -> None:
    """As torch.export said of ConvNeXt, which takes all of these sizes."""
    said = (
        'UserError: Constraints violated (width)! For more information, run with TORCH_LOGS="+dynamic".\n'
        "  - Not all values of width = L['x'].size()[3] in the specified range 16 <= width satisfy the generated guard "
        "(1 % (16*(L['x'].size()[3] // 4))) != 0.\n"
    )
    name = "prefer_deferred_runtime_asserts_over_guards"
    assert "can't prove that (1 % (16*(width // 4))) != 0, which holds for every width" in str(
        advice(Failure(Stage.EXPORT, said))
    )
    # One that can't be computed from the size alone.
    said = said.replace("(1 % (16*(L['x'].size()[3] // 4))) != 0", "Max(1, L['x'].size()[3]) > 0")
    told = str(advice(Failure(Stage.EXPORT, said)))
    assert told.startswith("torch.export isn't sure that forward takes every size")
    assert name in told
    assert "doesn't take" in str(advice(Failure(Stage.EXPORT, f"{said}Suggested fixes:\n  width = height\n")))


# -- what was written elsewhere --------------------------------------------------------------------------------------


def graph(op: str, domain: str = "", opset: int = 18, ir_version: int = 10) -> bytes:
    """An ONNX model of one operator."""
    from onnx import TensorProto, helper

    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2]) for name in "xy"]
    opsets = [helper.make_opsetid("", opset), *([helper.make_opsetid(domain, 1)] if domain else [])]
    made = helper.make_graph([helper.make_node(op, ["x"], ["y"], domain=domain)], "g", values[:1], values[1:])
    return helper.make_model(made, opset_imports=opsets, ir_version=ir_version).SerializeToString()


def in_ort(model: bytes) -> None:
    import onnxruntime

    onnxruntime.InferenceSession(model)


def in_openvino(model: bytes) -> None:
    import openvino

    openvino.Core().read_model(model)


class Boxes(torch.nn.Module):
    def forward(self, boxes: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        kept: torch.Tensor = torch.ops.torchvision.nms(boxes, scores, 0.5)
        return kept


def boxes_in_openvino() -> None:
    import openvino
    import torchvision  # noqa: F401 (its operators)

    openvino.convert_model(torch.export.export(Boxes(), (torch.rand(3, 4), torch.rand(3))))


def changed(data: bytes, change: Callable[[str, bytes], bytes]) -> io.BytesIO:
    """A zip file with other contents."""
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))
    return io.BytesIO(target.getvalue())


def newer_script() -> None:
    """TorchScript of a later PyTorch."""
    file = io.BytesIO()
    torch.jit.save(torch.jit.script(torch.nn.ReLU()), file)
    torch.jit.load(changed(file.getvalue(), lambda name, old: b"99\n" if name.endswith("/version") else old))


def newer_program(folder: Path, change: Callable[[str, bytes], bytes]) -> None:
    """A .pt2 file of a later PyTorch."""
    file = io.BytesIO()
    torch.export.save(torch.export.export(torch.nn.ReLU(), (torch.ones(2),)), file)
    (folder / "model.pt2").write_bytes(changed(file.getvalue(), change).getvalue())
    program_file.read(str(folder / "model.pt2"))


def later_schema(name: str, old: bytes) -> bytes:
    if not name.endswith("models/model.json"):
        return old
    found = json.loads(old)
    found["schema_version"]["major"] += 1
    return json.dumps(found).encode()


def other_operator(name: str, old: bytes) -> bytes:
    return old.replace(b"torch.ops.aten.relu", b"torch.ops.mine.relu")


def unknown_in_script() -> None:
    """TorchScript that calls an operator which this process doesn't have."""
    file, model = io.BytesIO(), build(str(FILE), "refused.py", "shrunk").model
    torch.jit.save(torch.jit.trace(model, torch.ones(3, 4), check_trace=False), file)
    torch.jit.load(changed(file.getvalue(), lambda name, old: old.replace(b"ops.refused.", b"ops.absent.")))


def saved_on_gpu() -> None:
    """Weights as a GPU saves them: the same file, with the device in it."""
    file = io.BytesIO()
    torch.save(torch.nn.Linear(4, 4).state_dict(), file)
    cpu, cuda = (b"X" + len(name).to_bytes(4, "little") + name for name in (b"cpu", b"cuda:0"))
    data = file.getvalue()
    assert cpu in zipfile.ZipFile(io.BytesIO(data)).read("archive/data.pkl")
    torch.load(changed(data, lambda name, old: old.replace(cpu, cuda) if name.endswith("data.pkl") else old))


def checked(model: bytes) -> None:
    import onnx

    onnx.checker.check_model(onnx.load_from_string(model))


LOADED: list[tuple[str, Callable[[Path], object], str]] = [
    ("onnx-ir", lambda folder: checked(graph("Relu", ir_version=99)), "the file has IR version 99, the installed onnx"),
    ("ort-ir", lambda folder: in_ort(graph("Relu", ir_version=99)), "has IR version 99, this ONNX Runtime reads"),
    ("ort-opset", lambda folder: in_ort(graph("Relu", opset=99)), "the file has opset 99, this ONNX Runtime reads"),
    ("ort-operator", lambda folder: in_ort(graph("Mine", "my.ops")), "`operators=Operators(onnxruntime=("),
    ("openvino", lambda folder: in_openvino(graph("Mine", "my.ops")), "`operators=Operators(openvino=("),
    (
        "openvino-torchvision",
        lambda folder: boxes_in_openvino(),
        "OpenVINO has no torchvision::nms for what comes from",
    ),
    ("script-version", lambda folder: newer_script(), "a newer PyTorch wrote the file (version 99"),
    ("script-operator", lambda folder: unknown_in_script(), "absent::shrink is an operator of your own"),
    ("program-schema", lambda folder: newer_program(folder, later_schema), "a newer PyTorch wrote the file"),
    ("program-operator", lambda folder: newer_program(folder, other_operator), "mine::relu is an operator of your own"),
    (
        "program-archive",
        lambda folder: newer_program(folder, lambda name, old: b"9" if name.endswith("archive_version") else old),
        "a newer PyTorch wrote the file (version 9, and this one reads 0)",
    ),
]


@pytest.mark.parametrize(("load", "words"), [row[1:] for row in LOADED], ids=[row[0] for row in LOADED])
def test_real_errors_of_loaders(load: Callable[[Path], object], words: str, tmp_path: Path) -> None:
    failure = said(lambda: load(tmp_path), Stage.LOAD)
    assert words in str(advice(failure)), failure.message


def test_a_length_that_an_exporter_fixed_without_a_word(tmp_path: Path) -> None:
    import onnxruntime

    def run(case: str) -> None:
        export(case, "onnx", tmp_path / case)
        session = onnxruntime.InferenceSession(tmp_path / case / "model.onnx")
        session.run(None, {"x": numpy.ones((2, 4), numpy.float32)})

    failure = said(lambda: run("viewed"), Stage.RUN)
    hint = advice(replace(failure, message=f"input set 'two': {failure.message}"))
    assert str(hint).startswith("the exporter made dimension 0 of x the constant 3, though `dynamic_shapes` names it")
    [line] = advised(Outcome(Verdict.ERROR, Stage.RUN, failure.message)).hint_lines
    assert line == f"likely cause: {hint}"
    run("viewed_as_it_is")


@pytest.mark.skipif(torch.cuda.is_available(), reason="a machine with a GPU reads such files")
def test_weights_that_were_saved_on_a_gpu() -> None:
    assert '`torch.load(file, map_location="cpu")`' in str(advice(said(saved_on_gpu, Stage.BUILD)))
    to_gpu = advice(said(lambda: torch.nn.Linear(2, 2).cuda(), Stage.BUILD))
    assert "Build model and inputs on the CPU" in str(to_gpu)
    assert "`device=x.device`" in str(advice(said(lambda: torch.ones(2).to("cuda"), Stage.REFERENCE)))


def test_a_model_that_cannot_be_copied() -> None:
    built = build(str(FILE), "refused.py", "keeps_operator")
    failure = said(lambda: copy.deepcopy(built.model), Stage.REFERENCE)
    assert "the model keeps a _DispatchModule, which can't be copied" in str(advice(failure))


# -- outcomes --------------------------------------------------------------------------------------------------------

KNOWN = "RuntimeError: Found no NVIDIA driver on your system."


@pytest.mark.parametrize("stage", STAGES)
def test_an_outcome_ends_with_what_to_change(stage: Stage) -> None:
    found = advised(Outcome(Verdict.ERROR, stage, KNOWN))
    [hint] = found.hints
    assert found.message == f"{KNOWN}\nwhat to change: {hint}"
    assert (found.verdict, found.stage) == (Verdict.ERROR, stage)
    assert advised(found) == found


@pytest.mark.parametrize(
    "outcome",
    [
        Outcome(Verdict.ERROR, Stage.EXPORT, "RuntimeError: who knows"),
        Outcome(Verdict.ERROR, Stage.REFERENCE, f"{NOT_FIT}, see net[eager]: {KNOWN}"),
        Outcome(Verdict.ERROR, Stage.RUN, KNOWN),
        Outcome(Verdict.MISMATCH, Stage.COMPARE, KNOWN),
        Outcome(Verdict.CRASH, Stage.LOAD, KNOWN),
        Outcome(Verdict.UNAVAILABLE, Stage.ENVIRONMENT, KNOWN),
    ],
    ids=lambda outcome: f"{outcome.verdict.value}-{outcome.stage.value}",
)
def test_nothing_is_said_where_nothing_is_known(outcome: Outcome) -> None:
    assert advised(outcome) is outcome


def test_what_libraries_say_of_their_own_operators_is_no_advice_on_those_of_a_user() -> None:
    for message in (
        "Unknown builtin op: mine::x\nSay it: operators=Operators(torch=(…,))",
        "No ONNX function found for something",
    ):
        assert advice(Failure(Stage.LOAD, message)) is None


def test_an_operator_of_pytorch_that_the_exporter_lacks() -> None:
    message = "DispatchError: No ONNX function found for <OpOverload(op='aten._linalg_eigh', overload='default')>."
    assert "no function for aten::_linalg_eigh" in str(advice(Failure(Stage.EXPORT, message)))


def test_opsets_are_said_as_the_case_says_them() -> None:
    message = (
        "UnsupportedOperatorError: Exporting the operator 'aten::grid_sampler' to ONNX opset version {} is not "
        "supported. Support for this operator was added in version 16, try exporting with this version"
    )
    newer = advice(Failure(Stage.EXPORT, message.format(14)))
    assert '`exports={"onnx-legacy": Export(options={"opset_version": 16})}`' in str(newer)
    assert "--modelconform-formats" in str(advice(Failure(Stage.EXPORT, message.format(9))))
    late = "Opset 29 is under development. Current official support for domain ai.onnx is till opset 28."
    assert '"opset_version": 28' in str(advice(Failure(Stage.LOAD, late)))
    assert "convert_version(model, 28)" in str(advice(Failure(Stage.LOAD, late, "onnx")))


def test_the_line_is_the_packages_where_it_is_further_in() -> None:
    message = """\
GuardOnDataDependentSymNode: Could not guard on data-dependent expression Eq(u0, 1).  (Size-like symbols: none)
  at cases/audio.py:28, in forward: return self.head(x)

The following call raised this error:
  File "/a/lib/python3.11/site-packages/{file}", line 72, in forward
    assert (envelope > 1e-11).all()
"""
    found = Failure(Stage.EXPORT, message.format(file="vocos/spectral_ops.py"))
    assert found.line == "`assert (envelope > 1e-11).all()` (vocos/spectral_ops.py:72)"
    # PyTorch's own code is no matter of the user's.
    assert Failure(Stage.EXPORT, message.format(file="torch/nn/modules.py")).line == "`return self.head(x)`"
