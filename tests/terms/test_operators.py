"""The field `operators`: what it may hold, and how a case that is wrong is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_modelconform import Case, Operators
from pytest_modelconform.terms import operators
from pytest_modelconform.workers.host import cases
from pytest_modelconform.workers.loop import WorkerError


@pytest.fixture
def case_file(tmp_path: Path) -> Path:
    for name in ("ops.cpp", "ops.so", "ops.py"):
        (tmp_path / name).write_text("")
    return tmp_path / "net.py"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (None, ""),
        (Operators(torch=("ops.cpp", "ops.so", "ops.py", "a_package.ops"), onnxruntime=("ops.cpp",)), ""),
        ("ops.cpp", 'give Operators(torch=("net_ops.cpp",)), not a value of type str'),
        (Operators(torch="ops.cpp"), "torch is a tuple of names, like ('ops.cpp',), not a value of type str"),  # type: ignore[arg-type]
        (Operators(torch=(3,)), "torch is a tuple of names"),  # type: ignore[arg-type]
        (Operators(torch=("ops-2.txt",)), "torch has 'ops-2.txt', which isn't a file that ends in .cpp"),
        (Operators(onnxruntime=("a_package",)), "onnxruntime has 'a_package', which isn't a file that ends in .cpp"),
        (Operators(onnxruntime=("ops.py",)), "onnxruntime has 'ops.py'"),
        (Operators(openvino=("other.so",)), "other.so doesn't exist: names of files are relative to the case file"),
        (Operators(translations={}), "translations is a function without arguments"),  # type: ignore[arg-type]
    ],
)
def test_faults_name_the_field_and_the_remedy(given: Any, said: str, case_file: Path) -> None:
    found = operators.fault(given, str(case_file))
    assert said in found
    assert bool(said) == bool(found)


def test_a_faulty_field_is_the_cases(case_file: Path) -> None:
    case = Case(model=lambda: None, inputs={"a": lambda: ()}, operators=Operators(torch=("no.cpp",)))  # type: ignore[arg-type, return-value]
    with pytest.raises(WorkerError, match=r"case 'net', field 'operators': .*no\.cpp doesn't exist"):
        cases.check("net", case, str(case_file))


def test_files_are_absolute_and_what_they_include_decides(case_file: Path) -> None:
    (case_file.parent / "ops.cpp").write_text('#include "part.h"\n')
    given = Operators(torch=("ops.cpp", "a_package"), executorch=("ops.so",))
    folder = case_file.parent
    named = operators.named(given, str(case_file))
    assert named == {"torch": [str(folder / "ops.cpp"), "a_package"], "executorch": [str(folder / "ops.so")]}
    case = Case(model=lambda: None, inputs={"a": lambda: ()}, operators=given)  # type: ignore[arg-type, return-value]
    files = cases.operator_files(case, str(case_file))
    assert {Path(file).name for file in files} == {"ops.cpp", "part.h", "ops.so"}
