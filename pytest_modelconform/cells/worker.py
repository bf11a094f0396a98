"""The one transport: a worker as a child process that answers requests, or ends, hangs or lies.

Whatever happens is one of four exceptions, so that callers never see a pipe, a signal or a JSON error.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import select
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from ..terms import capacity, exhausted
from ..terms.core_seconds import SPENT
from ..terms.kills import Kills
from ..terms.memory import of_killed
from ..terms.wording import how_it_ended
from ..workers.loop import UNSUPPORTED
from .meter import Meter

PROTOCOL = 1
LONGEST_LINE = 16 * 2**20
STDERR_LINES = 200
STDERR_SHOWN = 15
_CHUNK = 2**16
# Seconds after which somebody looks at a worker that has not answered.
_LOOK = 0.5
# The type of error by which a worker says, in answer to hello, that what it runs is not on this machine.
UNAVAILABLE = "Unavailable"


class WorkerProblem(Exception):
    """Something went wrong with or in a worker. `details` is for the log: stderr or a stack trace.

    exhausted: whether it is known for certain that memory was not enough.
    """

    def __init__(self, message: str, details: str = "", exhausted: bool = False) -> None:
        super().__init__(message)
        self.details = details
        self.exhausted = exhausted


class WorkerRefused(WorkerProblem):
    """The worker answered with an error: the model's, the exporter's or the runtime's. The worker lives.

    kind: name of the exception's type, or "". stage: the worker's own word on where it failed, or "". on_gpu: whether
    the worker uses one.
    """

    def __init__(self, kind: str, message: str, details: str, stage: str, on_gpu: bool = False) -> None:
        said = f"{kind}: {message}" if kind not in ("", UNAVAILABLE, UNSUPPORTED) else message
        super().__init__(said, details, exhausted=on_gpu and exhausted.on_gpu(said))
        self.kind = kind
        self.stage = stage


def is_unavailable(problem: WorkerProblem) -> bool:
    """Whether a worker could only find out itself that its runtime is not there, such as a browser without WebGPU."""
    return isinstance(problem, WorkerRefused) and problem.kind == UNAVAILABLE


def is_unsupported(problem: WorkerProblem) -> bool:
    """Whether a worker says that what it was asked for is known not to be possible."""
    return isinstance(problem, WorkerRefused) and problem.kind == UNSUPPORTED


class WorkerCrashed(WorkerProblem):
    """The process ended without an answer."""


class WorkerTimeout(WorkerProblem):
    """No answer within the limit; the process was killed."""


class WorkerLied(WorkerProblem):
    """The answer is none: another id, no JSON, too long, more than one. The process was killed."""


def broke_the_protocol(name: str, how: str) -> str:
    """The sentence for a worker that answers nonsense. how: "with …", or ": …" and what can't be read."""
    return f"{name} broke the protocol{how if how.startswith(':') else f' {how}'}"


# What this process has heard of ends by the kernel.
_KILLS = Kills()


class Worker:
    """A worker process.

    used: set by who has run anything on it. smoked: formats in which it has run the smoke model. registered: of
    cases' own operators, what it has loaded. info: its answer to hello; empty before. command: what
    started it. on_gpu: whether it uses a GPU. meter: what measures the memory that it takes, with the others of a cell.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        env: Mapping[str, str],
        on_gpu: bool = False,
        meter: Meter | None = None,
    ) -> None:
        self.name = name
        self.on_gpu = on_gpu
        self._meter = meter or Meter()
        self.used = False
        self.smoked: set[str] = set()
        self.registered: set[str] = set()
        self.info: dict[str, Any] = {}
        self.command = tuple(command)
        self.last_used = time.monotonic()
        self._next_id = 1
        self._buffer = bytearray()
        self._stderr: deque[bytes] = deque(maxlen=STDERR_LINES)
        # Linux workers ask the kernel to die with us; elsewhere they watch a pipe whose other end we hold.
        watch: int | None = None
        self._hold: int | None = None
        if sys.platform != "linux":
            watch, self._hold = os.pipe()
        more = {"MODELCONFORM_PARENT": str(os.getpid())}
        if watch is not None:
            more["MODELCONFORM_WATCHDOG"] = str(watch)
        try:
            self._process = subprocess.Popen(
                list(command),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={**env, **more},
                start_new_session=True,
                pass_fds=() if watch is None else (watch,),
                bufsize=0,
            )
        except OSError as error:
            raise WorkerCrashed(f"can't start {command[0]}: {error}") from error
        finally:
            if watch is not None:
                os.close(watch)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        os.set_blocking(self._process.stdin.fileno(), False)
        os.set_blocking(self._process.stdout.fileno(), False)
        self._drain = threading.Thread(target=self._read_stderr, daemon=True)
        self._drain.start()
        self._meter.joins(self.pid)
        # What has happened before is none of this one's.
        _KILLS.any_more()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    def ask(self, op: str, timeout: float, **fields: Any) -> dict[str, Any]:
        """Send a request and wait for its answer, at most `timeout` seconds. Raises a WorkerProblem."""
        self.last_used = time.monotonic()
        request_id = self._next_id
        self._next_id += 1
        if self._buffer:
            raise self.lied(f"an answer that nobody asked for: {bytes(self._buffer[:200])!r}")
        self._meter.turn(self.pid)
        line = json.dumps({"id": request_id, "op": op, **fields}) + "\n"
        try:
            text = self._exchange(line.encode(), timeout)
        except WorkerProblem:
            raise
        except BaseException:
            # Ctrl-C, or the time limit of a plugin (pytest-timeout's): the answer would be taken for the next one.
            self.close(kill=True)
            raise
        try:
            answer = json.loads(text)
        except ValueError:
            raise self.lied(f"a line that isn't JSON: {text[:200]!r}") from None
        if not isinstance(answer, dict) or answer.get("id") != request_id or not isinstance(answer.get("ok"), bool):
            raise self.lied(f"an answer that does not belong to request {request_id}: {text[:200]!r}")
        SPENT.take(op, answer)
        if not answer["ok"]:
            error = answer.get("error")
            error = error if isinstance(error, dict) else {}
            kind, message, details, stage = (str(error.get(k) or "") for k in ("type", "message", "details", "stage"))
            raise WorkerRefused(kind, message or "no message", details, stage, self.on_gpu)
        return answer

    def hello(self, timeout: float, **fields: Any) -> None:
        """Make the acquaintance. Raises a WorkerProblem."""
        self.info = self.ask("hello", timeout, protocol=PROTOCOL, **fields)
        if self.info.get("protocol") != PROTOCOL:
            raise self.lied(f"protocol {self.info.get('protocol')!r}; pytest-modelconform speaks protocol {PROTOCOL}")
        self._meter.acquaint(self.pid)

    def _exchange(self, data: bytes, timeout: float) -> bytes:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        source, sink = self._process.stdout.fileno(), self._process.stdin.fileno()
        deadline = time.monotonic() + timeout
        poll = select.poll()
        poll.register(source, select.POLLIN)
        if data:
            poll.register(sink, select.POLLOUT)
        while True:
            end = self._buffer.find(b"\n")
            if end >= 0:
                line = bytes(self._buffer[:end])
                del self._buffer[: end + 1]
                return line
            if len(self._buffer) > LONGEST_LINE:
                raise self.lied(f"a line of more than {LONGEST_LINE >> 20} MiB: {bytes(self._buffer[:80])!r}…")
            left = deadline - time.monotonic()
            if left <= 0:
                self._meter.look(is_last=True)
                self.close(kill=True)
                raise WorkerTimeout(f"{self.name} gave no answer within {timeout:.4g} s", self.stderr())
            self._meter.look()
            for descriptor, _ in poll.poll(min(left, _LOOK) * 1000):
                if descriptor == sink:
                    try:
                        data = data[os.write(sink, data[:_CHUNK]) :]
                    except BrokenPipeError:
                        data = b""
                    if not data:
                        poll.unregister(sink)
                    continue
                chunk = os.read(source, _CHUNK)
                if not chunk:
                    raise self._crashed()
                self._buffer += chunk

    def _crashed(self) -> WorkerCrashed:
        before = _most_of_children()
        try:
            status = self._process.wait(5)
        except subprocess.TimeoutExpired:
            self.close(kill=True)
            return WorkerCrashed(f"{self.name} closed its output without an answer", self.stderr())
        most = _most_of_children()
        self.close(kill=True)
        # Where an earlier process took more, what this one took isn't told but by those who have looked at it.
        took = self._meter.took(self.pid, most if most > before else 0)
        is_ended_by_kernel = status == -signal.SIGKILL and _KILLS.any_more()
        killed = of_killed(took, capacity.memory().total, is_ended_by_kernel)
        # What throws in a destructor, or in a thread of its own, ends the process.
        out_of_memory = is_ended_by_kernel or (self.on_gpu and exhausted.on_gpu(self.last_words()))
        said = f"{self.name} {how_it_ended(status, killed)}{self.last_words()}"
        return WorkerCrashed(said, self.stderr(), out_of_memory)

    def lied(self, what: str) -> WorkerLied:
        """End the process for an answer that is none; what: the answer, as the message goes on after "with"."""
        self.close(kill=True)
        return WorkerLied(broke_the_protocol(self.name, f"with {what}{self.last_words()}"), self.stderr())

    def _read_stderr(self) -> None:
        assert self._process.stderr is not None
        descriptor = self._process.stderr.fileno()
        rest = b""
        with contextlib.suppress(OSError, ValueError):
            while chunk := os.read(descriptor, _CHUNK):
                *lines, rest = (rest + chunk).split(b"\n")
                # A line without end must not grow for ever, either.
                self._stderr.extend(line[-2000:] for line in lines)
                rest = rest[-2000:]
        if rest:
            self._stderr.append(rest)

    def stderr(self) -> str:
        """The last lines that the worker wrote to stderr (and to its stdout)."""
        return b"\n".join(list(self._stderr)).decode("utf-8", "replace")

    def last_words(self) -> str:
        """The very last lines, as an addition to a message."""
        lines = [line for line in self.stderr().splitlines() if line.strip()][-STDERR_SHOWN:]
        return "".join(f"\n  | {line}" for line in lines)

    def close(self, kill: bool = False) -> None:
        """End the process and everything that it started. Never raises for one that has ended."""
        process = self._process
        if process.poll() is None and not kill:
            with contextlib.suppress(WorkerProblem, OSError, subprocess.TimeoutExpired):
                self._exchange(json.dumps({"id": 0, "op": "quit"}).encode() + b"\n", 2)
                process.wait(2)
        # The group outlives its leader where that has started others.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
        self._drain.join(2)
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                stream.close()
        if self._hold is not None:
            os.close(self._hold)
            self._hold = None


def _most_of_children() -> int:
    """Bytes of memory that the largest process took of those that have ended."""
    most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


class InlineWorker:
    """The same handlers, called in this process: for `--pdb` and `--modelconform-inline`, and for models in hand.

    raises: whether a handler's exception passes through, so that a debugger stops where it was raised; else it is the
    answer of a worker that lives, as from a process.
    """

    def __init__(self, name: str, handlers: Mapping[str, Any], raises: bool = True, on_gpu: bool = False) -> None:
        self.name = name
        self.on_gpu = on_gpu
        self.raises = raises
        self.used = False
        self.smoked: set[str] = set()
        self.registered: set[str] = set()
        self.info: dict[str, Any] = {}
        self.last_used = time.monotonic()
        self.alive = True
        self._handlers = handlers

    def ask(self, op: str, timeout: float, **fields: Any) -> dict[str, Any]:
        """Call a handler. Raises WorkerRefused for what it raises, or that itself."""
        from ..workers.loop import describe, handle

        self.last_used = time.monotonic()
        # Warnings of exporters are theirs: in the user's process they may be errors.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                found = handle({"id": 0, "op": op, **fields}, dict(self._handlers))
            except BaseException as error:
                if self.raises or isinstance(error, KeyboardInterrupt):
                    raise
                answered = describe(error)
                words = [str(answered[name]) for name in ("type", "message", "details", "stage")]
                raise WorkerRefused(words[0], words[1], words[2], words[3], self.on_gpu) from error
        # As it comes from a process: a float of numpy's is then a float.
        answer: dict[str, Any] = json.loads(json.dumps(found))
        return answer

    def hello(self, timeout: float, **fields: Any) -> None:
        """Make the acquaintance."""
        self.info = self.ask("hello", timeout, protocol=PROTOCOL, **fields)

    def lied(self, what: str) -> WorkerLied:
        """As above; there is nothing to end."""
        return WorkerLied(broke_the_protocol(self.name, f"with {what}"))

    def stderr(self) -> str:
        """Nothing: it went to the terminal."""
        return ""

    def close(self, kill: bool = False) -> None:
        """Nothing to end."""
        self.alive = False
