"""What the cache holds, under which keys, and who may write to it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pytest_modelconform.cache.fingerprint import hash_file, hash_of
from pytest_modelconform.cache.store import Cache, CacheRefused, default_folder
from tests.support import fakes, runs
from tests.support.runs import Run

# -- the folder --------------------------------------------------------------------------------------------------------


def test_it_is_the_users_own(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "deep" / "cache")
    assert cache.folder.stat().st_mode & 0o777 == 0o700
    assert {path.name for path in cache.folder.iterdir()} == {
        *("cases", "references", "artifacts", "refusals", "threads", "locks", "cpp"),
    }


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o722])
def test_one_that_others_may_write_to_is_refused(tmp_path: Path, mode: int) -> None:
    tmp_path.chmod(mode)
    with pytest.raises(CacheRefused, match=f"others may write to the cache folder {tmp_path}, .* chmod 700 it"):
        Cache(tmp_path)


def test_one_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: tmp_path.stat().st_uid + 1)
    with pytest.raises(CacheRefused, match=r"belongs to user \d+, .* set MODELCONFORM_CACHE to a folder of your own"):
        Cache(tmp_path)


def test_one_that_can_not_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CacheRefused, match=r"can't make the cache folder .*; set MODELCONFORM_CACHE to another"):
        Cache(tmp_path / "file" / "cache")


def test_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELCONFORM_CACHE", "/somewhere")
    assert default_folder() == Path("/somewhere")
    monkeypatch.delenv("MODELCONFORM_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert default_folder() == Path("/xdg/pytest-modelconform")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert default_folder() == Path.home() / ".cache" / "pytest-modelconform"


def believed(packages: Mapping[str, Any]) -> bool:
    return True


# -- entries -----------------------------------------------------------------------------------------------------------


def test_produce_makes_once(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    made: list[Path] = []

    def make(folder: Path) -> None:
        made.append(folder)
        assert list(folder.iterdir()) == []
        assert not (tmp_path / "artifacts" / "key").exists()
        (folder / "model.pt").write_text("x")

    target, cached = cache.produce("artifacts", "key", make)
    assert (target, cached) == (tmp_path / "artifacts" / "key", False)
    assert (target / "model.pt").read_text() == "x"
    assert cache.produce("artifacts", "key", make) == (target, True)
    assert len(made) == 1


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_what_failed_half_way_leaves_nothing(tmp_path: Path, error: type[BaseException]) -> None:
    cache = Cache(tmp_path)

    def make(folder: Path) -> None:
        (folder / "model.pt").write_text("half")
        raise error

    with pytest.raises(error):
        cache.produce("artifacts", "key", make)
    assert list((tmp_path / "artifacts").iterdir()) == []
    assert cache.produce("artifacts", "key", lambda folder: None)[1] is False


def test_what_a_killed_process_left_half_made_is_not_used(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    (tmp_path / "artifacts" / ".making-xyz").mkdir()
    (tmp_path / "cases" / "key.json").write_text('{"files": {}, "cont')
    assert cache.read_case("key", believed) is None
    assert cache.produce("artifacts", "key", lambda folder: None)[1] is False


def test_of_two_threads_one_makes_and_the_other_waits(tmp_path: Path) -> None:
    inside, go_on = threading.Event(), threading.Event()
    results: list[bool] = []

    def make(folder: Path) -> None:
        inside.set()
        assert go_on.wait(10)

    def produce() -> None:
        results.append(Cache(tmp_path).produce("artifacts", "key", make)[1])

    threads = [threading.Thread(target=produce) for _ in range(2)]
    threads[0].start()
    assert inside.wait(10)
    threads[1].start()
    go_on.set()
    for thread in threads:
        thread.join(10)
    assert sorted(results) == [False, True]


def test_a_case_is_believed_as_long_as_its_files_are_as_they_were(tmp_path: Path) -> None:
    cache, file, absent = Cache(tmp_path / "cache"), tmp_path / "data.bin", tmp_path / "absent"
    file.write_text("one")
    files = {str(path): hash_file(path) for path in (file, absent)}
    stored = cache.write_case("key", {"cases": [1]}, files, {"packages": "as they were"})
    assert cache.read_case("key", believed) == stored == {"cases": [1], "digest_of_all": stored["digest_of_all"]}
    file.write_text("two")
    assert cache.read_case("key", believed) is None
    file.write_text("one")
    assert cache.read_case("key", believed) == stored
    file.unlink()
    assert cache.read_case("key", believed) is None
    file.write_text("one")
    absent.touch()
    assert cache.read_case("key", believed) is None
    assert cache.read_case("another", believed) is None


def test_a_case_is_believed_as_long_as_its_packages_are(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    stored = cache.write_case("key", {}, {}, {"numpy": "2.4"})
    assert cache.read_case("key", lambda packages: packages == {"numpy": "2.4"}) == stored
    assert cache.read_case("key", lambda packages: packages != {"numpy": "2.4"}) is None


def test_what_another_process_has_made_anew_is_not_forgotten(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    folder, _ = cache.produce("artifacts", "key", lambda work: (work / "new").touch())
    cache.forget("artifacts", "key", lambda target: not (target / "new").exists())
    assert folder.is_dir()
    cache.forget("artifacts", "key")
    assert not folder.exists()


def test_the_digest_covers_key_files_and_content(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    entries = [
        ("k", {"a": 1}, {"f": "1"}),
        ("l", {"a": 1}, {"f": "1"}),
        ("k", {"a": 2}, {"f": "1"}),
        ("k", {"a": 1}, {"f": "2"}),
    ]
    assert len({cache.write_case(key, content, files, {})["digest_of_all"] for key, content, files in entries}) == 4


def test_a_cases_folder_is_named_after_its_digest(tmp_path: Path) -> None:
    cache, work = Cache(tmp_path / "cache"), tmp_path / "work"
    for text in ("one", "two"):
        work.mkdir()
        (work / "inputs").write_text(text)
        digest = cache.write_case("key", {}, {}, {}, work)["digest_of_all"]
        assert not work.exists()
        assert (tmp_path / "cache" / "references" / digest / "inputs").read_text() == text


def test_hashes(tmp_path: Path) -> None:
    assert hash_of(1, {"b": 1, "a": 2}) == hash_of(1, {"a": 2, "b": 1}) != hash_of(1, {"a": 1, "b": 2})
    assert hash_file(tmp_path / "absent") == "missing"


# -- runs --------------------------------------------------------------------------------------------------------------

GOOD = "good@never"
# Leaves a line for every model that is built.
BUILD = """
def build():
    with open(os.environ["BUILDS"], "a") as file:
        file.write(f"{os.getpid()}\\n")
    return Net()


case = Case(model=build, inputs=inputs)
"""


# As libraries look for a faster kernel.
OPTIONAL = """
try:
    import optional
except ImportError:
    optional = None
"""


class Project:
    """A folder with a cache of its own, and what its runs found in that."""

    def __init__(self, folder: Path) -> None:
        site = folder / "site"
        site.mkdir()
        self.folder = runs.write(
            folder,
            {
                "plain.py": "import os\nimport helper\n" + OPTIONAL + runs.CASE + BUILD,
                "data.py": runs.CASE.replace("torch.tensor([3.0])", "torch.tensor([float(open('data.txt').read())])")
                + "case = Case(model=lambda: Net(), inputs=inputs)\n",
                "helper.py": "VALUE = 1\n",
                "data.txt": "3.0",
                "conftest.py": fakes.CONFTEST + "import os\nfrom pytest_modelconform.formats import torchscript_trace\n"
                "torchscript_trace.VERSION = int(os.environ.get('FORMAT_VERSION', '1'))\n",
            },
        )
        self.builds = folder / "builds.txt"
        self.env = {
            "MODELCONFORM_CACHE": str(folder / "cache"),
            "PYTHONPATH": str(site),
            "PYTHONDONTWRITEBYTECODE": "1",
            "BUILDS": str(self.builds),
            "FAKE_PIDS": "",
        }
        self.site = site

    def run(self, *arguments: str, **env: str) -> Run:
        run = runs.run(self.folder, "-n", "0", *arguments, env={**self.env, **env})
        assert run.status == 0, run.stdout
        return run

    def cached(self, *arguments: str, **env: str) -> dict[str, bool]:
        """What was in the cache, by case: (its references, its artifact)."""
        run = self.run(*arguments, **env)
        return {name: cell["cached"] for name, cell in run.cells.items()}

    def count_builds(self) -> int:
        return len(self.builds.read_text().splitlines()) if self.builds.exists() else 0


@pytest.fixture
def cached_project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def all_of(case: str, cached: bool) -> dict[str, bool]:
    return {f"{case}[eager]": cached, runs.cell(case, GOOD): cached}


@pytest.mark.compiles
def test_what_is_in_the_key(cached_project: Project) -> None:
    project, both = cached_project, ["data.py", "plain.py"]
    assert project.cached(*both) == all_of("data", False) | all_of("plain", False)
    assert project.count_builds() == 1

    # Nothing has changed: no case host. Its torch would be the one that leaves this file.
    (project.site / "sitecustomize.py").write_text(
        "import os, sys\nif 'host.py' in ' '.join(sys.orig_argv): open(os.environ['BUILDS'] + '.host', 'w').close()\n"
    )
    assert project.cached(*both) == all_of("data", True) | all_of("plain", True)
    assert not (project.folder / "builds.txt.host").exists()

    # A file that was opened while building, and the case itself.
    (project.folder / "data.txt").write_text("3.00")
    assert project.cached("data.py") == all_of("data", False)
    assert (project.folder / "builds.txt.host").exists()
    with (project.folder / "data.py").open("a") as file:
        file.write("# another comment\n")
    assert project.cached(*both) == all_of("data", False) | all_of("plain", True)
    assert project.count_builds() == 1

    # A local module that it imports.
    (project.folder / "helper.py").write_text("VALUE = 2\n")
    assert project.cached("plain.py") == all_of("plain", False)
    assert project.count_builds() == 2

    # The format's version: the references stay.
    assert project.cached("plain.py", FORMAT_VERSION="2") == {
        "plain[eager]": True, runs.cell("plain", GOOD): False
    }  # fmt: skip

    # Started by another name: in a virtual environment a script's first line and `python -m pytest` say different ones.
    assert project.cached("plain.py") == all_of("plain", True)
    names = [path for path in Path(sys.prefix, "bin").glob("python*") if path != Path(sys.executable)]
    same = next(path for path in names if path.resolve() == Path(sys.executable).resolve())
    done = runs.run(project.folder, "-n", "0", "plain.py", env=project.env, program=(str(same), "-m", "pytest"))
    assert {name: cell["cached"] for name, cell in done.cells.items()} == all_of("plain", True)

    # A package that nobody asked for, one that a case looked for in vain, and another version of that.
    install(project.site, "unasked", "1.0")
    assert project.cached("plain.py") == all_of("plain", True)
    install(project.site, "optional", "1.0")
    assert project.cached("plain.py") == all_of("plain", False)
    assert project.cached("plain.py") == all_of("plain", True)
    (project.site / "optional-1.0.dist-info").rename(project.site / "optional-1.1.dist-info")
    assert project.cached("plain.py") == all_of("plain", False)


def install(site: Path, name: str, version: str) -> None:
    """What pip leaves of a package of one module."""
    (site / f"{name}.py").touch()
    metadata = site / f"{name}-{version}.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Name: {name}\nVersion: {version}\n")
    (metadata / "RECORD").write_text(f"{name}.py,,\n{metadata.name}/METADATA,,\n{metadata.name}/RECORD,,\n")


@pytest.mark.compiles
def test_two_processes_export_once(tmp_path: Path) -> None:
    project = Project(tmp_path)
    line = [
        f"--modelconform-runtimes={fakes.runtime_name(GOOD)}",
        "--modelconform-formats=torchscript-trace",
        "-n",
        "0",
    ]
    started = [
        subprocess.Popen(
            runs.command(*line, "plain.py"),
            cwd=tmp_path,
            env={**os.environ, **project.env},
            stdout=subprocess.PIPE,
            encoding="utf-8",
        )
        for _ in range(2)
    ]
    for process in started:
        printed = process.communicate(timeout=120)[0]
        assert process.returncode == 0, printed
    assert project.count_builds() == 1
    names = [path.name for path in (tmp_path / "cache" / "artifacts").iterdir()]
    assert len(names) == 1
    exports = {(path / "export.json").read_text() for path in (tmp_path / "cache" / "artifacts").iterdir()}
    assert all(json.loads(text)["seconds"] > 0 for text in exports)


@pytest.mark.compiles
def test_equal_cases_with_other_local_modules_are_not_taken_for_one_another(tmp_path: Path) -> None:
    text = (
        "import helper\n"
        + runs.CASE.replace("+ 1.0", "+ helper.SHIFT")
        + "case = Case(model=lambda: Net(), inputs=inputs)\n"
    )
    env = {"MODELCONFORM_CACHE": str(tmp_path / "cache"), "PYTHONDONTWRITEBYTECODE": "1"}
    verdicts = []
    for name, shift in (("one", 1.0), ("two", 2.0)):
        (tmp_path / name).mkdir()
        runs.write(tmp_path / name, {"plain.py": text, "helper.py": f"SHIFT = {shift}\n"})
        run = runs.run(tmp_path / name, "-n", "0", env=env)
        verdicts.append(run.cells[runs.cell("plain", GOOD)]["verdict"])
    # The fake computes 3 x + 1, whatever the model does.
    assert verdicts == ["pass", "mismatch"]
