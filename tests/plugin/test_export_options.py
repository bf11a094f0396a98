"""`--modelconform-export`, as it is written."""

from __future__ import annotations

import re

import pytest

from pytest_modelconform.plugin.export_options import BadExport, parsed


@pytest.mark.parametrize(
    ("text", "name", "options"),
    [
        ("onnx@opset18: opset_version=18", "onnx@opset18", {"opset_version": 18}),
        ("onnx:optimize=False, input_names=['a']", "onnx", {"optimize": False, "input_names": ["a"]}),
        ("onnx-legacy@n : dynamic_axes={'x': {0: 'n'}}", "onnx-legacy@n", {"dynamic_axes": {"x": {0: "n"}}}),
    ],
)
def test_options(text: str, name: str, options: object) -> None:
    [(found, given)] = parsed([text]).items()
    assert (found, given.options, given.said) == (name, repr(options), text)


@pytest.mark.parametrize(
    ("texts", "why"),
    [
        (["onnx"], "expected a format, perhaps with a variant, and options"),
        (["onnx@a:"], "expected a format"),
        (["onnx@a-b: c=1"], "'onnx@a-b' is no name of an export"),
        (["onnx@a: 18"], "the options can't be read (options are NAME=VALUE, separated by commas)"),
        (["onnx@a: **{}"], "options are NAME=VALUE"),
        (["onnx@a: b=c"], "the options can't be read (a value must be a literal)"),
        (["onnx@a: b=1)"], "the options can't be read"),
        (["onnx@a: b=1", "onnx@a: c=1"], "onnx@a is given twice"),
    ],
)
def test_what_can_not_be_read(texts: list[str], why: str) -> None:
    with pytest.raises(BadExport, match=re.escape(why)) as caught:
        parsed(texts)
    assert str(caught.value).startswith("--modelconform-export: ")
    assert "\n" not in str(caught.value)
