"""Cases that are declared well and whose model or inputs are not: what is found when they are built and run."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.fuzz.case_faults import EXCEPTIONS, HEAD, HOSTILE, Fault

Kind = st.SearchStrategy[Fault]

# `{model}` is the body of forward, `{inputs}` what an input set returns; the rest of the Case's fields.
SOURCE = """{head}{hostile}
class Odd(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first = torch.nn.Linear(4, 3)

    def forward(self, {parameters}):
        {body}


def made():
    {made}


odd = Case(model=made, inputs={{"one": lambda: {inputs}}}, {more})
"""


def source(
    body: str = "return self.first(x)",
    inputs: str = "(torch.arange(8.0).reshape(2, 4),)",
    made: str = "return Odd()",
    parameters: str = "x",
    more: str = "",
) -> bytes:
    """A case file, in which something is odd."""
    given = {"body": body, "inputs": inputs, "made": made, "parameters": parameters, "more": more}
    return SOURCE.format(head=HEAD, hostile=HOSTILE, **given).encode("utf-8", "surrogatepass")


def of(values: st.SearchStrategy[str], field: str) -> Kind:
    """Faults of one part of the source."""
    return values.map(lambda value: Fault(source(**{field: value}), "odd"))


def sampled(field: str, *values: str) -> Kind:
    """The same, of values that are listed."""
    return of(st.sampled_from(values), field)


_NO_MODULE = ("None", "3", "'net'", "()", "[Odd()]", "{'a': Odd()}", "Odd", "Odd().forward", "lambda x: x", "Hostile()")
_NO_CALL = (
    "torch.ones(2, 4)", "[torch.ones(2, 4)]", "None", "3", "'x'", "{}", "()", "iter(())", "{1: torch.ones(2, 4)}",
    "{'y': torch.ones(2, 4)}", "(torch.ones(2, 4), torch.ones(1))", "(None,)", "(3,)", "('x',)", "(object(),)",
    "(Hostile(),)", "({'a': torch.ones(2, 4)},)", "((torch.ones(2, 4),),)", "1 / 0", "exit()",
)  # fmt: skip
_SHAPES = st.lists(st.integers(0, 5), max_size=4).map(lambda shape: f"(torch.ones({tuple(shape)}),)")
_DTYPES = st.sampled_from(
    ["int64", "int8", "bool", "float16", "bfloat16", "float64", "complex64", "complex32", "float8_e4m3fn", "quint8"]
).map(lambda dtype: f"(torch.zeros(2, 4, dtype=torch.{dtype}),)")
_TENSORS = (
    "torch.ones(2, 4).to_sparse()", "torch.ones(2, 4, device='meta')", "torch.ones(2, 4, requires_grad=True)",
    "torch.full((2, 4), float('nan'))", "torch.full((2, 4), float('inf'))", "torch.ones(2, 4).conj()",
    "torch.nested.nested_tensor([torch.ones(4)])", "torch.nn.Parameter(torch.ones(2, 4))", "torch.ones(4, 2).T",
    "torch.ones(1).expand(2, 4)", "torch.quantize_per_tensor(torch.ones(2, 4), 0.1, 0, torch.qint8)",
)  # fmt: skip
_RETURNS = (
    "None", "'text'", "object()", "{x}", "()", "{}", "[]", "iter([x])", "x.shape", "torch.float32", "x * 0", "x / 0",
    "x * float('nan')", "x.to_sparse()", "{'a': {1: object()}}", "{(1, 2): x}", "x.numpy()", "Hostile()", "self",
    "(x, 'text', None, 3)", "torch.ones(2, 4, device='meta')", "x[:0]", "x.sum().item()", "torch.rand(3)",
    "__import__('random').random()", "__import__('time').time()", "id(self)", "x.detach().requires_grad_()",
)  # fmt: skip
_SPECS = (
    "3", "'batch'", "{'x': 3}", "{'y': {0: 'batch'}}", "{'x': {7: 'batch'}}", "{'x': {-1: 'batch'}}",
    "{'x': {'a': 'b'}}",
    "{'x': {0: 3}}", "{'x': {0: object()}}", "[]", "[{0: 'batch'}, {0: 'batch'}]", "{'x': {0: 'n', 1: 'n'}}",
    "{'x': {0: torch.export.Dim('n', min=5)}}", "{'x': {0: torch.export.Dim('n', max=1)}}", "{'x': [None, 'n', 'm']}",
    "{'x': {0: Hostile()}}", "Hostile()", "{'x': ('n',)}", "{'x': {0: ''}}", "{'x': {0: 'a b'}}", "{3: {0: 'n'}}",
)  # fmt: skip


def _is_caught(error: str) -> bool:
    """In this process; where the case host is one of its own, it ends of that, which is a crash."""
    return error != "KeyboardInterrupt"


KINDS: dict[str, Kind] = {
    "model raises": of(st.sampled_from(EXCEPTIONS).map(lambda error: f"raise {error}"), "made"),
    "forward raises": of(st.sampled_from(EXCEPTIONS).filter(_is_caught).map(lambda error: f"raise {error}"), "body"),
    "no module": sampled("made", *(f"return {value}" for value in _NO_MODULE)),
    "import in the model": sampled("made", "import no_such_module", "from torch import no_such", "import torch.no"),
    "inputs are no call": sampled("inputs", *_NO_CALL),
    "shapes": of(_SHAPES, "inputs"),
    "dtypes of inputs": of(_DTYPES, "inputs"),
    "odd tensors": sampled("inputs", *(f"({tensor},)" for tensor in _TENSORS)),
    "other parameters": sampled("parameters", "", "x, y", "*, x", "x, *, y", "x, /, y", "y", "*x, y", "**x"),
    "returns": sampled("body", *(f"return {value}" for value in _RETURNS)),
    "body": sampled(
        "body", "return self.forward(x)", "return self.second(x)", "return undefined(x)", "x.zero_(); return x + 1",
        "assert x.sum() > 1e9", "yield x", "del self.first; return x", "self.first = None; return x",
        "print('x' * 10000); return 1 / 0", "exit()", "return x @ x", "import no_such_module", "return x.cuda()",
    ),
    "dynamic shapes": of(st.sampled_from(_SPECS).map(lambda spec: f"dynamic_shapes={spec}"), "more"),
}  # fmt: skip
