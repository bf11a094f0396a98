"""What the pages point to: links, options, keys, formats and runtimes are there."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from pytest_modelconform.cells.registry import Registry
from pytest_modelconform.plugin import pytest_modelconform_register
from tests.support import documents
from tests.support.documents import PAGES, REPOSITORY

README = (REPOSITORY / "README.md").read_text()
# Programs and libraries, which look like ini keys.
NO_KEYS = {f"modelconform_{name}" for name in ("workers", "harness", "libtorch")}


@pytest.fixture
def options(pytestconfig: pytest.Config) -> Sequence[str]:
    """Our options, as the run that this is has them."""
    parser = pytestconfig._parser
    names = [name for group in parser._groups for option in group.options for name in option.names()]
    return [name for name in names if name.startswith("--modelconform")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for link in documents.links(page):
        assert not fault_of_link(page, link), f"{page.name}: {link}"


def fault_of_link(page: Path, link: str) -> bool:
    file, _, anchor = link.partition("#")
    if re.match(r"[a-z]+:", file):
        return False
    target = (page.parent / file).resolve() if file else page
    return not target.exists() or bool(anchor and anchor not in documents.anchors(target))


def test_a_wrong_link_is_seen(tmp_path: Path) -> None:
    # Else the test above could not fail.
    page = tmp_path / "page.md"
    page.write_text("# One `two`\n\n[x](#nowhere) [y](#one-two) [z](other.md) [w](https://example.org)\n")
    assert [fault_of_link(page, link) for link in documents.links(page)] == [True, False, True, False]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_options_and_keys_exist(page: Path, options: Sequence[str], pytestconfig: pytest.Config) -> None:
    text = page.read_text()
    assert set(re.findall(r"--modelconform[a-z-]*\b", text)) <= set(options)
    assert set(re.findall(r"`(modelconform_[a-z_]+)`", text)) - NO_KEYS <= set(pytestconfig._parser._inidict)


def test_the_readme_has_every_option_of_ours(options: Sequence[str]) -> None:
    assert [option for option in options if not re.search(rf"`{option}[ `]", README)] == []


def test_the_readme_has_every_format_and_runtime() -> None:
    registry = Registry()
    pytest_modelconform_register(registry)
    # Of older and newer PyTorch it names some.
    names = [name for name in [*registry.formats, *registry.runtimes] if not re.search(r"-2\.\d+$", name)]
    assert [name for name in names if f"`{name}`" not in README] == []


def test_every_page_is_linked_from_the_readme() -> None:
    linked = {link.partition("#")[0] for link in documents.links(REPOSITORY / "README.md")}
    assert {f"docs/{page.name}" for page in (REPOSITORY / "docs").glob("*.md")} <= linked
