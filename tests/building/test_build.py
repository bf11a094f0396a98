"""How a harness is built: once, by one process, and what is said when it fails."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from pytest_modelconform.building import harness, tools
from pytest_modelconform.cache.made_once import BuildError
from tests.building.talking import (
    CACHE,
    ENGINES,
    built,
    by_hand,
)

pytestmark = pytest.mark.compiles

# A stand-in for the sources, with which a whole build takes a second or two.
SMALL_CMAKE = """
cmake_minimum_required(VERSION 3.22)
project(small LANGUAGES CXX)
add_executable(modelconform-${ENGINE} main.cpp)
add_library(modelconform_harness STATIC EXCLUDE_FROM_ALL shared.cpp)
add_library(modelconform_libtorch STATIC EXCLUDE_FROM_ALL shared.cpp)
"""


def small_sources(folder: Path, main: str = "int main() { return 0; }") -> Path:
    folder.mkdir()
    (folder / "CMakeLists.txt").write_text(SMALL_CMAKE)
    (folder / "main.cpp").write_text(main)
    (folder / "shared.cpp").write_text("int shared;")
    return folder


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = small_sources(tmp_path / "cpp")
    monkeypatch.setattr(tools, "sources", lambda: folder)
    return folder


def test_a_build_error_is_shown_as_the_compiler_said_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "cpp"
    shutil.copytree(tools.sources(), broken)
    engine = broken / "engines" / "openvino.cpp"
    engine.write_text("#error broken on purpose\n" + engine.read_text())
    monkeypatch.setattr(tools, "sources", lambda: broken)
    # What engines share is none of the file's business, so that it is there already.
    built("ort")
    (tmp_path / "cache" / "harness").mkdir(parents=True)
    for shared in (CACHE / "harness").glob("shared-harness-*"):
        if shared.is_dir():
            (tmp_path / "cache" / "harness" / shared.name).symlink_to(shared)
    lines: list[str] = []
    with pytest.raises(BuildError) as caught:
        harness.executable("openvino", tmp_path / "cache", lines.append)
    message = str(caught.value)
    assert message.startswith("building the openvino harness failed: ninja ended with status 1\n")
    assert "engines/openvino.cpp:1:2: error:" in message
    assert "broken on purpose" in message
    log = Path(message.rpartition("full log: ")[2])
    assert log.read_text().startswith("$ ")
    assert lines == ["building the openvino harness (about 30 s, once) …"]
    # The next cell that wants it doesn't wait for the same failure again.
    with pytest.raises(BuildError, match="broken on purpose"):
        harness.executable("openvino", tmp_path / "cache", lines.append)
    assert len(lines) == 1


def test_a_long_build_error_is_cut_to_its_end(small: Path, tmp_path: Path) -> None:
    (small / "main.cpp").write_text("".join(f"#warning line {i}\n" for i in range(200)) + "#error the end\n")
    with pytest.raises(BuildError, match=r"\(the last 60 of \d+ lines\)\n(.*\n)*.*#error the end") as caught:
        harness.executable("libtorch", tmp_path / "cache", lambda line: None)
    assert len(str(caught.value).splitlines()) == 63


def test_a_harness_that_does_not_start_is_a_build_error(small: Path, tmp_path: Path) -> None:
    (small / "main.cpp").write_text("#include <csignal>\nint main() { raise(SIGKILL); }")
    with pytest.raises(BuildError, match="modelconform-libtorch was ended by signal 9"):
        harness.executable("libtorch", tmp_path / "cache", lambda line: None)


def test_a_build_is_used_again_until_its_sources_change(small: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    assert not harness.is_built("libtorch", tmp_path / "cache")
    first = harness.executable("libtorch", tmp_path / "cache", lines.append)
    assert harness.executable("libtorch", tmp_path / "cache", lines.append) == first
    assert harness.is_built("libtorch", tmp_path / "cache")
    assert lines == ["building the libtorch harness (about 30 s, once) …"]
    assert [path.name for path in first.parent.iterdir()] == ["modelconform-libtorch"]
    (small / "main.cpp").write_text("int main() { return 0; } // changed")
    assert harness.executable("libtorch", tmp_path / "cache", lines.append) != first
    assert len(lines) == 2
    assert harness.executable("openvino", tmp_path / "cache", lines.append).name == "modelconform-openvino"


def shared_folders(cache: Path) -> set[str]:
    return {path.name for path in (cache / "harness").glob("shared-*") if path.is_dir()}


def test_what_engines_share_is_built_once_and_left_alone_by_their_files(small: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    for folder in ("engines", "frontend", "harness", "libtorch"):
        (small / folder).mkdir()

    def programs() -> list[Path]:
        return [harness.executable(engine, cache, lambda line: None) for engine in ("openvino", "libtorch")]

    first = programs()
    shared = shared_folders(cache)
    assert sorted(name.rpartition("-")[0] for name in shared) == ["shared-harness", "shared-libtorch"]
    (small / "engines" / "openvino.cpp").write_text("// an engine's own")
    second = programs()
    assert (second[0] == first[0], second[1] == first[1]) == (False, True)
    assert shared_folders(cache) == shared
    (small / "libtorch" / "values.cpp").write_text("// what engines of libtorch share")
    third = programs()
    assert (third[0] == second[0], third[1] == second[1]) == (True, False)
    assert len(shared_folders(cache) - shared) == 1
    (small / "harness" / "worker.cpp").write_text("// what all share")
    fourth = programs()
    assert (fourth[0] == third[0], fourth[1] == third[1]) == (False, False)
    # One unit for the compiler with libtorch's engine.
    (small / "frontend" / "weights.cpp").write_text("// all that includes libtorch's headers")
    fifth = programs()
    assert (fifth[0] == fourth[0], fifth[1] == fourth[1]) == (True, False)


def test_a_half_made_build_is_made_anew(small: Path, tmp_path: Path) -> None:
    built = harness.executable("libtorch", tmp_path / "cache", lambda line: None)
    built.unlink()
    (built.parent.with_name(f"{built.parent.name}.building") / "work").mkdir(parents=True)
    assert harness.executable("libtorch", tmp_path / "cache", lambda line: None) == built
    assert by_hand(built).returncode == 0
    assert not list((tmp_path / "cache" / "harness").glob("*.building"))


def at_once(engines: Sequence[str], sources: Path, cache: Path) -> list[list[str]]:
    """What processes print that want these engines at the same time; the last line is where the program is."""
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from pytest_modelconform.building import harness\n"
        f"harness.tools.sources = lambda: Path({str(sources)!r})\n"
        f"print(harness.executable(sys.argv[1], Path({str(cache)!r}), print))\n"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", script, engine], stdout=subprocess.PIPE, text=True)
        for engine in engines
    ]
    printed = [process.communicate(timeout=120)[0].splitlines() for process in processes]
    assert [process.returncode for process in processes] == [0] * len(engines)
    return printed


def test_processes_that_start_at_once_build_once(tmp_path: Path) -> None:
    printed = at_once(["libtorch"] * 3, small_sources(tmp_path / "cpp"), tmp_path / "cache")
    assert len({lines[-1] for lines in printed}) == 1
    assert [line for lines in printed for line in lines].count(
        "building the libtorch harness (about 30 s, once) …"
    ) == 1


def test_processes_that_want_other_engines_share_what_these_share(tmp_path: Path) -> None:
    engines = ["libtorch", "frontend", "openvino"]
    printed = at_once(engines, small_sources(tmp_path / "cpp"), tmp_path / "cache")
    assert [lines[0] for lines in printed] == [
        f"building the {engine} harness (about 30 s, once) …" for engine in engines
    ]
    assert [Path(lines[-1]).name for lines in printed] == [f"modelconform-{engine}" for engine in engines]
    assert len(shared_folders(tmp_path / "cache")) == 2


def test_an_interrupt_ends_the_compilers(small: Path, tmp_path: Path) -> None:
    # A "compiler" that never ends, and says where it is.
    compiler = tmp_path / "c++"
    compiler.write_text(f'#!/bin/sh\n[ "$1" = --version ] && exit\necho $$ >> {tmp_path}/pids\nsleep 60\n')
    compiler.chmod(0o755)

    def interrupt() -> None:
        deadline = time.monotonic() + 30
        while not (tmp_path / "pids").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        ident = threading.main_thread().ident
        assert ident is not None
        signal.pthread_kill(ident, signal.SIGINT)  # as Ctrl-C does: it reaches a system call that waits

    watcher = threading.Thread(target=interrupt)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CXX", str(compiler))
        watcher.start()
        with pytest.raises(KeyboardInterrupt):
            harness.executable("libtorch", tmp_path / "cache", lambda line: None)
    watcher.join()
    for pid in (tmp_path / "pids").read_text().split():
        status = Path("/proc", pid, "status")
        deadline = time.monotonic() + 10
        while status.exists() and "zombie" not in status.read_text() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert not status.exists() or "zombie" in status.read_text()


def test_what_is_missing_is_said_in_a_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert [harness.unavailable(engine) for engine in ENGINES] == [None] * len(ENGINES)
    assert harness.unavailable("caffe") == "unknown C++ engine 'caffe'; known: libtorch, frontend, ort, openvino"
    with monkeypatch.context() as patch:
        patch.setattr(tools, "installed", lambda name: name != "onnxruntime")
        sentence = "the ort harness needs onnxruntime: pip install onnxruntime"
        assert harness.unavailable("ort") == sentence
        assert harness.unavailable("libtorch") is None
        with pytest.raises(BuildError, match=sentence):
            harness.executable("ort", tmp_path, lambda line: None)
    with monkeypatch.context() as patch:
        patch.setenv("CXX", "no-such-compiler")
        sentence = harness.unavailable("libtorch") or ""
        assert sentence.startswith(
            "the libtorch harness needs a C++20 compiler ($CXX, no-such-compiler, isn't found): "
        )
        assert "install" in sentence
    with monkeypatch.context() as patch:
        patch.setenv("ONNXRUNTIME_ROOT", str(tmp_path))
        assert f"ONNXRUNTIME_ROOT is {tmp_path}, which has no onnxruntime_cxx_api.h" in (
            harness.unavailable("ort") or ""
        )


def test_finding_engines_imports_none_of_them() -> None:
    script = (
        "import sys\n"
        "from pytest_modelconform.building import harness\n"
        "for engine in harness.ENGINES: harness.unavailable(engine)\n"
        "harness.torchvision_libraries()\n"
        "engines = ('torch', 'torchvision', 'onnxruntime', 'openvino', 'numpy')\n"
        "print([name for name in engines if name in sys.modules])\n"
    )
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert answer.stdout == "[]\n"


def test_the_entry_point_becomes_the_harness() -> None:
    built("ort")
    script = (
        "import sys; from pytest_modelconform.building import harness; sys.argv = ['x', '--help']; harness.main_ort()"
    )
    environment = {**os.environ, "MODELCONFORM_CACHE": str(CACHE)}
    command = [sys.executable, "-c", script]
    answer = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert answer.stdout.startswith("usage: modelconform-ort ")
