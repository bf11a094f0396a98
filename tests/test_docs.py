"""README and docs do what they say: every block of code on a page is run, or read by what reads it in earnest.

A block that can't be run says so above itself (`<!-- not run: why -->`); one of an unknown kind fails. Commands are in
test_docs_commands.py, links and names in test_docs_names.py; the programs of docs/cpp.md, and what else has to be
compiled, in tests/building/test_docs_cpp.py.
"""

from __future__ import annotations

import configparser
import importlib
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from pytest_modelconform.building import harness
from pytest_modelconform.environments import Environment
from pytest_modelconform.expected import file as expected
from pytest_modelconform.report.log import LogWriter
from pytest_modelconform.terms.cell import Cell
from pytest_modelconform.terms.limits import check_limits
from pytest_modelconform.terms.outcome import Outcome, Verdict
from tests.support import documents, runs, shared
from tests.support.documents import REPOSITORY, Block

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ALL = documents.all_blocks()
# `text` is what a program prints.
KINDS = {"python", "sh", "toml", "ini", "yaml", "text", "cpp", "cmake"}
RUN = [block for block in ALL if not block.reason]


def of(kind: str) -> list[Block]:
    return [block for block in RUN if block.kind == kind]


def each(blocks: Sequence[Block]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("block", [pytest.param(block, id=block.where) for block in blocks])


CASES = [block for block in of("python") if block.is_case]
TESTS = [block for block in of("python") if block.is_test]
PARTS = [block for block in of("python") if block.module]
# Of a package that the page builds up: run together, below.
FILES = [block for block in of("python") if block.file is not None and block not in CASES]
# Its case fails, and that is what the page explains.
VERDICTS = REPOSITORY / "docs/verdicts.md"
PLAIN = [block for block in of("python") if block not in [*CASES, *TESTS, *PARTS, *FILES]]


@each(ALL)
def test_a_block_is_of_a_known_kind_or_says_why_it_is_not_run(block: Block) -> None:
    if block.mark == "not run":
        assert len(block.reason.split()) > 2, f"{block.where}: say why it is not run"
    else:
        assert block.kind in KINDS, f"{block.where}: a fence with one of {', '.join(sorted(KINDS))}, or a mark above it"


def test_there_is_something_of_each_kind() -> None:
    assert {block.kind for block in RUN} == KINDS
    for found in (CASES, TESTS, PARTS, FILES, PLAIN):
        assert found


# ---- Python ----------------------------------------------------------------------------------------------------------


def write_cases(folder: Path) -> dict[str, Block]:
    """Each case of the pages as a file of its own, with what it refers to. Returns the blocks by file."""
    runs.write(folder, {"my_project.py": "from torch.nn import Linear as Net\n"})
    for block in of("cpp"):
        if block.file is not None and block.page.name == "cpp-frontend.md":
            (folder / block.file).write_text(block.text)
    written = {}
    for block in CASES:
        name = f"{re.sub(r'[^a-z]', '_', block.page.name.lower())}_{block.line}.py"
        (folder / name).write_text(documents.case_text(block))
        written[name] = block
    return written


@pytest.mark.compiles
def test_every_case_passes(tmp_path: Path) -> None:
    written = {name: block for name, block in write_cases(tmp_path).items() if block.page != VERDICTS}
    # The model check, and the cheapest exporters.
    run = runs.run(
        tmp_path,
        "--modelconform-formats=torchscript-trace,twin-jax",
        "--modelconform-threads=0",
        # What findings show may be a fault of a trace. The models themselves are right.
        *("-k", "not training and not resume and not gradients and not (findings and not eager)"),
        *written,
        runtimes="torch,jax",
    )
    for name, block in written.items():
        of_file = [cell for cell in run.report["cells"] if cell["file"] == name]
        assert {cell["verdict"] for cell in of_file} == {"pass"}, f"{block.where}\n{run.stdout}"


@pytest.mark.compiles
def test_the_failure_that_a_page_explains_is_what_its_command_prints(tmp_path: Path) -> None:
    case, command, said = documents.blocks(VERDICTS)[:3]
    assert (case.kind, command.kind, said.kind) == ("python", "sh", "text")
    assert case.file is not None
    runs.write(tmp_path, {case.file: case.text})
    [words] = documents.commands(command.text)
    done = subprocess.run(
        [sys.executable, "-m", *words], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 1, done.stdout

    def words_of(text: str) -> str:
        # The page wraps lines in other places, and digits differ by processor.
        return re.sub(r"-?\d+(\.\d+)?", "N", " ".join(text.split()))

    printed = done.stdout.partition("compatibility matrix")[2]
    assert words_of(said.text) in words_of(printed), f"put this into {said.where}:\n{printed}"


@pytest.mark.compiles
@each(TESTS)
def test_a_test_with_the_fixture_passes(block: Block, tmp_path: Path) -> None:
    (tmp_path / "test_models.py").write_text(documents.case_text(block))
    # C++ is compiled once and not once a session.
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q"],
        cwd=tmp_path,
        env={**os.environ, "MODELCONFORM_CACHE": str(shared.CACHE)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout


@each(PARTS)
def test_a_part_of_a_module_fits_in(block: Block, monkeypatch: pytest.MonkeyPatch) -> None:
    # What the page adds in one place is there in the next one.
    monkeypatch.setitem(harness.ENGINES, "mine", harness.ENGINES["ort"])
    names = dict(vars(importlib.import_module(block.module)))
    exec(compile(block.text, block.where, "exec"), names)


@each(PLAIN)
def test_other_python_runs(block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_log(tmp_path / "run.jsonl")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__file__": str(tmp_path / "module.py")}
    exec(compile(block.text, block.where, "exec"), names)
    if isinstance(limits := names.get("LIMITS"), dict):
        check_limits(limits, block.where)
    if "ENVIRONMENT" in names:
        assert isinstance(names["ENVIRONMENT"], Environment)


def write_log(path: Path) -> None:
    with LogWriter(path, {"date": "2026-01-02T03:04:05", "packages": {"torch": "2.14.1"}}) as writer:
        writer.cell(Cell("cases/net.py", "net", "onnx", "ort"), Outcome(Verdict.PASS, bits=22.0))


# The library that the page takes for granted. BROKEN: it fails for a batch of one.
ENGINE = """\
import os

import onnxruntime

__version__ = "2.0"


def load(file, threads, reduced):
    session = onnxruntime.InferenceSession(file)
    names = [output.name for output in session.get_outputs()]

    def call(feeds):
        print("called with", list(feeds))
        if "BROKEN" in os.environ and any(len(array) == 1 for array in feeds.values()):
            raise ValueError("the engine's own fault")
        return dict(zip(names, session.run(None, feeds), strict=True))

    return call
"""


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    """docs/adding-a-runtime.md: its package and its library, as if installed in this folder, with the entry point."""
    folder = tmp_path / "packages"
    page = REPOSITORY / "docs/adding-a-runtime.md"
    for block in FILES:
        assert block.page == page, f"{block.where}: which test runs it?"
        assert block.file is not None
        path = folder / block.file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.text)
    [declared] = [block for block in documents.blocks(page) if block.kind == "toml"]
    points = tomllib.loads(declared.text)["project"]["entry-points"]["pytest11"]
    (folder / "my_engine.py").write_text(ENGINE)
    for name, version in (("my_engine", "2.0"), ("my_package", "1.0")):
        information = folder / f"{name}-{version}.dist-info"
        information.mkdir()
        (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    lines = "".join(f"{name} = {module}\n" for name, module in points.items())
    (folder / "my_package-1.0.dist-info/entry_points.txt").write_text(f"[pytest11]\n{lines}")
    return folder


@pytest.mark.compiles
def test_the_runtime_that_the_page_adds_runs(packages: Path, tmp_path: Path) -> None:
    runs.write(tmp_path, {"net.py": runs.PLAIN})
    env = {"PYTHONPATH": str(packages)}
    run = runs.run(tmp_path, "net.py", "--modelconform-formats=onnx-legacy", runtimes="my-runtime", env=env)
    assert run.status == 0, run.stdout
    assert run.verdict("net[onnx_legacy-my_runtime-cpu]") == ("pass", None)
    assert "called with" not in run.stdout

    # What the page says of debugging, by its own command.
    [block] = [b for b in documents.blocks(REPOSITORY / "docs/adding-a-runtime.md") if b.kind == "sh"]
    [words] = documents.commands(block.text)
    debugged = subprocess.run(
        [sys.executable, "-m", *words, "--modelconform-formats=onnx-legacy"],
        cwd=tmp_path,
        env={**os.environ, **env, "BROKEN": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert "called with" in debugged.stdout
    stopped = debugged.stdout.partition("PDB post_mortem")[2].splitlines()
    assert stopped[1].endswith("call()"), debugged.stdout
    assert stopped[2].startswith("-> raise ValueError")


# ---- Settings --------------------------------------------------------------------------------------------------------


@each(of("toml"))
def test_toml_is_what_we_read(block: Block, pytester: pytest.Pytester) -> None:
    content = tomllib.loads(block.text)
    if "expect" in content:
        assert expected.parse(block.text, Path(block.where)).entries
    elif "tool" in content:
        pytester.makepyprojecttoml(block.text)
        collected_here(pytester)
    else:
        assert set(content["project"]) <= {"entry-points"}


@each(of("ini"))
def test_an_ini_file_is_what_pytest_reads(block: Block, pytester: pytest.Pytester) -> None:
    configparser.ConfigParser().read_string(block.text)
    pytester.makeini(block.text)
    collected_here(pytester)


def collected_here(pytester: pytest.Pytester) -> None:
    # An unknown key is an error, names of formats and runtimes are looked up.
    result = pytester.runpytest_inprocess("--strict-config", "--modelconform", "--collect-only", *runs.OTHERS_PLUGINS)
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED, result.stdout.str() + result.stderr.str()


@each(of("cmake"))
def test_cmake_calls_what_there_is(block: Block) -> None:
    sources = [*(REPOSITORY / "cpp").rglob("*.cmake"), REPOSITORY / "cpp/CMakeLists.txt"]
    known = set(re.findall(r"^ *(\w+) *\(", "\n".join(path.read_text() for path in sources), re.M))
    # docs/cpp.md's is configured and built: tests/building/test_docs_cpp.py.
    if block.page.name != "cpp.md":
        assert set(re.findall(r"^ *(\w+) *\(", block.text, re.M)) <= known


@each([block for block in of("cpp") if block.page.name == "cpp-frontend.md"])
def test_the_model_in_cpp_is_the_one_that_is_compiled(block: Block) -> None:
    def code(text: str) -> list[str]:
        return [line for line in text.splitlines() if line.strip() and not line.strip().startswith("//")]

    assert block.file == "net.cpp"
    assert code(block.text) == code((REPOSITORY / "cases/plain/net.cpp").read_text())


@each(of("yaml"))
def test_yaml_is_read(block: Block) -> None:
    # By their schemas in tests/test_ci_templates.py.
    assert YAML(typ="safe").load(block.text)
