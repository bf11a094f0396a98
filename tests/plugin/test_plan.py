from __future__ import annotations

import pytest

from pytest_modelconform.plugin.plan import scope_of


@pytest.mark.parametrize(
    ("node_id", "scope"),
    [
        ("cases/a.py::a[onnx-ort_cpp-cpu]", "cases/a.py::a[onnx"),
        ("cases/a.py::a[onnx-ort-cpu]", "cases/a.py::a[onnx"),
        ("cases/a.py::a[onnx_legacy-ort-cpu]", "cases/a.py::a[onnx_legacy"),
        ("cases/a.py::a[eager]", "cases/a.py::a[eager"),
        ("cases/a.py::a[onnx-ort-cpu-bfloat16]", "cases/a.py::a[onnx-bfloat16"),
        ("cases/a.py::a[onnx-ort_cpp-cpu-bfloat16-fast]", "cases/a.py::a[onnx-bfloat16"),
        ("cases/a.py::a[onnx-ort-cpu-fast]", "cases/a.py::a[onnx"),
        ("cases/a.py::a[eager-float16]", "cases/a.py::a[eager-float16"),
        ("cases/a.py::b[onnx-ort-cpu]", "cases/a.py::b[onnx"),
        ("tests/test_a.py::test_a", "tests/test_a.py::test_a"),
        ("cases/expected.toml::entries", "cases/expected.toml::entries"),
    ],
)
def test_units(node_id: str, scope: str) -> None:
    assert scope_of(node_id) == scope
