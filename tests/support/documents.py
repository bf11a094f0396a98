"""The Markdown of this repository as its readers get it: blocks of code, commands, links and headings."""

from __future__ import annotations

import ast
import functools
import itertools
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

REPOSITORY = Path(__file__).resolve().parents[2]
# docs/matrix.md is generated from a log, and what a log holds is tested elsewhere.
PAGES = [
    *(REPOSITORY / name for name in ("README.md", "CONTRIBUTING.md", "cases/README.md")),
    *(page for page in sorted((REPOSITORY / "docs").glob("*.md")) if page.name != "matrix.md"),
]
# Above a block that can't be run: `<!-- not run: the reason -->`. Above one that is part of a module of ours:
# `<!-- inside: pytest_modelconform.building.harness -->`.
_MARK = re.compile(r"<!-- (not run|inside): (.+?) -->\s*")
# A block's first line may name the file that it is: `# my_package/plugin.py`, `// server/onnx.cpp: what it is`.
_FILE = re.compile(r"(?:#|//) ([\w.-]+(?:/[\w.-]+)*\.\w+)(?:[:,] .*)?")
# Lines that begin a command, up to a comment.
_SEPARATORS = {"&&", "||", ";", "|"}
_REDIRECTIONS = {">", ">>", "<"}


@dataclass(frozen=True)
class Block:
    """A block of code. kind: the word after the fence; "" without one. reason: why it isn't run, if it says so."""

    page: Path
    line: int
    kind: str
    text: str
    mark: str = ""
    said: str = ""

    @property
    def where(self) -> str:
        """Page and line, for messages and for the ids of tests."""
        return f"{self.page.relative_to(REPOSITORY).as_posix()}:{self.line}"

    @property
    def file(self) -> str | None:
        """The file that the first line names, or None."""
        match = _FILE.fullmatch(self.text.partition("\n")[0])
        return match[1] if match else None

    @property
    def reason(self) -> str:
        """Why the block isn't run, or ""."""
        return self.said if self.mark == "not run" else ""

    @property
    def module(self) -> str:
        """The module that the block is a part of, or ""."""
        return self.said if self.mark == "inside" else ""

    @property
    def body(self) -> Sequence[ast.stmt]:
        """The statements of Python; none where it is no Python, which its test will tell."""
        try:
            return ast.parse(self.text).body if self.kind == "python" else ()
        except SyntaxError:
            return ()

    @property
    def is_case(self) -> bool:
        """Whether it is a case file, or what stands in one below the blocks before it."""
        return any(map(_is_case, self.body))

    @property
    def is_test(self) -> bool:
        """Whether it holds tests."""
        return any(map(_is_test, self.body))


def _is_case(node: ast.stmt) -> bool:
    call = node.value if isinstance(node, ast.Assign) else None
    return isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "Case"


def _is_test(node: ast.stmt) -> bool:
    return isinstance(node, ast.FunctionDef) and node.name.startswith("test_")


@functools.cache
def _tokens(page: Path) -> Sequence[Token]:
    return MarkdownIt("commonmark").enable("table").parse(page.read_text(encoding="utf-8"))


@functools.cache
def blocks(page: Path) -> Sequence[Block]:
    """The blocks of code of a page, in order."""
    found = []
    before: Token | None = None
    for token in _tokens(page):
        if token.type in ("fence", "code_block"):
            assert token.map is not None
            mark = _MARK.fullmatch(before.content) if before is not None and before.type == "html_block" else None
            kind = token.info.split()[0] if token.info.strip() else ""
            found.append(Block(page, token.map[0] + 1, kind, token.content, *(mark.groups() if mark else ())))
        before = token
    return found


def all_blocks() -> list[Block]:
    """The blocks of all pages."""
    return [block for page in PAGES for block in blocks(page)]


def case_text(block: Block) -> str:
    """The case file that a block is: what the page's earlier blocks define, less their cases, stands before it."""
    if block.file is not None:
        return block.text
    before = [
        node
        for earlier in blocks(block.page)
        if earlier.line < block.line and not earlier.mark and earlier.file is None
        for node in earlier.body
        if not _is_case(node) and not _is_test(node)
    ]
    # A name that the block defines anew is not taken along.
    names = {name for node in block.body for name in _defined(node)}
    kept = [node for node in before if not (set(_defined(node)) & names)]
    return "".join(f"{ast.unparse(node)}\n" for node in kept) + block.text


def _defined(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.Assign):
        yield from (target.id for target in node.targets if isinstance(target, ast.Name))


def commands(text: str) -> Iterator[list[str]]:
    """The words of each command in shell text, without what is redirected. Raises ValueError for unclosed quotes."""
    for line in text.replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars="&|;<>")
        lexer.whitespace_split = True
        words: list[str] = []
        redirected = False
        for word in lexer:
            if word in _SEPARATORS:
                if words:
                    yield words
                words = []
            elif word in _REDIRECTIONS:
                redirected = True
            elif redirected:
                redirected = False
            else:
                words.append(word)
        if words:
            yield words


def inline(page: Path) -> Iterator[str]:
    """The inline code of a page, tables included."""
    for token in _tokens(page):
        yield from (child.content for child in token.children or () if child.type == "code_inline")


def links(page: Path) -> Iterator[str]:
    """Where a page's links and pictures lead."""
    for token in _tokens(page):
        for child in token.children or ():
            target = child.attrs.get("href") or child.attrs.get("src")
            if target:
                yield str(target)


@functools.cache
def anchors(page: Path) -> frozenset[str]:
    """The names that a page's headings have on GitHub."""
    tokens = _tokens(page)
    found: dict[str, int] = {}
    names = []
    for heading, content in itertools.pairwise(tokens):
        if heading.type == "heading_open":
            text = "".join(child.content for child in content.children or () if child.type in ("text", "code_inline"))
            name = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
            names.append(f"{name}-{found[name]}" if name in found else name)
            found[name] = found.get(name, 0) + 1
    return frozenset(names)
