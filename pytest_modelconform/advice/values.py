"""What a model takes, returns or computes with that a format has no place for."""

from __future__ import annotations

import re

from .failure import Failure

_HAS_NO_PLACE = "|".join(
    (
        r"has no place in inputs or outputs",
        r"Unsupported input type",
        r"which is not a known type",
        r"received an input of unsupported type",
        r"instead got value of type",
        r"cannot be traced",
    )
)
_TRACED = "|".join(
    (
        r"Dictionary inputs to traced functions must have consistent type",
        r"of traced region cannot be understood by the tracer",
        r"Only tensors, lists, tuples of tensors, or dictionary of tensors can be output from traced functions",
        r"Tracer cannot infer type of",
        r"Encountering a dict at the output of the tracer",
        r"Only tuples, lists and Variables are supported as JIT inputs/outputs",
    )
)
_OBJECTS = (
    r"Found <class '(?:[\w.]+\.)?(?P<name>\w+)'> in output, which is not a known type",
    r"Unsupported input type <class '(?:[\w.]+\.)?(?P<name>\w+)'>",
    r"Tracer cannot infer type of [\s\S]*instead got value of type (?P<name>\w+)",
)
_PLAIN = r"(?:float|int|bool|str)"
_NUMBERS = (
    rf"^[^\n]*Type '[^'\n]*\b{_PLAIN}\b[^'\n]*' cannot be traced",
    rf"can be inputs to traced functions\. Got {_PLAIN}\b",
)
# What traced_output speaks of.
_FAMILIAR = frozenset(("dict", "tuple", "list", "NoneType", "int", "float", "bool", "str"))
_COMPLEX = "|".join(
    (
        r"Exporting the operator 'aten::(?P<name>\w*(?:fft|complex|conj|polar)\w*|real|imag|angle)'",
        r"STFT does not currently support complex types",
        r"ONNX export of operator aten::_conj",
        r"RuntimeError: Unknown number type: complex",
    )
)


def cache_object(failure: Failure) -> str | None:
    """A cache of transformers among inputs or outputs: DynamicCache, StaticCache, EncoderDecoderCache."""
    if not re.search(_HAS_NO_PLACE, failure.message) or not (found := failure.search(r"\b(?P<kind>\w*Cache)\b")):
        return None
    return (
        f"a {found['kind']} is an object, and artifacts take and return tensors. If you don't ship the cache, build "
        "the model without it: `model.config.use_cache = False`. If you only return a DynamicCache, have torch.export "
        "know it, at the top of the case file: `from transformers.integrations.executorch import "
        "register_dynamic_cache_export_support as register; register()`. If you take one, too, wrap the model in a "
        "module whose forward takes and returns the keys and values as tensors, and makes the cache of them inside; "
        "`Case(sequence=…)` then feeds them back, step by step"
    )


def not_copied(failure: Failure) -> str | None:
    """A model that keeps what can't be copied: its references need copies."""
    found = failure.search(r"TypeError: cannot pickle '(?P<kind>[\w.]+)' object")
    if found is None or failure.is_export:
        return None
    return (
        f"the model keeps a {found['kind'].rpartition('.')[2]}, which can't be copied, and its references need "
        "copies of the model. Keep no operators, locks, files or generators as attributes of a module: "
        "use them in forward, as `torch.ops.mine.shrink(x)`, or from the top of the file"
    )


def foreign_object(failure: Failure) -> str | None:
    """An object that is no nest of tensors, where the model itself takes or returns it."""
    if found := failure.search(r"\ba (?:[\w.]+\.)?(?P<name>\w+) has no place in inputs or outputs"):
        if found["name"] in ("dtype", "device", "layout", "memory_format", "slice"):
            return (
                f"input sets hold no {found['name']}. Leave it out where it is forward's default; else wrap the model "
                "in a module that gives it: `return self.model(x, dtype=torch.float64)`"
            )
        distribution = ", of a distribution its mean and variance, say" if "Normal" in found["name"] else ""
        return (
            f"no format stores a {found['name']}. Wrap the model in a module that takes and returns what is in it as "
            f"tensors{distribution}"
        )
    return None


def untyped_default(failure: Failure) -> str | None:
    """A parameter of a script that has None as its default and no annotation."""
    if failure.is_export and failure.message.startswith("RuntimeError: strides() called on an undefined Tensor"):
        return (
            "torch.jit.script takes every parameter without an annotation for a tensor, and a default of None is none: "
            "write `mask: Optional[torch.Tensor] = None`"
        )
    return None


def sparse(failure: Failure) -> str | None:
    """A sparse tensor among a model's buffers, which torch.export.save looks for the storage of."""
    if not (failure.is_export and failure.search("Cannot access storage of SparseTensorImpl")):
        return None
    return (
        "torch.export.save can't write a sparse tensor, and the model keeps one. Keep it dense, "
        '`model.register_buffer("mask", model.mask.to_dense())`, with `.to_sparse()` where forward needs it so'
    )


def traced_output(failure: Failure) -> str | None:
    """What a trace can't return: a dict of different things, None, an object."""
    if not re.search(_TRACED, failure.message):
        return None
    if failure.search(r"Tracer cannot infer type of \w+Output\w*\("):
        return (
            "a trace returns tensors, tuples of them, or a dict of tensors only. A model of transformers or diffusers "
            'returns a tuple where the input sets have `"return_dict": False`, which becomes part of the artifact. '
            "torch.export takes the model as it is: formats `export` and `onnx`"
        )
    return (
        "a trace returns tensors, tuples of them, or a dict of tensors only. Wrap the model in a module that returns "
        "such a tuple, without None, numbers and dicts of several kinds: `return y, *states`. torch.export takes the "
        "model as it is: formats `export` and `onnx`"
    )


def number(failure: Failure) -> str | None:
    """A number, a bool or a string that forward takes, where a trace is made."""
    if any(failure.search(pattern) for pattern in _NUMBERS):
        return (
            "a trace takes tensors only, and forward is given a number, a bool or a string beside tensors in "
            "a list or a dict. Wrap the model in a module that gives it: `return self.model(x, (3.0, mask))`. "
            "torch.export makes a constant of it: formats `export` and `onnx`"
        )
    return None


def named_tuple(failure: Failure) -> str | None:
    """A class that torch.export.save can't write: of a named tuple, a dataclass, an operator with several results."""
    # Who loads an artifact doesn't have the case's file, so that a name that is registered there would not help.
    if own := failure.search(r"Can't serialize TreeSpec of namedtuple class <class '(?:[\w.<>]+\.)?(?P<name>\w+)'>"):
        return (
            f"forward takes or returns a named tuple of your own, {own['name']}, which torch.export.save can't write. "
            "Make a plain tuple or a dict of it: `return tuple(out)`, or in a module around the model "
            "`return self.model(x)._asdict()`"
        )
    found = failure.search(r"No registered serialization name for <class '(?P<module>[\w.<>]+\.)?(?P<name>\w+)'>")
    if found is None:
        return None
    name = found["name"]
    if found["module"] != "torch.return_types.":
        return (
            f"{name} is registered without a name that torch.export.save could write. Take and return tuples or dicts, "
            "or register it in a module of its own beside the case, "
            f'`torch.export.register_dataclass({name}, serialized_type_name="{name}")`: who loads the file imports '
            "that module first"
        )
    return (
        f"forward returns a torch.return_types.{name}, as {name} gives it, which torch.export.save can't write. Make a "
        f"tuple of it: `tuple(x.{name}(…))`"
    )


def unknown_object(failure: Failure) -> str | None:
    """An object of the user's own class among inputs or outputs, a dataclass for instance."""
    found = next((found for pattern in _OBJECTS if (found := failure.search(pattern))), None)
    if found is None or found["name"] in _FAMILIAR or re.search(r"(?:Output|Outputs|Cache)$", found["name"]):
        return None
    return (
        f"exporters know tensors, tuples, lists and dicts, and no {found['name']}. Wrap the model in a module that "
        "takes and returns these: `return out.boxes, out.scores`"
    )


def complex_numbers(failure: Failure) -> str | None:
    """Complex numbers in an exporter that has none."""
    if failure.search("No decompositions registered for the complex-valued input"):
        return (
            "ONNX has no complex numbers, and its exporter replaces few of their operators. Compute with real and "
            "imaginary parts, `torch.cat([a * c - b * d, a * d + b * c], -1)`; a rotary embedding is "
            "`x * cos + rotated(x) * sin`"
        )
    if not re.search(_COMPLEX, failure.message):
        return None
    return (
        "the older ONNX exporter has no complex numbers. Use the format `onnx`, whose exporter has FFTs "
        "(`--modelconform-formats onnx`), or compute with real and imaginary parts: a matrix of cosines and one of "
        "sines"
    )
