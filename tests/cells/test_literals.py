"""What the text of a case file tells of its values."""

from __future__ import annotations

import ast

import pytest

from pytest_modelconform.cells import literals

TEXT = """
A, B = "torchvision>=0.29", "timm"
BOTH: tuple[str, ...] = (A, B)
twice = 1
twice = 2
loop = loop
about = {"requires": (A,), "tags": ("vision", "slow"), "inputs": {"one": lambda: ()}}
more = dict(paper="p", **about)
"""


def told(call: str, field: str) -> object:
    """What the text says of a field of a call of Case."""
    tree = ast.parse(TEXT + call)
    node = tree.body[-1]
    assert isinstance(node, ast.Expr)
    assert isinstance(node.value, ast.Call)
    names = literals.assigned(tree)
    return literals.value_of(literals.fields(node.value, names)[field], names)


@pytest.mark.parametrize(
    ("call", "field", "value"),
    [
        ("Case(requires=('a', 'b'))", "requires", ("a", "b")),
        ("Case(requires=(A, 'b'))", "requires", ("torchvision>=0.29", "b")),
        ("Case(requires=BOTH)", "requires", ("torchvision>=0.29", "timm")),
        ("Case(requires=(*BOTH, 'b'))", "requires", ("torchvision>=0.29", "timm", "b")),
        ("Case(requires=BOTH + ('b',))", "requires", ("torchvision>=0.29", "timm", "b")),
        ("Case(requires=[A])", "requires", ("torchvision>=0.29",)),
        ("Case(**about)", "requires", ("torchvision>=0.29",)),
        ("Case(**more)", "requires", ("torchvision>=0.29",)),
        ("Case(**more)", "paper", "p"),
        ("Case(**{**about, 'tags': (*about['tags'], 'cache')})", "tags", ("vision", "slow", "cache")),
        ("Case(**(about | {'requires': ()}))", "requires", ()),
        # As in Python, where a field comes twice: what is written last.
        ("Case(**about | dict(tags=('text',)))", "tags", ("text",)),
    ],
)
def test_what_the_text_tells(call: str, field: str, value: object) -> None:
    assert told(call, field) == value


@pytest.mark.parametrize(
    "value",
    ["twice", "loop", "unknown", "f()", "(*twice,)", "about['none']", "unknown['tags']", "about[unknown]", "A + BOTH"],
)
def test_what_the_text_does_not_tell(value: str) -> None:
    with pytest.raises((ValueError, TypeError)):
        told(f"Case(requires={value})", "requires")


def test_fields_that_only_running_tells_are_not_made_up() -> None:
    tree = ast.parse(TEXT + "Case(a=1, **function(), **twice)")
    [call] = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Case"]
    assert list(literals.fields(call, literals.assigned(tree))) == ["a"]
