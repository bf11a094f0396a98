"""What a named format or runtime brings, and what is said of a name that has no cell."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

from pytest_modelconform.cells import selection
from pytest_modelconform.cells.case_files import Declared
from pytest_modelconform.cells.registry import Registry, UnknownName, register_built_in
from pytest_modelconform.cells.selection import Asked, Selection
from pytest_modelconform.cells.settings import Settings
from pytest_modelconform.terms.case import EVERYTHING, FRAMEWORKS

MAIN_FORMATS = "torchscript-trace torchscript-script export aoti onnx onnx-legacy state-dict"
MAIN_RUNTIMES = "torch libtorch-cpp cpp-frontend ort ort-cpp openvino openvino-cpp"
ONNX = "ort ort-cpp openvino openvino-cpp"


@pytest.fixture(scope="module")
def registry() -> Registry:
    built_in = Registry()
    register_built_in(built_in)
    return built_in


def settings(typed: Sequence[str] = (), **lists: str) -> Settings:
    """Settings with these lists, separated by blanks; all of them typed unless `typed` says otherwise."""
    names = ("formats", "runtimes", "devices", "precisions", "require")
    rest: dict[str, Any] = dict.fromkeys(Settings.__dataclass_fields__)
    rest |= {name: tuple(lists.get(name, "").split()) for name in names}
    return Settings(**{**rest, "cache": Path(), "exports": {}, "typed": tuple(typed or lists)})


@pytest.mark.parametrize(
    ("given", "formats", "runtimes"),
    [
        ({}, MAIN_FORMATS, MAIN_RUNTIMES),
        # A format brings the runtimes that load it: default ones where there are some, else all.
        ({"formats": "onnx"}, "onnx", ONNX),
        ({"formats": "executorch"}, "executorch", "executorch"),
        ({"formats": "onnx-legacy executorch"}, "onnx-legacy executorch", f"{ONNX} executorch"),
        ({"formats": "state-dict"}, "state-dict", "cpp-frontend"),
        ({"formats": "litert"}, "litert", "litert-web litert"),
        ({"runtimes": "litert"}, "litert", "litert"),  # and not litert-int8, which is less exact on purpose
        ({"formats": "export onnx", "devices": "cuda"}, "export onnx", "torch ort"),
        # A runtime brings the formats that it loads.
        ({"runtimes": "ort"}, "onnx onnx-legacy", "ort"),
        ({"runtimes": "executorch ort"}, "onnx onnx-legacy executorch executorch-portable", "ort executorch"),
        ({"runtimes": "jax"}, "stablehlo twin-jax", "jax"),
        # What no default runtime runs comes with those that do.
        ({"runtimes": "torch-compile"}, "export module", "torch-compile"),
        ({"formats": "module"}, "module", "torch-compile torch-compile-fullgraph"),
        ({"runtimes": "torch-2.11"}, "torchscript-trace torchscript-script export", "torch-2.11"),
        # Both are taken as they are given.
        ({"formats": "onnx export", "runtimes": "ort torch"}, "export onnx", "torch ort"),
        ({"formats": "export", "runtimes": "ort"}, "export", "ort"),
        # `all` is narrowed by names, and brings what it needs where the other list says nothing.
        ({"formats": "all", "runtimes": "executorch ort"}, None, "ort executorch"),
        ({"formats": "onnx", "runtimes": "all"}, "onnx", None),
        # Nothing that has no cell is listed.
        ({"devices": "cuda"}, "torchscript-trace torchscript-script export aoti onnx onnx-legacy state-dict",
         "torch libtorch-cpp cpp-frontend ort"),
    ],
)  # fmt: skip
def test_what_is_brought(registry: Registry, given: dict[str, str], formats: str | None, runtimes: str | None) -> None:
    found = selection.select(registry, settings(**given))
    if formats is not None:
        assert " ".join(found.formats) == formats
    if runtimes is not None:
        assert " ".join(found.runtimes) == runtimes


def test_all(registry: Registry) -> None:
    everything = selection.select(registry, settings(formats="all", runtimes="all"))
    assert (everything.formats, everything.runtimes) == (registry.formats, registry.runtimes)
    # Each format has a runtime, though none of the default ones loads it.
    formats = selection.select(registry, settings(formats="all"))
    assert formats.formats == registry.formats
    assert {"torch", "executorch", "jax", "mxnet", "keras"} <= set(formats.runtimes)
    assert not {"ort-node", "tract", "torch-2.11"} & set(formats.runtimes)
    runtimes = selection.select(registry, settings(runtimes="all"))
    assert runtimes.runtimes == registry.runtimes
    assert {"onnx", "executorch", "stablehlo"} <= set(runtimes.formats)
    assert "onnx-decomposed" not in runtimes.formats
    of_two = selection.select(registry, settings(formats="all", runtimes="executorch ort"))
    assert {"onnx-opset9", "executorch-portable"} <= set(of_two.formats)
    assert "stablehlo" not in of_two.formats
    with pytest.raises(UnknownName, match="unknown format 'onx'"):
        selection.select(registry, settings(formats="all onx"))


@pytest.mark.parametrize(
    ("typed", "given", "formats", "runtimes"),
    [
        # What the ini file lists stands in for the default names where the command line has the other list.
        ("formats", {"formats": "onnx", "runtimes": "torch ort"}, "onnx", "ort"),
        ("formats", {"formats": "onnx executorch", "runtimes": "torch ort"}, "onnx executorch", "ort executorch"),
        ("runtimes", {"formats": "onnx export", "runtimes": "openvino"}, "onnx", "openvino"),
        ("runtimes", {"formats": "export", "runtimes": "openvino"}, "onnx onnx-legacy", "openvino"),
        # Both in the ini file are taken as they are; an empty option is none.
        ("json", {"formats": "onnx", "runtimes": "torch ort"}, "onnx", "torch ort"),
        ("formats", {"formats": "", "runtimes": "ort"}, "onnx onnx-legacy", "ort"),
    ],
)
def test_lists_of_the_ini_file(
    registry: Registry, typed: str, given: dict[str, str], formats: str, runtimes: str
) -> None:
    found = selection.select(registry, settings(typed=[typed], **given))
    assert (" ".join(found.formats), " ".join(found.runtimes)) == (formats, runtimes)


def said(registry: Registry, given: Settings) -> dict[str, str]:
    faults = selection.lacking(registry, selection.select(registry, given), selection.asked(given))
    return {fault[0].said: fault[1] for fault in faults}


OR_LEAVE = "or leave that option out."


@pytest.mark.parametrize(
    ("given", "faults"),
    [
        ({}, {}),
        ({"formats": "all", "runtimes": "torch"}, {}),
        ({"formats": "onnx export", "runtimes": "ort torch", "devices": "cpu cuda"}, {}),
        (
            {"formats": "onnx executorch", "runtimes": "ort"},
            {
                "format executorch": "no runtime of this run (ort) loads it. "
                f"Add executorch to --modelconform-runtimes, {OR_LEAVE}"
            },
        ),
        (
            {"formats": "onnx", "runtimes": "ort litert"},
            {
                "runtime litert": "it loads no format of this run (onnx). "
                f"Add one of litert, litert-int8 to --modelconform-formats, {OR_LEAVE}"
            },
        ),
        (
            {"formats": "openvino", "runtimes": "openvino", "devices": "cpu cuda"},
            {
                "device cuda": "nothing of this run (openvino) runs there. "
                "Add one of torch, libtorch-cpp, cpp-frontend, ort, torch-compile, torch-compile-fullgraph, "
                f"torch-compile-cudagraphs to --modelconform-runtimes, {OR_LEAVE}"
            },
        ),
        (
            {"formats": "onnx", "runtimes": "ort ort-cpp", "devices": "cuda"},
            {
                "runtime ort-cpp": "it does not run on cuda in full precision. "
                "ort-cpp takes --modelconform-devices cpu and --modelconform-precisions full,fast."
            },
        ),
        (
            {"runtimes": "torch ort", "require": "openvino"},
            {
                "--modelconform-require openvino": "it is neither among the formats nor among the runtimes of this "
                "run. Add it to --modelconform-runtimes, or leave it out of --modelconform-require."
            },
        ),
        ({"require": "ort onnx"}, {}),
        ({"require": "executorch", "formats": "executorch"}, {}),
    ],
)
def test_what_no_case_could_have(registry: Registry, given: dict[str, str], faults: dict[str, str]) -> None:
    assert said(registry, settings(**given)) == faults


def test_the_ini_file_is_called_to_account_unless_the_command_line_narrows(registry: Registry) -> None:
    lists = {"formats": "onnx executorch", "runtimes": "ort torch", "require": "openvino"}
    ini = settings(typed=["json"], **lists)
    assert set(said(registry, ini)) == {"format executorch", "runtime torch", "--modelconform-require openvino"}
    assert said(registry, settings(typed=["formats"], **{**lists, "formats": "onnx"})) == {}
    # What is required on the command line is asked for all the same.
    narrowed = settings(typed=["runtimes", "require"], **{**lists, "runtimes": "torch"})
    assert set(said(registry, narrowed)) == {"--modelconform-require openvino"}


PLAIN = Declared("net")


@pytest.mark.parametrize(
    ("name", "cases", "why"),
    [
        (
            Asked("format", "state-dict", True),
            [PLAIN],
            "no case that was collected has the field cpp=… that state-dict",
        ),
        (
            Asked("runtime", "cpp-frontend", True),
            [PLAIN],
            "it loads state-dict, and no case that was collected has the",
        ),
        (Asked("required", "cpp-frontend", True), [PLAIN], "it loads state-dict, and no case that was collected has"),
        (Asked("format", "twin-keras", True), [PLAIN], "has the field twins={'keras': …} that twin-keras needs"),
        (
            Asked("format", "aoti", True),
            [Declared("net", framework="keras")],
            "aoti stores models of torch, and the cases collected are of keras. Add such a case, or leave aoti out.",
        ),
        (
            Asked("device", "cuda", True),
            [PLAIN],
            "no case that was collected has one. Add such a case, or leave cuda out.",
        ),
        (Asked("format", "onnx", True), [], "no case was collected. A case file is a .py file that imports"),
    ],
)
def test_what_these_cases_do_not_have(registry: Registry, name: Asked, cases: list[Declared], why: str) -> None:
    chosen = Selection(registry.formats, registry.runtimes, ("cpu",), ("full",))
    found = selection.unmet(registry, chosen, name, cases)
    assert why in found
    # One fault is one sentence, several are a line each.
    assert selection.message([(name, found)]) == f"modelconform: {name.said} has no cell: {found}"
    lines = selection.message([(name, found)] * 20).splitlines()
    assert len(lines) <= 12
    assert lines[-1] == "  and 16 more"


NAMES = Registry()
register_built_in(NAMES)


def lists(known: Sequence[str]) -> st.SearchStrategy[str]:
    return st.lists(st.sampled_from([*known, "all"]), max_size=3).map(" ".join)


@hypothesis.settings(max_examples=150, deadline=None)
@hypothesis.given(
    formats=lists(NAMES.formats),
    runtimes=lists(NAMES.runtimes),
    devices=lists(NAMES.devices),
    precisions=lists(("full", "fast")),
    require=st.sampled_from(["", "ort", "executorch", "onnx", "cpp-frontend openvino"]),
    typed=st.sets(st.sampled_from([*selection.KINDS, "require"])),
)
def test_a_name_has_a_cell_or_is_told(typed: set[str], **given: str) -> None:
    """Whatever is named, on the command line or in the ini file: no name is passed over."""
    chosen = settings(typed=[*typed, "json"], **given)
    found = selection.select(NAMES, chosen)
    names = selection.asked(chosen)
    faults = selection.lacking(NAMES, found, names)
    cells = [
        cell
        for framework in FRAMEWORKS
        for cell in NAMES.cells(
            "a.py",
            "a",
            found.formats,
            found.runtimes,
            found.devices,
            "float32",
            found.precisions,
            EVERYTHING,
            framework,
        )
    ]
    without = [name for name in names if not name.has(cells)]
    assert bool(faults) == bool(without)
    assert {name for name, _ in faults} <= set(without)
    if faults:
        lines = selection.message(faults).splitlines()
        assert len(lines) <= 6
        assert all("to --modelconform" in why or "leave" in why or "takes" in why for _, why in faults)
