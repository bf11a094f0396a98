"""A report of several pages: the files, and the page in front of them in a real browser."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import pytest
from playwright.sync_api import Browser, Page, expect

from pytest_modelconform.report import html
from pytest_modelconform.report.html import overview
from pytest_modelconform.report.log import Log
from pytest_modelconform.terms.cell import Cell
from pytest_modelconform.terms.outcome import Outcome, Stage, Verdict
from tests.support import html_logs
from tests.support.axe import violations

BERT_ORT = f"{html_logs.BERT}::bert[onnx-ort-cpu]"
EVIL_ORT = f"strange/x.py::{html_logs.EVIL}[onnx-ort-cpu]"


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages that bear as many cells as the largest file of the small log has."""
    monkeypatch.setattr(html, "MOST", 6)


def data(page: Path) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="index">(.*?)</script>', page.read_text("utf-8"))
    assert found
    index: dict[str, Any] = json.loads(found[1])
    return index


# -- the files ---------------------------------------------------------------------------------------------------------


def test_up_to_so_many_cells_it_is_one_page(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    small = html_logs.small()
    monkeypatch.setattr(html, "MOST", len(small.cells))
    # Of a cell that ran twice there is one.
    assert html.write(replace(small, cells=[*small.cells, small.cells[1]]), tmp_path / "report.html") == ""
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_beyond_that_it_is_a_page_a_part_and_one_in_front_of_them(tmp_path: Path) -> None:
    said = html.write(html_logs.small(), tmp_path / "report.html")
    assert said == f"{tmp_path / 'report.html'} leads to 3 pages in {tmp_path / 'report.parts'}: keep them together."
    files = sorted(path.name for path in (tmp_path / "report.parts").iterdir())
    assert files == ["1-text.html", "2-vision.html", "3-strange.html"]
    index = data(tmp_path / "report.html")
    assert [(part["name"], part["href"], part["rows"]) for part in index["parts"]] == [
        ("cases/text", "report.parts/1-text.html", 2),
        ("cases/vision", "report.parts/2-vision.html", 1),
        ("strange", "report.parts/3-strange.html", 1),
    ]


def test_every_cell_is_on_one_page_and_counted_once(tmp_path: Path) -> None:
    small = html_logs.small()
    html.write(small, tmp_path / "report.html")
    index = data(tmp_path / "report.html")
    pages = [data(tmp_path / part["href"]) for part in index["parts"]]
    assert [len(page["cells"]) for page in pages] == [
        sum(count for _, _, count in part["counts"]) for part in index["parts"]
    ]
    assert sum(len(page["cells"]) for page in pages) == len(small.cells)
    rows = [(index["files"][file], case, dtype, part) for file, case, dtype, part, _ in index["rows"]]
    on_pages = [(row["file"], row["case"], row["dtype"], n) for n, page in enumerate(pages) for row in page["rows"]]
    assert sorted(rows) == sorted(on_pages)
    checks = sum(cell.is_check for cell, _ in small.cells)
    assert sum(n for column in index["columns"] for _, _, n in column["counts"]) == len(small.cells) - checks


def test_problems_are_those_that_the_terminal_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    html.write(html_logs.small(), tmp_path / "report.html")
    found = data(tmp_path / "report.html")
    # What expected.toml records is none.
    assert [one["title"] for one in found["problems"]] == [
        "mismatch at stage compare", "crash at stage load", "error at stage run"
    ]  # fmt: skip
    assert (found["problems"][0]["id"], found["problems"][0]["part"], found["more"]) == (BERT_ORT, 0, 0)
    monkeypatch.setattr(overview, "_MOST_PROBLEMS", 1)
    html.write(html_logs.small(), tmp_path / "report.html")
    found = data(tmp_path / "report.html")
    assert (len(found["problems"]), found["more"]) == (1, 2)


def test_what_an_earlier_report_left_goes_and_what_others_left_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report, folder = tmp_path / "report.html", tmp_path / "report.parts"
    monkeypatch.setattr(html, "MOST", 3)
    html.write(html_logs.small(), report)
    before = {path.name for path in folder.iterdir()}
    (folder / "mine.html").write_text("<p>not of this plugin</p>")
    monkeypatch.setattr(html, "MOST", 6)
    html.write(html_logs.small(), report)
    now = {path.name for path in folder.iterdir()}
    assert now == {"1-text.html", "2-vision.html", "3-strange.html", "mine.html"}
    assert before - now
    (folder / "mine.html").unlink()
    monkeypatch.setattr(html, "MOST", 100)
    html.write(html_logs.small(), report)
    assert not folder.exists()


def test_the_same_log_gives_the_same_pages(tmp_path: Path) -> None:
    texts = []
    for name in ("a", "b"):
        html.write(html_logs.small(), tmp_path / name / "report.html")
        texts.append({p.name: p.read_bytes() for p in (tmp_path / name).rglob("*.html")})
    assert texts[0] == texts[1]


# -- in a browser ------------------------------------------------------------------------------------------------------

Open = Callable[..., Page]


@pytest.fixture
def visit(browser: Browser, tmp_path: Path) -> Iterator[Open]:
    """Open the front page of a log. What it says on the console, throws or fetches elsewhere is a fault."""
    faults: list[str] = []
    contexts = []

    def opened(log: Log | None = None, address: str = "", name: str = "report.html", **options: Any) -> Page:
        context = browser.new_context(viewport={"width": 1280, "height": 800}, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(20_000)
        html.write(log or html_logs.small(), tmp_path / name)
        page.on("console", lambda message: faults.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: faults.append(f"error: {error}"))
        page.on("request", lambda one: None if one.url.startswith(tmp_path.as_uri()) else faults.append(one.url))
        page.goto(f"{(tmp_path / name).as_uri()}#{address}")
        page.wait_for_selector("html[data-complete]", state="attached")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert faults == []


def hrefs(page: Page, selector: str) -> list[str]:
    return [unquote(str(one.get_attribute("href"))) for one in page.locator(selector).all()]


def test_the_front_page_has_totals_parts_columns_and_problems(visit: Open) -> None:
    page = visit()
    expect(page.locator("#lead")).to_have_text("12 cells of 3 cases on 3 pages; 3 unexpected.")
    expect(page.locator("#totals .share")).to_have_attribute(
        "aria-label", "7 pass, 1 unavailable, 1 mismatch, 2 error, 1 crash"
    )
    parts = [" ".join(text.split()) for text in page.locator("#parts tbody tr").all_inner_texts()]
    assert parts == ["cases/text 2 6 3 2", "cases/vision 1 5 4 –", "strange 1 1 – 1"]
    columns = page.locator("#columns tbody th").all_inner_texts()
    assert columns == ["onnx → ort", "onnx → ort cuda", "onnx → ort-cpp", "export → torch"]
    assert hrefs(page, "#problems .line a") == [
        f"report.parts/1-text.html#cell={BERT_ORT}",
        f"report.parts/1-text.html#cell={html_logs.BERT}::bert[onnx-ort-cpu-bfloat16]",
        f"report.parts/3-strange.html#cell={EVIL_ORT}",
    ]
    assert page.evaluate("document.scripts.length") == 3


def test_a_problem_leads_to_its_cell_and_the_part_back(visit: Open) -> None:
    page = visit(name="my report #1 ü.html")
    page.get_by_role("link", name=BERT_ORT).click()
    expect(page.get_by_role("dialog")).to_contain_text(BERT_ORT)
    expect(page.locator("nav.part b")).to_have_text("cases/text")
    page.get_by_role("link", name="cases/vision →").click()
    expect(page.locator("nav.part b")).to_have_text("cases/vision")
    page.wait_for_selector("html[data-complete]", state="attached")
    expect(page.locator(".body .row .name")).to_have_text(re.compile("vision.*net"))
    page.get_by_role("link", name="All parts").click()
    expect(page.locator("#lead")).to_contain_text("12 cells")


def test_the_search_finds_cases_on_all_pages_and_a_cell_by_its_id(visit: Open) -> None:
    page = visit()
    page.keyboard.press("/")
    page.keyboard.type("bert")
    expect(page.locator("#found .note")).to_have_text("2 of 4 rows")
    assert hrefs(page, "#found a") == [f"report.parts/1-text.html#case={html_logs.BERT}::bert"] * 2
    page.get_by_role("searchbox").fill("net small")  # by tag
    assert page.locator("#found a").all_inner_texts() == ["net cases/vision/net.py"]
    page.get_by_role("searchbox").fill("nothing like it")
    expect(page.locator("#found .note")).to_have_text("0 of 4 rows")
    page.get_by_role("searchbox").fill(EVIL_ORT)
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_contain_text("alert(1)")
    expect(page.locator("#cell .id")).to_have_text(EVIL_ORT)


@pytest.mark.parametrize(
    ("address", "part", "shows"),
    [
        (f"cell={BERT_ORT}", "1-text.html", "#cell .id"),
        (f"case={html_logs.NET}::net", "2-vision.html", "#page h2"),
    ],
)
def test_addresses_of_before_lead_to_the_part(address: str, part: str, shows: str, visit: Open) -> None:
    page = visit(address=quote(address, safe="=:/[]"))
    page.wait_for_url(re.compile(rf"/report\.parts/{part}#"))
    expect(page.locator(shows)).to_be_visible()


def test_what_is_not_there_is_said_here_and_in_a_part(visit: Open) -> None:
    page = visit(address="cell=gone.py::gone[onnx-ort-cpu]")
    expect(page.locator("#notice")).to_have_text("This report has no cell gone.py::gone[onnx-ort-cpu]")
    page.get_by_role("link", name="cases/vision", exact=True).click()
    page.wait_for_selector("html[data-complete]", state="attached")
    page.evaluate("id => { location.hash = `cell=${id}`; }", BERT_ORT)
    expect(page.locator("#notice")).to_have_text(f"This part of the report has no cell {BERT_ORT}")


def test_a_run_that_was_cut_off_says_so(visit: Open) -> None:
    expect(visit(replace(html_logs.small(), complete=False)).locator("#notice")).to_contain_text("cut off")


def test_where_all_is_as_expected_it_says_so(visit: Open) -> None:
    cells = [(Cell(f"cases/{n}.py", "a", "onnx", f"r{m}"), Outcome(Verdict.PASS)) for n in "ab" for m in range(5)]
    known = Outcome(Verdict.ERROR, Stage.RUN, "known", expected=True)
    page = visit(Log(html_logs.ABOUT, [*cells, (Cell("cases/c.py", "a", "onnx", "r"), known)], complete=True))
    expect(page.locator("#lead")).to_contain_text("nothing unexpected")
    expect(page.locator("#problems")).to_have_text("Everything is as expected")


@pytest.mark.parametrize("where", ["", "text=net", "a part"])
def test_axe_finds_nothing(visit: Open, where: str) -> None:
    page = visit(address=where if where != "a part" else "")
    if where == "a part":
        page.get_by_role("link", name="cases/vision", exact=True).click()
        page.wait_for_selector("html[data-complete][data-drawn]", state="attached")
    assert violations(page, "light") == []
    assert violations(page, "dark") == []
