"""A log as JUnit XML, and what a cell adds to the `--junitxml` of pytest's own."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import groupby
from typing import TYPE_CHECKING

from ..terms.cell import Cell
from ..terms.outcome import REQUIRED, Outcome
from .entries import title
from .guilty import blame_of, lines, place
from .log import Log, missing

if TYPE_CHECKING:
    from junitparser import JUnitXml, TestCase, TestSuite
    from junitparser.junitparser import FinalResult

# What XML 1.0 can't hold, not even escaped (https://www.w3.org/TR/xml/#charsets).
_NOT_XML = re.compile("[^\\t\\n\\r\\x20-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]")


def properties(cell: Cell, outcome: Outcome) -> list[tuple[str, object]]:
    """Name and value of each property of a cell's test case; values are plain texts."""
    return [*_properties(cell, outcome)]


def _properties(cell: Cell, outcome: Outcome) -> Iterator[tuple[str, str]]:
    for name in ("format", "runtime", "device", "dtype", "precision", "task"):
        yield name, xml(getattr(cell, name))
    yield "verdict", outcome.verdict.value
    if outcome.stage:
        yield "stage", outcome.stage.value
    if outcome.bits is not None:
        yield "bits", f"{outcome.bits:.2f}"
    if outcome.expected is not None:
        yield "expected", "true" if outcome.expected else "false"
    if (blame := blame_of(outcome)) is not None:
        for guilty in blame.guilty:
            yield "guilty", xml(place(guilty))


def xml(text: str) -> str:
    """Text that an XML document can hold. Escaping is left to who writes it."""
    return _NOT_XML.sub("�", text)


def render(log: Log) -> str:
    """A test suite a case file. Results are those of the live run: failures, skipped, and expected ones as skipped.

    A log that is cut off, or lacks shards, has a suite `log` with an error: nobody shall take it for a green one.
    """
    # Here: the pytest process needs the properties alone.
    from junitparser import JUnitXml

    document = JUnitXml("pytest-modelconform")
    totals: dict[str, float] = dict.fromkeys(("tests", "failures", "errors", "skipped", "time"), 0)
    # As text, one after another: all of them as elements take twenty times the memory.
    suites: list[str] = []
    for suite in _suites(log):
        suite.update_statistics()
        for name in totals:
            totals[name] += getattr(suite, name)
        suites.append(_text(suite))
    for name, total in totals.items():
        setattr(document, name, round(total, 3))
    head = _text(document)
    if suites:
        head = f"{head.removesuffix('/>').rstrip()}>"
    return "".join([head, *suites, "</testsuites>" if suites else "", "\n"])


def _suites(log: Log) -> Iterator[TestSuite]:
    in_order = sorted(dict(log.cells).items(), key=lambda item: item[0].file)
    for file, cells in groupby(in_order, key=lambda item: item[0].file):
        yield _suite(log, file, [_case(cell, outcome) for cell, outcome in cells])
    if not log.complete:
        yield _suite(log, "log", [_incomplete(log)])


def _text(element: TestSuite | JUnitXml) -> str:
    text: bytes = element.tostring()
    return text.decode("utf-8")


def _suite(log: Log, name: str, cases: list[TestCase]) -> TestSuite:
    from junitparser import TestSuite

    suite = TestSuite(xml(name))
    for key in ("pytest-modelconform", "python", "platform", "processor"):
        suite.add_property(key, xml(str(log.environment.get(key, ""))))
    for package, version in log.environment.get("packages", {}).items():
        if version:
            suite.add_property(f"package {xml(package)}", xml(version))
    if date := log.environment.get("date"):
        suite.timestamp = xml(str(date))
    suite.add_testcases(cases)
    return suite


def _case(cell: Cell, outcome: Outcome) -> TestCase:
    from junitparser import Properties, Property, TestCase

    # Those of the live run: dots for slashes, no suffix.
    classname = re.sub(r"\.py$", "", cell.file).replace("/", ".")
    case = TestCase(xml(cell.name), xml(classname), sum(filter(None, outcome.seconds.values())))
    listed = Properties()
    for name, value in _properties(cell, outcome):
        listed.add_property(Property(name, value))
    case.append(listed)
    if (result := _result(outcome)) is not None:
        blame = blame_of(outcome)
        said = lines(blame) if blame is not None else []
        result.text = xml("\n".join([outcome.message, *outcome.notes, *said]))
        case.result = result
    return case


def _result(outcome: Outcome) -> FinalResult | None:
    from junitparser import Failure, Skipped

    message = xml(f"{title(outcome)}: {outcome.message}".partition("\n")[0])
    if outcome.expected is True:
        return Skipped(message, "pytest.xfail")
    if outcome.failed or outcome.expected is False or outcome.message.endswith(REQUIRED):
        return Failure(message)
    return None if outcome.passed else Skipped(message, "pytest.skip")


def _incomplete(log: Log) -> TestCase:
    from junitparser import Error, TestCase

    case = TestCase("complete", "log", 0.0)
    case.result = Error(xml(f"missing: {', '.join(missing(log))}" if missing(log) else "the log is cut off"))
    return case
