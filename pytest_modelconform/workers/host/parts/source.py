"""A program's operators as the calls that somebody would write: `torch.nn.functional.conv2d(x, self.weight, …)`.

A call by such a function counts only if tracing it gives the same operator with the same arguments; else the operator
is called by its own name, `torch.ops.aten.…`.
"""

from __future__ import annotations

import builtins
import importlib.util
import keyword
import operator
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.fx import Node
from torch.fx.experimental.proxy_tensor import make_fx
from torch.fx.node import map_aggregate

# What a text consists of: Python, and places in `Literals`.
Text = list[Any]
# Arguments that change no number on a CPU: functions set them by themselves.
_SETTINGS = ("cudnn_enabled", "cudnn_enable", "pin_memory", "device")
_SYMBOLS: Mapping[Any, str] = {
    operator.add: "+",
    operator.sub: "-",
    operator.mul: "*",
    operator.floordiv: "//",
    operator.truediv: "/",
    operator.mod: "%",
    operator.pow: "**",
}
_LARGEST = 1 << 24
# Whose operators are there without a package that is called like them.
_PYTORCHS = ("aten", "prims", "quantized")
# How names of operators begin, and where functions for them are.
_PLACES = (
    ("", "torch.nn.functional"),
    ("special_", "torch.special"),
    ("linalg_", "torch.linalg"),
    ("fft_", "torch.fft"),
    ("", "torch"),
)
# Names that a case file has for other things.
_TAKEN = ("torch", "self", "training", "tensors", "part")


class Unwritable(Exception):
    """A program has something that can't be written as a call; the message says what."""


@dataclass(frozen=True)
class Literal:
    """A whole number in a program that may be a size, by its place in `Literals`."""

    place: int


class Literals(list[int]):
    """The whole numbers in a program's calls that may be sizes."""

    def take(self, arguments: Any) -> Any:
        """Arguments of a node with a `Literal` in place of each number that may be one."""

        def taken(leaf: Any) -> Any:
            if type(leaf) is not int or not 2 <= leaf < _LARGEST:
                return leaf
            self.append(leaf)
            return Literal(len(self) - 1)

        return map_aggregate(arguments, taken)

    def put(self, arguments: Any) -> Any:
        """The other way round."""
        return map_aggregate(arguments, lambda leaf: self[leaf.place] if isinstance(leaf, Literal) else leaf)


@dataclass(frozen=True)
class Argument:
    """An argument as it is written. name: "" where it is given by position. optional: whether it may be left out."""

    name: str
    text: Text
    optional: bool = False


@dataclass(frozen=True)
class Line:
    """A line of forward: what it assigns, the function that it calls ("" for an expression), and with what.

    method: whether `function` is one of the first argument. imports: the package that registers the operator.
    """

    assigns: str
    function: str
    arguments: Sequence[Argument]
    method: bool = False
    imports: str = ""


@dataclass(frozen=True)
class _Form:
    """A way to call an operator. imports: as in `Line`."""

    function: str
    call: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    method: bool = False
    imports: str = ""


@dataclass
class Writer:
    """Writes nodes as lines.

    literals: of the program. names: what a node is called in the source, also one of the weights (`self.weight`).
    values: what nodes return on some inputs, which calls are tried on.
    """

    literals: Literals
    names: dict[Node, str] = field(default_factory=dict)
    values: Mapping[Node, Any] = field(default_factory=dict)

    def line(self, node: Node, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Line:
        """A node as a line; args and kwargs with `Literal`s. Raises Unwritable."""
        target: Any = node.target
        if (expression := self._expression(target, args)) is not None:
            return Line(self.name(node, node.name), "", [Argument("", expression)])
        if not isinstance(target, torch._ops.OpOverload):
            raise Unwritable(f"a call of {getattr(target, '__name__', target)}")
        if target.namespace not in _PYTORCHS and importlib.util.find_spec(target.namespace) is None:
            raise Unwritable(f"an operator of the case's own, {target}")
        given = _given(target, args, kwargs)
        optional = {argument.name for argument in target._schema.arguments if argument.has_default_value()}
        form = next(form for form in _forms(target, given, optional) if self._is_same(target, given, form))
        arguments = [Argument("", self.text(value)) for value in form.args]
        arguments += [Argument(key, self.text(value), key in optional) for key, value in form.kwargs.items()]
        return Line(self.name(node, node.name), form.function, arguments, form.method, form.imports)

    def name(self, node: Node, wanted: str, prefix: str = "") -> str:
        """Give a node a name that is free. prefix: "self." of a weight."""
        stem = wanted if wanted.isidentifier() else "value"
        if keyword.iskeyword(stem) or hasattr(torch.nn.Module if prefix else builtins, stem) or stem in _TAKEN:
            stem += "_"
        free, count, taken = stem, 1, set(self.names.values())
        while prefix + free in taken:
            free, count = f"{stem}_{count}", count + 1
        self.names[node] = prefix + free
        return free

    def inline(self, node: Node) -> None:
        """Have a size written where it is used, `x.shape[0]`. Raises Unwritable."""
        text = self._expression(node.target, node.args)
        if text is None:
            raise Unwritable(f"a call of {getattr(node.target, '__name__', node.target)}")
        self.names[node] = "".join(text)

    def text(self, value: Any) -> Text:
        """A value as Python. Raises Unwritable."""
        if isinstance(value, Node):
            return [self.names[value]]
        if isinstance(value, Literal):
            return [value.place]
        if isinstance(value, (list, tuple)):
            inner: Text = []
            for place, item in enumerate(value):
                inner += [", "] * bool(place) + self.text(item)
            begin, end = ("[", "]") if isinstance(value, list) else ("(", ",)" if len(value) == 1 else ")")
            return [begin, *inner, end]
        if isinstance(value, float) and not -1e300 < value < 1e300:
            return [f'float("{value}")']
        if value is None or isinstance(value, (bool, int, float, complex)):
            return [repr(value)]
        if isinstance(value, (str, torch.device)):
            return [f'"{value}"' if str(value).isprintable() and not {'"', "\\"} & set(str(value)) else repr(value)]
        if isinstance(value, (torch.dtype, torch.memory_format, torch.layout)):
            return [str(value)]
        raise Unwritable(f"an argument of type {type(value).__name__}")

    def _with_sizes(self, arguments: Any) -> Any:
        """Arguments with the numbers that sizes are here."""

        def sized(leaf: Any) -> Any:
            value = self.values.get(leaf) if isinstance(leaf, Node) else None
            return value if isinstance(value, int) else leaf

        return map_aggregate(self.literals.put(arguments), sized)

    def _expression(self, target: Any, args: tuple[Any, ...]) -> Text | None:
        """A node that isn't a call in the source."""
        if target is operator.getitem:
            return [*self.text(args[0]), "[", *self.text(args[1]), "]"]
        if target in _SYMBOLS:
            return ["(", *self.text(args[0]), f" {_SYMBOLS[target]} ", *self.text(args[1]), ")"]
        if target is torch.ops.aten.sym_size.int:
            return [*self.text(args[0]), ".shape[", *self.text(args[1]), "]"]
        return None

    def _is_same(self, target: torch._ops.OpOverload, given: Mapping[str, Any], form: _Form) -> bool:
        """Whether a call in this form is the operator's, with its very arguments."""
        if form.call is target:
            return True
        operands: dict[Node, int] = {}
        wanted = _with_operands(self._with_sizes(dict(given)), operands, add=True)
        if not all(isinstance(self.values.get(operand), torch.Tensor) for operand in operands):
            return False
        form_args, form_kwargs = self._with_sizes((form.args, dict(form.kwargs)))

        def call(*tensors: torch.Tensor) -> Any:
            def placed(leaf: Any) -> Any:
                return tensors[operands[leaf]] if isinstance(leaf, Node) else leaf

            return form.call(*map_aggregate(form_args, placed), **map_aggregate(form_kwargs, placed))

        try:
            with warnings.catch_warnings(), torch.no_grad():
                warnings.simplefilter("ignore")
                traced = make_fx(call, pre_dispatch=True)(*(self.values[operand].clone() for operand in operands))
        except Exception:
            return False
        nodes = list(traced.graph.nodes)
        calls = [n for n in nodes if n.op not in ("placeholder", "output") and n.target is not operator.getitem]
        if len(calls) != 1 or calls[0].target is not target:
            return False
        places = {n: place for place, n in enumerate(n for n in nodes if n.op == "placeholder")}
        return bool(_with_operands(_given(target, calls[0].args, calls[0].kwargs), places) == wanted)


def _with_operands(arguments: Any, places: dict[Node, int], add: bool = False) -> Any:
    """Arguments with the number of a tensor in its place, so that those of two graphs can be compared."""

    def numbered(leaf: Any) -> Any:
        if not isinstance(leaf, Node):
            return leaf
        if add:
            places.setdefault(leaf, len(places))
        return f"operand {places[leaf]}"

    return map_aggregate(arguments, numbered)


def _given(target: torch._ops.OpOverload, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """A call's arguments by their names in the operator's schema, without those that are as by default."""
    arguments = target._schema.arguments
    by_name = {argument.name: value for argument, value in zip(arguments, args, strict=False)} | dict(kwargs)
    found = {}
    for argument in arguments:
        if argument.name not in by_name or argument.name in _SETTINGS:
            continue
        value = by_name[argument.name]
        value = list(value) if isinstance(value, (list, tuple)) else value
        if not (argument.has_default_value() and _is_default(value, argument.default_value)):
            found[argument.name] = value
    return found


def _is_default(value: Any, default: Any) -> bool:
    if isinstance(value, list) and isinstance(default, (list, tuple)):
        return value == list(default)
    return type(value) is type(default) and bool(value == default)


def _forms(target: torch._ops.OpOverload, given: Mapping[str, Any], optional: set[str]) -> Iterator[_Form]:
    """Ways to call an operator, those that people write first; the last one is right in any case."""
    namespace, _, name = target._schema.name.partition("::")
    first = next(iter(given), "")
    for prefix, place in _PLACES:
        module = operator.attrgetter(place.partition(".")[2])(torch) if "." in place else torch
        short = name.removeprefix(prefix)
        call = getattr(module, short, None) if namespace == "aten" and name.startswith(prefix) else None
        if call is not None:
            yield _Form(f"{place}.{short}", call, *_split(given, optional))
            yield _Form(f"{place}.{short}", call, *_split(given, {*given} - {first}))
            yield _Form(f"{place}.{short}", call, tuple(given.values()))
    method = getattr(torch.Tensor, name, None) if namespace == "aten" and not name.startswith("__") else None
    if method is not None and isinstance(given.get(first), Node):
        yield _Form(name, method, *_split(given, optional), method=True)
        yield _Form(name, method, tuple(given.values()), method=True)
    own_name = f"torch.ops.{namespace}.{name}.{target._overloadname}"
    registers = namespace if namespace not in _PYTORCHS else ""
    yield _Form(own_name, target, *_split(_complete(target, given), optional), imports=registers)


def _complete(target: torch._ops.OpOverload, given: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of a call by the operator's own name, which takes no setting as given by itself."""
    needed = (a.name for a in target._schema.arguments if not a.has_default_value())
    return {name: given.get(name, False) for name in needed} | dict(given)


def _split(given: Mapping[str, Any], by_name: set[str]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Arguments by position and by name; behind one by name there is none by position."""
    names = list(given)
    begin = next((place for place, name in enumerate(names) if name in by_name), len(names))
    return tuple(given[name] for name in names[:begin]), {name: given[name] for name in names[begin:]}
