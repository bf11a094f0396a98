"""The loop of a worker in Python: reads requests, calls handlers, writes answers. Standard library only, Python 3.8.

What is said here is the wire of docs/architecture.md. A worker is a module with `handlers(device, threads)`, which
returns a dict from operation to function; each takes the request (a dict) and returns the answer (a dict).
"""

import argparse
import ctypes
import json
import os
import resource
import signal
import sys
import threading
import traceback
from typing import Any, Callable, Dict, List, Optional, TextIO

PROTOCOL = 1
PARENT = "MODELCONFORM_PARENT"
WATCHDOG = "MODELCONFORM_WATCHDOG"

# The type of error by which a worker says that what it is asked for is known not to be possible.
UNSUPPORTED = "Unsupported"

# Folders of what is installed.
_INSTALLED = ("site-packages", "dist-packages")
# What PyTorch and exporters are made of. What else is installed, and called by PyTorch, is a model's code.
_TOOLS = (
    *("torch", "torchgen", "functorch", "torchao", "torchax", "executorch", "litert_torch", "coremltools", "iree"),
    *("onnx", "onnxscript", "onnx_ir", "onnxruntime", "numpy", "sympy", "mpmath", "networkx", "jax", "jaxlib"),
    *("tensorflow", "keras", "tvm", "openvino", "nncf", "typing_extensions"),
)

Answer = Dict[str, Any]
Handler = Callable[[Dict[str, Any]], Answer]
Handlers = Dict[str, Handler]


class WorkerError(Exception):
    """An error that a handler words itself: its message is shown without the name of an exception's type.

    stage: where the cell failed, if the operation alone doesn't say it.
    """

    def __init__(self, message: str, stage: str = "", kind: str = "", details: str = "") -> None:
        super().__init__(message)
        self.stage = stage
        self.kind = kind
        self.details = details


def serve(name: str, make_handlers: Callable[[str, int], Handlers], answers: Optional[TextIO] = None) -> int:
    """Answer requests until stdin ends or `quit` is asked. Returns the exit status.

    answers: where to write them if stdout has been taken before (`take_stdout`).
    """
    die_with_parent()
    answers = answers or take_stdout()
    parser = argparse.ArgumentParser(prog=name)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    handlers = make_handlers(options.device, options.threads)
    spent = 0.0
    for line in sys.stdin.buffer:
        request = None
        try:
            request = json.loads(line.decode("utf-8"))
            if not isinstance(request, dict) or "op" not in request:
                raise WorkerError(
                    "a request is a JSON object with an 'op', got: %.200s" % line.decode("utf-8", "replace")
                )
            answer = handle(request, handlers)
        except BaseException as error:
            # An exporter that calls sys.exit(), say, has failed, but must not take the worker along.
            if isinstance(error, KeyboardInterrupt):
                return 130
            answer = {"ok": False, "error": describe(error)}
        answer["id"] = request.get("id") if isinstance(request, dict) else None
        before, spent = spent, core_seconds()
        answer["core_seconds"] = spent - before
        answers.write(json.dumps(answer, allow_nan=False) + "\n")
        answers.flush()
        if isinstance(request, dict) and request.get("op") == "quit":
            return 0
    return 0


def handle(request: Dict[str, Any], handlers: Handlers) -> Answer:
    """The answer to one request, without its id. Raises whatever the handler raises."""
    operation = request["op"]
    if operation == "hello" and request.get("protocol") != PROTOCOL:
        raise WorkerError("this worker speaks protocol %d, not %r" % (PROTOCOL, request.get("protocol")))
    if operation == "quit":
        return {"ok": True}
    if operation not in handlers:
        raise WorkerError("unknown operation %r; known: %s" % (operation, ", ".join(sorted(handlers))))
    answer = dict(handlers[operation](request))
    if operation == "hello":
        answer["protocol"] = PROTOCOL
    answer["ok"] = True
    return answer


def core_seconds() -> float:
    """Seconds of processor time that this process has taken, and those of its children that have ended."""
    usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in usage)


def describe(error: BaseException) -> Dict[str, str]:
    """An exception as the wire's error object."""
    if isinstance(error, WorkerError):
        return {"type": error.kind, "message": str(error), "details": error.details, "stage": error.stage}
    trace = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    try:
        message = explain(error)
    except Exception:  # Its __str__ fails.
        message = "it has no readable message"
    return {"type": type(error).__name__, "message": message, "details": trace[-20000:], "stage": ""}


def explain(error: BaseException) -> str:
    """An exception's message; after its first line where it was raised, and by what: exporters wrap that in advice."""
    # torch.jit.script's begin with an empty line, which would be all that a summary shows.
    first, _, rest = str(error).lstrip("\n").partition("\n")
    lines: List[str] = []
    places: List[str] = []  # of each exception in the chain
    cause: Optional[BaseException] = error
    for _ in range(4):
        if cause is None:
            break
        if cause is not error:
            lines.append("caused by %s: %s" % (type(cause).__name__, str(cause).strip().partition("\n")[0]))
        places.append(places_of(cause))
        cause = cause.__cause__
    # What was raised first tells the line, where an exporter has wrapped it.
    number = max((i for i, place in enumerate(places) if place), default=None)
    if number is not None:
        lines.insert(number, places[number])
    return "\n".join([first, *lines, rest] if rest else [first, *lines])


def places_of(error: BaseException) -> str:
    """Where an exception passed last through a model: lines of "  at net.py:12, in forward: x = self.first(x)", or "".

    One is its author's, who wrote the case or the worker: neither we nor a library that is installed. Before it is that
    of an installed package which PyTorch, or the author, called for a part of the model.
    """
    stack = traceback.extract_tb(error.__traceback__)
    own = [i for i, frame in enumerate(stack) if _is_the_authors(frame.filename)]
    files = [_installed(frame.filename) for frame in stack]
    packages = [file.partition(os.sep)[0] for file in files]
    called = packages.index("torch") if "torch" in packages else len(packages)
    models = [i for i, package in enumerate(packages) if i > called and package and package not in _TOOLS]
    found = []
    if models and models[-1] > max(own, default=-1):
        found.append(_place(stack[models[-1]], files[models[-1]]))
    if own:
        last = stack[own[-1]]
        found.append(_place(last, _without(_folder() + os.sep, last.filename)))
    return "\n".join(found)


def _place(frame: traceback.FrameSummary, file: str) -> str:
    return "  at %s:%s, in %s%s" % (file, frame.lineno, frame.name, ": " + frame.line if frame.line else "")


def _folder() -> str:
    try:
        return os.getcwd()
    except OSError:  # it is gone
        return os.sep


def _without(prefix: str, text: str) -> str:
    return text[len(prefix) :] if text.startswith(prefix) else text


def _installed(file: str) -> str:
    """The path of a file from the folder of what is installed on, "" where it isn't there."""
    parts = os.path.abspath(file).split(os.sep)
    places = [i for i, part in enumerate(parts) if part in _INSTALLED]
    return os.sep.join(parts[places[-1] + 1 :]) if places else ""


def _is_the_authors(file: str) -> bool:
    worker = os.path.abspath(getattr(sys.modules.get("modelconform_worker"), "__file__", None) or os.sep)
    folder = os.path.dirname(worker)
    path = os.path.abspath(file)
    if path == worker or (
        path.startswith(folder + os.sep) and os.path.basename(folder) not in _INSTALLED and folder != os.sep
    ):
        return True
    ours = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    library = os.path.dirname(os.path.abspath(os.__file__))
    return not (
        file.startswith("<")
        or path.startswith((ours + os.sep, library + os.sep))
        or any(part in _INSTALLED for part in path.split(os.sep))
    )


def take_stdout() -> TextIO:
    """Move the real stdout to a private descriptor and point descriptor 1 at stderr, for all that prints."""
    private = os.dup(1)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return os.fdopen(private, "w", encoding="utf-8")


def die_with_parent() -> None:
    """See to it that this process does not outlive the one that started it, even if that one is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which then ends its workers.
    expected = os.environ.pop(PARENT, "")
    watchdog = os.environ.pop(WATCHDOG, "")
    if sys.platform.startswith("linux"):
        set_parent_death_signal = 1  # PR_SET_PDEATHSIG
        ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL, 0, 0, 0)
        try:
            with open("/proc/self/oom_score_adj", "w") as file:
                file.write("1000")
        except OSError:
            pass  # Best effort: some sandboxes forbid it.
    if watchdog:
        threading.Thread(target=_exit_at_end_of, args=(int(watchdog),), daemon=True).start()
    if expected and os.getppid() != int(expected):
        os._exit(1)  # The parent died before the signal was asked for.


def _exit_at_end_of(descriptor: int) -> None:
    while os.read(descriptor, 1):
        pass
    os._exit(1)
