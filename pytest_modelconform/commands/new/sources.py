"""What `modelconform new --from` takes models from: the table of sources, and what these share.

A source is a module, imported when it is asked for. It has `PACKAGE`, what pip calls it, and
`drafts(model) -> list[str]`: case files for a model, the one to be preferred first. It raises UnknownModel, or
CantScaffold where nothing can be drafted.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.util
from collections.abc import Iterable, Sequence
from string import Template

# Name -> module.
SOURCES = {
    "torchvision": "pytest_modelconform.commands.new.from_torchvision",
    "transformers": "pytest_modelconform.commands.new.from_transformers",
    "timm": "pytest_modelconform.commands.new.from_timm",
}

# A model of each, for messages.
EXAMPLES = {
    "torchvision": "torchvision:resnet50",
    "transformers": "transformers:BertModel",
    "timm": "timm:convnext_atto",
}

_IMAGE_CASE = '''\
"""$title: say here in which paper it was published."""

$imports

from pytest_modelconform import Case, generic_weights
$constant
case = Case(
    model=lambda: generic_weights($model),
    # Exporters see the first; the other shows whether the export generalises.
    inputs={
        "pair": lambda: $first,
        "$other": lambda: $second,
    },
    dynamic_shapes=($dynamic),
    tags=$tags,
    requires=("$package",),
)
'''


class CantScaffold(Exception):
    """Nothing was written. The message says why and what to do."""


class UnknownModel(CantScaffold):
    """There is no such source, or no such model in it."""


def drafts(source: str) -> list[str]:
    """Case files for a model such as "torchvision:resnet50", the one to be preferred first.

    Raises UnknownModel, or CantScaffold where the package is missing or the model is one that nothing is known about.
    """
    name, colon, model = source.partition(":")
    if name in SOURCES and not model:
        raise UnknownModel(f"--from {source}: name the model, too, for example --from {EXAMPLES[name]}.")
    if name not in SOURCES:
        what = f"unknown source {name!r}.{nearest(name, SOURCES)}" if colon else "name the package, too."
        raise UnknownModel(
            f"--from {source}: {what} Models come from {', '.join(SOURCES)}, for example --from torchvision:resnet50."
        )
    module = importlib.import_module(SOURCES[name])
    if importlib.util.find_spec(module.PACKAGE) is None:
        raise CantScaffold(f"--from {source}: {name} is not installed: pip install {module.PACKAGE}")
    found: list[str] = module.drafts(model)
    return found


def unknown(package: str, model: str, known: Sequence[str], where: str) -> UnknownModel:
    """The error for a model that a package doesn't have. where: how all of them are listed."""
    return UnknownModel(f"{package} has no model {model!r}.{nearest(model, known)} See {where}.")


def nearest(word: str, known: Sequence[str] | dict[str, str]) -> str:
    """A question, with a space before it, whether that was meant which is close regardless of case; or nothing."""
    by_lower = {name.lower(): name for name in known}
    near = difflib.get_close_matches(word.lower(), by_lower, 1)
    return f" Did you mean {by_lower[near[0]]!r}?" if near else ""


def sizes(least: int, meant: int) -> list[int]:
    """Images' sizes to try, in pixels: one that a test is quick with, then what the model was trained for.

    least: below which the model fails. Twice that leaves more than a pixel at the end, and 32 divides what is halved
    five times.
    """
    small = max(64, -(-2 * least // 32) * 32)
    return [small, meant] if small < meant else [meant]


def image_cases(
    title: str,
    imports: Sequence[str],
    model: str,
    channels: str,
    sizes: Sequence[int],
    tags: str,
    package: str,
    images: int = 1,
    multiple: int = 1,
) -> list[str]:
    """Case files of a model of images: height and width may change, then the batch alone, in each of some sizes.

    imports: lines that are needed beside torch. model: an expression. channels: what is between batch and height, as
        "3" or "3, 4". sizes: in pixels. tags: as in the file. images: how many the model takes, which have the same
        sizes. multiple: of which height and width are.
    """

    def case(size: int, varied: bool) -> str:
        wider = size + max(32, multiple) if varied else size
        sets = [
            f"({_comma([f'torch.randn({batch}, {channels}, {size}, {width})'] * images)})"
            for batch, width in ((2, size), (3, wider))
        ]
        axis, of = channels.count(",") + 2, f"{multiple} * " if multiple > 1 else ""
        names = ("rows", "columns") if of else ("height", "width")
        free = ", ".join(f'{axis + i}: {of}Dim("{name}", min={size // multiple})' for i, name in enumerate(names))
        lines = ["import torch", *(["from torch.export import Dim"] if varied else []), *imports]
        values = {
            "title": title,
            "imports": "\n".join(sorted(lines, key=_import_order)),
            "model": model,
            "first": sets[0],
            "other": "three_wider" if varied else "three",
            "second": sets[1],
            "constant": f'\nSIZES = {{0: "batch", {free}}}\n' if varied else "",
            "dynamic": _comma(["SIZES" if varied else '{0: "batch"}'] * images),
            "tags": tags,
            "package": package,
        }
        return Template(_IMAGE_CASE).substitute(values)

    return [case(sizes[0], varied=True), *(case(size, varied=False) for size in sizes)]


def _import_order(line: str) -> tuple[bool, str]:
    """As ruff sorts: `import a` before `from a import b`."""
    return line.startswith("from"), line


def _comma(items: Iterable[str]) -> str:
    """What is between a tuple's parentheses."""
    listed = list(items)
    return f"{listed[0]}," if len(listed) == 1 else ", ".join(listed)
