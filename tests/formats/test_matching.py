"""Which input and output of a file is which of the model's: what is guessed, and what is left to the user."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pytest

from pytest_modelconform.formats.matching import Argument, Unmatched, Value, inputs, outputs

X = Argument("x", "/args/0", "float32", ("batch", 3))
Y = Argument("y", "/args/1", "float32", ("batch", 3))
IDS = Argument("ids", "/kwargs/ids", "int64", ("batch", 7))
STATE = Argument("state_0", "/kwargs/state/0", "float32", (2, 4))


def value(text: str) -> Value:
    """`x:float32:b,3`, or a name alone."""
    name, *rest = text.split(":")
    if not rest:
        return Value(name)
    lengths = [int(word) if word.isdecimal() else word for word in rest[1].split(",")] if rest[1] else []
    return Value(name, rest[0], lengths)


@pytest.mark.parametrize(
    ("file", "model", "said", "paths", "by_order"),
    [
        # By name, whatever the order, and whatever stands between the words.
        ("y:float32:b,3 x:float32:b,3", [X, Y], {}, "/args/1 /args/0", False),
        ("state.0:float32:2,4 IDS:int64:b,7", [IDS, STATE], {}, "/kwargs/state/0 /kwargs/ids", False),
        # By order, and by what fits alone.
        ("input.1:float32:b,3 input.2:float32:1,3", [X, Y], {}, "/args/0 /args/1", True),
        ("a:float32:b,3 b:int64:b,7", [IDS, X], {}, "/args/0 /kwargs/ids", True),
        ("x:float32:b,3 b:float32:b,3", [Y, X], {}, "/args/0 /args/1", True),
        # One is no guess.
        ("input.1:float32:b,3", [X], {}, "/args/0", False),
        # What the case says comes first.
        ("a:float32:b,3 b:float32:b,3", [X, Y], {"a": "y", "b": "/args/0"}, "/args/1 /args/0", False),
        ("a:float32:b,3 b:float32:b,3", [X, Y], {"a": "y"}, "/args/1 /args/0", True),
        ("a:float32:2,4 b:int64:b,7", [IDS, STATE], {"a": "state/0"}, "/kwargs/state/0 /kwargs/ids", True),
        # An argument that the exporter found to be unused.
        ("y:float32:b,3", [X, Y], {}, "/args/1", False),
        # The file says nothing but names.
        ("a b", [X, Y], {}, "/args/0 /args/1", True),
    ],
)
def test_inputs(file: str, model: list[Argument], said: Mapping[str, str], paths: str, by_order: bool) -> None:
    found = inputs([value(text) for text in file.split()], model, said)
    assert (" ".join(found.paths.values()), found.by_order) == (paths, by_order)


@pytest.mark.parametrize(
    ("file", "model", "said", "why"),
    [
        ("a:float32:b,3", [X, Y], {}, "it can't be told which input of the file is which argument"),
        ("a:float32:b,3 b:float32:b,3 c:float32:b,3", [X, Y], {}, "can't be told"),
        # Of two that fit where the order doesn't, neither is better.
        ("a:int64:b,7 b:float32:b,3 c:float32:b,3", [X, Y, IDS], {}, "can't be told"),
        ("a:float32:b,3", [X], {"b": "x"}, "inputs= names 'b', which the file has not"),
        ("a:float32:b,3", [X], {"a": "z"}, "inputs= has 'z' for 'a', which is no argument of the model"),
        ("a b", [X, Y], {"a": "x", "b": "x"}, "inputs= names one of the model's arguments twice"),
        ("ids:int32:b,7", [IDS], {}, "the file's input 'ids' takes int32, and the model's 'ids' is int64"),
    ],
)
def test_inputs_that_are_left_open(file: str, model: list[Argument], said: Mapping[str, str], why: str) -> None:
    with pytest.raises(Unmatched, match=re.escape(why)) as caught:
        inputs([value(text) for text in file.split()], model, said)
    lines = str(caught.value).splitlines()
    # Both sides, and what to write; or what to do about a dtype.
    assert len(lines) == 3 or "export it with that dtype" in lines[0]
    assert "inputs={" in lines[0] or len(lines) == 1


def test_dtypes_that_a_runtime_narrows() -> None:
    # LiteRT's converter makes int64 int32, and who runs its files does so with what is given.
    narrow = Value("ids", "int32", ("b", 7), also=("int64",))
    assert inputs([narrow], [IDS], {}).paths == {"ids": IDS.path}


@pytest.mark.parametrize(
    ("names", "paths", "said", "found"),
    [
        ("a b", ["/y", "/z"], {}, {"a": "/y", "b": "/z"}),
        ("z y", ["/y", "/z"], {}, {"z": "/z", "y": "/y"}),
        ("output_z output.y", ["/y", "/z"], {}, {"output_z": "/z", "output.y": "/y"}),
        ("a", [""], {}, {"a": ""}),
        ("a y", ["/0", "/y"], {}, {"a": "/0", "y": "/y"}),
        ("a b debug", ["/y", "/z"], {"b": "y", "a": "z"}, {"a": "/z", "b": "/y"}),
    ],
)
def test_outputs(names: str, paths: list[str], said: Mapping[str, str], found: Mapping[str, str]) -> None:
    assert outputs(names.split(), paths, said) == found


@pytest.mark.parametrize(
    ("names", "paths", "said", "why"),
    [
        ("a b c", ["/y", "/z"], {}, "the file returns 3 tensors, the model 2"),
        ("y a", ["/x", "/y"], {}, "the names of some outputs contradict their order (y)"),
        ("a b", ["/y", "/z"], {"a": "y"}, "outputs= has to name each of the model's outputs once"),
        ("a b", ["/y", "/z"], {"a": "w", "b": "z"}, "outputs= has 'w' for 'a', where the model returns no tensor"),
        ("a b", ["/y", "/z"], {"c": "y"}, "outputs= names 'c', which the file has not"),
    ],
)
def test_outputs_that_are_left_open(names: str, paths: list[str], said: Mapping[str, str], why: str) -> None:
    with pytest.raises(Unmatched, match=re.escape(why)) as caught:
        outputs(names.split(), paths, said)
    assert len(str(caught.value).splitlines()) == 3
