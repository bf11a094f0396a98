"""Names and texts of a log from elsewhere: what they hold must come out as text, whatever the renderer."""

from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

from markdown_it import MarkdownIt

from pytest_modelconform.report.log import Log, LogWriter, read
from pytest_modelconform.terms.cell import Cell
from pytest_modelconform.terms.outcome import Outcome, Stage, Verdict

TEXTS = [
    "<script>alert(1)</script>",
    "</details><img src=x onerror=alert(1)>",
    "a|b",
    "`code` ``more```",
    "two\nlines\r\nand\ttabs",
    "=HYPERLINK(1)",
    "@everyone",
    "[a](javascript:alert(1)) ![b](x)",
    "**bold** _i_ ~~s~~ # $x$",
    "&lt;b&gt; &amp;",
    "\x1b[31mred\x1b[0m \x07 \x00 \ufffe \x85",
    "']]> -->",
    "{{ 7 * 7 }} {% raw %} {{ value }}",
    "\u202egnp.\u2028\u2029 ünï ☃ \U0001f600",
    "```\n# Heading\n",
    "'; DROP TABLE cells; --",
    "\\",
    " ",
    "",
]
ENVIRONMENT = {
    "pytest-modelconform": "0.1.0",
    "python": "3.11.7",
    "processor": "some <processor> | `x`",
    "cores": 2,
    "processes": 1,
    "threads": 2,
    "packages": {"torch": "2.14.1", "<i>": "1|2"},
    "environments": {"caffe2": ["torch==1.4.0"]},
    "options": {"formats": ["onnx"], "runtimes": ["ort"]},
    "date": "2026-11-23T06:00:00+00:00",
}


def cells() -> list[tuple[Cell, Outcome]]:
    """Each text as every name, in a cell that passes, one that fails and one that is unsupported."""
    found: list[tuple[Cell, Outcome]] = []
    for i, text in enumerate(TEXTS):
        cell = Cell(f"{text}{i}.py", text, text, text, text, text, text, text)
        found += [
            (
                cell,
                Outcome(
                    Verdict.ERROR, Stage.EXPORT, text, notes=(text,), hints=(text,), inputs={text: {"verdict": "pass"}}
                ),
            ),
            (replace(cell, format=f"{text}2"), Outcome(Verdict.PASS, bits=20.0, notes=(text,))),
            (replace(cell, format=f"{text}3"), Outcome(Verdict.UNSUPPORTED, Stage.LOAD, text)),
            (
                Cell(f"{i}.py", f"case{i}", "onnx", "ort"),
                Outcome(Verdict.MISMATCH, Stage.COMPARE, text, expected=True, notes=(f"expected: {text}",)),
            ),
        ]
    return found


def log(complete: bool = True) -> Log:
    """All of it as it is in memory."""
    return Log(ENVIRONMENT, cells(), complete)


def written(path: Path, found: Log | None = None) -> Path:
    """A log's file."""
    found = found or log()
    writer = LogWriter(path, found.environment)
    for cell, outcome in found.cells:
        writer.cell(cell, outcome)
    if found.complete:
        writer.close()
    else:
        writer.abandon()
    return path


def reread(folder: Path) -> Log:
    """All of it as it is read from a file."""
    return read(written(folder / "nasty.jsonl"))


class Tags(HTMLParser):
    """The elements of a page with their attributes, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def count(self, name: str) -> int:
        return sum(tag == name for tag, _ in self.found)

    @property
    def names(self) -> set[str]:
        return {tag for tag, _ in self.found}


def html_of(text: str) -> str:
    """Markdown as GitHub reads it: CommonMark with tables, strike-through and HTML."""
    page: str = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(text)
    return page


def assert_harmless(page: str, allowed: set[str]) -> Tags:
    """No element but those, none that loads or does something."""
    tags = Tags(page)
    assert tags.names <= allowed, tags.names - allowed
    for _, attributes in tags.found:
        assert not [name for name in attributes if name.startswith("on") or name in ("src", "href", "srcset", "action")]
    return tags
