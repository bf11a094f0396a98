"""The fixture `modelconform`, in tests of a user's own: nearly all in one run, whose processes import torch once."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import fakes, runs
from tests.support.runs import Run

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


# None of the default runtimes loads the format `own`: its own one is brought, and says that it is not there.
CONFTEST = f"""\
import types

import pytest

{fakes.CONFTEST}
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
"""
TESTS = """
def test_right(modelconform):
    net, state = Net(), torch.random.get_rng_state()
    checked = modelconform.check(net, (x,), **TRACE)
    assert checked.outcome("torchscript-trace", "fake-good-never").bits > 20
    assert [cell.name for cell, _ in checked.cells] == [
        "test_right[eager]", "test_right[torchscript_trace-fake_good_never-cpu]"
    ]
    # The test's own model, random numbers and settings are as they were.
    assert net.training
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.is_grad_enabled()
    with pytest.raises(KeyError, match="no cell onnx in ort"):
        checked.outcome("onnx", "ort")

def test_runtime(modelconform):
    modelconform.check(Net(), (x,), formats=["torchscript-trace"], runtimes=["fake-good-never", "fake-wrong-run"])

def test_export(modelconform):
    modelconform.check(lambda: Baked(), {"a": lambda: (x,), "b": lambda: (x + 1,)}, **TRACE)

class Batch(Net):
    def forward(self, batch):
        return batch["x"] * self.weight

def test_batch(modelconform):
    named = {"formats": ["torchscript-script"], "runtimes": ["torch"]}
    modelconform.check(Batch(), ({"x": x},), **named)

class Other(Net):
    def forward(self, x):
        return x * self.weight - 1.0

def test_two(modelconform):
    for model in (Net(), Other(), Net()):
        modelconform.check(model, x, **TRACE)
    with pytest.raises(pytest.fail.Exception, match="would need"):
        modelconform.check(Net(), x, formats=["torchscript-trace"], runtimes=["fake-wrong-run"])

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

@pytest.mark.filterwarnings("ignore")
def test_own_exports(modelconform, request):
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

def test_keywords(modelconform):
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

ABSENT = {"formats": ["torchscript-trace"], "runtimes": ["fake-good-never", "fake-absent"]}

def test_absent(modelconform):
    modelconform.check(Net(), x, **ABSENT)

def test_own_format(modelconform):
    modelconform.check(Net(), x, formats=["export", "own"])  # no C++ runtime loads the former

def test_a_runtime(modelconform):
    checked = modelconform.check(Net(), x, runtimes=["fake-good-never"])
    assert [cell.format for cell, _ in checked.cells] == ["eager", "torchscript-trace"]

class Zero(Net):
    def forward(self, x):
        return x * 0

def test_zero(modelconform):
    modelconform.check(Zero(), x, **TRACE)

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

def test_real(modelconform):
    net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.GELU(), torch.nn.Linear(8, 3))
    names = {"formats": ["onnx", "torchscript-trace"], "runtimes": ["ort", "torch"]}
    checked = modelconform.check(net, torch.rand(2, 4), **names)
    assert len(checked.cells) == 3
"""


@pytest.fixture
def together(session_folder: Path, cache: Path) -> Run:
    """All of TESTS."""

    def make(folder: Path) -> Run:
        runs.write(folder, {"conftest.py": CONFTEST, "test_together.py": MODEL + TESTS})
        line = [
            sys.executable,
            "-m",
            "pytest",
            *runs.OTHERS_PLUGINS,
            "-p",
            "no:cacheprovider",
            "-v",
            "-rs",
            "-W",
            "error",
        ]
        done = subprocess.run(line, cwd=folder, capture_output=True, encoding="utf-8", timeout=600, check=False)
        return Run(done.returncode, done.stdout, done.stderr, {})

    return runs.once(session_folder, "fixture", make)


def outcome(run: Run, name: str) -> str:
    """PASSED, FAILED or SKIPPED; of a test with parameters that of all of them."""
    found = set(re.findall(rf"^test_together.py::{name}(?:\[.*\])? (\w+)", run.stdout, re.MULTILINE))
    [only] = found
    return only


def outcomes(pytester: pytest.Pytester, body: str, *options: str) -> pytest.RunResult:
    pytester.makeconftest(fakes.CONFTEST)
    pytester.makepyfile(body)
    return pytester.runpytest_subprocess(*runs.OTHERS_PLUGINS, *options)


@pytest.fixture(autouse=True)
def shared_cache(cache: Path, monkeypatch: pytest.MonkeyPatch, pytester: pytest.Pytester) -> None:
    # pytester has a home of its own for what it starts.
    monkeypatch.setenv("MODELCONFORM_CACHE", str(cache))


def test_a_right_export_passes_and_its_numbers_are_there(together: Run) -> None:
    assert outcome(together, "test_right") == "PASSED"


def test_a_wrong_one_fails_and_says_what_and_where(together: Run) -> None:
    assert outcome(together, "test_runtime") == outcome(together, "test_export") == "FAILED"
    said = together.stdout
    assert "test_runtime[torchscript_trace-fake_wrong_run-cpu]: mismatch at stage compare: input set 'given'" in said
    assert "test_export[torchscript_trace-fake_good_never-cpu]: mismatch" in said
    assert "test_runtime[torchscript_trace-fake_good_never-cpu]: mismatch" not in said


def test_an_export_that_fails_says_what_it_said_first(together: Run) -> None:
    """A second torch.jit.script of a class in one process only says that there is a forward already."""
    assert outcome(together, "test_batch") == "FAILED"
    assert "indexing tensor with unsupported index type 'str'" in together.stdout


def test_two_models_in_one_test_are_not_taken_for_one_another(together: Run) -> None:
    # The fake computes 3x + 1 whatever it is given, so that the other one has to fail.
    assert outcome(together, "test_two") == "FAILED"
    assert "test_two[torchscript_trace-fake_good_never-cpu]: mismatch" in together.stdout


def test_exports_of_ones_own_are_checked_beside_the_plain_ones(together: Run) -> None:
    assert outcome(together, "test_own_exports") == outcome(together, "test_faults") == "PASSED"
    assert outcome(together, "test_wrong") == "FAILED"
    assert "test_wrong[torchscript_trace@wrong-torch-cpu]: mismatch" in together.stdout


def test_keyword_arguments_and_fields_of_a_case(together: Run) -> None:
    assert outcome(together, "test_keywords") == outcome(together, "test_what_makes_no_sense") == "PASSED"


def test_what_is_not_there_skips_if_it_was_named_and_fails_if_it_is_required(
    pytester: pytest.Pytester, together: Run
) -> None:
    assert outcome(together, "test_absent") == "SKIPPED"
    assert "needs no-such-package>=3" in together.stdout
    body = f"""{MODEL}
def test_it(modelconform):
    modelconform.check(Net(), x, formats=["torchscript-trace"], runtimes=["fake-good-never", "{fakes.ABSENT}"])
"""
    required = outcomes(pytester, body, f"--modelconform-require={fakes.ABSENT}")
    required.assert_outcomes(failed=1)


def test_each_format_that_was_named_has_to_pass_in_one_runtime(together: Run) -> None:
    assert outcome(together, "test_a_runtime") == "PASSED"
    assert outcome(together, "test_own_format") == "SKIPPED"
    assert "test_own_format[own-own-cpu]: unavailable at stage environment" in together.stdout


def test_a_faulty_model_is_said_to_be_one(together: Run) -> None:
    assert outcome(together, "test_zero") == "FAILED"
    assert "test_zero[eager]: error at stage reference" in together.stdout


def test_each_result_points_at_the_line_of_the_test_and_shows_nothing_of_us(together: Run) -> None:
    verdicts = {"passes": "PASSED", "typo": "FAILED", "fails": "FAILED", "skips": "SKIPPED", "warns": "PASSED"}
    assert {name: outcome(together, f"test_{name}") for name in verdicts} == verdicts
    said = together.stdout
    lines = (MODEL + TESTS).splitlines()
    place = {word: next(n for n, line in enumerate(lines, 1) if f"# {word}" in line) for word in ("FAILS", "SKIPS")}
    assert f"test_together.py:{place['FAILS']}: Failed" in said
    assert f"test_together.py:{place['SKIPS']}: test_skips[torchscript_trace-fake_absent-cpu]: unavailable" in said
    assert '>       modelconform.check(Net(), x, formats=["onyx"])  # TYPO' in said
    assert "E       ValueError: unknown format 'onyx'. Did you mean 'onnx'?" in said
    assert "pytest_modelconform/" not in said


def test_options_that_make_no_sense_are_one_line(pytester: pytest.Pytester) -> None:
    result = outcomes(pytester, "def test_it(modelconform):\n    pass\n", "--modelconform-timeout=soon")
    result.assert_outcomes(errors=1)
    assert "--modelconform-timeout" in result.stdout.str()
    assert "'soon'" in result.stdout.str()
    assert "settings" not in result.stdout.str()


def test_the_real_thing(together: Run) -> None:
    assert outcome(together, "test_real") == "PASSED"
