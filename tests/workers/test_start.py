"""Starting a worker in an environment that has no pytest-modelconform, or another one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest_modelconform

HERE = Path(pytest_modelconform.__file__).parent


def test_a_host_finds_the_package_that_it_is_part_of(tmp_path: Path) -> None:
    other = tmp_path / "pytest_modelconform"
    other.mkdir()
    (other / "__init__.py").write_text("VALUE = 'another one'\n")
    code = f"""
import importlib.util, sys
sys.path.insert(0, {str(tmp_path)!r})
spec = importlib.util.spec_from_file_location("start", {str(HERE / "workers" / "start.py")!r})
start = importlib.util.module_from_spec(spec)
spec.loader.exec_module(start)
start.provide({str(HERE)!r})
import pytest_modelconform, pytest_modelconform.terms.outcome
print(pytest_modelconform.__file__, pytest_modelconform.terms.outcome.__file__)
"""
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.split() == [str(HERE / "__init__.py"), str(HERE / "terms" / "outcome.py")], done.stderr


def test_the_end_is_told_to_who_asked_for_it_and_nothing_is_taken_apart(tmp_path: Path) -> None:
    (tmp_path / "fake.py").write_text(f"""
import atexit, pathlib, threading

class Large:
    def __del__(self):
        pathlib.Path({str(tmp_path / "taken apart")!r}).touch()

large = Large()
atexit.register(pathlib.Path({str(tmp_path / "told")!r}).touch)

def handlers(device, threads):
    return {{"hello": lambda request: {{}}}}
""")
    request = '{"id": 1, "op": "hello", "protocol": 1}\n{"id": 2, "op": "quit"}\n'
    command = [sys.executable, str(HERE / "workers" / "start.py"), str(tmp_path / "fake.py"), "--device", "cpu"]
    environment = {**os.environ, "MODELCONFORM_PARENT": str(os.getpid())}
    done = subprocess.run(
        [*command, "--threads", "1"], input=request, env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, len(done.stdout.splitlines())) == (0, 2), done.stderr
    assert (tmp_path / "told").exists()
    assert not (tmp_path / "taken apart").exists()


def test_an_error_that_a_format_words_is_the_workers_own_kind() -> None:
    code = f"""
import importlib.util
spec = importlib.util.spec_from_file_location("start", {str(HERE / "workers" / "start.py")!r})
start = importlib.util.module_from_spec(spec)
spec.loader.exec_module(start)
start.load({str(HERE / "workers" / "host" / "host.py")!r})
from modelconform_workers.loop import describe
from pytest_modelconform.formats.ncnn import WorkerError
print(describe(WorkerError("pnnx died"))["type"] or "nothing before it")
"""
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "nothing before it\n", done.stderr
