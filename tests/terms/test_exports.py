"""Names of exports."""

from __future__ import annotations

import pytest

from pytest_modelconform.terms.exports import Export, base_of, fault_of_name, is_variant


@pytest.mark.parametrize(
    ("name", "base", "variant", "fits"),
    [
        ("onnx", "onnx", False, True),
        ("onnx-legacy@opset18", "onnx-legacy", True, True),
        ("onnx@v1.2_b", "onnx", True, True),
        ("onnx@", "onnx", True, False),
        ("@ours", "", True, False),
        # An id writes "-" as "_": two names could then have one id.
        ("onnx@opset-18", "onnx", True, False),
        ("onnx@a@b", "onnx", True, False),
        ("onnx@a b", "onnx", True, False),
    ],
)
def test_names(name: str, base: str, variant: bool, fits: bool) -> None:
    assert (base_of(name), is_variant(name), not fault_of_name(name)) == (base, variant, fits)
    assert fits or "like 'onnx@opset18'" in fault_of_name(name)


def test_what_says_how_it_is_made() -> None:
    kinds = [Export().kind, Export(options={"a": 1}).kind, Export(make=lambda m, i, f: f).kind, Export(file="a").kind]
    assert kinds == ["options", "options", "make", "file"]
