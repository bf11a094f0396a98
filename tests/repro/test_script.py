"""Scripts as text: every part that a format or runtime names makes one that compiles and imports nothing of ours."""

from __future__ import annotations

import ast
import importlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pytest_modelconform.compare import make_reference
from pytest_modelconform.formats import base as format_base
from pytest_modelconform.formats.built_in import BUILT_IN as FORMATS
from pytest_modelconform.references.prepared import InputSet
from pytest_modelconform.repro import expectations, run_script, script
from pytest_modelconform.repro.folder import MANIFEST, Folder
from pytest_modelconform.repro.parts import compare
from pytest_modelconform.repro.run_script import call_of
from pytest_modelconform.runtimes import base as runtime_base
from pytest_modelconform.runtimes.built_in import BUILT_IN as RUNTIMES
from pytest_modelconform.terms.case import Tolerance
from pytest_modelconform.terms.wording import Refused
from tests.support.synthetic import faithful, numbers

OF_FORMATS = {
    part for module in FORMATS.values() if (part := format_base.described(importlib.import_module(module)).REPRO)
}
OF_RUNTIMES = {
    part for module in RUNTIMES.values() if (part := runtime_base.described(importlib.import_module(module)).REPRO)
}


def imports(text: str) -> set[str]:
    """The modules that a script imports; "." for a relative import."""
    nodes = list(ast.walk(ast.parse(text)))
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    named = [node for node in nodes if isinstance(node, ast.ImportFrom)]
    return plain | {"." if node.level else str(node.module) for node in named}


@pytest.mark.parametrize("part", sorted(OF_FORMATS | OF_RUNTIMES))
def test_every_part_makes_a_script(part: str) -> None:
    functions = script.functions(part)
    mains = {"run": "run_graph", "run_nested": "run_nested", "export": "export_model", "convert": "convert_file"}
    [kind] = [name for name in mains if name in functions]
    assert (kind in ("run", "run_nested")) == (part in OF_RUNTIMES)
    text = script.assemble('A """title""".', [part, f"{script.PARTS}.{mains[kind]}"], {"x": script.Code("[1]")}, "")
    code = compile(text, "repro.py", "exec")
    assert code.co_flags
    assert not [name for name in imports(text) if name.startswith(("pytest_modelconform", "."))]
    named = {node.name for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)}
    assert named & {"run_artifact", "export_model", "convert_model"}
    assert "FACTS = {'x': [1]}" in text
    assert ast.get_docstring(ast.parse(text)) == "A '''title'''."
    # What a part imports from another one is there.
    names = {node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)}
    assert text.count("HERE = Path(__file__)") == ("HERE" in names)


def test_numbers_that_have_no_literal_are_written_all_the_same() -> None:
    facts = {"rms": float("inf"), "more": [float("-inf"), 0.5, {"call": script.Code("lambda x: x")}]}
    found = eval(script.literal(facts))
    assert (found["rms"], found["more"][:2], found["more"][2]["call"](3)) == (float("inf"), [float("-inf"), 0.5], 3)


def together() -> list[tuple[str, str]]:
    """The parts of a format and of each runtime that loads it, which one script may hold."""
    runtimes = [runtime_base.described(importlib.import_module(module)) for module in RUNTIMES.values()]
    formats = [format_base.described(importlib.import_module(module)) for module in FORMATS.values()]
    pairs = {(f.REPRO, r.REPRO) for f in formats for r in runtimes if f.NAME in r.FORMATS and f.REPRO and r.REPRO}
    return sorted(pairs)


@pytest.mark.parametrize("parts", together())
def test_an_exporter_and_a_runtime_fit_into_one_script(parts: tuple[str, str]) -> None:
    served = {"exports": ["export_and_compare"], "converts": ["convert_file"]}
    kind = "exports" if "export" in script.functions(parts[0]) else "converts"
    modules = [*parts, *(f"{script.PARTS}.{name}" for name in served[kind]), run_script.main_of(parts[1])]
    tree = ast.parse(script.assemble("A title.", modules, {}, ""))
    named = [node.name for node in tree.body if isinstance(node, (ast.FunctionDef, ast.ClassDef))]
    named += [
        t.id for node in tree.body if isinstance(node, ast.Assign) for t in node.targets if isinstance(t, ast.Name)
    ]
    # A name that two parts have would be the second one's in both.
    assert sorted(named) == sorted(set(named))


def test_the_formats_and_runtimes_that_matter_most_have_one() -> None:
    named = {part.rpartition(".")[2] for part in OF_RUNTIMES | OF_FORMATS}
    assert {"ort", "openvino", "torch", "executorch", "litert", "export_onnx", "export_torchscript_trace"} <= named


def test_a_part_that_is_not_there_is_named() -> None:
    with pytest.raises(ModuleNotFoundError, match=r"there is no part pytest_modelconform\.repro\.parts\.nothing"):
        script.file_of("pytest_modelconform.repro.parts.nothing")


def test_calls_are_written_as_python() -> None:
    tree: Any = {"list": [{"tensor": "/args/0/0"}, {"none": None}, {"float": (0.1).hex()}, {"value": "it's"}]}
    args: Any = [tree, {"tuple": [{"tensor": "/args/1/0"}]}, {"float": "inf"}]
    kwargs: Any = [["mask", {"dict": [["a", {"tensor": "/kwargs/mask/a"}], ["b", {"value": True}]]}]]
    empty = Path()
    entry = InputSet("one", empty, args, kwargs, {}, {}, frozenset(), {})
    call = eval(call_of(entry))
    tensors = {"/args/0/0": 1, "/args/1/0": 2, "/kwargs/mask/a": 3}
    assert call(tensors) == (([1, None, 0.1, "it's"], (2,), float("inf")), {"mask": {"a": 3, "b": True}})


def wanted(dtype: str = "float32", rms: float = float("inf"), **more: Any) -> dict[str, Any]:
    return {"dtypes": [dtype], "shape": [3], "rms": rms, "cosine": None, "parts": [], **more}


def test_what_is_compared(capsys: pytest.CaptureFixture[str]) -> None:
    expected = np.array([1.0, np.nan, np.inf])
    zero = np.zeros(3, np.float32)
    value = expected.astype(np.float32)
    assert compare.compare("output", value, wanted(), expected, zero) == 0
    assert compare.compare("output", np.array([1, 2, np.inf], np.float32), wanted(), expected, zero) == 1
    assert "DIFFERS in 1 of 3 elements" in capsys.readouterr().out
    assert (
        compare.compare(
            "output", np.array([1, 2, np.inf], np.float32), wanted(), expected, np.array([0, np.inf, 0], np.float32)
        )
        == 0
    )
    assert compare.compare("output", value[:2], wanted(), expected, zero) == 1
    assert "float32[2], DIFFERS: expected float32[3]" in capsys.readouterr().out
    assert compare.compare("output", value.astype(np.float64), wanted(), expected, zero) == 1
    whole = np.array([1, 2, 2**60 + 1])
    assert compare.compare("output", whole, wanted("int64"), whole, zero) == 0
    assert compare.compare("output", whole - [0, 0, 1], wanted("int64"), whole, zero) == 1
    pixels, one = np.array([1, 2, 3], np.uint8), np.ones(3, np.float32)
    assert compare.compare("output", pixels + np.array([1, 0, 1], np.uint8), wanted("uint8"), pixels, one) == 0
    assert compare.compare("output", pixels + np.array([2, 0, 0], np.uint8), wanted("uint8"), pixels, one) == 1
    close = np.array([1.0, 2.0, 3.0])
    most = np.array([1, 1, 1], np.float32)
    off = (close + 0.5).astype(np.float32)
    assert compare.compare("output", off, wanted(rms=0.6), close, most) == 0
    assert compare.compare("output", off, wanted(rms=0.4), close, most) == 1
    assert compare.compare("output", -off, wanted(cosine=0.9), close, np.array([9, 9, 9], np.float32)) == 1


@pytest.mark.parametrize("pure", [True, False])
@pytest.mark.parametrize("tolerance", [Tolerance(), Tolerance(bits=4.0), Tolerance(cosine=0.99)])
def test_what_masks_would_hide_is_compared(
    pure: bool, tolerance: Tolerance, capsys: pytest.CaptureFixture[str]
) -> None:
    r = numbers(20, 40)
    r[:, ::3] = -1e9
    runs = [np.where(r == -1e9, r, faithful(r, seed)).astype(np.float32) for seed in range(5)]
    reference = make_reference(r if pure else None, runs[0], runs[1:4], "float32")
    entry = InputSet("one", Path(), [], [], {"tensor": "/y"}, {}, frozenset(), {"": reference})
    stated, arrays = expectations.of_set(entry, tolerance, {})
    facts = {"one": {"may_refuse": False, "outputs": stated}}
    for y, failures in ((runs[4], 0), (np.where(r == -1e9, r, 0.5 - r).astype(np.float32), 1)):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(compare, "read", lambda name: arrays)
            assert compare.check(facts, 1, {"one": dict.fromkeys(stated, y)}.__getitem__) == failures
    said = capsys.readouterr().out
    assert "DIFFERS" in said
    assert ("; of numbers below 1e+09: " in said) == (pure or tolerance != Tolerance())


@pytest.mark.parametrize(
    ("may_refuse", "status", "says"), [(True, 0, "as expected; refused: four\n"), (False, 1, "1 failures\n")]
)
def test_a_refusal_is_said(
    may_refuse: bool,
    status: int,
    says: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def call(name: str) -> dict[str, Any]:
        raise ValueError("not contiguous")

    monkeypatch.setattr(compare, "read", lambda name: {})
    assert compare.check({"four": {"may_refuse": may_refuse, "outputs": {}}}, 2, call) == status
    said = capsys.readouterr()
    assert said.out.endswith(says)
    assert "not contiguous" in said.err


def test_only_what_was_written_earlier_is_removed(tmp_path: Path) -> None:
    own = tmp_path / "own"
    folder = Folder.opened(own)
    folder.add_text("README.md", "1")
    folder.add_text("old.txt", "1")
    folder.close("cell")
    outside = tmp_path / "outside.txt"
    outside.write_text("stays")
    listed = json.loads((own / MANIFEST).read_text())
    (own / MANIFEST).write_text(json.dumps({**listed, "files": [*listed["files"], "../outside.txt"]}))
    Folder.opened(own).add_text("README.md", "2")
    assert outside.exists()
    assert sorted(path.name for path in own.iterdir()) == [MANIFEST, "README.md"]
    with pytest.raises(Refused, match="isn't empty"):
        Folder.opened(tmp_path)
    with pytest.raises(Refused, match="is a file"):
        Folder.opened(outside)


def test_complex_outputs_of_a_file_that_has_pairs() -> None:
    said = {"dtypes": ["complex64"], "shape": [2, 3], "rms": 1.0, "cosine": None, "parts": []}
    assert expectations.as_pairs(said) == {**said, "dtypes": ["float32"], "shape": [2, 3, 2]}
    real = {**said, "dtypes": ["float64", "float32"]}
    assert expectations.as_pairs(real) == real
