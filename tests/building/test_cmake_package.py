"""The C++ library as a CMake package: built once, found as users find it, and complete without this repository."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_modelconform import __version__
from pytest_modelconform.building import cmake_package, tools
from pytest_modelconform.cache.made_once import BuildError
from pytest_modelconform.cache.store import default_folder
from pytest_modelconform.commands import cli
from tests.support import embedding

# The user's own, so that the library is built once and not once a test run; conftest.py gives each test another.
CACHE = default_folder()
pytestmark = pytest.mark.compiles
CONSUMER = """\
cmake_minimum_required(VERSION 3.22)
project(consumer LANGUAGES CXX)
"""


@pytest.fixture(scope="module")
def package() -> Path:
    return cmake_package.find(CACHE, lambda line: print(line, file=sys.stderr))


def configure(project: Path, folder: Path, *definitions: str) -> subprocess.CompletedProcess[str]:
    cmake, ninja = tools.tool("cmake"), tools.tool("ninja")
    assert cmake is not None
    command = [cmake, "-G", "Ninja", f"-DCMAKE_MAKE_PROGRAM={ninja}", "-S", str(project), "-B", str(folder)]
    return subprocess.run([*command, *definitions], capture_output=True, text=True, check=False)


def consumer(folder: Path, text: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "CMakeLists.txt").write_text(CONSUMER + text)
    return folder


def test_what_is_installed_is_what_users_include_and_no_more(package: Path) -> None:
    prefix = package.parents[2]
    installed = {path.relative_to(prefix).as_posix() for path in prefix.rglob("*") if path.is_file()}
    names = ("compare", "reference", "safetensors", "tensors", "tree", "view")
    config = [f"lib/cmake/modelconform/modelconformConfig{part}.cmake" for part in ("", "-release", "Version")]
    assert installed == {"lib/libmodelconform.a", *config, *(f"include/modelconform/{name}.h" for name in names)}
    includes = [
        line
        for name in names
        for line in (prefix / f"include/modelconform/{name}.h").read_text().splitlines()
        if line.startswith("#include")
    ]
    # The standard library, and each other: no JSON parser, no engine.
    allowed = "|".join(names)
    assert [i for i in includes if not re.fullmatch(rf'#include (<[a-z_]+>|"({allowed})\.h")', i)] == []


def test_it_has_the_version_of_the_python_package(package: Path, tmp_path: Path) -> None:
    text = "find_package(modelconform ${WANTED} CONFIG REQUIRED)\nmessage(NOTICE found-${modelconform_VERSION})\n"
    project = consumer(tmp_path / "p", text)
    minor = ".".join(__version__.split(".")[:2])
    done = configure(project, tmp_path / "one", f"-Dmodelconform_DIR={package}", f"-DWANTED={minor}")
    assert f"found-{__version__}" in done.stdout + done.stderr
    done = configure(project, tmp_path / "two", f"-DCMAKE_PREFIX_PATH={package}", "-DWANTED=99.0")
    assert done.returncode != 0
    assert f"version: {__version__}" in done.stderr


def test_it_is_built_once(package: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELCONFORM_CACHE", str(CACHE))
    before = (package / "modelconformConfig.cmake").stat().st_mtime_ns
    assert cli.main(["cmake-dir"]) == 0
    captured = capsys.readouterr()
    assert captured.out == f"{package}\n"
    assert captured.err == ""
    assert (package / "modelconformConfig.cmake").stat().st_mtime_ns == before


def test_it_may_be_a_part_of_another_build(tmp_path: Path) -> None:
    """And then finds the JSON parser by itself, in Python's packages or the system."""
    text = f"""\
add_subdirectory({tools.sources()} modelconform)
add_executable(judge judge.cpp)
target_link_libraries(judge PRIVATE modelconform::modelconform)
"""
    project = consumer(tmp_path / "p", text)
    shutil.copy(embedding.PROJECT / "judge.cpp", project)
    done = configure(project, tmp_path / "b", f"-DPython3_EXECUTABLE={sys.executable}")
    assert done.returncode == 0, done.stderr
    # The program's own source is enough to see that it finds the headers; the library's takes long.
    cmake = tools.tool("cmake")
    assert cmake is not None
    embedding.run([cmake, "--build", str(tmp_path / "b"), "--target", "CMakeFiles/judge.dir/judge.cpp.o"])


def test_sources_without_the_python_package_are_refused(tmp_path: Path) -> None:
    sources = tmp_path / "lone"
    (sources / "library").mkdir(parents=True)
    for name in ("CMakeLists.txt", "library/library.cmake"):
        (sources / name).write_text((tools.sources() / name).read_text())
    done = configure(sources, tmp_path / "b")
    assert done.returncode != 0
    assert "the version is read from pytest_modelconform/terms/version.py" in done.stderr


def test_the_sources_of_the_package_travel_with_it() -> None:
    sources = tools.sources()
    listed = re.findall(r"^  ([\w/]+\.cpp)\b", (sources / "library" / "library.cmake").read_text(), re.M)
    assert "library/compare.cpp" in listed
    assert [name for name in listed if not (sources / name).is_file()] == []
    # All of cpp/ is put into the wheel; what is in it is what git has.
    text = (Path(__file__).parents[2] / "pyproject.toml").read_text()
    assert f'cpp = "pytest_modelconform/{tools.PACKAGED}"' in text


def test_definitions_of_engines_are_printed_for_cmake(
    package: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELCONFORM_CACHE", str(CACHE))
    assert cli.main(["cmake-dir", "--with", "libtorch"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"-Dmodelconform_DIR={package}"
    assert lines[1].startswith("-DTORCH_ROOT=")
    assert Path(lines[1].partition("=")[2], "include", "torch").is_dir()


def test_a_build_that_fails_says_what_the_compiler_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = consumer(tmp_path / "cpp", 'message(FATAL_ERROR "nothing here")\n')
    monkeypatch.setattr(tools, "sources", lambda: broken)
    with pytest.raises(BuildError) as raised:
        cmake_package.find(tmp_path / "cache", lambda line: None)
    message = str(raised.value)
    assert message.startswith("building the C++ library failed: cmake ended with status 1\n")
    assert "nothing here" in message
    assert f"full log: {tmp_path / 'cache' / 'library'}" in message
    assert not list((tmp_path / "cache" / "library").glob("*/"))


def test_what_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "tool", lambda name: None)
    with pytest.raises(BuildError, match=r"needs cmake and ninja: pip install cmake ninja"):
        cmake_package.find(tmp_path, lambda line: None)
    monkeypatch.undo()
    monkeypatch.setenv("CXX", os.fspath(tmp_path / "no-compiler"))
    with pytest.raises(BuildError, match=r"needs a C\+\+20 compiler"):
        cmake_package.find(tmp_path, lambda line: None)
