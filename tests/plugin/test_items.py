"""Case files that are wrong in every way that an author can be, and models that nothing can be compared with."""

from __future__ import annotations

import importlib.metadata
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from packaging.version import Version

from pytest_modelconform.cells.case_files import is_case_file, misnamed, repeated, static_cases
from pytest_modelconform.plugin.items import CellItem
from pytest_modelconform.terms.outcome import NOT_FIT
from tests.support import runs
from tests.support.runs import Run

# -- which files are case files ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text", "wanted"),
    [
        ("net.py", "from pytest_modelconform import Case", True),
        ("net.py", "import pytest_modelconform as m", True),
        ("net.py", "from pytest_modelconform.terms.case import Case", True),
        ("net.py", "import torch", False),
        ("net.py", "# pytest_modelconform", False),
        ("net.py", "def f():\n    from pytest_modelconform import Case", False),
        ("net.py", "from pytest_modelconform_extra import Case", False),
        ("net.py", "from .pytest_modelconform import Case", False),
        ("net.py", "from pytest_modelconform import Case\ncase = (", True),
        ("net.py", "x = (\n# pytest_modelconform", False),
        ("test_net.py", "from pytest_modelconform import Case", False),
        ("conftest.py", "from pytest_modelconform import Case", False),
        ("_net.py", "from pytest_modelconform import Case", False),
        ("net.txt", "from pytest_modelconform import Case", False),
        ("net.py", "from pytest_modelconform import Case\x00", True),
        ("net.py", "from pytest_modelconform import Case\nx = " + "-" * 100_000 + "1", True),
    ],
)
def test_case_files_are_told_by_their_syntax(tmp_path: Path, name: str, text: str, wanted: bool) -> None:
    path = tmp_path / name
    path.write_text(text)
    assert is_case_file(path) is wanted


def test_a_file_that_is_not_there_is_none(tmp_path: Path) -> None:
    assert not is_case_file(tmp_path / "net.py")


CASE = "from pytest_modelconform import Case\nnet = Case(model=None, inputs={})\n"


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("test_net.py", CASE, "test_net.py imports Case, but a file named test_*.py is not collected as a case file"),
        ("_net.py", CASE, "Rename it, for example to net.py."),
        # A test may have use for a Case.
        ("test_net.py", f"{CASE}def test_it(): pass\n", None),
        ("test_net.py", f"{CASE}class TestIt: pass\n", None),
        ("test_net.py", "from pytest_modelconform import Tolerance\nx = Tolerance()\n", None),
        ("test_net.py", CASE.replace("from pytest_modelconform import Case", "# pytest_modelconform"), None),
        ("net.py", CASE, None),
        ("__init__.py", CASE, None),
        ("test_net.py", f"{CASE}(", None),
    ],
)
def test_a_file_of_cases_that_is_called_otherwise(tmp_path: Path, name: str, text: str, says: str | None) -> None:
    (tmp_path / name).write_text(text)
    found = misnamed(tmp_path / name)
    assert (says in found) if found and says else (found is says)


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (
            "net = Case(model=g, inputs={})\n",
            "net.py, line 3: the variable 'net' is assigned a Case again, after line 2",
        ),
        ("import x\nnet: Case = x.Case()\n", "line 4: the variable 'net' is assigned a Case again, after line 2"),
        ("other = Case(model=g, inputs={})\n", None),
        ("net = dict()\n", None),
        ("if x:\n    net = Case()\n", None),
    ],
)
def test_a_variable_that_is_assigned_two_cases(tmp_path: Path, more: str, says: str | None) -> None:
    (tmp_path / "net.py").write_text(CASE + more)
    found = repeated(tmp_path / "net.py")
    assert (says in found) if found and says else (found is says)
    assert repeated(tmp_path / "nowhere.py") is None


def test_files_that_would_be_skipped_without_a_word_fail(pytester: pytest.Pytester) -> None:
    (pytester.path / "twice.py").write_text(CASE + CASE.partition("\n")[2])
    (pytester.path / "test_net.py").write_text(CASE)
    for arguments in (["test_net.py", "twice.py"], ["."]):
        result = pytester.runpytest_inprocess("--modelconform", "-p", "no:xdist", *runs.OTHERS_PLUGINS, *arguments)
        result.assert_outcomes(failed=2)
        said = result.stdout.str()
        assert "test_net.py imports Case, but a file named test_*.py is not collected as a case file" in said
        assert "twice.py, line 3: the variable 'net' is assigned a Case again, after line 2, so that only the" in said


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (
            ["--modelconform-formats=onnx"],
            4,
            "--modelconform-formats needs --modelconform: case files are not collected",
        ),
        (["--modelconform-json", "out.json", "cases"], 4, "--modelconform-json needs --modelconform"),
        (["--modelconform-update-expected"], 4, "--modelconform-update-expected needs --modelconform"),
        # The fixture heeds these.
        (["--modelconform-timeout=100", "test_other.py"], 0, ""),
        (["--modelconform-timeout=100", "cases"], 5, "net.py is a case file, and case files need --modelconform. Add"),
        (["cases/net.py"], 5, "net.py is a case file, and case files need --modelconform. Add --modelconform to the"),
        (["cases"], 5, "or `modelconform = true` to the ini file."),
        (["empty"], 5, ""),
        (["--modelconform", "empty"], 5, "no case file was found. A case file is a .py file that imports pytest_model"),
        (["--modelconform", "test_other.py", "-k", "no"], 5, ""),
    ],
)
def test_nothing_is_collected(pytester: pytest.Pytester, arguments: list[str], status: int, says: str) -> None:
    for folder in ("cases", "empty"):
        pytester.mkdir(folder)
    (pytester.path / "cases" / "net.py").write_text(CASE)
    (pytester.path / "empty" / "other.py").write_text("import os\n")
    (pytester.path / "test_other.py").write_text("def test_it(): pass\n")
    result = pytester.runpytest_inprocess("-p", "no:xdist", *runs.OTHERS_PLUGINS, *arguments)
    assert result.ret == status
    said = result.stdout.str() + result.stderr.str()
    assert says in said
    assert bool(says) == ("case file" in said)


def test_static_cases(tmp_path: Path) -> None:
    path = tmp_path / "net.py"
    path.write_text(
        "from pytest_modelconform import Case\nimport pytest_modelconform as m\n"
        "case = Case(model=f, inputs={}, requires=('a>=1', 'b'))\nsmall = m.Case(requires=['c'])\n"
        "odd = Case(requires=NAMES, dtypes=DTYPES)\nother = dict(requires=('d',))\n"
        "many = Case(dtypes=('float16', 'bfloat16', 'float12', 'float16'))\n"
    )
    assert [(case.name, tuple(case.requires)) for case in static_cases(path)] == [
        ("net", ("a>=1", "b")),
        ("small", ("c",)),
        ("odd", ()),
        ("many", ()),
    ]
    assert [tuple(case.dtypes) for case in static_cases(path)] == [("float32",)] * 3 + [("float16", "bfloat16")]


# An isolated environment that is made at once, and has what this one has.
ISOLATED = """
import dataclasses, sys
from pytest_modelconform import environments
from pytest_modelconform.formats import frameworks

frameworks.FRAMEWORKS["keras"] = dataclasses.replace(frameworks.FRAMEWORKS["keras"], requires=("torch",))
environments.unavailable = lambda environment: None

def python(environment, cache, progress):
    progress(f"{environment.name} is made")
    return sys.executable

environments.python = python
"""
ELSEWHERE = """
from pytest_modelconform import Case

def build():
    raise RuntimeError("not to be built here")

right = Case(model=build, inputs={"one": lambda: ()}, framework="keras", tags=("vision",))
wrong = Case(model=build, inputs={"one": lambda: ()}, framework="keras", blind_ok=3)
"""


def test_what_an_isolated_environment_imports_is_collected_by_its_syntax(tmp_path: Path) -> None:
    """In one process it is listed, and two of them come to the same."""
    broken = "import no_such_module\n" + ELSEWHERE
    runs.write(tmp_path, {"nets.py": ELSEWHERE, "broken.py": broken, "conftest.py": ISOLATED})
    options = ("--modelconform-formats=onnx", "-p", "no:cacheprovider")
    listed = runs.run(tmp_path, *options, "--collect-only", "-q", runtimes="ort")
    assert "nets.py::wrong[eager]" in listed.stdout
    assert "is made" not in listed.stdout + listed.stderr
    seen = runs.run(tmp_path, *options, "-n", "2", runtimes="ort")
    by_case = {
        (cell["id"].rpartition("[")[0], cell["id"].endswith("[onnx-ort-cpu]")): cell for cell in seen.report["cells"]
    }
    for is_cell in (False, True):
        assert by_case["nets.py::wrong", is_cell]["stage"] == "collect"
        assert "case 'wrong', field 'blind_ok'" in by_case["nets.py::wrong", is_cell]["message"]
        assert "not to be built here" in by_case["nets.py::right", is_cell]["message"]
        assert "broken.py: line 1: ModuleNotFoundError" in by_case["broken.py::right", is_cell]["message"]
    assert len(seen.report["cells"]) == 8


# -- one run over everything that can be wrong -------------------------------------------------------------------------

FORWARD = "return x * self.weight + 1.0"


def case(fields: str, text: str = runs.CASE) -> str:
    return f"{text}case = Case({fields})\n"


def forward(expression: str, fields: str = "model=lambda: Net(), inputs=inputs") -> str:
    assert FORWARD in runs.CASE
    return case(fields, runs.CASE.replace(FORWARD, f"return {expression}"))


PLAIN = "model=lambda: Net(), inputs=inputs"
IMPORT = "from pytest_modelconform import Tolerance\n"
TWO = runs.PLAIN + "good = case\n"

# file -> source, the item that fails, its stage, what its message says: file, case, field, remedy.
FAULTY: dict[str, tuple[str, str, str, str]] = {
    "raises": (
        "from pytest_modelconform import Case\n\n1 / 0\n",
        "raises[collect]", "collect", r"raises\.py.*line 3: ZeroDivisionError: division by zero",
    ),
    "syntax": (
        "from pytest_modelconform import Case\ncase = Case(\n",
        "syntax[collect]", "collect", r"syntax\.py.*line 2: SyntaxError: '\(' was never closed",
    ),
    "no_module": (
        "import no_such_module\nfrom pytest_modelconform import Case\n",
        "no_module[collect]", "collect",
        r"No module named 'no_such_module' \(install it, and give the Case requires=\('no_such_module',\)",
    ),
    "misspelt": (
        case("model=lambda: Net(), inputs=inputs, dynamic_shape={}"),
        "misspelt[collect]", "collect", r"line \d+: Case has no field 'dynamic_shape'. Did you mean 'dynamic_shapes'\?",
    ),
    "misspelt_tolerance": (
        IMPORT + case(f"{PLAIN}, tolerance=Tolerance(bits_los=2)"),
        "misspelt_tolerance[collect]", "collect",
        r"Tolerance has no field 'bits_los'. Did you mean 'bits_lost'\? Fields: bits_lost, worst, rtol, atol, cosine",
    ),
    "lacking": (case("model=lambda: Net()"), "lacking[collect]", "collect", r"missing 1 required .*'inputs'"),
    "twins": (
        runs.PLAIN + "twins = case\n",
        "twins[collect]", "collect", r"the variables 'case' and 'twins' both name the case 'twins'.*rename one",
    ),
    "nothing": (
        runs.CASE, "nothing[collect]", "collect",
        r"no Case at module level: write `case = Case\(model=…, inputs=…\)`, or let the file's name begin ",
    ),
    "instance": (
        case("model=Net(), inputs=inputs"),
        "instance[collect]", "collect",
        r"case 'instance', field 'model': this is a Net that was built when the file was imported\. "
        r"Build it inside a function, .*`model=lambda: Net\(…\)`",
    ),
    "class_": (
        case(
            "model=Net, inputs=inputs",
            runs.CASE.replace("def __init__(self)", "def __init__(self, width, depth, bias=True)"),
        ),
        "class_[collect]", "collect",
        r"case 'class_', field 'model': the class Net needs arguments \(width, depth\): "
        r"give them in a function, `model=lambda: Net\(…\)`",
    ),
    "arguments": (
        case("model=lambda n: Net(), inputs=inputs"),
        "arguments[collect]", "collect",
        r"field 'model': the function is called without arguments, and needs n: wrap it, `model=lambda: build\(…\)`",
    ),
    "no_inputs": (
        case("model=lambda: Net(), inputs={}"), "no_inputs[collect]", "collect", r"field 'inputs': give a dict",
    ),
    "tensor_inputs": (
        case("model=lambda: Net(), inputs={'x': (torch.ones(2),)}"),
        "tensor_inputs[collect]", "collect", r"field 'inputs': give a function for 'x', so that every use gets fresh",
    ),
    "tag": (
        case(f"{PLAIN}, tags=('Big-Model',)"), "tag[collect]", "collect",
        r"case 'tag', field 'tags': 'Big-Model' can't be a pytest marker: use lower-case letters",
    ),
    "tag_string": (
        case(f"{PLAIN}, tags='big'"), "tag_string[collect]", "collect",
        r"field 'tags': give a tuple of strings, like \('big',\), not 'big'",
    ),
    "tag_taken": (
        case(f"{PLAIN}, tags=('xfail',)"), "tag_taken[collect]", "collect", r"'xfail' can't be a pytest marker",
    ),
    "mode": (
        case(f"{PLAIN}, mode='test'"), "mode[collect]", "collect", r"field 'mode': give 'eval' or 'train', not 'test'",
    ),
    "dtype": (
        case(f"{PLAIN}, dtypes=('float32', 'bfloat')"), "dtype[collect]", "collect",
        r"case 'dtype', field 'dtypes': a model can't be cast to 'bfloat'. Did you mean 'bfloat16'\?",
    ),
    "dtype_twice": (
        case(f"{PLAIN}, dtypes=('float32', 'float32')"), "dtype_twice[collect]", "collect",
        r"case 'dtype_twice', field 'dtypes': 'float32' is listed twice: remove one",
    ),
    "dtype_none": (
        case(f"{PLAIN}, dtypes=()"), "dtype_none[collect]", "collect",
        r"case 'dtype_none', field 'dtypes': it is empty, so that nothing would run: leave it out",
    ),
    "dtype_string": (
        case(f"{PLAIN}, dtypes='float16'"), "dtype_string[collect]", "collect",
        r"case 'dtype_string', field 'dtypes': give a tuple of names, like \(",
    ),
    "tolerance_key": (
        IMPORT + case(f"{PLAIN}, tolerances={{'openvin': Tolerance()}}"), "tolerance_key[collect]", "collect",
        r"field 'tolerances': 'openvin' is not a runtime, a dtype, 'fast' or a quantised format. Did you mean "
        r"'openvino'\? Known: torch, ",
    ),
    "tolerance_reason": (
        IMPORT + case(f"{PLAIN}, tolerances={{'ort': Tolerance(bits_lost=5)}}"), "tolerance_reason[collect]", "collect",
        r"field 'tolerances': that for runtime 'ort' needs a reason: Tolerance\(bits_lost=5, reason=",
    ),
    "tolerance_nan": (
        IMPORT + case(f"{PLAIN}, tolerances={{'fast': Tolerance(worst=float('nan'))}}"),
        "tolerance_nan[collect]", "collect",
        r"case 'tolerance_nan', field 'tolerances': worst=nan must be a finite number, 0 or more",
    ),
    "tolerance_negative": (
        IMPORT + case(f"{PLAIN}, tolerance=Tolerance(rtol=-1e-3)"), "tolerance_negative[collect]", "collect",
        r"case 'tolerance_negative', field 'tolerance': rtol=-0.001 must be a finite number, 0 or more",
    ),
    "tolerance_cosine": (
        IMPORT + case(f"{PLAIN}, tolerance=Tolerance(cosine=1.5)"), "tolerance_cosine[collect]", "collect",
        r"case 'tolerance_cosine', field 'tolerance': cosine=1.5 must be a number from -1 to 1",
    ),
    "tolerance_kind": (
        IMPORT + case(f"{PLAIN}, tolerances={{'fast': 3}}"), "tolerance_kind[collect]", "collect",
        r"case 'tolerance_kind', field 'tolerances': give a dict, like",
    ),
    "family": (
        runs.CASE + "good = Case(model=lambda: Net(), inputs=inputs)\nbad = Case(model=Net(), inputs=inputs)\n",
        "bad[collect]", "collect", r"case 'bad', field 'model'",
    ),
    "model_raises": (
        case("model=lambda: Net(1 / 0), inputs=inputs"),
        "model_raises[eager]", "build", r"case 'model_raises', field 'model': .*line 16: ZeroDivisionError",
    ),
    "bare_tensor": (
        case("model=lambda: Net(), inputs={'bare': lambda: torch.ones(2)}"),
        "bare_tensor[eager]", "build",
        r"case 'bare_tensor', input set 'bare': the function returned a Tensor: return a tuple of positional arg",
    ),
    "all_one": (
        case("model=lambda: Net(), inputs={'one': lambda: (torch.rand(1, 3),)}, dynamic_shapes={'x': {0: 'batch'}}"),
        "all_one[eager]", "build",
        r"case 'all_one', field 'inputs': in each input set some dynamic dimension is 0 or 1, .* add an input set",
    ),
    "forward_raises": (
        forward("x @ torch.ones(17)"), "forward_raises[eager]", "reference",
        r"case 'forward_raises', input set 'seven': the model itself fails: RuntimeError: ",
    ),
    # Models that nothing can be compared with.
    "zero": (forward("x * 0"), "zero[eager]", "reference", r"case 'zero': no output .*: output is zero everywhere"),
    "random_": (
        forward("x + torch.rand_like(x)"), "random_[eager]", "reference",
        r"the model gives other numbers on a second call with the same inputs.*It draws random numbers",
    ),
    "rounding": (
        forward(
            "x[x * self.weight > 21.000001]",
            "model=lambda: Net(), inputs={'edge': lambda: (torch.full((64,), 7.0000004),)}",
        ),
        "rounding[eager]", "reference", r"no output of any .*: output is of a size that rounding decides. Use",
    ),
}  # fmt: skip
ABSENT = (
    "import no_such_module\n"
    + runs.CASE
    + "case = Case(model=lambda: no_such_module.Net(), inputs=inputs, requires=('no-such-module>=2',))\n"
)


@pytest.fixture
def faulty_run(session_folder: Path) -> Run:
    def make(folder: Path) -> Run:
        files = {f"{name}.py": entry[0] for name, entry in FAULTY.items()}
        # Something other than a model's own fault would stop at the first. The last one's model is a class.
        files |= {"absent.py": ABSENT, "z_last.py": case("model=Net, inputs=inputs")}
        return runs.run(runs.write(folder, files), "-n", "0")

    return runs.once(session_folder, "faulty", make)


@pytest.mark.parametrize("name", FAULTY)
def test_each_fault_is_one_clear_error(faulty_run: Run, name: str) -> None:
    _, item, stage, says = FAULTY[name]
    assert faulty_run.verdict(item) == ("error", stage), faulty_run.message(item)
    assert re.search(says, faulty_run.message(item)), faulty_run.message(item)
    [record] = [cell for cell in faulty_run.report["cells"] if cell["id"].rpartition("::")[2] == item]
    assert record["id"] == f"{name}.py::{item}"
    said = faulty_run.failure(record["id"])
    assert f"error at stage {stage}" in said
    assert "Traceback" not in faulty_run.cells[item]["message"].splitlines()[0]


@pytest.mark.parametrize("name", [name for name, entry in FAULTY.items() if "[eager]" in entry[1]])
def test_the_cells_of_a_faulty_model_point_to_its_check(faulty_run: Run, name: str) -> None:
    cell = runs.cell(name, "good@never")
    assert faulty_run.verdict(cell) == ("error", "reference")
    begin = f"the model itself is not fit to be compared with, see {name}[eager]: "
    assert faulty_run.cells[cell]["message"].startswith(begin)


def test_they_are_counted_once(faulty_run: Run) -> None:
    blocked = sum("[eager]" in entry[1] for entry in FAULTY.values())
    matrix = faulty_run.stdout.partition("compatibility matrix")[2]
    assert matrix.count("1 other cell fails only because of this") == blocked
    assert matrix.count("  rerun: ") == len(FAULTY)
    # Nor does pytest show them.
    assert f"{len(FAULTY)} failed" in matrix
    assert f" {blocked} follow-on" in matrix
    assert faulty_run.stdout.count(NOT_FIT) == 0


def test_the_other_cases_run(faulty_run: Run) -> None:
    assert faulty_run.status == 1
    for name in ("good", "z_last"):
        assert faulty_run.verdict(f"{name}[eager]") == ("pass", None)
        assert faulty_run.verdict(runs.cell(name, "good@never")) == ("pass", None)
    assert len(faulty_run.cells) == len(FAULTY) + sum("[eager]" in entry[1] for entry in FAULTY.values()) + 2 + 2 + 2


def test_a_case_whose_package_is_missing_is_unavailable(faulty_run: Run) -> None:
    for name in ("absent[eager]", runs.cell("absent", "good@never")):
        assert faulty_run.verdict(name) == ("unavailable", "environment")
        # Many packages pin an old torch: the first command never replaces the one that is there.
        torch = Version(importlib.metadata.version("torch")).public
        says = f"case 'absent' needs no-such-module>=2: pip install 'no-such-module>=2' torch=={torch}"
        otherwise = "if pip finds a conflict: pip install --no-deps 'no-such-module>=2'"
        assert faulty_run.cells[name]["message"] == f"{says}; {otherwise}"
    assert "\n  2 cells: case 'absent' needs no-such-module>=2" in faulty_run.stdout


def test_two_processes_collect_the_same_faults(faulty_run: Run, session_folder: Path) -> None:
    names = ["raises.py", "misspelt.py", "tag.py", "zero.py", "absent.py", "z_last.py"]
    run = runs.run(session_folder / "faulty", "-n", "2", *names)
    for cell in run.report["cells"]:
        name = cell["id"].rpartition("::")[2]
        assert run.verdict(name) == faulty_run.verdict(name)
    assert len(run.cells) == 9
    # The check may be another process's.
    assert " 1 follow-on" in run.stdout
    assert NOT_FIT not in run.stdout
    assert "Different tests were collected" not in run.stdout


def test_an_expected_failure_is_shown_without_our_stack() -> None:
    """Pytest would read our sources for a traceback that nobody asked for, in each of a hundred cells."""
    try:
        raise pytest.xfail.Exception("expected: this exporter traces")
    except pytest.xfail.Exception as error:
        found = pytest.ExceptionInfo.from_exception(error)
    assert CellItem.repr_failure(SimpleNamespace(outcome=None), found) == "expected: this exporter traces"  # type: ignore[arg-type]
