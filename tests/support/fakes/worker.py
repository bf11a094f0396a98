"""A worker that computes y = 3x + 1, and misbehaves as the environment variable FAKE says: `segfault@run`.

Standard library only, and Python 3.8, as the workers of old environments. The smoke model is left alone except at the
stage `smoke`, so that what goes wrong is one case's.
"""

from __future__ import annotations

import array
import ctypes
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from modelconform_workers import loop, tensors

NAME, _, STAGE = os.environ.get("FAKE", "good@never").partition("@")
PIDS = os.environ.get("FAKE_PIDS", "")
MIB = 2**20

# The wire itself, for lies that the loop would not tell.
wire: list[Any] = []
loaded: list[bool] = []
cases_loaded = 0


def serve(name: str, make: Any, answers: Any, original: Callable[..., Any] = loop.serve) -> Any:
    wire.append(answers)
    return original(name, make, answers)


loop.serve = serve


def note(word: str) -> None:
    """Leave a trace of this process, and of who started it, in the folder FAKE_PIDS."""
    if PIDS:
        Path(PIDS, f"{word}-{os.getpid()}").write_text(str(os.getppid()))


def say(text: str) -> None:
    wire[0].write(text)
    wire[0].flush()


def words(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


# -- what can happen at any stage --------------------------------------------------------------------------------------


def segfault() -> None:
    words("about to read address 0")
    ctypes.string_at(0)


def abort() -> None:
    words("terminate called after throwing an instance of 'std::bad_alloc'")
    os.abort()


def leave() -> None:
    words("good bye")
    os._exit(0)


def endless() -> None:
    words("turning in circles")
    note("sleeping")
    while True:
        pass


def oom() -> None:
    words("allocating 900 GB")
    os.kill(os.getpid(), signal.SIGKILL)


def flood() -> None:
    for _ in range(40):
        say("x" * MIB)


def lines() -> None:
    for number in range(100_000):
        say(f"progress {number}\n")


def nojson() -> None:
    say("Loading model... done\n")


def scalar() -> None:
    say("42\n")


def wrongid() -> None:
    say(json.dumps({"id": 99, "ok": True}) + "\n")


def refuse() -> None:
    raise RuntimeError("Unrecognized operator: frobnicate")


def sysexit() -> None:
    sys.exit(3)


def stderr() -> None:
    """50 MB of it, part of which is no UTF-8; then the end."""
    for number in range(50):
        os.write(2, b"\xff" * MIB + b"\n")
        words(f"layer {number}")
    words("\x1b[31mout of \x07luck\x1b[0m")
    os.abort()


def chatty() -> None:
    """Harmless: a library that prints, from Python and from C, to both streams."""
    print("hello from Python")
    os.write(1, b'{"id": 1}\n' * 1000)
    ctypes.CDLL(None).puts(b"hello from C")
    for _ in range(20):
        os.write(2, b"warning " * (MIB // 8))


def family() -> None:
    """Start another process that outlives us, if nobody ends it."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    if PIDS:
        Path(PIDS, f"child-{child.pid}").touch()
    os.abort()


ACTS: dict[str, Callable[[], None]] = {
    "segfault": segfault,
    "abort": abort,
    "leave": leave,
    "endless": endless,
    "oom": oom,
    "flood": flood,
    "lines": lines,
    "nojson": nojson,
    "scalar": scalar,
    "wrongid": wrongid,
    "refuse": refuse,
    "sysexit": sysexit,
    "stderr": stderr,
    "chatty": chatty,
    "family": family,
}


def misbehave(stage: str) -> None:
    if stage == STAGE and NAME in ACTS:
        ACTS[NAME]()


# -- the handlers ------------------------------------------------------------------------------------------------------


def hello(request: dict[str, Any]) -> dict[str, Any]:
    if NAME == "protocol" and STAGE == "hello":
        say(json.dumps({"id": request["id"], "ok": True, "protocol": 7}) + "\n")
    misbehave("hello")
    able = {"concurrent": True} if STAGE == "concurrent" else {}
    about = {"name": "fake", "version": "1.0", "language": "Python", "layout": "tree"}
    return {**about, "devices": ["cpu", "cuda"], **able}


def load(request: dict[str, Any]) -> dict[str, Any]:
    global cases_loaded
    smoke = b"modelconform_smoke" in Path(request["model"]).read_bytes()
    loaded[:] = [smoke]
    cases_loaded += not smoke
    misbehave("smoke")  # whatever the model is: the runtime is at fault
    if not smoke:
        misbehave("load")
    return {"seconds": 0.0}


def run(request: dict[str, Any]) -> dict[str, Any]:
    if not loaded[0]:
        misbehave("run")
    special = RESULTS.get(NAME) if STAGE == "smoke" or (STAGE == "run" and not loaded[0]) else None
    return special(request) if special else correct(request)


def unload(request: dict[str, Any]) -> dict[str, Any]:
    misbehave("unload")
    return {}


def correct(request: dict[str, Any], factor: float = 3.0, shift: float = 1.0) -> dict[str, Any]:
    """Three times the input and one, as torch has it; the further runs are bit for bit the same."""
    [tree] = request["args"]
    tensor = tensors.read(request["inputs"])[tree["tensor"]]
    values = array.array("f", bytes(tensor.data))
    result = array.array("f", [factor * value + shift for value in values])
    tensors.write(request["outputs"], {"0": tensor._replace(data=result.tobytes())})
    first = {"seconds": 0.001, "outputs": {"tensor": "0"}}
    runs = [first] + [{"seconds": 0.001, "same_as": 0}] * (request["repeats"] - 1)
    return {"runs": runs, "inputs_changed": []}


def stateful(request: dict[str, Any]) -> dict[str, Any]:
    return correct(request, shift=1.0 if cases_loaded == 1 else 2.0)


def twice(request: dict[str, Any]) -> dict[str, Any]:
    answer = correct(request)
    say(json.dumps({"id": request["id"], "ok": True, **answer}) + "\n")
    return answer


def truncated(request: dict[str, Any]) -> dict[str, Any]:
    answer = correct(request)
    os.truncate(request["outputs"], Path(request["outputs"]).stat().st_size - 5)
    return answer


def shortened(request: dict[str, Any]) -> dict[str, Any]:
    """The header announces more elements than the data have."""
    answer = correct(request)
    text = Path(request["outputs"]).read_bytes()
    for shape in (b"[2, 2]", b"[1, 2]"):
        text = text.replace(b'"shape": ' + shape, b'"shape": ' + shape.replace(b"2]", b"9]"))
    Path(request["outputs"]).write_bytes(text)
    return answer


def garbage(request: dict[str, Any]) -> dict[str, Any]:
    answer = correct(request)
    Path(request["outputs"]).write_bytes(b"\xff" * 100)
    return answer


def nofile(request: dict[str, Any]) -> dict[str, Any]:
    answer = correct(request)
    Path(request["outputs"]).unlink()
    return answer


def missing(request: dict[str, Any]) -> dict[str, Any]:
    answer = correct(request)
    answer["runs"][0]["outputs"] = {"tensor": "elsewhere"}
    return answer


def notree(request: dict[str, Any]) -> dict[str, Any]:
    answer = correct(request)
    answer["runs"][0]["outputs"] = {"blob": "0"}
    return answer


def fewer(request: dict[str, Any]) -> dict[str, Any]:
    answer = correct(request)
    answer["runs"].pop()
    return answer


def noruns(request: dict[str, Any]) -> dict[str, Any]:
    return {**correct(request), "runs": None}


def circular(request: dict[str, Any]) -> dict[str, Any]:
    answer = correct(request)
    answer["runs"][0] = {"seconds": 0.0, "same_as": 1}
    return answer


def structure(request: dict[str, Any]) -> dict[str, Any]:
    answer = correct(request)
    answer["runs"][0]["outputs"] = {"tuple": [{"tensor": "0"}, {"tensor": "0"}]}
    return answer


RESULTS = {
    "stateful": stateful,
    "twice": twice,
    "truncated": truncated,
    "shortened": shortened,
    "garbage": garbage,
    "nofile": nofile,
    "missing": missing,
    "notree": notree,
    "fewer": fewer,
    "noruns": noruns,
    "circular": circular,
    "structure": structure,
    "wrong": lambda request: correct(request, factor=3.01),
    "changes": lambda request: {**correct(request), "inputs_changed": ["/args/0"]},
}


# -- several threads at once, which are only told of ------------------------------------------------------------------


def concurrent(request: dict[str, Any]) -> dict[str, Any]:
    """The first trial from more than one thread goes as told; of the others nothing is to be said."""
    misbehave("concurrent")
    tensors.write(request["outputs"], {})
    trials: list[dict[str, Any]] = [
        {"instance": instance, "threads": count, "results": count * len(request["calls"]), "different": 0, "failed": 0}
        for instance, counts in (("one", request["threads"]), ("clones", request["clones"]))
        for count in counts
    ]
    answer: dict[str, Any] = {"clonable": True, "trials": trials}
    if NAME in AT_ONCE:
        AT_ONCE[NAME](request, answer, next(trial for trial in trials if trial["threads"] > 1))
    return answer


def deviates(request: dict[str, Any], trial: dict[str, Any], shift: float) -> None:
    call = {**request["calls"][1], "repeats": 1}
    found = {}
    for name, more in (("outputs", shift), ("serial", 0.0)):
        correct({**call, "outputs": request["outputs"]}, shift=1.0 + more)
        tensor = tensors.read(request["outputs"])["0"]
        found[name] = tensor._replace(data=bytes(tensor.data))  # no view of a file that is written again
    tensors.write(request["outputs"], found)
    one = {"call": 1, **{name: {"tensor": name} for name in found}}
    trial.update(different=3, deviations=[one])


def throws(request: dict[str, Any], answer: dict[str, Any], trial: dict[str, Any]) -> None:
    trial.update(failed=1, results=trial["results"] - 1, error={"type": "RuntimeError", "message": "busy"})


def noclones(request: dict[str, Any], answer: dict[str, Any], trial: dict[str, Any]) -> None:
    answer["trials"] = [trial for trial in answer["trials"] if trial["instance"] == "one"]
    answer.update(clonable=False, clone_error={"type": "RuntimeError", "message": "no deepcopy of a capsule"})


def notrials(request: dict[str, Any], answer: dict[str, Any], trial: dict[str, Any]) -> None:
    del answer["trials"]


AT_ONCE: dict[str, Callable[[dict[str, Any], dict[str, Any], dict[str, Any]], None]] = {
    "differs": lambda request, answer, trial: deviates(request, trial, 0.5),
    # One unit in the last place of 16 to 32.
    "nearly": lambda request, answer, trial: deviates(request, trial, 2.0**-19),
    "throws": throws,
    "noclones": noclones,
    "notrials": notrials,
}


def handlers(device: str, threads: int) -> dict[str, Any]:
    note("worker")
    misbehave("start")
    return {"hello": hello, "load": load, "run": run, "unload": unload, "concurrent": concurrent}


misbehave("import")
