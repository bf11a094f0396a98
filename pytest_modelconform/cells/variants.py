"""Which columns a format has for a case: its own, and one for each variant in `Case(exports=…)` or of the settings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..formats.base import Format
from ..terms.case import TORCH
from ..terms.exports import FILE, OPTIONS, base_of, fault_of_name, is_variant
from .registry import Registry, UnknownName


def columns(formats: Iterable[str], *variants: Iterable[str]) -> list[str]:
    """The formats, each followed by those variants of it that there are; one that is named itself only if it is."""
    known = list(dict.fromkeys(name for names in variants for name in names if is_variant(name)))
    found: dict[str, None] = {}
    for name in formats:
        if is_variant(name):
            if name in known:
                found[name] = None
        else:
            found |= dict.fromkeys([name, *(one for one in known if base_of(one) == name)])
    return list(found)


def fault(case: str, framework: str, exports: Mapping[str, str], given: Iterable[str], registry: Registry) -> str:
    """What is wrong with a case's `exports`, and the remedy; "" if nothing is. exports: kinds by column."""
    where = f"case {case!r}, field 'exports'"
    for name, kind in exports.items():
        if kind != FILE and framework != TORCH:
            return (
                f"{where}, {name!r}: {kind}= is for models in PyTorch, and this one is in {framework}: give a file "
                "that is there (file=), or leave it out"
            )
        if why := fault_of_name(name):
            return f"{where}: {why}"
        try:
            module = registry.format(name)
        except UnknownName as unknown:
            return f"{where}: {unknown}"
        if why := _unfit(module, kind):
            return f"{where}, {name!r}: {why}"
        if kind != OPTIONS and name in given:
            return (
                f"{where}, {name!r}: it is made by {kind}=, so that options of --modelconform-export can't be heeded: "
                "give one of the two another name"
            )
    return ""


def fault_of_given(name: str, registry: Registry) -> str:
    """The same of a column that the command line gives options for. Raises UnknownName."""
    return fault_of_name(name) or _unfit(registry.format(name), OPTIONS)


def _unfit(module: Format, kind: str) -> str:
    """Why a format's artifacts can't come about in a way, and which formats' can; "" where they can."""
    if kind == OPTIONS:
        if module.EXPORT_OPTIONS:
            return ""
        made = f"a converter makes it from {module.FROM}, whose export takes them" if module.FROM else "it takes none"
        return f"the format {module.NAME} has no options: {made}"
    if module.foreign is not None:
        return ""
    return (
        f"a file of your own ({kind}=) can't be read as {module.NAME}, since nothing here finds its inputs. "
        "Give options, or leave it out"
    )
