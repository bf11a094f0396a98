"""Talks to a harness over the wire, for tests: a process, its requests, its tensor files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from pytest_modelconform.building import harness
from pytest_modelconform.cache.store import default_folder

jit: Any = torch.jit  # which has no annotations
ENGINES = tuple(harness.ENGINES)
# The user's own, so that a harness is built once and not once a test run; conftest.py gives each test another.
CACHE = default_folder()
DTYPES = {
    "bool": torch.bool,
    "uint8": torch.uint8,
    "int8": torch.int8,
    "uint16": torch.uint16,
    "int16": torch.int16,
    "uint32": torch.uint32,
    "int32": torch.int32,
    "uint64": torch.uint64,
    "int64": torch.int64,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
    "float32": torch.float32,
    "float64": torch.float64,
    "complex64": torch.complex64,
    "complex128": torch.complex128,
    "float8_e4m3fn": torch.float8_e4m3fn,
    "float8_e5m2": torch.float8_e5m2,
}
# By what other name and type safetensors stores them, see "Tensor files" in docs/architecture.md.
AS_BYTES = ("float8_e4m3fn", "float8_e5m2")
AS_PAIRS = ("complex64", "complex128")


def tensor(dtype: str, *shape: int) -> torch.Tensor:
    """Different bytes in each element, the same ones each time; for floats, no NaN."""
    count = torch.Size(shape).numel()
    values = (torch.arange(count) % 7 + 1).reshape(shape)
    if dtype in AS_PAIRS:
        return torch.complex(values.double(), -values.double() / 4).to(DTYPES[dtype])
    return (values % 2 if dtype == "bool" else values).to(DTYPES[dtype])


def bytes_of(value: torch.Tensor) -> bytes:
    return bytes(value.contiguous().reshape(-1).view(torch.uint8).tolist()) if value.numel() else b""


# ---- Talking to a harness --------------------------------------------------------------------------------------------


def write_inputs(path: Path, tensors: dict[str, torch.Tensor]) -> Path:
    """With the real safetensors package, and the metadata that the wire adds to it."""
    stored: dict[str, torch.Tensor] = {}
    extras: dict[str, dict[str, object]] = {}
    names = {value: name for name, value in DTYPES.items()}
    for key, value in tensors.items():
        extra: dict[str, object] = {}
        plain = value.contiguous()
        if names[value.dtype] in AS_PAIRS:
            plain = torch.view_as_real(plain)
        if names[value.dtype] in AS_BYTES:
            plain = plain.view(torch.uint8)
        if plain.dtype != value.dtype:
            extra["dtype"] = names[value.dtype]
        if not value.is_contiguous():
            extra["order"] = sorted(range(value.dim()), key=lambda i, v=value: -v.stride(i))  # type: ignore[misc]
        if extra:
            extras[key] = extra
        stored[key] = plain.contiguous()
    save_file(stored, path, metadata={"modelconform": json.dumps(extras)})
    return path


def read_outputs(path: Path) -> dict[str, torch.Tensor]:
    result = {}
    with safe_open(path, framework="pt") as file:
        extras = json.loads((file.metadata() or {}).get("modelconform", "{}"))
        for key in file.keys():  # noqa: SIM118 (no mapping)
            value = file.get_tensor(key)
            dtype = extras.get(key, {}).get("dtype")
            if dtype in AS_PAIRS:
                value = torch.view_as_complex(value)
            elif dtype is not None:
                value = value.view(DTYPES[dtype])
            result[key] = value
    return result


class Worker:
    """A harness process, and one question and answer at a time."""

    def __init__(self, path: Path, folder: Path, stderr: int | None = subprocess.PIPE, /, **environment: str) -> None:
        self.folder = folder
        self.process = subprocess.Popen(
            [path, "--worker", "--device", "cpu", "--threads", "1"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env={**os.environ, "MODELCONFORM_PARENT": str(os.getpid()), **environment},
        )
        self.sent = 0
        # By which operation, what its answer said that the worker spent.
        self.spent: list[tuple[str, float]] = []

    def say(self, line: bytes) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(line + b"\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        assert isinstance(answer, dict)
        return answer

    def ask(self, op: str, **fields: object) -> dict[str, Any]:
        self.sent += 1
        answer = self.say(json.dumps({"id": self.sent, "op": op, **fields}).encode())
        assert answer.pop("id") == self.sent
        self.spent.append((op, answer.pop("core_seconds", 0.0)))
        return answer

    def get(self, op: str, **fields: object) -> dict[str, Any]:
        """The answer to a request that has to succeed."""
        answer = self.ask(op, **fields)
        assert answer.pop("ok"), answer
        return answer

    def fail(self, op: str, **fields: object) -> str:
        """The message of a request that has to fail."""
        answer = self.ask(op, **fields)
        assert answer["ok"] is False
        assert set(answer["error"]) == {"type", "message", "details"}
        return str(answer["error"]["message"])

    def run(self, inputs: dict[str, torch.Tensor], **fields: object) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
        outputs = self.folder / "out.safetensors"
        outputs.unlink(missing_ok=True)
        file = write_inputs(self.folder / "in.safetensors", inputs)
        answer = self.get("run", inputs=str(file), outputs=str(outputs), **{"repeats": 1, **fields})
        return answer, read_outputs(outputs)

    def end(self) -> None:
        """Whatever it is doing."""
        self.process.kill()
        self.process.communicate()

    def close(self) -> tuple[int, str]:
        """The status and what was written to stderr."""
        _, stderr = self.process.communicate(timeout=60)
        return self.process.returncode, stderr.decode()


def script(module: torch.nn.Module, path: Path) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # each class that is scripted warns in its own way
        jit.script(module.eval()).save(str(path))
    return str(path)


def by_hand(path: Path, *words: object) -> subprocess.CompletedProcess[str]:
    command = [str(path), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def built(engine: str) -> Path:
    """The harness of an engine, from the user's own cache."""
    return harness.executable(engine, CACHE, lambda line: print(line, file=sys.stderr))


class Kept:
    """Workers that tests share: a start of libtorch takes a second, and a model takes the place of another.

    For tests that ask nothing of a fresh process, and don't look at how it ends. What one writes to stderr is shown
    with the test that had it do so.
    """

    def __init__(self) -> None:
        self.workers: dict[tuple[str, ...], Worker] = {}

    def get(self, engine: str, folder: Path, **environment: str) -> Worker:
        """One that runs and has no model, with a folder for the files of a test."""
        key = (engine, *(f"{name}={value}" for name, value in sorted(environment.items())))
        worker = self.workers.get(key)
        if worker is None or worker.process.poll() is not None:
            worker = self.workers[key] = Worker(built(engine), folder, None, **environment)
        worker.folder = folder
        worker.get("unload")
        return worker

    def end(self) -> None:
        for worker in self.workers.values():
            worker.end()
