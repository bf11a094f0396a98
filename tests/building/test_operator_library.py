"""Sources of operators, compiled by the machine's compiler: once, anew when an include changes, or refused in words."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pytest_modelconform.building import operator_library, ort_headers, tools
from pytest_modelconform.cache.made_once import BuildError
from pytest_modelconform.terms.operators import ONNXRUNTIME

pytestmark = [pytest.mark.compiles, pytest.mark.skipif(tools.compiler() is None, reason="no compiler")]

SOURCE = '#include "part.h"\nextern "C" int RegisterCustomOps() { return PART; }\n'


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "part.h").write_text("#define PART 3\n")
    (tmp_path / "ops.cpp").write_text(SOURCE)
    # Nothing of ONNX Runtime's headers is included here, so that none has to be fetched.
    (tmp_path / "headers").mkdir()
    monkeypatch.setattr(ort_headers, "find", lambda *arguments: tmp_path / "headers")
    return tmp_path / "ops.cpp"


def test_a_source_is_compiled_once_and_anew_when_what_it_includes_changes(source: Path, cache: Path) -> None:
    said: list[str] = []
    first = operator_library.library(ONNXRUNTIME, source, cache, said.append)
    assert first.is_file()
    assert first.stem == "ops"
    assert said == ["compiling ops.cpp (once) …"]
    assert operator_library.library(ONNXRUNTIME, source, cache, said.append) == first
    assert len(said) == 1
    (source.parent / "part.h").write_text("#define PART 4\n")
    assert operator_library.library(ONNXRUNTIME, source, cache, said.append) != first
    # What is a library already is taken as it is.
    assert operator_library.library(ONNXRUNTIME, first, cache, said.append) == first


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("int f() { return 3 }\n", r"ops\.cpp does not compile: ops\.cpp:1: expected"),
        ("#include HEADER\n", r"ops\.cpp can't be compiled: .*#include of the macro HEADER"),
    ],
)
def test_one_that_does_not_compile_is_told_by_file_and_line(text: str, said: str, source: Path, cache: Path) -> None:
    source.write_text(text)
    with pytest.raises(BuildError, match=said):
        operator_library.library(ONNXRUNTIME, source, cache, print)


def test_what_is_missing_is_told_with_the_remedy(source: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "installed", lambda name: name != "onnxruntime")
    with pytest.raises(BuildError, match=r"ops\.cpp can't be compiled: it needs onnxruntime: pip install onnxruntime"):
        operator_library.library(ONNXRUNTIME, source, cache, print)
    monkeypatch.undo()
    monkeypatch.setattr(tools, "compiler", lambda: None)
    how = "xcode-select" if sys.platform == "darwin" else "apt-get install"
    with pytest.raises(BuildError, match=rf"it needs a C\+\+20 compiler: {how}"):
        operator_library.library(ONNXRUNTIME, source, cache, print)
