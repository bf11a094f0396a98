"""What each file of `cases/` owes its readers: a paper with its link, tags, inputs of more than one kind and size.

Read from the files' text: packages that a case needs may be missing here.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from pytest_modelconform.cells import literals
from pytest_modelconform.cells.case_files import assigned_cases, is_case_file, static_cases
from pytest_modelconform.expected.file import load
from pytest_modelconform.terms.case import TAG, TORCH

CASES = Path(__file__).parents[1] / "cases"
# Of no paper: they show one feature of a case file each.
_WITHOUT_PAPER = ("plain", "frameworks")
FILES = [path for path in sorted(CASES.rglob("*.py")) if is_case_file(path)]
ZOO = [path for path in FILES if path.parent.name not in _WITHOUT_PAPER]
_LINK = re.compile(r"arXiv:\d{4}\.\d{4,5}|doi[:\s]|10\.\d{4,}/|https://|(19|20)\d\d")


def named(path: Path) -> str:
    return path.relative_to(CASES).as_posix()


def calls(path: Path) -> Iterator[Mapping[str, ast.expr]]:
    """The fields of each case that a file declares, as its text tells them."""
    tree = ast.parse(path.read_text())
    names = literals.assigned(tree)
    for _, call in assigned_cases(tree):
        yield literals.fields(call, names)


def test_there_are_sixty_papers() -> None:
    assert len(ZOO) >= 60


@pytest.mark.parametrize("path", ZOO, ids=named)
def test_a_file_says_whose_model_it_is(path: Path) -> None:
    first = (ast.get_docstring(ast.parse(path.read_text())) or "").split("\n\n")[0]
    assert _LINK.search(first), f"the docstring of {named(path)} has no link or year: name authors, title and link"
    fields = list(calls(path))
    assert fields, f"{named(path)} assigns no Case(...) to a variable"
    for found in fields:
        assert {"paper", "tags", "inputs"} <= set(found), f"{named(path)}: a case lacks one of paper, tags, inputs"


@pytest.mark.parametrize("path", ZOO, ids=named)
def test_a_case_has_its_field_and_a_trait_as_tags(path: Path) -> None:
    for case in static_cases(path):
        assert all(TAG.fullmatch(tag) for tag in case.tags)
        assert path.parent.name in case.tags, f"{case.name}: the field is missing among the tags: {path.parent.name!r}"
        assert len(set(case.tags)) >= 2, f"{case.name}: a tag is missing for what the model stresses"


@pytest.mark.parametrize("path", ZOO, ids=named)
def test_a_case_has_several_input_sets(path: Path) -> None:
    for found in calls(path):
        node = found["inputs"]
        # What a function returns, the model check counts.
        if isinstance(node, ast.Dict):
            assert len(node.keys) >= 2, f"{named(path)}: exporters see one input set, and only another one tests them"


@pytest.mark.parametrize("path", ZOO, ids=named)
def test_what_a_file_imports_is_required(path: Path) -> None:
    """Else it is an error on a machine without, where it could be told to be unavailable."""
    tree = ast.parse(path.read_text())
    tops = {
        name.partition(".")[0].replace("_", "-").lower()
        for node in tree.body
        for name in (
            [a.name for a in node.names] if isinstance(node, ast.Import) else [getattr(node, "module", "") or ""]
        )
        if isinstance(node, (ast.Import, ast.ImportFrom))
    }
    for case in static_cases(path):
        required = {Requirement(text).name.replace("_", "-").lower() for text in case.requires}
        # A framework's own packages are asked for by its name.
        own = ("onnx", "jax", "keras") if case.framework == TORCH else ()
        for package in ("torchvision", "transformers", "einops", *own):
            assert package not in tops or package in required, f"{case.name} imports {package}: add it to requires"


def test_no_module_beside_cases_has_the_name_of_another() -> None:
    """They are imported by plain name, and a process imports each name once."""
    found = defaultdict(list)
    for path in CASES.rglob("*.py"):
        if path not in FILES:
            found[path.stem].append(named(path))
    assert {name: paths for name, paths in found.items() if len(paths) > 1} == {}


def test_a_known_failure_says_what_a_maintainer_can_act_on() -> None:
    expectations = load(CASES / "expected.toml")
    assert [entry.cell for entry in expectations.entries if len(entry.reason) < 20] == []
    assert [cause.id for cause in expectations.causes if "-" not in cause.id] == []
    assert [entry.cell for entry in expectations.entries if entry.link and not entry.link.startswith("https://")] == []
