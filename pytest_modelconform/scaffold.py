"""`modelconform new`: a case file, with its C++ source if wanted, that passes as it is and is there to be changed."""

from __future__ import annotations

import argparse
import keyword
import re
import sys
from pathlib import Path
from string import Template

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


class CantScaffold(Exception):
    """Nothing was written. The message says why and what to do."""


def scaffold(name: str, folder: Path, cpp: bool) -> list[Path]:
    """Write `name`.py, and `name`.cpp if wanted, into a folder that exists. Returns what was written.

    Raises CantScaffold: for a name that is no identifier or none of a case file, or where a file is already there.
    """
    if not re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII) or keyword.iskeyword(name):
        raise CantScaffold(f"{name!r} is no identifier: use letters, digits and '_', like my_net")
    if name.startswith(("_", "test_")) or name == "conftest":
        raise CantScaffold(
            f"{name}.py would be no case file: its name may not begin with '_' or 'test_', nor be conftest"
        )
    if not folder.is_dir():
        raise CantScaffold(f"there is no folder {folder}: make it first")
    class_name = "".join(word[:1].upper() + word[1:] for word in name.split("_"))
    values = {
        "name": name,
        "class_name": f"{class_name}Net" if class_name in _TAKEN else class_name,
        "cpp": f'    cpp="{name}.cpp",\n' if cpp else "",
    }
    texts = {folder / f"{name}.py": _CASE}
    if cpp:
        texts[folder / f"{name}.cpp"] = _SOURCE
    for path in texts:
        if path.exists() or path.is_symlink():
            raise CantScaffold(f"{path} is already there, and nothing is overwritten: choose another name")
    for path, text in texts.items():
        # "x": nor is what appears meanwhile.
        with path.open("x", encoding="utf-8") as file:
            file.write(Template(text).substitute(values))
    return list(texts)


# ---- The command -----------------------------------------------------------------------------------------------------


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Of `modelconform new`."""
    parser.add_argument("name", help="of the case, an identifier: NAME.py is written")
    parser.add_argument("--cpp", action="store_true", help="write the model in C++, too: NAME.cpp")
    parser.add_argument("--folder", type=Path, default=Path(), help="where to, instead of the current folder")


def run(arguments: argparse.Namespace) -> int:
    """Write the files and say what comes next."""
    try:
        written = scaffold(arguments.name, arguments.folder, arguments.cpp)
    except (CantScaffold, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"wrote {' and '.join(map(str, written))}; run: pytest --modelconform {written[0]}")
    return 0
