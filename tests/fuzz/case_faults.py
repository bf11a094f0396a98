"""Case files with a fault each, by kind: what people type, and what nobody does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

from hypothesis import strategies as st

from pytest_modelconform.terms.case import Case, Tolerance, Train
from tests.fuzz.drawing import near_miss
from tests.support import runs

HEAD = runs.CASE
REST = "tail = Case(model=lambda: Net(), inputs=inputs)\n"


@dataclass(frozen=True)
class Fault:
    """A case file. case: the faulty one's name, None where the whole file is. names: what the message has to name."""

    text: bytes
    case: str | None = None
    names: tuple[str, ...] = ()
    file: str = ""


Kind = st.SearchStrategy[Fault]

# Values that hardly anything is declared as; each as source.
JUNK = st.sampled_from(
    [
        "0", "-1", "3.5", "float('nan')", "True", "b'x'", "''", "'word'", "[]", "[1]", "{1}", "{'a': 1}", "(1,)", "...",
        "object()", "Hostile()", "range(3)", "torch.ones(2)", "torch", "Case", "lambda x: x", "'x' * 5000",
        "'\\n' * 50", "'\\ud800'", "'\\x1b[31mred'", "10 ** 400",
    ]
)  # fmt: skip
# Whatever is done with one of these raises.
HOSTILE = """
class Hostile:
    def __repr__(self):
        raise RuntimeError("no repr")
    __str__ = __repr__
    def __eq__(self, other):
        raise RuntimeError("no comparison")
    __hash__ = None
    def __bool__(self):
        raise RuntimeError("no truth")
    def __iter__(self):
        raise RuntimeError("no iteration")

"""
# Per field of Case, junk that is right there.
FITS = {
    "dtypes": (),
    "files": ("[]",),
    "tags": ("[]",),
    "requires": ("[]",),
    "paper": ("''", "'word'", "'x' * 5000", "'\\n' * 50", "'\\ud800'", "'\\x1b[31mred'"),
    "seed": ("0", "-1", "True", "10 ** 400"),
    "blind_ok": ("''", "'word'", "'x' * 5000", "'\\n' * 50", "'\\ud800'", "'\\x1b[31mred'"),
    "model": ("lambda x: x",),
}
FITS["fixed_inputs"] = FITS["blind_ok"]


def case(changed: Mapping[str, str], name: str = "odd") -> bytes:
    """A file with one sound case and a case with other fields."""
    given = {"model": "lambda: Net()", "inputs": "inputs", **changed}
    said = ", ".join(f"{key}={value}" for key, value in given.items() if value)
    return f"{HEAD}{HOSTILE}{name} = Case({said})\n{REST}".encode("utf-8", "surrogatepass")


def of_field(field: str, values: st.SearchStrategy[str]) -> Kind:
    """A case whose field has one of these values."""
    return values.map(lambda value: Fault(case({field: value}), "odd", (field,)))


def sampled(field: str, *values: str) -> Kind:
    """The same, of values that are listed."""
    return of_field(field, st.sampled_from(values))


def whole(*texts: str | bytes, names: Sequence[str] = ()) -> Kind:
    """Files that are wrong as a whole."""
    encoded = [text if isinstance(text, bytes) else text.encode() for text in texts]
    return st.sampled_from([Fault(text, None, tuple(names)) for text in encoded])


def misspelt(kind: type, call: str) -> Kind:
    """A field's name with a slip. call: source with `{name}` in it."""
    known = [f.name for f in fields(kind)]

    def made(drawn: tuple[str, int, int]) -> Fault:
        name = near_miss(*drawn)
        return Fault((HEAD + call.format(name=name)).encode(), None, (kind.__name__, repr(name), "line "))

    drawn = st.tuples(st.sampled_from(known), st.integers(0, 20), st.integers(0, 4))
    return drawn.filter(lambda one: near_miss(*one) not in known and near_miss(*one).isidentifier()).map(made)


def broken_syntax(drawn: tuple[int, str]) -> Fault:
    """A line that no Python has, somewhere in a sound file."""
    lines = runs.PLAIN.splitlines()
    place = drawn[0] % len(lines)
    lines.insert(place, drawn[1])
    return Fault("\n".join(lines).encode(), None, ("line ",))


ODD_LINES = (
    "def (",
    "x = = 1",
    "class",
    "return return",
    "for in x:",
    "'never closed",
    "f'{'",
    "if",
    "0777",
    "a b",
    ")",
)

EXCEPTIONS = (
    "ValueError('not today')", "KeyError('weights')", "RuntimeError()", "OSError(2, 'No such file', 'weights.pt')",
    "AssertionError", "Exception('one\\ntwo\\n' * 100)", "ValueError('x' * 100000)", "UnicodeError('\\ud800')",
    "SystemExit", "SystemExit('please')", "SystemExit(0)", "KeyboardInterrupt", "GeneratorExit", "StopIteration",
    "MemoryError", "RecursionError('deep')", "type('Odd', (Exception,), {'__str__': lambda self: 1 / 0})()",
    "type('Odd', (BaseException,), {})('odd')", "ExceptionGroup('several', [ValueError(1), KeyError(2)])",
    "AttributeError('\\x1b[31mred\\x1b[0m')",
)  # fmt: skip

KINDS: dict[str, Kind] = {
    "syntax": st.tuples(st.integers(0, 20), st.sampled_from(ODD_LINES)).map(broken_syntax),
    "encoding": whole(
        runs.PLAIN.encode() + b"\x00\n",
        b"\x00" + runs.PLAIN.encode(),
        b"# -*- coding: latin-99 -*-\n" + runs.PLAIN.encode(),
        runs.PLAIN.encode() + b"s = '\xff\xfe'\n",
        b"# -*- coding: ascii -*-\n" + runs.PLAIN.encode() + "s = 'ü'\n".encode(),
        b"\xef\xbb\xbf# -*- coding: latin-1 -*-\n" + runs.PLAIN.encode(),
        (runs.PLAIN + "s = 'ü'\n").encode("latin-1"),
    ),
    "unknown field": misspelt(Case, "odd = Case(model=lambda: Net(), inputs=inputs, {name}=1)\n"),
    "unknown field of a tolerance": misspelt(
        Tolerance,
        "from pytest_modelconform import Tolerance\n"
        "odd = Case(model=lambda: Net(), inputs=inputs, tolerance=Tolerance({name}=1))\n",
    ),
    "unknown field of a training": misspelt(
        Train,
        "from pytest_modelconform import Train\n"
        "odd = Case(model=lambda: Net(), inputs=inputs, train=Train({name}=1))\n",
    ),
    "missing field": whole(
        HEAD + "odd = Case(inputs=inputs)\n",
        HEAD + "odd = Case(model=lambda: Net())\n",
        HEAD + "odd = Case(lambda: Net(), inputs)\n",
        HEAD + "from pytest_modelconform import Train\nodd = Train()\n",
        names=("line ",),
    ),
    "model": of_field(
        "model",
        st.sampled_from(
            [
                "Net()",
                "Net().forward",
                "lambda x: Net()",
                "lambda x, *, y: Net()",
                "torch.nn.Linear",
                "torch.nn",
                "[Net]",
            ]
        ),
    ),
    "inputs": sampled(
        "inputs",
        "{}",
        "(torch.ones(2),)",
        "torch.ones(2)",
        "lambda: (torch.ones(2),)",
        "{'a': torch.ones(2)}",
        "{'a': None}",
        "{1: lambda: (torch.ones(2),)}",
        "{'a b': lambda: (torch.ones(2),)}",
        "{'': lambda: (torch.ones(2),)}",
        "{'a': lambda x: (x,)}",
        "{'../a': lambda: (torch.ones(2),)}",
        "{'a': (torch.ones(2),)}",
        "[lambda: ()]",
        "{None: None}",
        "{'a\\n': lambda: (torch.ones(2),)}",
    ),
    "field of another type": st.sampled_from(sorted({f.name for f in fields(Case)} - {"dynamic_shapes"})).flatmap(
        lambda field: of_field(field, JUNK.filter(lambda value: value not in FITS.get(field, ())))
    ),
    "tolerance": of_field(
        "tolerance",
        st.tuples(
            st.sampled_from([f.name for f in fields(Tolerance) if f.name not in ("reason", "strict")]),
            st.sampled_from(["float('nan')", "float('inf')", "-2", "-1e-30", "'two'", "(1, 2)", "True", "Hostile()"]),
        )
        # A cosine may be negative.
        .filter(lambda one: one != ("cosine", "-1e-30"))
        .map(lambda one: f"__import__('pytest_modelconform').Tolerance({one[0]}={one[1]})"),
    ),
    "tolerances": of_field(
        "tolerances",
        st.sampled_from(["ortt", "opnvino", "torch", "ort", "fst", "float8", "Ort", "", "cpu", "onnx"]).map(
            lambda key: f"{{{key!r}: __import__('pytest_modelconform').Tolerance(bits_lost=5)}}"
        ),
    ),
    "tags": of_field(
        "tags",
        st.sampled_from(["'vision'", "('A',)", "('a b',)", "('skip',)", "('format_onnx',)", "('',)", "(1,)", "('é',)"]),
    ),
    "requires": of_field(
        "requires", st.sampled_from(["'numpy'", "('a b',)", "('>=2',)", "('numpy>=',)", "('',)", "(3,)", "('a;b',)"])
    ),
    "dtypes": sampled(
        "dtypes",
        "()",
        "'float32'",
        "('flaot32',)",
        "('float32', 'float32')",
        "('int4',)",
        "['float32']",
        "(torch.half,)",
    ),
    "train": of_field(
        "train",
        st.sampled_from(
            [
                "loss='mse'",
                "optimizer='adm'",
                "lr=0",
                "lr=float('nan')",
                "steps=0",
                "steps=2.5",
                "batch_size=0",
                "momentum=2",
                "weight_decay=-1",
                "resume_at=99",
                "data=3",
                "loss=Hostile()",
                "lr='fast'",
            ]
        ).map(
            lambda odd: (
                "__import__('pytest_modelconform').Train(**{**dict(loss='mse_loss', optimizer='sgd', lr=0.1, "
                f"steps=2), **dict({odd})}})"
            )
        ),
    ),
    "cpp": sampled(
        "cpp", "'none.cpp'", "'/tmp/net.cpp'", "'net.py'", "'.'", "''", "3", "'a' * 300 + '.cpp'", "'\\0.cpp'"
    ),
    "other words": st.one_of(
        sampled("mode", "'Eval'", "'training'", "None"),
        sampled("framework", "'pytorch'", "'Torch'", "None", "['torch']"),
        sampled("accept", "{'layouts': 'x'}", "{'layout': ''}", "'layout'", "{'layout': None}"),
        sampled("twins", "{'torch': print}", "{'keras': 3}", "['keras']"),
    ),
    "raises": st.sampled_from(EXCEPTIONS).map(lambda error: Fault(f"{HEAD}raise {error}\n".encode(), None, ("line ",))),
    "raises in a function": st.sampled_from(EXCEPTIONS).map(
        lambda error: Fault(f"{HEAD}def build():\n    raise {error}\n\nbuild()\n{REST}".encode(), None, ("line ",))
    ),
    "imports what is missing": whole(
        *(f"import {name}\n" + runs.PLAIN for name in ("no_such_module", "torch.no_such", "numpy.a.b", "тест")),
        "from torch import no_such_name\n" + runs.PLAIN,
        "from . import sibling\n" + runs.PLAIN,
        "from pytest_modelconform import Cases\n" + runs.PLAIN,
        names=("line 1",),
    ),
    "prints and fails": whole(
        *(
            f"import os, sys\n{noise}\n{HEAD}raise ValueError('after noise')\n"
            for noise in (
                "print('x' * 100000)",
                "os.write(1, b'{\"id\": 1}\\n')",
                "sys.stderr.write('y\\n' * 1000)",
                "sys.stdout = None",
                "sys.excepthook = None",
                "os.chdir('/')",
            )
        ),
        names=("after noise",),
    ),
    "no case": whole(
        "from pytest_modelconform import Case\n",
        "from pytest_modelconform import Case\n_case = Case(model=print, inputs={})\n",
        "from pytest_modelconform import Case\ncases = [Case(model=print, inputs={})]\n",
        "import pytest_modelconform\ncase = 3\n",
        "from pytest_modelconform import Case\ndel Case\n",
        names=("Case",),
    ),
    "recursion": whole(
        HEAD + "def f():\n    f()\n\nf()\n",
        HEAD + "x = " + "(" * 150 + ")" * 150 + "\n",
        HEAD + "x = " + "-" * 20000 + "1\n",
        HEAD + "x = " + "[" * 5000 + "]" * 5000 + "\n",
        HEAD + "x = " + " + ".join(["1"] * 50000) + "\nraise ValueError(x)\n",
    ),
    "names of files": st.sampled_from(
        [
            "a b.py",
            "ünï.py",
            "[x].py",
            "a::b.py",
            "1.py",
            "deep/er/net.py",
            "a" * 120 + ".py",
            "it's.py",
            "x;y.py",
            "%s.py",
        ]
    ).map(lambda name: Fault(case({"mode": "'odd'"}), "odd", ("mode",), name)),
    "ends the process": whole(
        *(f"import os, signal\nfrom pytest_modelconform import Case\n{end}\n" for end in ("os._exit(0)", "os.abort()")),
    ),
}
