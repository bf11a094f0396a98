"""A worker may do what it likes: its cell gets a verdict with stage and last words, every other cell its own."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support import fakes, runs
from tests.support.runs import Run

CRASH, ERROR, TIMEOUT, MISMATCH, PASS = "crash", "error", "timeout", "mismatch", "pass"

# behaviour@stage -> verdict, stage, what the message says.
EXPECTED: dict[str, tuple[str, str | None, str]] = {
    "good@never": (PASS, None, ""),
    "segfault@hello": (
        CRASH,
        "environment",
        r"could not be started: .*SIGSEGV \(segmentation fault\)\n  \| about to read",
    ),
    "leave@hello": (CRASH, "environment", r"ended with status 0 instead of answering\n  \| good bye"),
    "refuse@hello": (ERROR, "environment", r"could not be started: RuntimeError: Unrecognized operator: frobnicate"),
    "protocol@hello": (
        ERROR,
        "environment",
        r"with protocol 7; pytest-modelconform speaks protocol 1",
    ),
    "sysexit@import": (CRASH, "environment", r"ended with status 3 instead of answering"),
    "segfault@start": (CRASH, "environment", r"SIGSEGV"),
    "wrong@smoke": (
        ERROR,
        "environment",
        r"fake-wrong-smoke can't run even the smoke model \(y = 3x \+ 1\) in the format",
    ),
    "segfault@smoke": (ERROR, "environment", r"can't run even the smoke model .*SIGSEGV"),
    "segfault@load": (CRASH, "load", r"SIGSEGV \(segmentation fault\)\n  \| about to read address 0"),
    "abort@load": (CRASH, "load", r"SIGABRT \(abort\)\n  \| terminate called .*bad_alloc"),
    "leave@load": (CRASH, "load", r"ended with status 0 instead of answering\n  \| good bye"),
    "endless@load": (TIMEOUT, "load", r"no answer within .* s \(--modelconform-timeout\)"),
    "refuse@load": (ERROR, "load", r"RuntimeError: Unrecognized operator: frobnicate"),
    "nojson@load": (ERROR, "load", r"broke the protocol with a line that isn't JSON: b'Loading model... done'"),
    "flood@load": (ERROR, "load", r"broke the protocol with a line of more than 16 MiB: b'xxx"),
    "segfault@run": (
        CRASH,
        "run",
        r"input set 'seven': .*SIGSEGV \(segmentation fault\)\n  \| about to read address 0",
    ),
    "abort@run": (CRASH, "run", r"SIGABRT \(abort\)\n  \| terminate called .*bad_alloc"),
    "leave@run": (CRASH, "run", r"ended with status 0 instead of answering\n  \| good bye"),
    "endless@run": (TIMEOUT, "run", r"no answer within .* s \(--modelconform-timeout\)"),
    "oom@run": (CRASH, "run", r"SIGKILL \(memory (may have|has probably) run out.*\)\n  \| allocating 900 GB"),
    "flood@run": (ERROR, "run", r"a line of more than 16 MiB"),
    "lines@run": (ERROR, "run", r"a line that isn't JSON: b'progress 0'"),
    "nojson@run": (ERROR, "run", r"a line that isn't JSON: b'Loading model... done'"),
    "scalar@run": (ERROR, "run", r"an answer that does not belong to request \d+: b'42'"),
    "wrongid@run": (ERROR, "run", r"an answer that does not belong to request \d+: .*99"),
    "refuse@run": (ERROR, "run", r"RuntimeError: Unrecognized operator: frobnicate"),
    "sysexit@run": (ERROR, "run", r"SystemExit: 3"),
    "stderr@run": (CRASH, "run", r"SIGABRT \(abort\)(.|\n)*layer 49\n  \| out of luck"),
    "chatty@run": (PASS, None, ""),
    "family@run": (CRASH, "run", r"SIGABRT"),
    "stateful@run": (PASS, None, ""),
    "twice@run": (ERROR, "run", r"broke the protocol with an answer that (nobody asked for|does not belong to)"),
    "truncated@run": (ERROR, "run", r"its outputs can't be read: TensorFileError: .* do not fit shape"),
    "shortened@run": (ERROR, "run", r"its outputs can't be read: TensorFileError: .* do not fit shape \(\d, 9\)"),
    "garbage@run": (ERROR, "run", r"its outputs can't be read: TensorFileError: .* a header of"),
    "nofile@run": (ERROR, "run", r"its outputs can't be read: FileNotFoundError"),
    "missing@run": (ERROR, "run", r"its outputs can't be read: KeyError: 'elsewhere'"),
    "notree@run": (ERROR, "run", r"its outputs can't be read: ValueError: output isn't a tree"),
    "fewer@run": (ERROR, "run", r"its outputs can't be read: ValueError: 2 runs instead of 3"),
    "noruns@run": (ERROR, "run", r"its outputs can't be read: BadAnswer: .*runs"),
    "circular@run": (ERROR, "run", r"run 0 is said to be the same as run 1"),
    "structure@run": (MISMATCH, "compare", r"output is a sequence of 2, the model returns a tensor"),
    "wrong@run": (MISMATCH, "compare", r"input set 'seven': wrong values: output\["),
    "changes@run": (MISMATCH, "compare", r"changes its input /args/0 in place, the model does not"),
    "segfault@unload": (CRASH, "run", r"SIGSEGV"),
    "good@concurrent": (PASS, None, ""),
    "differs@concurrent": (
        MISMATCH,
        "compare",
        r"^run from 2 threads at once on one instance: 3 of 4 results differ from those of serial runs; input set",
    ),
    "nearly@concurrent": (PASS, None, ""),
    "throws@concurrent": (
        ERROR,
        "run",
        r"^run from 2 threads at once on one instance: 1 of 4 calls fail: RuntimeError: busy$",
    ),
    "noclones@concurrent": (PASS, None, ""),
    "notrials@concurrent": (ERROR, "run", r"from several threads at once: BadAnswer: .*`trials`"),
    "refuse@concurrent": (ERROR, "run", r"while it ran from 1, 2, 8 threads at once: RuntimeError: Unrecognized"),
    "segfault@concurrent": (
        CRASH,
        "run",
        r"while it ran from 1, 2, 8 threads at once: .*SIGSEGV \(segmentation fault\)\n  \| about to read address 0",
    ),
    "endless@concurrent": (TIMEOUT, "run", r"while it ran from 1, 2, 8 threads at once: .* no answer within"),
}
TIMEOUT_SECONDS = 5


def test_every_fake_is_expected() -> None:
    assert set(EXPECTED) == set(fakes.FAKES)


SECOND = ("good@never", "segfault@run", "refuse@run", "chatty@run", "stateful@run", "nojson@load")
# What a worker does is its pytest process's to judge, however many there are of these: with two of them it is one fake
# of each verdict and stage, and what the tests below look at.
OF_EACH_KIND = {(verdict, stage): fake for fake, (verdict, stage, _) in reversed(EXPECTED.items())}.values()
THREADS = [f"{kind}@concurrent" for kind in ("good", "nearly", "noclones", "differs", "throws", "segfault")]
OF_TWO_PROCESSES = {*OF_EACH_KIND, *SECOND, *THREADS, "stderr@run", "family@run"}
FAKES = {0: fakes.FAKES, 2: tuple(fake for fake in fakes.FAKES if fake in OF_TWO_PROCESSES)}


@pytest.fixture(params=FAKES, ids=["n0", "n2"])
def processes(request: pytest.FixtureRequest) -> int:
    number: int = request.param
    return number


@pytest.fixture
def runtimes_run(processes: int, project: Path, session_folder: Path) -> Run:
    """Two cases: one in all fakes of this number of processes, one in some of each kind."""

    def make(folder: Path) -> Run:
        options = ["-n", str(processes), f"--modelconform-timeout={TIMEOUT_SECONDS}"]
        second = "eager or good_never or segfault_run or refuse_run or chatty or stateful or nojson_load"
        options += ["-k", f"plain or (second and ({second}))"]
        names = ",".join(map(fakes.runtime_name, FAKES[processes]))
        return runs.run(project, *options, runtimes=names, env={"FAKE_PIDS": str(folder)})

    return runs.once(session_folder, f"isolation-runtimes-{processes}", make)


@pytest.mark.parametrize(
    ("processes", "fake"),
    [pytest.param(number, fake, id=f"n{number}-{fake}") for number, names in FAKES.items() for fake in names],
    indirect=["processes"],
)
def test_each_fake_has_its_verdict(runtimes_run: Run, fake: str) -> None:
    verdict, stage, says = EXPECTED[fake]
    name = runs.cell("plain", fake)
    assert runtimes_run.verdict(name) == (verdict, stage), runtimes_run.message(name)
    assert re.search(says, runtimes_run.cells[name]["message"])


@pytest.mark.parametrize("fake", SECOND)
def test_the_next_case_has_its_own_verdict(runtimes_run: Run, fake: str) -> None:
    assert runtimes_run.verdict(runs.cell("second", fake)) == EXPECTED[fake][:2]


def test_every_cell_has_a_verdict(runtimes_run: Run, processes: int) -> None:
    wanted = {"plain[eager]", "second[eager]"}
    wanted |= {runs.cell("plain", fake) for fake in FAKES[processes]} | {runs.cell("second", fake) for fake in SECOND}
    assert runtimes_run.status == 1
    assert runtimes_run.report["complete"] is True
    assert set(runtimes_run.cells) == wanted
    assert runtimes_run.verdict("plain[eager]") == runtimes_run.verdict("second[eager]") == (PASS, None)


def test_nothing_else_is_wrong_with_the_run(runtimes_run: Run, processes: int) -> None:
    cells = [*FAKES[processes], *SECOND]
    failed = sum(EXPECTED[fake][0] != PASS for fake in cells)
    passed = len(cells) + 2 - failed
    assert re.search(rf"\b{failed} failed, {passed} passed\b", runtimes_run.stdout)
    assert "INTERNALERROR" not in runtimes_run.stdout + runtimes_run.stderr


def test_the_dead_worker_takes_no_further_input_set(runtimes_run: Run) -> None:
    inputs = runtimes_run.cells[runs.cell("plain", "segfault@run")]["inputs"]
    assert inputs["seven"]["verdict"] == CRASH
    said = {"verdict": "not-run", "message": "the worker died in another input set"}
    assert inputs["one"] == {**said, "shapes": {"/args/0": [1, 2]}}


def test_a_verdict_of_a_used_worker_is_repeated_in_a_fresh_one(runtimes_run: Run, processes: int) -> None:
    cells = [runtimes_run.cells[runs.cell(case, "stateful@run")] for case in ("plain", "second")]
    notes = [note for cell in cells for note in cell["notes"]]
    # With two processes the two cells may have been the first of one worker each.
    assert len(notes) == 1 or (processes == 2 and not notes)
    says = (
        "the verdict depends on the order of the cells: in a process that had run others before, it was mismatch: "
        "input set 'seven'"
    )
    assert all(note.startswith(says) for note in notes)


def test_what_several_threads_came_to_is_recorded(runtimes_run: Run) -> None:
    good, nearly, noclones = (
        runtimes_run.cells[runs.cell("plain", f"{name}@concurrent")] for name in ("good", "nearly", "noclones")
    )
    assert good["threads"].pop("seconds") < TIMEOUT_SECONDS
    # The cache is the session's, so that another run may have tried all of it before.
    again = {"counts": [2], "clones": [], "before": {"counts": [1, 2, 8], "clones": [1, 2, 8]}, "results": 4}
    tried = again if "before" in good["threads"] else {"counts": [1, 2, 8], "clones": [1, 2, 8], "results": 44}
    assert good["threads"] == {**tried, "identical": True}
    assert good["notes"] == []
    assert nearly["threads"]["identical"] is False
    said = (
        "from several threads at once: run from 2 threads at once on one instance: 3 of 4 results differ from those "
        "of serial runs, within the tolerance: 2 of 2 elements, by 1.91e-06 at most"
    )
    assert nearly["notes"] == [said]
    assert f"{runs.cell('plain', 'nearly@concurrent')}: {said}" in runtimes_run.stdout
    assert noclones["threads"]["clones"] == []
    assert noclones["notes"] == ["from several threads at once: no clones: no deepcopy of a capsule"]
    assert runtimes_run.cells[runs.cell("plain", "good@never")]["threads"] is None


def test_a_failure_from_several_threads_counts_at_once(runtimes_run: Run) -> None:
    """It may well not happen in a second attempt, and yet it has happened."""
    for name in ("differs", "throws", "segfault"):
        cell = runtimes_run.cells[runs.cell("plain", f"{name}@concurrent")]
        assert cell["threads"]["identical"] is False
        assert cell["inputs"]["seven"]["verdict"] == PASS


def test_the_last_words_are_on_the_terminal(runtimes_run: Run) -> None:
    said = runtimes_run.failure(f"plain.py::{runs.cell('plain', 'segfault@run')}")
    assert "crash at stage run" in said
    assert "  | about to read address 0" in said
    cell = runs.cell("plain", "segfault@run")
    assert re.search(rf"^ +rerun: pytest --modelconform .*'plain\.py::{re.escape(cell)}'$", said, re.MULTILINE)


def test_no_escape_sequence_reaches_the_terminal(runtimes_run: Run) -> None:
    assert "out of luck" in runtimes_run.stdout
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", runtimes_run.stdout)


def test_no_process_is_left(runtimes_run: Run, processes: int, session_folder: Path) -> None:
    pids = [
        int(path.name.partition("-")[2]) for path in (session_folder / f"isolation-runtimes-{processes}").glob("*-*")
    ]
    assert len(pids) > len(FAKES[processes]) // 2
    assert any((session_folder / f"isolation-runtimes-{processes}").glob("child-*"))
    assert [pid for pid in pids if runs.is_alive(pid)] == []


# -- the case host -----------------------------------------------------------------------------------------------------

HEAD = "import os, signal, sys\nimport torch\n"
IN_FORWARD = "        return x * self.weight + 1.0\n"
SEGFAULT = "os.kill(os.getpid(), signal.SIGSEGV)"
TRACING = "        if torch.jit.is_tracing():\n            "


def at_import(statement: str) -> str:
    return f"{HEAD}from pytest_modelconform import Case\n{statement}\n"


def in_forward(statement: str) -> str:
    return HEAD + runs.PLAIN.replace(IN_FORWARD, statement + "\n" + IN_FORWARD)


def in_model(statement: str) -> str:
    return f"{HEAD}{runs.CASE}\ndef build():\n    {statement}\n\n\ncase = Case(model=build, inputs=inputs)\n"


GOOD = runs.cell("{}", "good@never")
WORDS = "print('last words', file=sys.stderr); "

# case -> source, and by cell: verdict, stage, what the message says.
EXPORTERS: dict[str, tuple[str, dict[str, tuple[str, str | None, str]]]] = {
    "a_good": (runs.PLAIN, {"eager": (PASS, None, ""), "cell": (PASS, None, "")}),
    "b_import_segfault": (
        at_import(WORDS + SEGFAULT),
        {"collect": (CRASH, "collect", r"^b_import_segfault.py: case host was killed by SIGSEGV.*\n  \| last words")},
    ),
    "c_import_leaves": (
        at_import("os._exit(0)"),
        {"collect": (CRASH, "collect", r"^c_import_leaves.py: case host ended with status 0 instead of answering")},
    ),
    "d_import_exits": (
        at_import("sys.exit(3)"),
        {"collect": (ERROR, "collect", r"^d_import_exits.py: .*line 4: SystemExit: 3")},
    ),
    "e_import_endless": (
        at_import("while True: pass"),
        {"collect": (TIMEOUT, "collect", r"^e_import_endless.py: case host gave no answer within \d+ s")},
    ),
    "g_model_exits": (
        in_model("sys.exit(3)"),
        {
            "eager": (ERROR, "build", r"case 'g_model_exits', field 'model': .*SystemExit: 3"),
            "cell": (ERROR, "reference", r"see g_model_exits\[eager\]: .*SystemExit: 3"),
        },
    ),
    "h_forward_segfault": (
        in_forward("        " + WORDS + SEGFAULT),
        {
            "eager": (CRASH, "reference", r"SIGSEGV \(segmentation fault\)\n  \| last words"),
            "cell": (ERROR, "reference", r"see h_forward_segfault\[eager\]"),
        },
    ),
    "i_export_segfault": (
        in_forward(TRACING + WORDS + SEGFAULT),
        {
            "eager": (PASS, None, ""),
            "cell": (CRASH, "export", r"SIGSEGV \(segmentation fault\)(.|\n)*\n  \| last words"),
        },
    ),
    "m_export_endless": (
        in_forward(TRACING + "__import__('time').sleep(99)"),
        {"eager": (PASS, None, ""), "cell": (TIMEOUT, "export", r"no answer within \S+ s \(--modelconform-timeout\)")},
    ),
    "z_good": (runs.PLAIN, {"eager": (PASS, None, ""), "cell": (PASS, None, "")}),
}
# Every crash costs one or two new case hosts, which import torch: so each fault is met with -n 0 or with -n 2.
FAULTS = {0: "acdegiz", 2: "abhmz"}
EXPORTER_CELLS = [
    (processes, case, kind)
    for processes, letters in FAULTS.items()
    for case, (_, kinds) in EXPORTERS.items()
    for kind in kinds
    if case[0] in letters
]


def exporters_run(processes: int, session_folder: Path) -> Run:
    def make(folder: Path) -> Run:
        cases = [case for case in EXPORTERS if case[0] in FAULTS[processes]]
        runs.write(folder, {f"{case}.py": EXPORTERS[case][0] for case in cases})
        # Enough for what a case host does when it runs its first model, on a busy machine.
        return runs.run(folder, "-n", str(processes), "--modelconform-timeout=6")

    return runs.once(session_folder, f"isolation-exporters-{processes}", make)


@pytest.mark.compiles
@pytest.mark.parametrize(("processes", "case", "kind"), EXPORTER_CELLS)
def test_each_faulty_case_has_its_verdict(session_folder: Path, processes: int, case: str, kind: str) -> None:
    run = exporters_run(processes, session_folder)
    verdict, stage, says = EXPORTERS[case][1][kind]
    name = GOOD.format(case) if kind == "cell" else f"{case}[{kind}]"
    assert run.verdict(name) == (verdict, stage), run.message(name)
    assert re.search(says, run.cells[name]["message"])


@pytest.mark.compiles
@pytest.mark.parametrize("number", [0, 2])
def test_faulty_cases_leave_no_other_cell(session_folder: Path, number: int) -> None:
    run = exporters_run(number, session_folder)
    assert len(run.cells) == sum(processes == number for processes, _, _ in EXPORTER_CELLS)
    assert run.status == 1
    assert "INTERNALERROR" not in run.stdout + run.stderr


FAULTY = (
    fakes.CONFTEST
    + """
    from types import ModuleType

    def load_request(artifact, signature):
        raise ValueError("closed file")

    made = ModuleType("faulty_runtime")
    made.NAME, made.FORMATS = "faulty", ("torchscript-trace",)
    made.command = lambda *_: fakes.command_line("good@never")
    made.load_request = load_request
    sys.modules["faulty_runtime"] = made
    registry.add_runtime("faulty", "faulty_runtime")
"""
)
KNOWN = """
[[expect]]
cell = "plain.py::plain[*-faulty-*]"
verdict = "error"
stage = "load"
reason = "what the runtime is known for"
"""


def test_a_fault_of_ours_is_no_failure_that_is_expected(tmp_path: Path) -> None:
    runs.write(tmp_path, {"conftest.py": FAULTY, "plain.py": runs.PLAIN, "expected.toml": KNOWN})
    found = runs.run(tmp_path, "plain.py", runtimes="faulty")
    [cell] = [cell for cell in found.report["cells"] if cell["runtime"] == "faulty"]
    assert (cell["verdict"], cell["stage"], cell["expected"]) == ("error", "environment", False)
    says = "faulty_runtime.load_request raised ValueError: closed file (conftest.py:"
    assert says in cell["message"]
    assert found.status == 1
