from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import venv
from pathlib import Path
from types import ModuleType

import pytest

from pytest_modelconform.cache import fingerprint
from pytest_modelconform.workers.host import files

ROOT = Path(__file__).parents[3]


def test_files_that_are_read_are_recorded(tmp_path: Path) -> None:
    data, written, late = tmp_path / "data.txt", tmp_path / "out.txt", tmp_path / "late.txt"
    for path in (data, late):
        path.write_text("x")
    with files.recorded() as opened:
        data.read_text()
        written.write_text("y")
        with written.open("a"):
            pass
        with pytest.raises(FileNotFoundError):
            (tmp_path / "absent").read_text()
        # An installed package's and the system's files are part of the environment.
        Path(pytest.__file__).read_text()
        if Path("/proc/cpuinfo").exists():
            Path("/proc/cpuinfo").read_text()
    late.read_text()
    assert opened == {str(data)}


def test_what_is_opened_inside_counts_outside_as_well(tmp_path: Path) -> None:
    one, two = tmp_path / "one.txt", tmp_path / "two.txt"
    for path in (one, two):
        path.write_text("x")
    with files.recorded() as outer:
        with files.recorded() as inner:
            one.read_text()
        # Neither had anything when the inner one began.
        two.read_text()
    assert (inner, outer) == ({str(one)}, {str(one), str(two)})


def test_a_function_that_opens_files_in_cpp_is_watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, other = tmp_path / "net.pt", tmp_path / "other.pt"
    for file in (path, other):
        file.write_text("x")

    def load(file: Path, **options: bool) -> tuple[str, dict[str, bool]]:
        return file.name, options

    class Opened:
        def __init__(self, file: Path) -> None:
            self.file = file

    library, within = ModuleType("library"), ModuleType("library.within")
    for module in (library, within):
        monkeypatch.setitem(sys.modules, module.__name__, module)
        vars(module).update(load=load, Opened=Opened)
    files.watch(library, "load")
    files.watch(library, "Opened")
    library.load(other)
    with files.recorded() as opened:
        assert library.load(path, fast=True) == ("net.pt", {"fast": True})
    assert opened == {str(path)}
    # By name, through a module that had it before; and a class, which remains one for annotations.
    with files.recorded() as opened:
        assert within.load(file=path) == ("net.pt", {})
        assert isinstance(within.Opened(file=other), Opened)
    assert opened == {str(path), str(other)}
    assert within.Opened | None


def test_local_modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_local_helper.py").write_text("VALUE = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    import my_local_helper  # type: ignore[import-not-found]

    found = files.local_modules("modelconform_cases")
    assert my_local_helper.__file__ in found
    assert pytest.__file__ not in found
    assert my_local_helper.__file__ not in files.local_modules("my_local")
    monkeypatch.delitem(sys.modules, "my_local_helper")


def test_a_project_below_the_prefix_is_local(tmp_path: Path) -> None:
    # As /usr/local/app in a container, whose Python is in /usr/local.
    prefix = tmp_path / "local"
    venv.create(prefix)
    [packages] = prefix.glob("lib/python*/site-packages")
    own, installed = prefix / "app" / "own_module.py", packages / "installed_module.py"
    for path in (own, installed):
        path.parent.mkdir(exist_ok=True)
        path.write_text("")
    data = own.with_name("data.txt")
    data.write_text("")
    script = (
        "import json, sys, installed_module, own_module\n"
        "from pytest_modelconform.workers.host import files\n"
        "with files.recorded() as opened:\n"
        "    for path in sys.argv[1:]:\n"
        "        open(path).close()\n"
        "print(json.dumps([sorted(opened), sorted(files.local_modules('modelconform_cases'))]))"
    )
    ran = subprocess.run(
        [prefix / "bin" / "python", "-c", script, data, installed.with_name("installed_module.py"), json.__file__],
        env={"PYTHONPATH": f"{own.parent}:{ROOT}"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    assert json.loads(ran.stdout) == [[str(data)], [str(own)]]


def test_hashes_are_those_of_what_was_imported(tmp_path: Path) -> None:
    path = tmp_path / "helper.py"
    path.write_text("first")
    first = files.hashed({str(path), str(tmp_path / "absent")})
    assert first == {str(path): hashlib.sha256(b"first").hexdigest(), str(tmp_path / "absent"): "missing"}
    # An edit during the run: the entry has to be missed by the next one.
    path.write_text("second")
    assert files.hashed({str(path)}) == {str(path): first[str(path)]}


READS = """\
import functools
from pathlib import Path

HERE = Path(__file__).parent
AT_IMPORT = (HERE / "at_import.txt").read_text()


@functools.cache
def kept():
    return (HERE / "kept.txt").read_text()


def not_kept():
    return (HERE / "not_kept.txt").read_text()
"""


def test_what_a_module_keeps_counts_for_all_that_find_it_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "module_that_reads.py").write_text(READS)
    for name in ("at_import", "kept", "not_kept"):
        (tmp_path / f"{name}.txt").write_text("x")
    monkeypatch.syspath_prepend(str(tmp_path))
    import module_that_reads  # type: ignore[import-not-found]

    def counted() -> set[str]:
        found = files.local_modules("modelconform_cases")
        return {Path(path).name for path in found if path.startswith(str(tmp_path))}

    assert counted() == {"module_that_reads.py", "at_import.txt"}
    assert module_that_reads.kept() == module_that_reads.not_kept() == "x"
    assert counted() == {"module_that_reads.py", "at_import.txt", "kept.txt"}
    # Of a case file the same, where it is the one that is asked about.
    monkeypatch.delitem(sys.modules, "module_that_reads")
    assert counted() == set()
    own = files.local_modules("modelconform_cases", str(tmp_path / "module_that_reads.py"))
    assert own >= {str(tmp_path / name) for name in ("module_that_reads.py", "at_import.txt", "kept.txt")}


def test_what_was_found_for_the_same_counts_again(tmp_path: Path) -> None:
    for name in ("one", "two", "ours"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "data.txt").write_text("x")
    for words, name, expected in (
        (("a.py", "a"), "one", {"one"}),
        (("a.py", "b"), "two", {"two"}),
        (("a.py", "a"), "ours", {"one"}),
    ):
        with files.recorded(*words, besides=str(tmp_path / "ours")) as opened:
            (tmp_path / name / "data.txt").read_text()
        assert opened == {str(tmp_path / name / "data.txt") for name in expected}


def test_links_count_as_they_were_named(tmp_path: Path) -> None:
    first, second = Path(json.__file__), tmp_path / "second.txt"
    second.write_text("x")
    link, folder, beside = tmp_path / "link.txt", tmp_path / "folder", tmp_path / "beside"
    beside.mkdir()
    (beside / "data.txt").write_text("y")
    folder.symlink_to(beside)
    # To a file that would not count by itself, since it is installed.
    link.symlink_to(first)
    with files.recorded() as opened:
        link.read_text()
        (folder / "data.txt").read_text()
    assert opened == {str(link), str(folder / "data.txt")}
    before = fingerprint.hash_file(link)
    assert files.hashed({str(link)}) == {str(link): before}
    link.unlink()
    link.symlink_to(second)
    assert fingerprint.hash_file(link) != before
