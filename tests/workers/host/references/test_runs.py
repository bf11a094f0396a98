"""What the case host leaves for the pytest process, and what that makes of it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from pytest_modelconform.compare import compare_tensor
from pytest_modelconform.compare.numbers import UNSTABLE
from pytest_modelconform.references import from_runs
from pytest_modelconform.references.content import Inference, InferenceAnswer
from pytest_modelconform.references.model_check import ModelFault
from pytest_modelconform.references.prepared import Prepared
from pytest_modelconform.terms.case import Tolerance
from pytest_modelconform.workers import arrays
from pytest_modelconform.workers.host.build import build
from pytest_modelconform.workers.host.references import runs as reference
from pytest_modelconform.workers.host.state import Globals, seed_all, seed_of
from pytest_modelconform.workers.loop import WorkerError
from tests.support import runs

HEAD = """\
import torch

from pytest_modelconform import Case


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(8, 8)
        self.calls = 0

    def forward(self, x):
        y = self.linear(x)
        {}


case = Case(model=lambda: Net(), inputs={{"a": lambda: (torch.rand(4, 8),), "b": lambda: (torch.rand(2, 8),)}}{})
"""


def make(folder: Path, body: str = "", more: str = "", head: str = "") -> dict[str, Any]:
    """What the host answers for a case file: `head` or HEAD with a body of forward and further fields."""
    path = runs.case_file(folder, "ref", head or HEAD.format(body, more))
    return reference.make(build(str(path), path.name, path.stem), str(folder))


def references(folder: Path, content: dict[str, Any]) -> Inference:
    """What the runs in a folder come to."""
    return from_runs.make(folder, msgspec.convert(content, InferenceAnswer))


def test_a_reference(tmp_path: Path) -> None:
    content = make(tmp_path, "return {'y': y, 'n': [y.argmax(), 3.5]}")
    assert content["exporter_set"] == "a"
    assert content["output_paths"] == ["/y", "/n/0", "/n/1"]
    assert content["parameters"] == 72
    assert content["sets"]["a"]["inputs_changed"] == []
    assert content["sets"]["a"]["impure"] == ""
    assert content["tolerance"]["bits_lost"] is None
    runs = arrays.read(tmp_path / "runs-a.safetensors")
    assert {key.partition(":")[0] for key in runs if key.endswith("/y")} == {"e0", "r", "e1", "e2", "e3"}
    # The wide runs are for what isn't compared by its noise.
    assert {key.partition(":")[0] for key in runs if key.endswith("/n/0")} >= {"e3", "e4", "e5"}
    assert runs["r:/y"].dtype == np.float64
    np.testing.assert_allclose(runs["r:/y"], runs["e0:/y"], rtol=0, atol=1e-6)
    for k in range(1, 4):
        assert 0 < np.abs(runs[f"e{k}:/y"] - runs["e0:/y"]).max() < 1e-6

    made = references(tmp_path, content)
    assert made.notes == []
    assert not (tmp_path / "runs-a.safetensors").exists()
    prepared = Prepared(made, "d", tmp_path, cached=False)
    assert list(prepared.sets) == ["a", "b", "auto-transposed", "auto-zeros"]
    assert prepared.sets["auto-transposed"].generated == "transposed (non-contiguous) tensors"
    assert prepared.sets["auto-transposed"].may_refuse
    assert not prepared.sets["b"].may_refuse
    entry = prepared.sets["b"]
    assert (entry.shapes, entry.args, entry.kwargs) == ({"/args/0": [2, 8]}, [{"tensor": "/args/0"}], [])
    assert set(entry.references) == {"['y']", "['n'][0]", "['n'][1]"}
    assert (entry.references["['y']"].reference_bits or 0) > 20
    assert prepared.tolerance == Tolerance()
    assert prepared.tolerances == {}


def test_inputs_that_the_model_changes(tmp_path: Path) -> None:
    content = make(tmp_path, "x.add_(1); return y")
    assert content["sets"]["a"]["inputs_changed"] == ["/args/0"]
    # And are whole in the file.
    assert arrays.read(tmp_path / "inputs-a.safetensors")["/args/0"].max() < 1
    with pytest.raises(ModelFault, match=r"the model writes to its inputs \(/args/0\). .* Case\(accept="):
        references(tmp_path, content)
    content = make(tmp_path, "x.add_(1); return y", ", accept={'mutates-inputs': 'a cache'}")
    [note] = references(tmp_path, content).notes
    assert note.startswith(
        "writes to its inputs (/args/0): what an export writes there is not compared. Return it, too"
    )


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            "return y + torch.rand_like(y)",
            "other numbers on a second call with the same inputs.*It draws random numbers",
        ),
        ("return torch.nn.functional.dropout(y, 0.5, training=True)", "It draws random numbers"),
        ("self.calls += 1; return y * self.calls", "It keeps state between calls. Take the state as an input"),
        ("self.linear.bias.data += 1; return y", "It keeps state between calls. Take"),
        ("self.linear.bias.add_(1); return y", "It keeps state between calls, in linear.bias. Take"),
        ("return (torch.rand(6) * 1000).long()", "It draws random numbers"),
        ("return torch.where(x > 0.5, y + torch.rand_like(y), -1e9)", "It draws random numbers"),
        ("self.calls += 1; return torch.where(x > 0.5, y * self.calls, -1e9)", "It keeps state between calls"),
    ],
)
def test_models_that_nothing_can_be_compared_with(tmp_path: Path, body: str, message: str) -> None:
    content = make(tmp_path, body)
    with pytest.raises(ModelFault, match=message) as fault:
        references(tmp_path, content)
    assert str(fault.value).startswith("input set 'a': ")
    assert "impure" not in str(fault.value)
    assert "it would need" not in str(fault.value)
    assert re.search(r"In a second call: wrong values: output.* is \S+, the first call gives \S+$", str(fault.value))


def test_models_of_which_nothing_can_be_seen(tmp_path: Path) -> None:
    content = make(tmp_path, "return y * 0, y < 99")
    message = (
        r"no output of any input set .*: output\[0\] is zero everywhere, output\[1\] is True everywhere. Use other"
    )
    with pytest.raises(ModelFault, match=message):
        references(tmp_path, content)


def test_outputs_without_information_are_a_note(tmp_path: Path) -> None:
    content = make(tmp_path, "return y, y * 0, (y * 1e-4).long(), torch.full((3,), float('nan'))")
    made = references(tmp_path, content)
    nothing = {"[1]": "zero everywhere", "[2]": "0 everywhere", "[3]": "NaN, infinite or beyond 1e30 everywhere"}
    assert (made.outputs, made.blind) == (4, nothing)
    [note] = [note for note in made.notes if note.startswith("sees ")]
    assert note.startswith("sees 1 of 4 outputs: output[1] is zero everywhere, output[2] is 0 everywhere, ")
    assert "every input set. They are compared, but" in note
    prepared = Prepared(made, "d", tmp_path, cached=False)
    assert [reference.kind for reference in prepared.sets["a"].references.values()] == [
        "float",
        "float",
        "exact",
        "float",
    ]
    silent = references(tmp_path, {**make(tmp_path, "return y, y * 0"), "blind_ok": True})
    assert not any(note.startswith("sees ") for note in silent.notes)
    # Sums that rounding alone tells apart.
    content = make(tmp_path, "return y, (y - y.mean(0) - y + y.mean(0) > 0).long()")
    [note] = [note for note in references(tmp_path, content).notes if note.startswith("sees ")]
    assert "sees 1 of 2 outputs: output[1] is decided by rounding" in note
    assert "every input set. What rounding leaves of them is compared, but" in note


def test_an_output_that_one_set_shows(tmp_path: Path) -> None:
    made = references(tmp_path, make(tmp_path, "return y if x.shape[0] == 2 else y * 0"))
    assert (made.outputs, made.blind) == (1, {})
    assert any(
        note.startswith("sees nothing in some input sets: output is zero everywhere in 'a'") for note in made.notes
    )


def test_inputs_that_only_change_places_are_no_evidence(tmp_path: Path) -> None:
    head = HEAD.replace("(torch.rand(4, 8),)", "(torch.arange(32.0).reshape(4, 8),)")
    head = head.replace(', "b": lambda: (torch.rand(2, 8),)', "")
    made = references(tmp_path, make(tmp_path, head=head.format("return x.sum(), x.amax()", "")))
    assert "auto-transposed" in made.sets


def test_a_generated_set_that_reads_beyond_is_left_out(tmp_path: Path) -> None:
    # As a region of interest that names an image which the shorter batch doesn't have.
    body = "return y if x.shape[0] > 1 else y * torch.rand(())"
    made = references(tmp_path, make(tmp_path, body, ", dynamic_shapes={'x': {0: 'n'}}"))
    assert "auto-least" not in made.sets
    assert any("'auto-least'" in note and "second call" in note for note in made.notes)


def test_a_model_that_ignores_its_inputs(tmp_path: Path) -> None:
    content = make(tmp_path, "return self.linear.weight * 2")
    with pytest.raises(
        ModelFault, match=r"the outputs are the same for other inputs .*, so that an export that ignores"
    ):
        references(tmp_path, content)
    content = make(tmp_path, "return self.linear.weight * 2", ", blind_ok='a table of constants'")
    assert set(references(tmp_path, content).sets) == {"a", "b", "auto-transposed", "auto-zeros"}


def test_a_model_that_reads_past_the_strides(tmp_path: Path) -> None:
    content = make(tmp_path, "return y + x.as_strided((x.shape[0], 8), (8, 1))")
    with pytest.raises(ModelFault, match=r"other numbers for a transposed .* Call \.contiguous\(\) first, or say why"):
        references(tmp_path, content)
    content = make(
        tmp_path, "return y + x.as_strided((x.shape[0], 8), (8, 1))", ", accept={'layout': 'rows come as they are'}"
    )
    assert list(references(tmp_path, content).sets) == ["a", "b", "auto-values", "auto-zeros"]


def test_a_threshold_that_a_value_is_close_to(tmp_path: Path) -> None:
    # Two units over it: a sum of eight numbers may be as far off.
    body = "s = x.sum(1); return y, y[s > float(x.double().sum(1)[0]) - 2.4e-7]"
    made = references(tmp_path, make(tmp_path, body, ", fixed_inputs='-'"))
    assert any(
        note.endswith("output[1] is of a size that rounding decides: its numbers are not compared")
        for note in made.notes
    )
    # Of the inputs themselves nothing is rounded, in any runtime.
    made = references(tmp_path, make(tmp_path, "return y, y[x[:, 0] >= float(x[0, 0])]", ", fixed_inputs='-'"))
    assert not any("rounding" in note for note in made.notes)


def test_a_generated_set_that_the_model_refuses_is_left_out(tmp_path: Path) -> None:
    made = references(tmp_path, make(tmp_path, "return self.linear(x.view(-1).view(-1, 8))"))
    # Transposed inputs have no view; their values in row-major order take their place.
    assert list(made.sets) == ["a", "b", "auto-values", "auto-zeros"]
    [note] = made.notes
    assert note.startswith("input set 'auto-transposed' (transposed (non-contiguous) tensors) is left out: case 'ref")
    assert "view size is not compatible" in note


def test_what_is_worth_knowing_of_a_model(tmp_path: Path) -> None:
    made = references(tmp_path, make(tmp_path, "return y, x[:, 1:]"))
    [views] = made.notes
    assert views.startswith("returns views of its inputs (output/1): ")
    head = HEAD.format("self.count.add_(1)\n        return y", "").replace(
        "self.calls = 0", "self.register_buffer('count', torch.zeros(()))"
    )
    made = references(tmp_path, make(tmp_path, head=head))
    assert "writes to its own state on every call (count), which an export may not" in made.notes
    assert any(note.startswith("can't see 1 of its 3 tensors: ") and "(count)" in note for note in made.notes)


def test_a_model_that_computes_in_fewer_bits_says_so(tmp_path: Path) -> None:
    made = references(tmp_path, make(tmp_path, "return y.bfloat16().tanh().float()"))
    said = "computes in bfloat16 in places (torch.autocast, or a cast in forward): its noise is that of bfloat16"
    assert said in made.notes
    made = references(tmp_path, make(tmp_path, "return y.tanh()"))
    assert not any("bfloat16" in note for note in made.notes)


def test_elements_that_are_not_compared_are_counted(tmp_path: Path) -> None:
    # Three of 64 numbers are where rounding decides; another is at an edge, too, and exact.
    head = HEAD.format("return y, (self.edge * self.third * 3).round().long()", "").replace(
        "self.calls = 0",
        "n = torch.arange(64); self.third = 1 / 3; self.register_buffer('edge', "
        "torch.where(n % 20 == 5, n + 0.5, torch.where(n == 7, 0.0, n + 0.25)))",
    )
    made = references(tmp_path, make(tmp_path, head=head))
    assert any(
        re.fullmatch(r"input set 'a', output\[1\]: [123] of 64 elements depend on rounding or on the order .*", note)
        for note in made.notes
    )


def test_which_of_equal_elements_comes_first_is_not_compared(tmp_path: Path) -> None:
    body = (
        "n = torch.tensor([3, 1, 3, 2, 1, 5, 3])\n"
        "        return y, n.sort().indices, torch.sort(n, stable=True).indices, n.max(0).indices"
    )
    notes = references(tmp_path, make(tmp_path, body)).notes
    [note] = [note for note in notes if note.startswith("input set 'a', ") and "the order of equal ones" in note]
    assert note.startswith("input set 'a', output[1]: 5 of 7 elements")


BOXES = """\
import torch

from pytest_modelconform import Case


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(8, 1)

    def forward(self, x, anchors):
        scores = self.linear(x)[:, 0]
        best, order = torch.cat([scores, scores[:2]]).topk(90)
        return best, torch.cat([anchors, anchors.flip(0)[:2]])[order], order.float()


inputs = {"a": lambda: (torch.randn(100, 8), torch.rand(100, 4) * 500)}
case = Case(model=lambda: Net(), inputs=inputs, fixed_inputs="boxes belong to their rows")
"""


def test_what_equal_elements_decide_hides_nothing_else(tmp_path: Path) -> None:
    content = references(tmp_path, make(tmp_path, head=BOXES))
    loaded = Prepared(content, "", tmp_path, cached=False).sets["a"].references
    best, boxes, order = loaded["[0]"], loaded["[1]"], loaded["[2]"]
    assert best.unstable == 0
    assert 0 < boxes.unstable <= 4 * 4
    assert 0 < order.unstable <= 4
    eager = boxes.eager.reshape(90, 4)

    def judged(array: Any, reference: Any = boxes) -> bool:
        return compare_tensor(array, reference, Tolerance(), where="output", dtype="float32").ok

    assert not judged((eager * 1.001).astype(np.float32))
    assert boxes.codes is not None
    free = (boxes.codes.reshape(90, 4) == UNSTABLE).any(1)
    rows = np.flatnonzero(~free)
    swapped = eager.copy()
    swapped[rows[:2]] = eager[rows[1::-1]]
    assert not judged(swapped)
    other = eager.copy()
    other[free] = eager[free][::-1]
    assert judged(other)
    assert not judged((order.eager.reshape(90) + 1).astype(np.float32), order)


def test_an_output_without_information_can_be_all_right(tmp_path: Path) -> None:
    made = references(tmp_path, make(tmp_path, "return y * 0", ", blind_ok='the head is zero by design'"))
    assert "can't see 2 of its 2 tensors" in made.notes[0]
    assert (tmp_path / "references-a.safetensors").is_file()


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("raise ValueError('no')", "case 'ref\\d+', input set 'a': the model itself fails: ValueError: no"),
        ("return None", "input set 'a': the model returns no tensor"),
    ],
)
def test_models_that_fail(tmp_path: Path, body: str, message: str) -> None:
    with pytest.raises(WorkerError, match=message) as caught:
        make(tmp_path, body)
    assert caught.value.stage == "reference"


def test_where_float64_is_no_reference_eager_alone_is(tmp_path: Path) -> None:
    content = make(tmp_path, "if y.dtype == torch.float64: raise TypeError('float32 only')\n        return y")
    assert content["sets"]["a"]["impure"] == "the model does not run in float64: TypeError: float32 only"
    notes = references(tmp_path, content).notes
    assert notes[0] == "input set 'a': the model does not run in float64: TypeError: float32 only"


def test_seeds_and_globals() -> None:
    import random

    import torch

    assert seed_of("a", 1) == seed_of("a", 1) != seed_of("a", 2)
    assert seed_of("ab", "c") != seed_of("a", "bc")
    drawn = []
    for _ in range(2):
        seed_all("x")
        drawn.append((random.random(), float(np.random.rand()), float(torch.rand(()))))
    assert drawn[0] == drawn[1]
    state = Globals()
    torch.set_default_dtype(torch.float64)
    torch.set_grad_enabled(False)
    setattr(torch.backends.mkldnn, "enabled", False)  # noqa: B010 (torch annotates it as read-only)
    state.restore()
    assert torch.get_default_dtype() == torch.float32
    assert torch.is_grad_enabled()
    assert torch.backends.mkldnn.enabled


ONNX = """\
import numpy as np

from pytest_modelconform import Case
from tests.support.onnx_graphs import batch_norm, graph, node, normal


def build():
    return graph([node("MatMul", ["x", "w"], ["p"]), node("Relu", ["p"], ["y"])], ["n", 64], 2, {"w": normal(64, 40)})


inputs = {"a": lambda: (normal(16, 64, seed=3),), "b": lambda: (normal(5, 64, seed=4),)}
case = Case(model=MODEL, framework="onnx", inputs=inputs, dynamic_shapes=({0: "n"},))
"""


def test_an_onnx_file_has_the_noise_of_its_operators(tmp_path: Path) -> None:
    content = make(tmp_path, head=ONNX.replace("MODEL", "build"))
    assert content["notes"] == []
    found = arrays.read(tmp_path / "runs-a.safetensors")
    names = {name.partition(":")[0] for name in found}
    assert {"e0", "r", "e1", "e2", "e3"} <= names
    assert not {"e4", "e5"} & names  # of these floating-point outputs aren't kept
    r = found["r:"]
    noise = [float(np.sqrt(np.mean((found[f"e{k}:"].astype(np.float64) - r) ** 2))) for k in range(4)]
    # Sums of 64 products in order lose more than the blocks that numpy adds in, and these three are of one law.
    assert max(noise[1:]) < 1.3 * min(noise[1:])
    assert noise[0] < min(noise[1:])
    assert all((found[f"e{k}:"][r == 0] == 0).mean() > 0.99 for k in range(4))
    again = make(tmp_path, head=ONNX.replace("MODEL", "build"))
    assert again["digest"] == content["digest"]
    assert np.array_equal(arrays.read(tmp_path / "runs-a.safetensors")["e3:"], found["e3:"])
    made = references(tmp_path, again)
    assert list(made.sets)[:2] == ["a", "b"]


def test_what_an_onnx_file_is_measured_by_is_a_note(tmp_path: Path) -> None:
    text = ONNX.replace("MODEL", "lambda: batch_norm(9)").replace("16, 64", "3, 4, 5, 6").replace("5, 64", "2, 4, 5, 6")
    content = make(tmp_path, head=text)
    assert [note.partition(" (")[0] for note in content["notes"]] == ["the yardstick is ONNX's evaluator"]
    assert content["notes"][0] in references(tmp_path, content).notes


def test_an_onnx_file_that_nothing_measures_is_no_fault_of_the_model(tmp_path: Path) -> None:
    nobody = 'lambda: graph([node("NoSuch", ["x"], ["y"], domain="com.microsoft")], ["n", 64], 2)'
    with pytest.raises(
        WorkerError, match=r"case 'ref.*': there is nothing to measure it by: ONNX's evaluator fails"
    ) as raised:
        make(tmp_path, head=ONNX.replace("MODEL", nobody))
    assert raised.value.stage == "reference"


def test_a_generated_set_that_reads_past_its_inputs_is_left_out(tmp_path: Path) -> None:
    # The second image of a batch, which nobody but the case's own sizes has.
    boxes = "torch.tensor([[1.0, 0, 0, 3, 1]])"
    body = f"import torchvision; return y.sum() + torchvision.ops.roi_align(x.reshape(-1, 1, 2, 4), {boxes}, (1, 1))"
    made = references(tmp_path, make(tmp_path, body, ", dynamic_shapes={'x': {0: 'n'}}"))
    assert "auto-least" not in made.sets
    assert any("'auto-least'" in note and "It may read past its inputs" in note for note in made.notes)


def test_a_model_that_does_not_run_where_its_operators_are_watched(tmp_path: Path) -> None:
    watched = "torch.utils._python_dispatch._get_current_dispatch_mode() is not None"
    content = make(tmp_path, f"if {watched}: raise TypeError('watched')\n        return y")
    runs_of_a = arrays.read(tmp_path / "runs-a.safetensors")
    assert all(0 < np.abs(runs_of_a[f"e{k}:"] - runs_of_a["e0:"]).max() < 1e-5 for k in range(1, 4))
    assert content["sets"]["a"]["impure"].startswith("the model does not run in float64: TypeError: watched")
    [note] = content["notes"]
    assert note.endswith("the model does not run where its operators are watched: TypeError: watched")
    assert list(references(tmp_path, content).sets)[:2] == ["a", "b"]


def test_a_model_that_fails_shows_its_line_its_module_and_its_inputs(tmp_path: Path) -> None:
    with pytest.raises(WorkerError) as caught:
        make(tmp_path, "return self.linear(y[:, 1:])", ", dtypes=('float32',)")
    first, at, inside, inputs = str(caught.value).splitlines()
    assert re.match(r"case 'ref\d*', input set 'a': the model itself fails: RuntimeError: mat1 and mat2 shapes", first)
    assert re.fullmatch(r"  at \S*ref\d*\.py:14, in forward: return self\.linear\(y\[:, 1:\]\)", at)
    assert inside == "  in module 'linear', a Linear(in_features=8, out_features=8, bias=True)"
    assert inputs == "  called with x float32 (4, 8)"


def test_dropout_in_train_mode_is_named(tmp_path: Path) -> None:
    head = HEAD.format("return self.drop(y)", ", mode='train'").replace(
        "self.calls = 0", "self.drop = torch.nn.Dropout(0.5)\n        self.off = torch.nn.Dropout(0.0)"
    )
    with pytest.raises(
        ModelFault, match=r"mode='train' leaves dropout on \(module 'drop'\)\. Leave `mode` out, or set"
    ):
        references(tmp_path, make(tmp_path, head=head))


def test_tensors_that_are_not_seen_come_with_what_to_do(tmp_path: Path) -> None:
    zero = HEAD.format("return y", "").replace("self.calls = 0", "torch.nn.init.zeros_(self.linear.bias)")
    [note] = references(tmp_path, make(tmp_path, head=zero)).notes
    assert note == (
        "can't see 1 of its 2 tensors: if an export changed it by 1 %, no output would show it (linear.bias). It is "
        "all 0 or all 1, as in a model that was never trained: use `model=lambda: generic_weights(Net(…))`"
    )
    # A buffer that generic_weights leaves as it is: it would not help.
    buffer = HEAD.format("return y + self.average", "").replace(
        "self.calls = 0", "self.register_buffer('average', torch.zeros(8))"
    )
    [note] = references(tmp_path, make(tmp_path, head=buffer)).notes
    assert "(average). Other inputs may show it, or other numbers in it; what" in note
    # A number that a norm takes off again, row by row.
    norm = HEAD.format("return torch.nn.functional.layer_norm(y + self.shift[: len(y)], (8,))", "").replace(
        "self.calls = 0", "self.shift = torch.nn.Parameter(torch.rand(4, 1))"
    )
    [note] = references(tmp_path, make(tmp_path, head=norm)).notes
    assert "(shift). Other inputs may show it, or other numbers in it; what the model computes away" in note


@pytest.mark.parametrize(
    ("shapes", "told"),
    [
        ("None", {"k": "3", "mode": "'sum'"}),
        ("{'x': {0: 'n'}, 'k': None}", {"k": "3", "mode": "'sum'"}),
        # torch.export can take a number as an input: with another one its artifact has to be right.
        ("{'x': None, 'k': torch.export.Dim.DYNAMIC}", {"mode": "'sum'"}),
    ],
)
def test_what_an_export_has_as_constants(shapes: str, told: dict[str, str], tmp_path: Path) -> None:
    head = (
        "import torch\nfrom pytest_modelconform import Case\n\n\nclass Net(torch.nn.Module):\n"
        "    def forward(self, x, k, mode='sum'):\n        return x * k\n\n\n"
        f"case = Case(model=Net, inputs={{'a': lambda: (torch.randn(2, 4), 3)}}, dynamic_shapes={shapes})\n"
    )
    assert make(tmp_path, head=head)["sets"]["a"]["constants"] == told
