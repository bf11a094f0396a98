"""The mishaps, each drawn by a number: what happens to a run, and what is wrong afterwards."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from .cluster import nodes
from .drawn import Came, Draw, NotHere, killed, sandbox, wait

_MEGABYTES = 50
_REPOSITORY = Path(__file__).resolve().parents[2]
_RESUME = "--modelconform-resume"
_OF_PYTEST = "in make_numbered_dir_with_cleanup"
_OF_EXECNET = "in makegateway"


# -- processes that are killed -----------------------------------------------------------------------------------------


def kills(draw: Draw) -> Came:
    """Kill -9 of any processes but the controller, at one to four moments: the session comes to its end."""
    drawn, came = draw.random, Came()
    flavour = drawn.choice(["plain", "programs", "programs", "compiles", "installs"])
    count = drawn.choice([0, 1, 2])
    whole = draw.seconds[flavour]
    moments = sorted(drawn.uniform(0.02, 1.0) * whole for _ in range(drawn.randint(1, 4)))
    with sandbox(draw, flavour) as box:
        with box.running("run", count) as run:
            begin = time.monotonic()
            for moment in moments:
                if not wait(run, max(0.0, begin + moment - time.monotonic())):
                    break
                came.done += killed(box, run.pid, drawn, moment)
        came.done.insert(0, f"{flavour} -n {count}")
        came.verdicts = box.verdicts("run")
        # A process that dies while execnet begins it ends pytest: not green, and nothing that we could mend.
        ended_by_execnet = run.returncode == 3 and _OF_EXECNET in box.output("run")
        if ended_by_execnet:
            came.done.append("which ends xdist")
        came.faults += box.faults_of_log("run", is_whole=not ended_by_execnet)
        if run.returncode not in (0, 1) and not ended_by_execnet:
            came.faults.append(f"exit status {run.returncode}: {box.output('run')[-300:]}")
        came.faults += box.left()
        came.faults += box.clean("clean")
    return came


def _ended(draw: Draw, how: signal.Signals) -> Came:
    """A signal for the controller at a random moment; then the rest runs, and all is green."""
    drawn, came = draw.random, Came()
    flavour = drawn.choice(["plain", "programs", "compiles", "installs"])
    count = drawn.choice([0, 1, 2])
    moment = drawn.uniform(0.02, 1.0) * draw.seconds[flavour]
    is_killed = how is signal.SIGKILL
    with sandbox(draw, flavour) as box:
        with box.running("run", count) as run:
            if wait(run, moment):
                run.send_signal(how)
        came.done.append(f"{flavour} -n {count}, {moment:.1f} s: {how.name}, exit status {run.returncode}")
        came.verdicts = box.verdicts("run")
        came.faults += box.left()
        # Before there is something to clean up, the signal does what it does to all programs.
        begun = run.returncode != -how
        came.faults += box.faults_of_log("run", is_whole=begun and not is_killed and box.log("run").exists())
        if box.log("run").exists():
            command = [sys.executable, "-m", "pytest_modelconform", "report", str(box.log("run"))]
            said = subprocess.run(command, capture_output=True, text=True, check=False)
            if said.returncode != (0 if box.read("run") else 2) or "Traceback" in said.stderr:
                came.faults.append(f"report: exit status {said.returncode}: {said.stderr[-300:]}")
        came.faults += box.clean("run", [f"{_RESUME}={box.log('run')}"])
        came.done.append("then " + next((x for x in box.output("run").splitlines() if " as in " in x), "all cells ran"))
    return came


def controller(draw: Draw) -> Came:
    """Kill -9 of the controller."""
    return _ended(draw, signal.SIGKILL)


def told(draw: Draw) -> Came:
    """SIGTERM, SIGHUP or SIGINT for the controller alone."""
    return _ended(draw, draw.random.choice([signal.SIGTERM, signal.SIGTERM, signal.SIGHUP, signal.SIGINT]))


# -- disks -------------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _disk(folder: Path) -> Iterator[Path]:
    """A small disk in a folder. Raises NotHere."""
    words = ["mount", "-t", "tmpfs", "-o", f"size={_MEGABYTES}m,mode=700", "tmpfs", str(folder)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise NotHere(f"no disk can be mounted: {done.stderr.strip()}; run it as root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def _fill(folder: Path) -> Path:
    path = folder / "fill"
    with contextlib.suppress(OSError), path.open("wb", buffering=0) as file:
        while True:
            file.write(b"\1" * 65536)
    with contextlib.suppress(OSError), path.open("ab", buffering=0) as file:
        while True:
            file.write(b"\1" * 512)
    return path


def full_cache(draw: Draw) -> Came:
    """The cache's disk becomes full at a random moment: what is made then goes elsewhere, and all is green."""
    return _full(draw, "cache", [0])


def full_temporary(draw: Draw) -> Came:
    """The disk of temporary files becomes full: cells may say that they weren't tested, and no cell says else."""
    return _full(draw, "temporary", [0, 1])


def _full(draw: Draw, what: str, statuses: Sequence[int]) -> Came:
    drawn, came = draw.random, Came()
    count = drawn.choice([0, 1, 2])
    moment = drawn.uniform(0.0, 0.9) * draw.seconds["plain"]
    with sandbox(draw, "plain", bare=True) as box, _disk(getattr(box, what)) as folder:
        with box.running("run", count) as run:
            wait(run, moment)
            fill = _fill(folder)
        came.done.append(f"-n {count}, {moment:.1f} s: {what} full, exit status {run.returncode}")
        came.verdicts = box.verdicts("run")
        # Where pytest has no room for its own folder, it says so and ends before there is anything of ours.
        ended_by_pytest = run.returncode == 3 and _OF_PYTEST in box.output("run")
        came.faults += box.faults_of_log("run", is_whole=not ended_by_pytest)
        if run.returncode not in statuses and not ended_by_pytest:
            came.faults.append(f"exit status {run.returncode}: {box.output('run')[-600:]}")
        fill.unlink()
        came.faults += [fault for fault in box.left() if "fill" not in fault]
        came.faults += box.clean("clean")
    return came


def full_log(draw: Draw) -> Came:
    """The log's disk becomes full: the matrix is there all the same, the run is not green, and says why."""
    drawn, came = draw.random, Came()
    count = drawn.choice([0, 1, 2])
    with sandbox(draw, "plain") as box:
        place = box.root / "disk"
        place.mkdir()
        with _disk(place):
            path = place / "run.jsonl"
            report = box.root / "report.json"
            moment = drawn.uniform(0.2, 1.0) * draw.seconds["plain"]
            with box.running("run", count, [f"--modelconform-log={path}", f"--modelconform-json={report}"]) as run:
                wait(run, moment)
                fill = _fill(place)
            came.done.append(f"-n {count}, {moment:.1f} s: log full, exit status {run.returncode}")
            text = box.output("run")
            is_lost = "could not be written" in text
            if run.returncode != (1 if is_lost else 0):
                came.faults.append(f"exit status {run.returncode}: {text[-300:]}")
            if f"{box.flavour.count} cells: " not in text or report.read_text().count('"verdict": "pass"') < 3:
                came.faults.append("the matrix or the report lacks cells")
            fill.unlink()
            # What is there of it is of use.
            more = [f"{_RESUME}={path}", f"--modelconform-log={path}"]
            came.faults += [fault for fault in box.clean("run", more) if "there is no log" not in fault]
        came.faults += box.left()
    return came


def read_only(draw: Draw) -> Came:
    """The cache can only be read, from the beginning or from a random moment on: all is green."""
    drawn, came = draw.random, Came()
    count, from_begin = drawn.choice([0, 1, 2]), drawn.random() < 0.5
    moment = 0.0 if from_begin else drawn.uniform(0.0, 0.9) * draw.seconds["plain"]
    with sandbox(draw, "plain", bare=True) as box, _disk(box.cache) as folder:
        if drawn.random() < 0.5:
            came.faults += box.clean("before")
        remount = ["mount", "-o", "remount,ro", str(folder)]
        if from_begin:
            subprocess.run(remount, check=True)
        with box.running("run", count) as run:
            if not from_begin and wait(run, moment):
                # Files that are open for writing forbid it.
                done = subprocess.run(["mount", "-o", "remount,ro", "-f", str(folder)], check=False)
                subprocess.run(remount, check=False, capture_output=True)
                came.done.append(f"remount: {done.returncode}")
        came.done.append(f"-n {count}, {moment:.1f} s: read-only, exit status {run.returncode}")
        came.verdicts = box.verdicts("run")
        came.faults += box.faults_of_log("run")
        if run.returncode != 0:
            came.faults.append(f"exit status {run.returncode}: {box.output('run')[-600:]}")
        subprocess.run(["mount", "-o", "remount,rw", str(folder)], check=True)
        came.faults += [*box.left(), *box.clean("clean")]
    return came


# -- the clock, and others ---------------------------------------------------------------------------------------------


# Not libfaketime: it takes the end of a sleep, which is a time of the monotonic clock, for one of the clock that jumps.
_JUMPING = """\
import os
import time


def _jumped(real, unit):
    def read():
        with open(os.environ["MISHAPS_CLOCK"]) as file:
            return real() + unit * int(file.read())

    return read


time.time, time.time_ns = _jumped(time.time, 1), _jumped(time.time_ns, 10**9)
"""
_HOUR = 3600


def clock(draw: Draw) -> Came:
    """The clock of all Python processes jumps by hours and days, back and forth, while they run; not that of files."""
    drawn, came = draw.random, Came()
    flavour, count = drawn.choice(["plain", "programs", "installs"]), drawn.choice([0, 1, 2])
    with sandbox(draw, flavour) as box:
        now, place = box.root / "clock", box.root / "site"
        now.write_text("0")
        place.mkdir()
        (place / "sitecustomize.py").write_text(_JUMPING)
        path = os.pathsep.join([str(place), *filter(None, [os.environ.get("PYTHONPATH")])])
        with box.running("run", count, env={"MISHAPS_CLOCK": str(now), "PYTHONPATH": path}) as run:
            while wait(run, drawn.uniform(0.02, 0.1) * draw.seconds[flavour]):
                jump = drawn.choice([-400 * 24, -48, -1, 0, 1, 30 * 24])
                # At once: a process that reads half of it would be another mishap.
                (box.root / "next").write_text(str(jump * _HOUR))
                (box.root / "next").replace(now)
                came.done.append(f"{jump:+d} h")
        came.done.insert(0, f"{flavour} -n {count}, exit status {run.returncode}:")
        came.verdicts = box.verdicts("run")
        came.faults += box.faults_of_log("run")
        if run.returncode != 0:
            came.faults.append(f"exit status {run.returncode}: {box.output('run')[-600:]}")
        came.faults += [*box.left(), *box.clean("clean")]
    return came


def two_sessions(draw: Draw) -> Came:
    """Two sessions at once on one cache, one of which may be killed: the other one is green."""
    drawn, came = draw.random, Came()
    flavour, is_killed = drawn.choice(["plain", "programs", "installs"]), drawn.random() < 0.5
    with sandbox(draw, flavour) as box:
        with box.running("run", drawn.choice([0, 1])) as run, box.running("other", 1) as other:
            if wait(other, drawn.uniform(0.1, 1.0) * draw.seconds[flavour]) and is_killed:
                other.kill()
        came.done.append(f"{flavour}, exit statuses {run.returncode} and {other.returncode}")
        came.verdicts = box.verdicts("run")
        came.faults += box.faults_of_log("run")
        if run.returncode != 0 or other.returncode not in (0, -signal.SIGKILL):
            came.faults.append(f"exit statuses {run.returncode}, {other.returncode}: {box.output('run')[-600:]}")
        came.faults += [*box.left(), *box.clean("clean")]
    return came


def two_versions(draw: Draw) -> Came:
    """Two versions of the plugin at once on one cache; neither takes the other's results up."""
    drawn, came = draw.random, Came()
    with sandbox(draw, "plain") as box:
        older = box.root / "older"
        older.mkdir()
        shutil.copytree(_REPOSITORY / "pytest_modelconform", older / "pytest_modelconform")
        (older / "pytest_modelconform" / "_cpp").symlink_to(_REPOSITORY / "cpp")
        (older / "pytest_modelconform" / "terms" / "version.py").write_text('"""Older."""\n\n__version__ = "0.0.9"\n')
        env = {"PYTHONPATH": str(older)}
        with box.running("run", drawn.choice([0, 1])) as run, box.running("older", 1, env=env) as other:
            pass
        versions = [found.environment["pytest-modelconform"] for name in ("run", "older") if (found := box.read(name))]
        came.done.append(f"versions {' and '.join(versions)}, exit statuses {run.returncode} and {other.returncode}")
        if len(set(versions)) != 2 or run.returncode or other.returncode:
            came.faults.append(f"{came.done[-1]}: {box.output('older')[-600:]}")
        came.verdicts = box.verdicts("run")
        came.faults += [*box.faults_of_log("run"), *box.faults_of_log("older"), *box.left()]
        with box.running("refused", 1, [f"{_RESUME}={box.log('older')}"]) as refused:
            pass
        if refused.returncode != 4 or "0.0.9" not in box.output("refused"):
            came.faults.append(f"a log of another version is gone on with: {refused.returncode}")
        came.faults += box.clean("clean")
    return came


KINDS: dict[str, Callable[[Draw], Came]] = {
    "kills": kills,
    "cluster": nodes,
    "controller": controller,
    "told": told,
    "full-cache": full_cache,
    "full-temporary": full_temporary,
    "full-log": full_log,
    "read-only": read_only,
    "clock": clock,
    "two-sessions": two_sessions,
    "two-versions": two_versions,
}
