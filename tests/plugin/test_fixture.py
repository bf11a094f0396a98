"""The fixture `modelconform`, in tests of a user's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import fakes, runs

pytestmark = pytest.mark.compiles

MODEL = """\
import copy

import pytest
import torch


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor([3.0]))

    def forward(self, x, *, shift=1.0):
        return x * self.weight + shift


class Baked(Net):
    def forward(self, x):
        return x * self.weight + float(x.sum())


x = torch.arange(6.0, 10.0).reshape(2, 2)
TRACE = {"formats": ["torchscript-trace"], "runtimes": ["fake-good-never"]}
"""


def outcomes(pytester: pytest.Pytester, body: str, *options: str) -> pytest.RunResult:
    pytester.makeconftest(fakes.CONFTEST)
    pytester.makepyfile(MODEL + body)
    return pytester.runpytest_subprocess(*runs.OTHERS_PLUGINS, *options)


@pytest.fixture(autouse=True)
def shared_cache(cache: Path, monkeypatch: pytest.MonkeyPatch, pytester: pytest.Pytester) -> None:
    # pytester has a home of its own for what it starts.
    monkeypatch.setenv("MODELCONFORM_CACHE", str(cache))


def test_a_right_export_passes_and_its_numbers_are_there(pytester: pytest.Pytester) -> None:
    body = """
def test_it(modelconform):
    net, state = Net(), torch.random.get_rng_state()
    checked = modelconform.check(net, (x,), **TRACE)
    assert checked.outcome("torchscript-trace", "fake-good-never").bits > 20
    assert [cell.name for cell, _ in checked.cells] == [
        "test_it[eager]", "test_it[torchscript_trace-fake_good_never-cpu]"
    ]
    # The test's own model, random numbers and settings are as they were.
    assert net.training
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.is_grad_enabled()
    with pytest.raises(KeyError, match="no cell onnx in ort"):
        checked.outcome("onnx", "ort")
"""
    outcomes(pytester, body).assert_outcomes(passed=1)


def test_a_wrong_one_fails_and_says_what_and_where(pytester: pytest.Pytester) -> None:
    body = """
def test_runtime(modelconform):
    modelconform.check(Net(), (x,), formats=["torchscript-trace"], runtimes=["fake-good-never", "fake-wrong-run"])

def test_export(modelconform):
    modelconform.check(lambda: Baked(), {"a": lambda: (x,), "b": lambda: (x + 1,)}, **TRACE)
"""
    result = outcomes(pytester, body)
    result.assert_outcomes(failed=2)
    said = result.stdout.str()
    assert "test_runtime[torchscript_trace-fake_wrong_run-cpu]: mismatch at stage compare: input set 'given'" in said
    assert "fake_good_never-cpu]: mismatch" not in said.replace("test_export[torchscript_trace-fake_good_never", "")


def test_an_export_that_fails_says_what_it_said_first(pytester: pytest.Pytester) -> None:
    """A second torch.jit.script of a class in one process only says that there is a forward already."""
    body = """
class Batch(Net):
    def forward(self, batch):
        return batch["x"] * self.weight

def test_it(modelconform):
    named = {"formats": ["torchscript-script"], "runtimes": ["torch"]}
    modelconform.check(Batch(), ({"x": x},), **named)
"""
    result = outcomes(pytester, body)
    result.assert_outcomes(failed=1)
    assert "indexing tensor with unsupported index type 'str'" in result.stdout.str()


def test_two_models_in_one_test_are_not_taken_for_one_another(pytester: pytest.Pytester) -> None:
    body = """
class Other(Net):
    def forward(self, x):
        return x * self.weight - 1.0

def test_it(modelconform):
    for model in (Net(), Other(), Net()):
        modelconform.check(model, x, **TRACE)
    with pytest.raises(pytest.fail.Exception, match="would need"):
        modelconform.check(Net(), x, formats=["torchscript-trace"], runtimes=["fake-wrong-run"])
"""
    # The fake computes 3x + 1 whatever it is given, so that the other one has to fail.
    result = outcomes(pytester, body)
    result.assert_outcomes(failed=1)
    assert "test_it[torchscript_trace-fake_good_never-cpu]: mismatch" in result.stdout.str()


def test_exports_of_ones_own_are_checked_beside_the_plain_ones(pytester: pytest.Pytester) -> None:
    body = """
class Shifted(torch.nn.Module):
    def __init__(self, model, shift):
        super().__init__()
        self.model, self.shift = model, shift

    def forward(self, x):
        return self.model(x, shift=self.shift)

NAMES = {"formats": ["torchscript-trace"], "runtimes": ["torch"]}

def traced(shift):
    def make(model, inputs, folder):
        torch.jit.trace(Shifted(model, shift), inputs).save(folder / "a.pt")
        return folder / "a.pt"
    return make

def test_it(modelconform, request):
    from pytest_modelconform import Export

    torch.jit.trace(Net(), (x,)).save(request.path.parent / "b.pt")
    exports = {"torchscript-trace@ours": Export(make=traced(1.0)), "torchscript-trace@file": Export(file="b.pt")}
    checked = modelconform.check(Net(), x, exports=exports, **NAMES)
    for name in ("torchscript-trace", *exports):
        assert checked.outcome(name, "torch").passed
    only = {**NAMES, "formats": ["torchscript-trace@file"]}
    assert len(modelconform.check(Net(), x, exports=exports, **only).cells) == 2

def test_wrong(modelconform):
    from pytest_modelconform import Export

    modelconform.check(Net(), x, exports={"torchscript-trace@wrong": Export(make=traced(2.0))}, **NAMES)

def test_faults(modelconform):
    from pytest_modelconform import Export

    for exports, says in [({"iree@a": Export()}, "no options"), ({"onnx@a": 3}, "give an Export"), (3, "give a dict")]:
        with pytest.raises(ValueError, match=says):
            modelconform.check(Net(), x, exports=exports, **NAMES)
"""
    result = outcomes(pytester, body)
    result.assert_outcomes(passed=2, failed=1)
    assert "test_wrong[torchscript_trace@wrong-torch-cpu]: mismatch" in result.stdout.str()


def test_keyword_arguments_and_fields_of_a_case(pytester: pytest.Pytester) -> None:
    body = """
def test_it(modelconform):
    # A trace with keyword arguments is one for PyTorch's own runtime: the fake takes a single tensor.
    names = {"formats": ["export"], "runtimes": ["torch"]}
    checked = modelconform.check(Net(), {"x": x, "shift": x * 2}, fixed_inputs="these are all there are", **names)
    assert set(checked.outcome("export", "torch").inputs) == {"given"}

@pytest.mark.parametrize(("given", "error", "says"), [
    ({"inputs": 3}, TypeError, "inputs is a tensor"),
    ({"formats": "onnx"}, TypeError, "formats must be a list of names, for example formats="),
    ({"formats": ["onyx"]}, ValueError, "onnx"),
    ({"formats": ["state-dict"]}, ValueError, "format state-dict has no cell: it needs fields of a case"),
    ({"formats": ["onnx", "state-dict"]}, ValueError, "format state-dict has no cell: it needs fields of a case"),
    ({"formats": ["onnx"], "runtimes": ["ort", "jax"]}, ValueError, "runtime jax has no cell: it loads no format of"),
    ({"cpp": "net.cpp"}, TypeError, "no argument 'cpp'"),
    ({"accept": {"what": "why"}}, ValueError, "can't be accepted"),
    ({"tolerances": {"nowhere": None}}, ValueError, "tolerances"),
    ({"formats": ["torchscript-trace-2.11"], "runtimes": ["torch"]}, ValueError, "Write a case file"),
    ({"formats": ["module"]}, ValueError, "can't receive a model of this one. Write a case file"),
])
def test_what_makes_no_sense(modelconform, given, error, says):
    given = {"inputs": x, **given}
    with pytest.raises(error, match=says):
        modelconform.check(Net(), **given)
"""
    outcomes(pytester, body).assert_outcomes(passed=12)


def test_what_is_not_there_skips_if_it_was_named_and_fails_if_it_is_required(pytester: pytest.Pytester) -> None:
    body = f"""
def test_it(modelconform):
    modelconform.check(Net(), x, formats=["torchscript-trace"], runtimes=["fake-good-never", "{fakes.ABSENT}"])
"""
    result = outcomes(pytester, body, "-rs")
    result.assert_outcomes(skipped=1)
    assert "needs no-such-package>=3" in result.stdout.str()
    required = outcomes(pytester, body, f"--modelconform-require={fakes.ABSENT}")
    required.assert_outcomes(failed=1)


def test_each_format_that_was_named_has_to_pass_in_one_runtime(pytester: pytest.Pytester) -> None:
    """None of the default runtimes loads it: its own one is brought, and says that it is not there."""
    body = """
def test_it(modelconform):
    modelconform.check(Net(), x, formats=["torchscript-trace", "own"])

def test_a_runtime(modelconform):
    checked = modelconform.check(Net(), x, runtimes=["fake-good-never"])
    assert [cell.format for cell, _ in checked.cells] == ["eager", "torchscript-trace"]
"""
    pytester.makeconftest(
        f"""{fakes.CONFTEST}
import types

import pytest_modelconform.formats.export as export

for name, module in (
    ("own_format", {{"NAME": "own", "export": export.export}}),
    ("own_runtime", {{"NAME": "own", "FORMATS": ("own",), "REQUIRES": ("no-such-package>=3",), "command": print}}),
):
    sys.modules[name] = types.ModuleType(name)
    vars(sys.modules[name]).update(module)


@pytest.hookimpl(trylast=True)
def pytest_modelconform_register(registry):
    fakes.register(registry)
    registry.add_format("own", "own_format")
    registry.add_runtime("own", "own_runtime")
""".replace("import sys\n", "import sys\n\nimport pytest\n", 1)
    )
    pytester.makepyfile(MODEL + body)
    result = pytester.runpytest_subprocess(*runs.OTHERS_PLUGINS, "-rs")
    result.assert_outcomes(passed=1, skipped=1)
    assert "test_it[own-own-cpu]: unavailable at stage environment" in result.stdout.str()


def test_a_faulty_model_is_said_to_be_one(pytester: pytest.Pytester) -> None:
    body = """
class Zero(Net):
    def forward(self, x):
        return x * 0

def test_it(modelconform):
    modelconform.check(Zero(), x, **TRACE)
"""
    result = outcomes(pytester, body)
    result.assert_outcomes(failed=1)
    assert "test_it[eager]: error at stage reference" in result.stdout.str()


LINES = """
import warnings

class Old(Net):
    def forward(self, x):
        warnings.warn("old", DeprecationWarning, stacklevel=1)
        return super().forward(x)

def test_passes(modelconform):
    modelconform.check(Old(), x, **TRACE)

def test_typo(modelconform):
    modelconform.check(Net(), x, formats=["onyx"])  # TYPO

def test_fails(modelconform):
    modelconform.check(Net(), x, formats=["torchscript-trace"], runtimes=["fake-wrong-run"])  # FAILS

def test_skips(modelconform):
    modelconform.check(Net(), x, formats=["torchscript-trace"], runtimes=["fake-absent"])  # SKIPS

def test_warns(modelconform):
    sets = {"given": lambda: (x,), "wide": lambda: (torch.rand(3, 5),)}
    with pytest.warns(pytest.PytestWarning, match="passed without the input set 'wide': ") as seen:
        modelconform.check(Net(), sets, formats=["export"], runtimes=["torch"], fixed_inputs="these are all")  # WARNS
    assert seen[0].filename == __file__
"""


def test_each_result_points_at_the_line_of_the_test_and_shows_nothing_of_us(pytester: pytest.Pytester) -> None:
    result = outcomes(pytester, LINES, "-W", "error", "-rs")
    result.assert_outcomes(passed=2, failed=2, skipped=1)
    said = result.stdout.str()
    lines = (MODEL + LINES).splitlines()
    place = {word: next(n for n, line in enumerate(lines, 1) if f"# {word}" in line) for word in ("FAILS", "SKIPS")}
    name = next(pytester.path.glob("test_*.py")).name
    assert f"{name}:{place['FAILS']}: Failed" in said
    assert f"{name}:{place['SKIPS']}: test_skips[torchscript_trace-fake_absent-cpu]: unavailable" in said
    assert '>       modelconform.check(Net(), x, formats=["onyx"])  # TYPO' in said
    assert "E       ValueError: unknown format 'onyx'. Did you mean 'onnx'?" in said
    assert "pytest_modelconform/" not in said


def test_options_that_make_no_sense_are_one_line(pytester: pytest.Pytester) -> None:
    result = outcomes(pytester, "def test_it(modelconform):\n    pass\n", "--modelconform-timeout=soon")
    result.assert_outcomes(errors=1)
    assert "--modelconform-timeout" in result.stdout.str()
    assert "'soon'" in result.stdout.str()
    assert "settings" not in result.stdout.str()


def test_the_real_thing(pytester: pytest.Pytester) -> None:
    body = """
def test_it(modelconform):
    net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.GELU(), torch.nn.Linear(8, 3))
    names = {"formats": ["onnx", "torchscript-trace"], "runtimes": ["ort", "torch"]}
    checked = modelconform.check(net, torch.rand(2, 4), **names)
    assert len(checked.cells) == 3
"""
    outcomes(pytester, body).assert_outcomes(passed=1)
