"""`modelconform new`: a case file, with its C++ source if wanted, that passes as it is and is there to be changed.

It holds a small net, or with --from a model of an installed package, see sources.py.
"""

from __future__ import annotations

import argparse
import keyword
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from string import Template

from . import sources, trial
from .sources import CantScaffold, UnknownModel

EXAMPLES = """\
  modelconform new my_net                            a small net, to be changed
  modelconform new my_net --cpp                      the same, and its model in C++
  modelconform new resnet50 --from torchvision:resnet50 --folder cases
  modelconform new bert --from transformers:BertModel
  modelconform new convnext --from timm:convnext_atto

A file that --from writes has been tried: it passes the model check. Weights are random but generic,
and nothing is downloaded. A model of transformers is made small by its configuration.

exit status: 0; 1 where nothing was written; 2 for a source or model that does not exist, or for
options that exclude each other."""

_CASE = '''\
"""$class_name: say here what this model is, and in which paper it was published."""

import torch
from torch import Tensor, nn

from pytest_modelconform import Case, generic_weights


class $class_name(nn.Module):
    """x (batch, features) → (batch, classes)."""

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(features, 32)
        self.fc2 = nn.Linear(32, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(torch.relu(self.fc1(x)))


case = Case(
    model=lambda: generic_weights($class_name(16, 10)),
    # Exporters see the first; the others show whether the export generalises.
    inputs={
        "four": lambda: (torch.randn(4, 16),),
        "one": lambda: (torch.randn(1, 16),),
    },
    dynamic_shapes={"x": {0: "batch"}},
$cpp)
'''

_SOURCE = """\
// $class_name in C++, see $name.py. Names and shapes of parameters are Python's: weights go by name.
#include <modelconform/frontend.h>

struct ${class_name}Impl : torch::nn::Module {
  ${class_name}Impl(int64_t features, int64_t classes)
      : fc1(register_module("fc1", torch::nn::Linear(features, 32))),
        fc2(register_module("fc2", torch::nn::Linear(32, classes))) {}

  // x (batch, features) -> (batch, classes)
  torch::Tensor forward(torch::Tensor x) { return fc2(torch::relu(fc1(x))); }

  torch::nn::Linear fc1, fc2;
};
TORCH_MODULE($class_name);
MODELCONFORM_MODEL($class_name, 16, 10)
"""

# Names that the templates use for something else.
_TAKEN = ("Case", "Tensor")


def scaffold(name: str, folder: Path, cpp: bool) -> list[Path]:
    """Write `name`.py, and `name`.cpp if wanted, into a folder that exists. Returns what was written.

    Raises CantScaffold: for a name that is no identifier or none of a case file, or where a file is already there.
    """
    class_name = "".join(word[:1].upper() + word[1:] for word in name.split("_"))
    values = {
        "name": name,
        "class_name": f"{class_name}Net" if class_name in _TAKEN else class_name,
        "cpp": f'    cpp="{name}.cpp",\n' if cpp else "",
    }
    texts = {f"{name}.py": _CASE, **({f"{name}.cpp": _SOURCE} if cpp else {})}
    _refuse(name, folder, texts)
    return _write(folder, {file: Template(text).substitute(values) for file, text in texts.items()})


def scaffold_from(name: str, folder: Path, source: str) -> tuple[list[Path], str]:
    """Write `name`.py with a model such as "torchvision:resnet50". Returns what was written, and a note or "".

    Raises CantScaffold, as `scaffold`, and where the model can't be had or fails its check.
    """
    _refuse(name, folder, [f"{name}.py"])
    drafts = sources.drafts(source)
    try:
        text, exported = trial.first_that_passes(name, drafts)
    except CantScaffold as error:
        raise CantScaffold(
            f"--from {source}: nothing was written, because the model check fails: {error}\n"
            f"Begin with `modelconform new {name}` instead, and put the model and its inputs there."
        ) from None
    written = _write(folder, {f"{name}.py": text})
    return written, f"note: torch.export can't export this model: {exported}" if exported else ""


def _refuse(name: str, folder: Path, files: Iterable[str]) -> None:
    if keyword.iskeyword(name):
        raise CantScaffold(
            f"{name!r} can't name a case: it is a word of Python's. Choose another name, such as {name}_net."
        )
    if not re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII):
        raise CantScaffold(
            f"{name!r} can't name a case. Use letters, digits and '_', and begin with a letter: {_like(name)}"
        )
    if name.startswith(("_", "test_")) or name == "conftest":
        raise CantScaffold(
            f"{name}.py would not be collected: conftest.py and files that begin with '_' or 'test_' hold no cases. "
            "Choose another name."
        )
    if not folder.is_dir():
        raise CantScaffold(f"The folder {folder} doesn't exist. Create it first.")
    for path in (folder / file for file in files):
        if path.exists() or path.is_symlink():
            raise CantScaffold(f"{path} already exists and is not overwritten. Choose another name.")


def _like(name: str) -> str:
    """A name that is near and allowed."""
    return re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_0123456789") or "my_net"


def _write(folder: Path, texts: Mapping[str, str]) -> list[Path]:
    for name, text in texts.items():
        # "x": nor is what appears meanwhile.
        with (folder / name).open("x", encoding="utf-8") as file:
            file.write(text)
    return [folder / name for name in texts]


# ---- The command -----------------------------------------------------------------------------------------------------


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Of `modelconform new`."""
    parser.add_argument("name", help="of the case: NAME.py is written")
    parser.add_argument("--cpp", action="store_true", help="write the model in C++, too: NAME.cpp")
    parser.add_argument(
        "--from",
        dest="source",
        metavar="SOURCE:MODEL",
        help="a model of an installed package: torchvision:resnet50, transformers:BertModel, timm:convnext_atto",
    )
    parser.add_argument("--folder", type=Path, default=Path(), help="folder to write to (default: the current one)")


def run(arguments: argparse.Namespace) -> int:
    """Write the files and say what comes next. 1 where nothing was written, 2 for a source that is none."""
    note = ""
    try:
        if arguments.source is None:
            written = scaffold(arguments.name, arguments.folder, arguments.cpp)
        elif arguments.cpp:
            raise UnknownModel("--cpp and --from can't be combined: packages come without a model in C++.")
        else:
            written, note = scaffold_from(arguments.name, arguments.folder, arguments.source)
    except (CantScaffold, OSError) as error:
        print(f"modelconform new: {error}", file=sys.stderr)
        return 2 if isinstance(error, UnknownModel) else 1
    print(f"wrote {' and '.join(map(str, written))}; run: pytest --modelconform {written[0]}")
    if note:
        print(note)
    return 0
