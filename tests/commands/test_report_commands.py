"""`modelconform report`, `merge`, `diff`, `badge` and `history`: files, exit statuses, and what they say of faults."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from pytest_modelconform.commands import cli
from pytest_modelconform.report import html, log
from pytest_modelconform.report.log import Log, LogWriter
from pytest_modelconform.terms.cell import Cell
from pytest_modelconform.terms.outcome import Outcome, Stage, Verdict
from tests.support import nasty

PASS = Outcome(Verdict.PASS, bits=20.0)
ERROR = Outcome(Verdict.ERROR, Stage.EXPORT, "no kernel")
ORT, CPP = Cell("a.py", "net", "onnx", "ort"), Cell("a.py", "net", "onnx", "ort-cpp")
ABOUT = {"date": "2026-11-23T06:00:00+00:00", "packages": {"torch": "2.14.1"}}
Captured = pytest.CaptureFixture[str]


def made(path: Path, *cells: tuple[Cell, Outcome], complete: bool = True) -> str:
    return str(nasty.written(path, Log(ABOUT, [*cells], complete)))


@pytest.fixture
def good(tmp_path: Path) -> str:
    return made(tmp_path / "good.jsonl", (ORT, PASS), (CPP, PASS))


@pytest.fixture
def bad(tmp_path: Path) -> str:
    return made(tmp_path / "bad.jsonl", (ORT, PASS), (CPP, ERROR))


# -- report ------------------------------------------------------------------------------------------------------------


def test_the_matrix_on_the_terminal(bad: str, capsys: Captured) -> None:
    assert cli.main(["report", bad]) == 0
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert lines[:7] == [
        "       onnx",
        "case   ort   ort-cpp",
        "net    . 20  E",
        "",
        ". pass   E error   number: effective bits",
        "",
        "2 cells: . 1 pass, E 1 error",
    ]
    assert "  rerun: pytest --modelconform 'a.py::net[onnx-ort_cpp-cpu]'" in lines
    # The log that is shown is the one to look into.
    assert lines[-1] == f"  to report it: modelconform repro 'a.py::net[onnx-ort_cpp-cpu]' -o repro --log {bad}"


def test_a_log_that_is_cut_off_or_lacks_shards(tmp_path: Path, capsys: Captured) -> None:
    assert cli.main(["report", made(tmp_path / "a.jsonl", (ORT, PASS), complete=False)]) == 0
    assert "The log is cut off: not all cells are in it." in capsys.readouterr().out
    lacking = nasty.written(tmp_path / "b.jsonl", Log({"missing": ["shard 2 of 3"]}, [(ORT, PASS)], False))
    assert cli.main(["report", str(lacking)]) == 0
    out = capsys.readouterr().out
    assert "Missing: shard 2 of 3. What is not here was not run." in out
    assert "cut off" not in out


@pytest.mark.parametrize("by", ["format", "name"])
def test_formats(bad: str, tmp_path: Path, by: str, capsys: Captured) -> None:
    def written(name: str, suffix: str) -> str:
        path = tmp_path / "deep" / f"out{suffix if by == 'name' else ''}"
        options = ["--format", name] if by == "format" else []
        assert cli.main(["report", bad, *options, "-o", str(path)]) == 0
        return path.read_text()

    assert written("markdown", ".md").startswith("## Compatibility matrix\n\n2 cells: ✓ 1 pass, ✗ 1 error\n")
    assert [cell["verdict"] for cell in json.loads(written("json", ".json"))["cells"]] == ["pass", "error"]
    assert [row["verdict"] for row in csv.DictReader(written("csv", ".csv").splitlines())] == ["pass", "error"]
    assert ElementTree.fromstring(written("junit", ".xml")).get("failures") == "1"
    assert "2 cells: . 1 pass, E 1 error" in written("terminal", ".txt")
    assert capsys.readouterr().out == ""


def test_without_a_file_a_format_goes_to_stdout(bad: str, capsys: Captured) -> None:
    assert cli.main(["report", bad, "--format", "csv"]) == 0
    assert capsys.readouterr().out.startswith("id,file,case,")


def test_the_title_and_the_limit_of_markdown(bad: str, capsys: Captured) -> None:
    assert cli.main(["report", bad, "--format", "markdown", "--title", "<b>", "--limit", "2000"]) == 0
    assert capsys.readouterr().out.startswith("## &lt;b&gt;\n")
    assert cli.main(["report", bad, "--format", "markdown", "--limit", "100"]) == 2
    assert capsys.readouterr().err == "modelconform report: --limit 100 is too small for a page: give 2000 or more.\n"


def test_a_format_whose_renderer_is_not_there(bad: str, capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pytest_modelconform.report.html", None)
    assert cli.main(["report", bad, "--html", "page.html"]) == 2
    assert capsys.readouterr().err.startswith(
        "modelconform report: --format html needs the package pytest_modelconform.report.html"
    )


def test_html_names_its_file_itself(bad: str, capsys: Captured) -> None:
    for others in (["-o", "a"], ["--format", "csv"]):
        assert cli.main(["report", bad, "--html", "page.html", *others]) == 2
        assert "--html FILE stands for --format html -o FILE: leave --format and -o out." in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--html", "FILE"], ["-o", "FILE"], ["--format", "html", "-o", "FILE"]])
def test_a_large_log_becomes_several_pages(
    words: list[str], tmp_path: Path, bad: str, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "out" / "page.html"
    line = ["report", bad, *(str(page) if word == "FILE" else word for word in words)]
    assert cli.main(line) == 0
    assert (capsys.readouterr().out, [path.name for path in page.parent.iterdir()]) == ("", ["page.html"])
    monkeypatch.setattr(html, "MOST", 0)
    assert cli.main(line) == 0
    assert f"{page} leads to 1 page in {tmp_path / 'out' / 'page.parts'}" in capsys.readouterr().out.replace("\n", " ")
    # For a pipe it is one page, whatever its size.
    assert cli.main(["report", bad, "--format", "html"]) == 0
    assert 'id="matrix"' in capsys.readouterr().out
    monkeypatch.setattr(html, "write", lambda *about, **more: (_ for _ in ()).throw(OSError(28, "No space left")))
    assert cli.main(line) == 2
    assert f"modelconform report: {page} could not be written: No space left" in capsys.readouterr().err


def test_files_that_are_no_logs(tmp_path: Path, bad: str, capsys: Captured) -> None:
    junk = tmp_path / "junk.jsonl"
    junk.write_text("junk\n")
    target = str(tmp_path / "out.json")
    for line in (["report", str(junk)], ["badge", str(junk), "-o", target], ["merge", str(junk), bad, "-o", target]):
        assert cli.main(line) == 2
        assert f"modelconform {line[0]}: {junk}:1: this line is not a record of a log" in capsys.readouterr().err
    for line in (["diff", str(junk), bad], ["diff", bad, str(junk)]):
        assert cli.main(line) == 2
        assert f"modelconform diff: {junk}:1: this line is not a record of a log" in capsys.readouterr().err
    assert cli.main(["report", str(tmp_path / "none")]) == 2
    assert capsys.readouterr().err == f"modelconform report: {tmp_path / 'none'}: No such file or directory\n"
    assert cli.main(["report", bad, "--format", "csv", "-o", str(tmp_path)]) == 2
    assert capsys.readouterr().err == f"modelconform report: {tmp_path} is a folder: name a file in it\n"


@pytest.mark.parametrize("name", ["terminal", "csv"])
def test_who_reads_may_stop(tmp_path: Path, name: str) -> None:
    cells = [(Cell("a.py", f"case_{i}", "onnx", "ort"), PASS) for i in range(5000)]
    path = made(tmp_path / "a.jsonl", *cells)
    command = [sys.executable, "-m", "pytest_modelconform", "report", path, "--format", name]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(10)
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(60) == 0


@pytest.mark.parametrize("name", ["terminal", "markdown", "json", "csv", "junit"])
def test_reports_of_whatever_names_and_texts_hold(tmp_path: Path, name: str, capsys: Captured) -> None:
    path = nasty.written(tmp_path / "nasty.jsonl", nasty.log())
    assert cli.main(["report", str(path), "--format", name]) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "alert(1)" in out


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (
            ["report", "LOG", "-o", "rep.pdf"],
            "rep.pdf: unknown ending '.pdf'. Known endings: .md, .json, .csv, .xml, .html",
        ),
        (
            ["diff", "LOG", "LOG", "-o", "rep.docx"],
            "rep.docx: unknown ending '.docx'. Known endings: .md, .html, .txt.",
        ),
        (
            ["history", "FOLDER", "-o", "page.pdf"],
            "page.pdf: unknown ending '.pdf'. Name the file FILE.html or FILE.htm.",
        ),
    ],
)
def test_an_ending_that_says_another_format(
    line: list[str], says: str, good: str, tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = [{"LOG": good, "FOLDER": str(tmp_path)}.get(word, word) for word in line]
    assert cli.main(words) == 2
    assert f"modelconform {line[0]}: {says}" in capsys.readouterr().err
    assert not Path(line[-1]).exists()


def test_a_rerun_of_a_log_is_said_from_where_one_stands(
    tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cases").mkdir()
    (tmp_path / "cases" / "a.py").touch()
    monkeypatch.chdir(tmp_path / "cases")
    cell = (Cell("cases/a.py", "net", "onnx", "ort"), ERROR)
    options = {"arguments": ["--modelconform", "--modelconform-formats=onnx,export", "cases"]}
    about = {**ABOUT, "root": str(tmp_path), "options": options}
    narrow = "--modelconform-formats=onnx --modelconform-runtimes=ort"
    for root, path in ((str(tmp_path), "a.py"), ("/nowhere", "cases/a.py"), ("", "cases/a.py")):
        log_of_it = nasty.written(tmp_path / "a.jsonl", Log({**about, "root": root}, [cell], True))
        assert cli.main(["report", str(log_of_it)]) == 0
        assert f"rerun: pytest --modelconform {narrow} '{path}::net[onnx-ort-cpu]'" in capsys.readouterr().out
    odd = nasty.written(tmp_path / "b.jsonl", Log({**about, "options": {"arguments": 3}, "root": 4}, [cell], True))
    assert cli.main(["report", str(odd)]) == 0
    assert "rerun: pytest --modelconform 'cases/a.py::net[onnx-ort-cpu]'" in capsys.readouterr().out


# -- merge -------------------------------------------------------------------------------------------------------------


def sharded(path: Path, index: int, *cells: tuple[Cell, Outcome]) -> str:
    with LogWriter(path, ABOUT, (index, 2)) as writer:
        for cell, outcome in cells:
            writer.cell(cell, outcome)
        writer.close({ORT: 1, CPP: 2})
    return str(path)


def test_merge(tmp_path: Path, capsys: Captured) -> None:
    one, two = sharded(tmp_path / "1.jsonl", 1, (ORT, PASS)), sharded(tmp_path / "2.jsonl", 2, (CPP, ERROR))
    target = tmp_path / "deep" / "merged.jsonl"
    assert cli.main(["merge", one, two, one, "-o", str(target)]) == 0
    assert capsys.readouterr().out == f"{target}: 2 cells of 2 logs\n"
    merged = log.read(target)
    assert (dict(merged.cells), merged.complete) == ({ORT: PASS, CPP: ERROR}, True)
    assert cli.main(["merge", made(tmp_path / "3.jsonl", (ORT, PASS)), "-o", str(target)]) == 0
    assert capsys.readouterr().out == f"{target}: 1 cell of 1 log\n"


def test_merge_without_a_shard(tmp_path: Path, capsys: Captured) -> None:
    target = tmp_path / "merged.jsonl"
    assert cli.main(["merge", sharded(tmp_path / "1.jsonl", 1, (ORT, PASS)), "-o", str(target)]) == 1
    assert capsys.readouterr().err == "modelconform merge: missing: shard 2 of 2. Its cells count as not-run.\n"
    assert dict(log.read(target).cells)[CPP].verdict is Verdict.NOT_RUN
    assert cli.main(["badge", str(target), "-o", str(tmp_path / "b.json")]) == 0
    assert json.loads((tmp_path / "b.json").read_text())["message"] == "passes 1/2, cut off"


def test_logs_that_do_not_fit(good: str, bad: str, tmp_path: Path, capsys: Captured) -> None:
    target = tmp_path / "merged.jsonl"
    assert cli.main(["merge", good, bad, "-o", str(target)]) == 2
    assert capsys.readouterr().err.startswith(
        f"modelconform merge: a.py::net[onnx-ort_cpp-cpu] is pass in {good} and error at stage export in {bad}: run it"
    )
    assert not target.exists()
    assert cli.main(["merge", good, "-o", str(tmp_path)]) == 2
    assert capsys.readouterr().err == f"modelconform merge: {tmp_path}: Is a directory\n"


# -- diff --------------------------------------------------------------------------------------------------------------


def test_diff_fails_for_regressions(good: str, bad: str, capsys: Captured) -> None:
    assert cli.main(["diff", good, bad]) == 1
    assert capsys.readouterr().out.startswith("1 regression; 1 cell as before.\n")
    assert cli.main(["diff", bad, good]) == 0
    assert capsys.readouterr().out.startswith("1 fix; 1 cell as before.\n")
    assert cli.main(["diff", good, good]) == 0


@pytest.mark.parametrize(
    ("words", "statuses"),
    [
        ("none", (0, 0, 0)),
        ("regressions", (1, 0, 0)),
        ("worse", (0, 1, 0)),
        ("gone", (0, 0, 1)),
        ("incomplete", (0, 0, 1)),
        ("worse, regressions", (1, 1, 0)),
    ],
)
def test_fail_on(good: str, bad: str, tmp_path: Path, words: str, statuses: tuple[int, int, int]) -> None:
    worse = made(tmp_path / "worse.jsonl", (ORT, PASS), (CPP, Outcome(Verdict.PASS, bits=10.0)))
    gone = made(tmp_path / "gone.jsonl", (ORT, PASS), complete=False)
    found = [cli.main(["diff", good, other, "--fail-on", words]) for other in (bad, worse, gone)]
    assert tuple(found) == statuses


def test_fail_on_what_is_not_known(good: str, capsys: Captured) -> None:
    assert cli.main(["diff", good, good, "--fail-on", "regression"]) == 2
    err = capsys.readouterr().err
    known = "Known words: regressions, worse, gone, incomplete, none."
    assert err == f"modelconform diff: --fail-on: unknown word 'regression'. Did you mean 'regressions'? {known}\n"
    assert cli.main(["diff", good, good, "--limit", "1"]) == 2


@pytest.mark.parametrize("by", ["format", "name"])
def test_formats_of_a_diff(good: str, bad: str, tmp_path: Path, by: str) -> None:
    begins = {"text": "1 regression", "markdown": "## Changes", "html": "<!doctype html>"}
    for name, suffix in (("text", ".txt"), ("markdown", ".md"), ("html", ".html")):
        path = tmp_path / f"diff{suffix if by == 'name' else ''}"
        options = ["--format", name] if by == "format" else []
        assert cli.main(["diff", good, bad, "-o", str(path), *options]) == 1
        assert path.read_text().startswith(begins[name])


# -- badge and history -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "label", "message"),
    [
        ([], "modelconform", "passes 1/2"),
        (["--case", "net"], "net", "runs on 1/2"),
        (["--format", "onnx"], "onnx", "passes 1/2"),
        (["--runtime", "ort"], "ort", "passes 1/1"),
        (["--runtime", "ort", "--label", "ONNX Runtime"], "ONNX Runtime", "passes 1/1"),
    ],
)
def test_badge(bad: str, tmp_path: Path, options: list[str], label: str, message: str) -> None:
    for suffix in (".json", ".svg"):
        assert cli.main(["badge", bad, *options, "-o", str(tmp_path / f"badge{suffix}")]) == 0
    content = json.loads((tmp_path / "badge.json").read_text())
    assert (content["label"], content["message"]) == (label, message)
    assert f">{message}</text>" in (tmp_path / "badge.svg").read_text()


def test_badges_that_can_not_be(bad: str, tmp_path: Path, capsys: Captured) -> None:
    assert cli.main(["badge", bad, "-o", "badge.png"]) == 2
    assert (
        capsys.readouterr().err
        == "modelconform badge: badge.png: unknown ending '.png'. Name the file FILE.svg or FILE.json.\n"
    )
    assert cli.main(["badge", bad, "--case", "nets", "-o", str(tmp_path / "b.svg")]) == 2
    assert "this log has no case 'nets'. Did you mean 'net'?" in capsys.readouterr().err
    with pytest.raises(SystemExit) as ended:
        cli.main(["badge", bad, "--case", "net", "--format", "onnx", "-o", "b.svg"])
    assert ended.value.code == 2


def test_history(good: str, bad: str, tmp_path: Path, capsys: Captured) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "junk.jsonl").write_text("<b>junk\n")
    (tmp_path / "dateless.jsonl").write_text('{"kind": "header", "schema": 1, "environment": {}}\n')
    page = tmp_path / "out" / "page.html"
    assert cli.main(["merge", good, "-o", str(tmp_path / "packed.jsonl.gz")]) == 0
    capsys.readouterr()
    assert cli.main(["history", str(tmp_path), "-o", str(page), "--title", "<i>"]) == 0
    captured = capsys.readouterr()
    assert captured.out == f"{page}: 3 runs\n"
    assert "modelconform history: not read: dateless.jsonl has no date in its header" in captured.err
    text = page.read_text()
    assert "<title>&lt;i&gt;</title>" in text
    assert "3 runs; in the last one 2 of the 2 cells that could run pass." in text
    assert "junk.jsonl:1: this line is not a record of a log" in text


def test_a_folder_without_logs(tmp_path: Path, capsys: Captured) -> None:
    assert cli.main(["history", str(tmp_path), "-o", str(tmp_path / "page.html")]) == 2
    says = f"{tmp_path} holds no log (*.jsonl). Name the folder with the logs of your runs."
    assert capsys.readouterr().err == f"modelconform history: {says}\n"
