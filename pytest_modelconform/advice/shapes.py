"""Values and sizes that torch.export can't follow."""

from __future__ import annotations

import re
import sys

from .failure import Failure, option

_SIZE = r"L\[(?P<{0}>.+?)\]\.size\(\)\[(?P<{0}_axis>\d+)\]"
_EQUAL = rf"The values of \w+ = {_SIZE.format('one')} and \w+ = {_SIZE.format('other')} must always be equal"
_CONSTANT = r"You marked (?P<name>\S+) as dynamic but your code specialized it to be a constant \((?P<length>\d+)\)"
_BOUND = r"^ *(?P<name>\w+) = Dim\('\w+', (?P<bounds>[^)]*)\)$"
_ROUNDED = r"satisfy the generated guard math\.trunc\(.*\) == (?P<length>\d+)\.$"
_MULTIPLE = r"^ *(?P<name>\w+) = (?P<factor>\d+)\*_\w+$"
_GUARD = (
    r"Not all values of (?P<name>\w+) = (?P<size>L\[.+?\]\.size\(\)\[\d+\]) in the specified range"
    r"(?: (?P<range>.+?))?\s+satisfy the generated guard (?P<guard>.+?)\.?$"
)
_DISTRIBUTION = (
    r"\b(?P<name>Bernoulli|Beta|Binomial|Categorical|Dirichlet|Exponential|Gamma|Independent|Laplace|LogNormal|"
    r"Multinomial|MultivariateNormal|Normal|OneHotCategorical|Poisson|StudentT|Uniform|VonMises)\("
)
_TRIED = 4096  # sizes, from the smallest on
# A bound that is no size: 2^63 - 2, and its multiples.
_BEYOND = 1 << 60


def data_dependent(failure: Failure) -> str | None:
    """A branch, a length or a whole number that values decide."""
    found = failure.search(r"Could not guard on data-dependent expression .*?\(Size-like symbols: (?P<sizes>[^)]*)\)")
    if found is not None and found["sizes"] != "none":
        return (
            f"{failure.line} asks for a length that values decide (a boolean mask, nonzero, unique). If the answer is "
            "always the same, say so before: `torch._check(kept.shape[0] != 0)`. If not, keep the length and mask: "
            "`torch.where(mask, x, 0)`"
        )
    if found is not None and (made := re.search(_DISTRIBUTION, failure.line)):
        return (
            f"{failure.line} checks the values of its arguments, which no export knows: pass `validate_args=False` to "
            f"{made['name']} (for all: `torch.distributions.Distribution.set_default_validate_args(False)`)"
        )
    if found is not None and failure.line.startswith("`assert "):
        return (
            f"{failure.line} checks a tensor's value, which no export knows. Skip it while the model is exported: "
            "`if not torch.compiler.is_exporting():` before it"
        )
    if found is not None:
        return (
            f"{failure.line} branches on a tensor's value, which no export knows. Compute both and choose: "
            "`torch.where(condition, a, b)`; or give both as functions: `torch.cond(condition, f, g, (x,))`"
        )
    if failure.search(r"DataDependentOutputException: aten\.(?:equal|allclose)\b"):
        return (
            f"{failure.line} asks whether tensors are equal, which no export knows. Where it is a check, skip it while "
            "the model is exported: `if not torch.compiler.is_exporting():` before it; else choose by values: "
            "`torch.where((a == b).all(), c, d)`"
        )
    if failure.search("Could not extract specialized integer from data-dependent expression"):
        return (
            f"{failure.line} makes a size of a tensor's value. Take the size from the shape of an input, or keep it "
            "and mask: `torch.where(torch.arange(x.shape[1]) < n, x, 0)`; a number that never changes can be a "
            "Python int in `inputs`"
        )
    return None


def one(failure: Failure) -> str | None:
    """A length of 1 where a dimension is dynamic."""
    found = failure.search(_CONSTANT)
    if (
        (found is not None and found["length"] in ("0", "1"))
        or failure.search("export 0/1 specialized due to hint of [01]")
        or failure.search(r"some dynamic dimension is 0 or 1, which torch\.export takes for a constant")
    ):
        return (
            "torch.export takes a length of 1 for a constant, so it can't be the example of a dynamic one. Add an "
            'input set with 2 or more: `inputs={…, "two": lambda: (torch.randn(2, …),)}`. The set with 1 may stay: '
            "it is run on the artifact, too"
        )
    return None


def constraints(failure: Failure) -> str | None:
    """Sizes that `dynamic_shapes` promises, and forward doesn't keep."""
    if "Constraints violated" not in failure.message:
        return None
    if found := failure.search(_CONSTANT):
        name, length = found["name"], found["length"]
        return (
            f"as torch.export reads it, forward takes {name} = {length} only, but `dynamic_shapes` promises any. "
            "Look for what has that length: a parameter or buffer, `int(x.shape[i])`, a Python loop, an nn.LSTM or "
            f"nn.GRU, which it unrolls over time. Use `x.shape[i]` as it is, or leave {name} out of `dynamic_shapes`; "
            "formats that trace (`torchscript-trace`, `onnx-legacy`) keep a recurrent layer"
        )
    if found := failure.search(_EQUAL):
        places = [(found[name], found[f"{name}_axis"]) for name in ("one", "other")]
        (first, axis), (second, other) = places
        return (
            f"dimension {axis} of {_name(first)} is always that of dimension {other} of {_name(second)}: give both "
            f'one name in `dynamic_shapes`, as in `{{{_key(first)}: {{{axis}: "n"}}, '
            f'{_key(second)}: {{{other}: "n"}}}}`'
        )
    if found := re.search(_ROUNDED, failure.message, re.MULTILINE):
        return (
            f"`int(…)` of a size times a fraction became the constant {found['length']}. Round it by `math.trunc(…)`, "
            "which torch.export keeps, or in whole numbers: `x.shape[i] * 5 // 4`. The formats that trace, and `onnx`, "
            "keep the constant without a word"
        )
    if always := _unproved(failure.message):
        name, guard = always
        if any(int(number) >= _BEYOND for number in re.findall(r"\d+", guard)):
            return (
                f"a multiple of {name} has to stay within 64 bits, which torch.export takes for a condition on {name}. "
                f'Give it a greatest length: `torch.export.Dim("{name}", max=1024)` in place of "{name}"'
            )
        return (
            f"torch.export can't prove that {guard}, which holds for every {name}, and takes it for a condition on "
            f"{name}. It looks at run time instead with "
            f"{option('prefer_deferred_runtime_asserts_over_guards', True, 'export')}"
        )
    suggested = failure.message.partition("Suggested fixes:")[2]
    deferred = option("prefer_deferred_runtime_asserts_over_guards", True, "export")
    if found := re.search(_MULTIPLE, suggested, re.MULTILINE):
        name, factor = found["name"], found["factor"]
        return (
            f"as torch.export reads it, forward takes multiples of {factor} only as {name}. If that is so, say so in "
            f'`dynamic_shapes`: `{factor} * torch.export.Dim("part")` in place of "{name}". If forward takes others, '
            f"too, a pooling, a `view` or a `//` of {name} is beyond this torch.export"
        )
    if found := re.search(_BOUND, suggested, re.MULTILINE):
        name, bounds = found["name"], _kept(failure.message, found["name"], found["bounds"])
        return (
            f"as torch.export reads it, forward doesn't take every {name}. If so, say which in `dynamic_shapes`: "
            f'`torch.export.Dim("{name}", {bounds})` in place of "{name}"'
        )
    if not suggested and (some := _multiples(failure.message)):
        name, guard, factor = some
        return (
            f"as torch.export reads it, forward takes {name} only where {guard}: multiples of {factor}, say. If these "
            f'will do, say so in `dynamic_shapes`: `{factor} * torch.export.Dim("part")` in place of "{name}". '
            f"If forward takes others, too, a pooling, a `view` or a `//` of {name} is beyond this torch.export"
        )
    if not suggested:
        # Guards that always hold are among these, as of the strides of a permuted tensor: 1 % (16 * (width // 4)) != 0.
        return (
            "torch.export isn't sure that forward takes every size that `dynamic_shapes` promises. If it does, have "
            f"sizes checked at run time: {deferred}; if not, bound the dimension, or leave it out"
        )
    return (
        "`dynamic_shapes` promises sizes that forward, as torch.export reads it, doesn't take. Write there what "
        "torch.export suggests (the whole message is in the log), or leave the dimension out"
    )


def beyond_64_bits(failure: Failure) -> str | None:
    """A comparison of a size with a number that ONNX can't hold: that of the largest size, times something."""
    if not failure.search("Python int too large to convert to C long"):
        return None
    return (
        "a size without a greatest value is compared with a number beyond 64 bits. Give each dynamic dimension a "
        'greatest length: `torch.export.Dim("batch", max=1024)` in place of "batch"'
    )


def fixed(failure: Failure) -> str | None:
    """A dimension that an exporter made a constant without a word, and a runtime then refuses."""
    found = failure.search(
        r"Got invalid dimensions for input: (?P<name>\S+) for the following indices\n(?:  at .*\n)*"
        r" index: (?P<axis>\d+) Got: (?P<got>\d+) Expected: (?P<length>\d+)"
    )
    if found is None:
        return None
    return (
        f"the exporter made dimension {found['axis']} of {found['name']} the constant {found['length']}, though "
        "`dynamic_shapes` names it. Something in forward has that one length, as `int(x.shape[0])` has: use "
        "`x.shape[0]` as it is. The format `export` says of such a model that constraints are violated"
    )


def split(failure: Failure) -> str | None:
    """A dynamic size that ExecuTorch makes the exported one, where a model splits or chunks."""
    if not failure.search(
        r"Attempted to resize a bounded tensor with a maximum capacity of|"
        r"Attempted to resize a static tensor\..*\(aten::split_with_sizes_copy\.out\)"
    ):
        return None
    return (
        "ExecuTorch makes a dynamic size the exported one where forward, or a layer such as nn.LSTMCell, calls `chunk` "
        "or `split`: take slices, `x[..., :n]` and `x[..., n:]`"
    )


def _unproved(message: str) -> tuple[str, str] | None:
    """A dimension, and a guard on it that torch.export asks for though every size in its range satisfies it.

    None if another guard on it is a true condition, such as that it is even. It may be one on small sizes.
    """
    for name, of_name in _guards(message).items():
        if all(results and all(results[len(results) // 2 :]) for _, results in of_name):
            for guard, results in of_name:
                if all(results):
                    return name, guard
    return None


def _guards(message: str) -> dict[str, list[tuple[str, list[bool]]]]:
    """By dimension the guards on it, each with whether the sizes of its range satisfy it, see `_tried`."""
    guards: dict[str, list[tuple[str, list[bool]]]] = {}
    for found in re.finditer(_GUARD, message, re.MULTILINE):
        guard = found["guard"].replace(found["size"], found["name"])
        guards.setdefault(found["name"], []).append((guard, _tried(guard, found["name"], found["range"] or "")))
    return guards


def _multiples(message: str) -> tuple[str, str, int] | None:
    """A dimension, a guard that not even all large sizes satisfy, and a number all multiples of which satisfy all."""
    for name, of_name in _guards(message).items():
        guard = next((guard for guard, results in of_name if not all(results[len(results) // 2 :])), None)
        if guard is None:
            continue
        for factor in range(2, 33):
            multiples = f"{factor} <= {name} <= {factor * _TRIED}"
            tried = [_tried(each.replace(name, f"({factor}*{name})"), name, multiples) for each, _ in of_name]
            # The smallest may be too small for other reasons.
            if all(results and all(results[4:]) for results in tried):
                return name, guard, factor
    return None


def _kept(message: str, name: str, bounds: str) -> str:
    """Bounds that torch.export suggests, the least one raised above sizes that its own guards exclude."""
    found = re.search(r"\bmin=(\d+)", bounds)
    if found is None:
        return bounds
    least = int(found[1])
    range_from = f"{least} <= {name}"
    tried = [_tried(guard, name, range_from) for guard, _ in _guards(message).get(name, [])]
    if not tried or not all(tried):
        return bounds
    failed = [[place for place, holds in enumerate(results) if not holds] for results in tried]
    # What fails far on is no bound, unless all do up to there.
    if any(places and places[-1] >= 8 and len(places) <= places[-1] for places in failed):
        return bounds
    beyond = max((places[-1] + 1 for places in failed if places), default=0)
    return bounds.replace(found[0], f"min={least + beyond}") if beyond < _TRIED else bounds


def _tried(guard: str, name: str, within: str) -> list[bool]:
    """Whether the sizes of a range satisfy a guard, from the smallest on. Empty if it isn't on that size alone."""
    expression = re.sub(rf"\b{re.escape(name)}\b", "n", guard)
    expression = re.sub(r" and n <= IntInfinity\(\)$", "", expression)
    # Numbers, the size and operators: nothing that would have to be looked up, and neither powers nor shifts.
    if not re.fullmatch(r"(?:[\d\s()+\-*/%<>=!n]|\band\b|\bor\b)+", expression) or re.search(r"\*\*|<<|>>", expression):
        return []
    least = re.search(rf"(\d+) <= {re.escape(name)}\b", within)
    most = re.search(rf"\b{re.escape(name)} <= (\d+)", within)
    sizes = range(int(least[1]) if least else 2, int(most[1]) + 1 if most else sys.maxsize)[:_TRIED]
    try:
        compiled = compile(expression.strip(), "guard", "eval")
        return [bool(eval(compiled, {"__builtins__": {}}, {"n": n})) for n in sizes]
    except (SyntaxError, NameError, ArithmeticError, TypeError):
        return []


def _name(quoted: str) -> str:
    return quoted.replace("'", "").replace("][", ".")


def _key(quoted: str) -> str:
    return quoted.replace("'", '"').partition("][")[0]
