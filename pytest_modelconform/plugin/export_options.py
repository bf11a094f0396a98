"""`--modelconform-export "onnx@opset18: opset_version=18"`: options for the exporters of all cases."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence

from ..terms.exports import Given, fault_of_name

_EXAMPLE = '"onnx@opset18: opset_version=18"'


class BadExport(ValueError):
    """A text that is no export. The message has it, and what was expected."""


def parsed(texts: Sequence[str]) -> Mapping[str, Given]:
    """Options by column. Raises BadExport."""
    found: dict[str, Given] = {}
    for text in texts:
        name, options = _parsed(text)
        if name in found:
            raise BadExport(
                f"--modelconform-export: {name} is given twice ({found[name].said!r}, {text!r}). Join their "
                "options, or give one of them another name."
            )
        found[name] = Given(repr(options), text)
    return found


def _parsed(text: str) -> tuple[str, Mapping[str, object]]:
    name, colon, options = (part.strip() for part in text.partition(":"))
    where = f"--modelconform-export: {text!r}"
    if not colon or not options:
        raise BadExport(f"{where}: expected a format, perhaps with a variant, and options, for example {_EXAMPLE}.")
    if fault := fault_of_name(name):
        raise BadExport(f"{where}: {fault}.")
    try:
        call = ast.parse(f"f({options})", mode="eval").body
        if not isinstance(call, ast.Call) or call.args or any(keyword.arg is None for keyword in call.keywords):
            raise ValueError("options are NAME=VALUE, separated by commas")
        return name, {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in call.keywords}
    except (SyntaxError, ValueError) as error:
        said = "a value must be a literal" if "malformed node" in str(error) else getattr(error, "msg", error)
        raise BadExport(
            f"{where}: the options can't be read ({said}). Write them as Python's keyword arguments with literal "
            f"values, for example {_EXAMPLE}; what needs an import goes into Case(exports=…)."
        ) from None
