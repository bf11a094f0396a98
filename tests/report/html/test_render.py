"""The page as text."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
import zlib
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from pytest_modelconform.report import html
from pytest_modelconform.report.html import frame, overview
from pytest_modelconform.report.log import Log, LogWriter, read
from pytest_modelconform.terms.cell import Cell
from pytest_modelconform.terms.outcome import STYLES, Outcome, Verdict
from tests.support import html_logs


class Page(HTMLParser):
    """Tags with their attributes, and the text of each script by its id."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self._inside = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside = tag == "script"
        if self._inside:
            self.scripts.append((dict(attrs), ""))

    def handle_endtag(self, tag: str) -> None:
        self._inside = False

    def handle_data(self, data: str) -> None:
        if self._inside:
            attributes, text = self.scripts[-1]
            self.scripts[-1] = (attributes, text + data)

    def data(self, name: str) -> list[Any]:
        """The lines of JSON in a script."""
        text = next(text for attributes, text in self.scripts if attributes.get("id") == name)
        return [json.loads(line) for line in text.split("\n")]


def test_names_and_texts_of_models_stay_text() -> None:
    text = html.render(html_logs.small(), title=f"Matrix of {html_logs.EVIL} & more")
    page = Page(text)
    # The theme, the data of the matrix, the page's own script, the details: no fifth.
    assert [attributes.get("id") for attributes, _ in page.scripts] == [None, "index", None, "details"]
    assert html_logs.EVIL not in text
    assert "Matrix of &lt;script&gt;alert(1)&lt;/script&gt; &amp; more</title>" in text
    (index,) = page.data("index")
    assert html_logs.EVIL in [row["case"] for row in index["rows"]]
    strange = next(detail for detail in page.data("details") if "strange" in detail["id"])
    assert strange["message"] == f"</script><!-- {html_logs.EVIL} & \"quoted\" '\u2028'"
    assert strange["notes"] == [html_logs.EVIL]


def test_the_details_of_many_cells_are_deflated(monkeypatch: pytest.MonkeyPatch) -> None:
    log = html_logs.large(cases=20, columns=10)
    plain = Page(html.render(log))
    monkeypatch.setattr(html, "UNPACKED", 199)
    monkeypatch.setattr(html, "PACK", 150)
    packed = html.render(log)
    attributes, text = Page(packed).scripts[-1]
    assert attributes["data-packed"] == "150"
    packs = [zlib.decompress(base64.b64decode(pack, validate=True)).decode() for pack in text.split("\n")]
    lines = "\n".join(packs).split("\n")
    assert [len(pack.split("\n")) for pack in packs] == [150, 50]
    assert [json.loads(line) for line in lines] == plain.data("details")
    assert len(text) < len(plain.scripts[-1][1]) / 5
    assert packed == html.render(log)
    monkeypatch.setattr(html, "UNPACKED", 200)
    assert "data-packed" not in Page(html.render(log)).scripts[-1][0]


def test_the_same_log_gives_the_same_page() -> None:
    assert html.render(html_logs.small()) == html.render(html_logs.small())


def test_nothing_is_fetched() -> None:
    page = Page(html.render(html_logs.small()))
    for tag, attributes in page.tags:
        assert "src" not in attributes
        assert tag not in ("img", "iframe", "object", "embed", "base")
        assert attributes.get("href") in (None, "data:,") or str(attributes["href"]).startswith("#")
    style = (Path(html.__file__).parent / "styles" / "report.css").read_text()
    assert not re.search(r"@import|url\(", style)


def test_only_our_own_scripts_may_run() -> None:
    page = Page(html.render(html_logs.small()))
    policy = next(a["content"] for tag, a in page.tags if tag == "meta" and "http-equiv" in a)
    assert policy is not None
    assert policy.startswith("default-src 'none'; ")
    allowed = policy.partition("script-src ")[2].split()
    assert allowed == [frame.hash_of(text) for attributes, text in page.scripts if "type" not in attributes]


@pytest.mark.parametrize(
    "name", ["scripts/theme.js", *(f"scripts/{name}" for name in dict.fromkeys((*html.SCRIPTS, *overview.SCRIPTS)))]
)
def test_scripts_neither_end_themselves_nor_evaluate_text(name: str) -> None:
    script = frame.source(name)
    assert "</script" not in script.lower()
    assert not re.search(r"\beval\(|new Function|document\.write|outerHTML|\bfetch\(|XMLHttpRequest", script)


def test_a_log_of_before_there_were_details_is_shown(tmp_path: Path) -> None:
    record = {
        "kind": "cell", "id": "a.py::a[onnx-ort-cpu]", "file": "a.py", "case": "a", "format": "onnx", "runtime": "ort",
        "device": "cpu", "dtype": "float32", "verdict": "pass", "stage": None, "message": "", "bits": 20.0,
        "inputs": {"one": {"verdict": "pass", "outputs": {"output": {"dtype": "float32", "shape": [2], "bits": 20.0}}}},
    }  # fmt: skip
    header = {"kind": "header", "schema": 1, "environment": {}}
    log = tmp_path / "old.jsonl"
    log.write_text("".join(json.dumps(line) + "\n" for line in (header, record)))
    page = Page(html.render(read(log)))
    (index,) = page.data("index")
    assert index["about"]["complete"] is False
    assert index["cells"] == [[0, 1, 0, 0, 0, 20.0]]
    assert page.data("details")[0]["inputs"]["one"]["outputs"]["output"]["shape"] == [2]


def test_a_log_without_cells_is_a_page() -> None:
    page = Page(html.render(Log({}, [], True)))
    assert page.data("index")[0]["cells"] == []


def test_write_makes_the_folder(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "report.html"
    html.write(html_logs.small(), target, title="All of it")
    assert target.read_text(encoding="utf-8") == html.render(html_logs.small(), title="All of it")


def test_what_was_written_is_what_is_read(tmp_path: Path) -> None:
    small = html_logs.small()
    with LogWriter(tmp_path / "log.jsonl", small.environment) as writer:
        for cell, outcome in small.cells:
            writer.cell(cell, outcome)
    assert html.render(read(tmp_path / "log.jsonl")) == html.render(small)


def test_the_plugin_imports_no_templates_before_it_needs_them() -> None:
    code = "import sys, pytest_modelconform.plugin.session; sys.exit('jinja2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_cell_of_a_file_that_could_not_be_collected_has_a_row() -> None:
    broken = Cell("cases/broken.py", "broken", "collect", "collect")
    page = Page(html.render(Log({}, [(broken, Outcome(Verdict.ERROR, message="SyntaxError"))], True)))
    assert page.data("index")[0]["cells"] == [[0, 0, list(STYLES).index(Verdict.ERROR), 2, 0, None]]
