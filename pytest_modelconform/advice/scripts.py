"""What torch.jit.script doesn't know of Python, and what a trace takes for a tensor."""

from __future__ import annotations

from .failure import Failure

_TRACE = "or trace the model, which needs no change: format `torchscript-trace`"


def variable_arguments(failure: Failure) -> str | None:
    """A forward with *args or **kwargs, or a function that it calls."""
    if not failure.search(r"Compiled functions can't take variable number of arguments"):
        return None
    return (
        "torch.jit.script takes no `*args` and `**kwargs`, and no keyword-only argument with a default. Write the "
        f"arguments out, in the place that the message shows, {_TRACE}"
    )


def parents_method(failure: Failure) -> str | None:
    """`super().forward(x)`, of which TorchScript says that a tensor has no such method."""
    found = failure.search(
        r"'Tensor' object has no attribute or method '(?P<name>\w+)'\.:\n"
        r"(?:.*\n)*?.*\bsuper\([^)]*\)\.(?P=name)\b.*\n *~"
    )
    if found is None:
        return None
    return (
        f"torch.jit.script can't call a parent's method, here `super().{found['name']}(…)`. Write out what the parent "
        f"does (`F.linear(x, self.weight, self.bias)`), {_TRACE}"
    )


def hook(failure: Failure) -> str | None:
    """A hook that is an object: the older weight_norm and spectral_norm."""
    found = failure.search(r"AttributeError: '(?P<name>WeightNorm|SpectralNorm)' object has no attribute '__name__'")
    if found is None:
        return None
    name = "weight_norm" if found["name"] == "WeightNorm" else "spectral_norm"
    # A script doesn't take the newer spectral_norm either.
    newer = f", or use `torch.nn.utils.parametrizations.{name}`" if name == "weight_norm" else ""
    return (
        f"torch.jit.script takes no hook that is an object, as `torch.nn.utils.{name}` adds one. A model that only "
        f"runs needs none: `torch.nn.utils.remove_{name}(layer)` once the weights are loaded{newer}"
    )


def source(failure: Failure) -> str | None:
    """A class whose constructor is no text: a dataclass, a configuration of transformers."""
    found = failure.search(r"Failed to get source for <function (?P<name>[\w.<>]+)\.__init__ at ") or failure.search(
        r"we failed to convert Python type: '(?P<name>[\w.<>]+)' to a TorchScript type"
    )
    if found is None:
        return None
    name = found["name"].rpartition(".")[2]
    return (
        f"torch.jit.script has to compile each class that forward reads or makes, and can't compile {name}. Keep what "
        "forward needs of a configuration as numbers (`self.heads = config.heads` in `__init__`), and return tuples "
        f"or a NamedTuple; {_TRACE}"
    )


def statement(failure: Failure) -> str | None:
    """A statement or an expression that TorchScript doesn't have."""
    found = failure.search(r"UnsupportedNodeError: (?P<what>.+?) aren't supported")
    if found is None:
        return None
    if found["what"].startswith("import"):
        return "torch.jit.script takes no import in a function: put it at the top of the file"
    what = found["what"]
    return (
        f"torch.jit.script knows a part of Python only, without {what[0].lower()}{what[1:]}. Write it otherwise, in "
        f"the place that the message shows, {_TRACE}"
    )


def annotation(failure: Failure) -> str | None:
    """A parameter or a result that is annotated with a class of Python's."""
    found = failure.search(r"\bUnknown type (?:annotation|name):? '(?:<class ')?(?:[\w.<>]+\.)?(?P<name>\w+)")
    # Who loads a script says it of a class that isn't in the file.
    if found is None or not failure.is_export:
        return None
    return (
        "torch.jit.script reads annotations as types: Tensor, int, float, bool, str, and List, Dict, Tuple and "
        f"Optional of these. It has no {found['name']}: look for it where methods are annotated, and take it away "
        f"or take what is in it as tensors; {_TRACE}"
    )


def closed_over(failure: Failure) -> str | None:
    """A number of the file's that forward reads."""
    found = failure.search(
        r"python value of type '(?P<kind>\w+)' cannot be used as a value\. Perhaps it is a closed over global"
    )
    if found is None:
        return None
    return (
        f"torch.jit.script sees no {found['kind']} that stands at the top of the file. Make it an attribute of the "
        "module, `self.scale = SCALE` in `__init__`, and read that in forward"
    )


def size_as_flag(failure: Failure) -> str | None:
    """A bool or a number that is computed of sizes, which are tensors in a trace."""
    found = failure.search(
        r"TypeError: \w+\(\): argument '(?P<argument>\w+)' must be (?P<kind>bool|int|float), not Tensor"
    )
    if found is None or not failure.is_export:
        return None
    return (
        "in a trace the sizes are tensors, and so is what is computed of them: make a "
        f"{found['kind']} of it, `{found['argument']}={found['kind']}(…)`. The trace keeps what the exported size "
        "gives; the formats `export` and `onnx` take forward as it is"
    )
