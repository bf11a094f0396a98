"""Runtimes and formats of other packages that are broken: each is its own fault; all else goes on."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

from pytest_modelconform.cells.registry import Registry, register_built_in
from pytest_modelconform.commands import cli
from pytest_modelconform.formats import base as format_base
from tests.support import fakes, runs

# Modules of runtimes, by the runtime's name, and what is said of each.
GOOD = 'NAME = "{name}"\nFORMATS = ("torchscript-trace",)\nMAIN = True\n'
WORKS = f"""
import sys
sys.path.insert(0, {str(fakes.REPOSITORY)!r})
from tests.support import fakes

def command(device, threads, cache, progress):
    return fakes.command_line("good@never")
"""
COLLECTED = {
    "imports-nothing": ("import no_such_engine\n", "No module named 'no_such_engine'"),
    "says-no-syntax": ("NAME = \n", "SyntaxError: invalid syntax (says_no_syntax.py:1)"),
    "exits": ("raise SystemExit(3)\n", "SystemExit: 3 (exits.py:1)"),
    "warns": ("import warnings\nwarnings.warn('old')\n" + GOOD.format(name="warns"), "lacks command"),
    "has-no-name": ("FORMATS = ('torchscript-trace',)\ncommand = list\n", "lacks NAME"),
    "has-another-name": (GOOD.format(name="other") + "command = list\n", "NAME = 'other', but is registered as"),
    "has-bad-limits": (GOOD.format(name="has-bad-limits") + "command = list\nLIMITS = {'bananas': 'x'}\n", "'bananas'"),
    "has-bad-requires": (GOOD.format(name="has-bad-requires") + "command = list\nREQUIRES = ('a b',)\n", "'a b'"),
    "has-no-formats": ("NAME = 'has-no-formats'\nFORMATS = ()\ncommand = list\n", "FORMATS is empty"),
    "has-bad-precision": (GOOD.format(name="has-bad-precision") + "command = list\nPRECISIONS = ('half',)\n", "'half'"),
    "can-not-say": (
        GOOD.format(name="can-not-say") + WORKS + "def unavailable(device):\n    raise KeyError('engine')\n",
        "can_not_say.unavailable raised KeyError: 'engine' (can_not_say.py:",
    ),
    "says-nonsense": (
        GOOD.format(name="says-nonsense") + WORKS + "def unavailable(device):\n    return False\n",
        "says_nonsense.unavailable returned False",
    ),
}
RUN = {
    "command-raises": (
        "def command(*_):\n    raise ValueError('no licence')\n",
        "command_raises.command raised ValueError: no licence (command_raises.py:5)",
    ),
    "command-exits": ("def command(*_):\n    raise SystemExit(2)\n", "command_exits.command raised SystemExit: 2"),
    "command-is-text": ("def command(*_):\n    return 'engine --run'\n", "returned 'engine --run'"),
    "command-is-nothing": ("def command(*_):\n    pass\n", "returned None: it has to return a list of strings"),
    "starts-nothing": ("def command(*_):\n    return ['/no/such/program']\n", "can't start /no/such/program"),
    "loads-nonsense": (WORKS + "def load_request(*_):\n    return 3\n", "load_request returned 3"),
    "takes-nonsense": (WORKS + "def memory(*_):\n    return 'much'\n", "memory returned 'much'"),
    "builds-nothing": (WORKS + "def build(*_):\n    raise OSError('disk')\n", "build raised OSError: disk"),
}
SOUND = {"sound": (WORKS, "")}
CONFTEST = """\
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "outside"))

class Raises:
    def pytest_modelconform_register(self, registry):
        registry.add_runtime("before-it", "no_module_at_all")
        raise RuntimeError("a hook that fails")

class Takes:
    def pytest_modelconform_register(self, registry):
        registry.add_runtime("ort", "my_ort")

def pytest_configure(config):
    pass

def pytest_addhooks(pluginmanager):
    pluginmanager.register(Raises(), "raises")
    pluginmanager.register(Takes(), "takes")

def pytest_modelconform_register(registry):
    for name in {names!r}:
        registry.add_runtime(name, name.replace("-", "_"))
    registry.add_format("odd-source", "odd_source")
    registry.add_format("from-itself", "from_itself")
"""


def modules() -> dict[str, str]:
    running = {name: GOOD.format(name=name) + text for name, (text, _) in {**RUN, **SOUND}.items()}
    formats = {
        "odd_source": "NAME = 'odd-source'\nFROM = 'onyx'\ncommand = list\n",
        "from_itself": "NAME = 'from-itself'\nFROM = 'from-itself'\ncommand = list\n",
    }
    collected = {name: text for name, (text, _) in COLLECTED.items()}
    return {f"outside/{name.replace('-', '_')}.py": text for name, text in {**running, **collected, **formats}.items()}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    names = [*COLLECTED, *RUN, *SOUND]
    conftest = CONFTEST.replace("{names!r}", repr(names))
    return runs.write(tmp_path, {"conftest.py": conftest, "plain.py": runs.PLAIN, **modules()})


def test_each_is_one_runtimes_fault(folder: Path) -> None:
    found = runs.run(folder, "-W", "error", "-p", "no:cacheprovider", runtimes=",".join([*COLLECTED, *RUN, *SOUND]))
    assert "INTERNALERROR" not in found.stdout + found.stderr
    assert "Traceback" not in found.stdout + found.stderr

    def cell(name: str) -> str:
        return f"plain[torchscript_trace-{name.replace('-', '_')}-cpu]"

    assert found.verdict(cell("sound")) == ("pass", None)
    for name, (_, says) in COLLECTED.items():
        assert found.verdict(cell(name)) == ("unavailable", "environment"), name
        assert says in found.message(cell(name)), found.message(cell(name))
        assert name.replace("-", "_") in found.message(cell(name))
        assert len(found.message(cell(name)).splitlines()) <= 2
    for name, (_, says) in RUN.items():
        assert found.cells[cell(name)]["stage"] == "environment", name
        assert found.cells[cell(name)]["verdict"] in ("error", "crash"), name
        assert says in found.message(cell(name)), found.message(cell(name))
        assert len(found.message(cell(name)).splitlines()) <= 2
    header = found.stdout.partition("collected")[0]
    assert "Raises object" not in header
    assert "raised RuntimeError: a hook that fails (conftest.py:9)" in header
    assert "my_ort can't add the runtime 'ort': the name is taken by pytest_modelconform.runtimes.ort" in header


def test_a_run_that_names_none_of_them_says_which_are_broken(folder: Path) -> None:
    found = runs.run(folder, "--modelconform-runtimes=", "-k", "eager", "-p", "no:cacheprovider")
    assert found.status == 0, found.stdout
    header = found.stdout.partition("collected")[0]
    assert (
        "modelconform: runtime imports-nothing is unavailable: its module imports_nothing can't be imported" in header
    )


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        (["doctor"], 0, "imports-nothing"),
        (["doctor", "command-raises"], 0, "command-raises"),
        (["env", "list"], 0, "installed"),
        (["completion", "bash"], 0, "complete"),
        (["run", "nowhere.pt", "--runtime", "exits"], 2, "nowhere.pt"),
        (["export", "plain.py", "-f", "odd-source", "--to", "out"], 2, "'onyx', which does not exist"),
        (["export", "plain.py", "-f", "torchscript-trace", "-o", "out.pt"], 0, "out.pt"),
    ],
)
def test_subcommands_go_on(
    folder: Path,
    words: list[str],
    status: int,
    says: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(folder)
    assert cli.main(words) == status
    said = capfd.readouterr()
    assert says in said.out + said.err
    assert "Traceback" not in said.out + said.err


def test_formats_that_are_made_from_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    registry = Registry()
    register_built_in(registry)
    for name, source in {"a-b": "b-a", "b-a": "a-b", "odd": "onyx"}.items():
        module = ModuleType(f"made_{name.replace('-', '_')}")
        vars(module).update(NAME=name, FROM=source, command=list)
        monkeypatch.setitem(sys.modules, module.__name__, module)
        registry.add_format(name, module.__name__)
    reasons = {name: str(format_base.unavailable(registry.format(name))) for name in ("a-b", "b-a", "odd")}
    assert "it is made from itself: a-b from b-a from a-b" in reasons["a-b"]
    assert "FROM names the format 'onyx', which does not exist" in reasons["odd"]
    assert registry.made_through("odd") == ["odd"]
