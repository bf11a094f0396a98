"""`modelconform run`: an artifact in a runtime, as cells of the matrix run, on inputs of the user's.

Any file will do: it need not be an export of ours. One that has references beside it is compared with them.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...advice.table import advised
from ...cells.answers import structured
from ...cells.diagnosing import undiagnosed
from ...cells.input_sets import InputSets
from ...cells.loading import load_request
from ...cells.protocol import NONSENSE, LoadAnswer, RunAnswer, broken
from ...cells.stages import Budget, StageFailure, failure_of, start
from ...cells.typed import BadAnswer, T, read
from ...cells.worker import WorkerLied, WorkerProblem, WorkerTimeout
from ...compare import flatten
from ...formats.foreign import Unreadable
from ...terms import devices
from ...terms.case import DEFAULTS
from ...terms.cell import FULL, Cell
from ...terms.outcome import Outcome, Stage, Verdict
from ...terms.wording import Refused, printable
from ...workers import arrays
from .. import case_argument, pytest_session
from . import inputs
from . import table as run_table
from .against import against_case
from .artifact import Found, either, find

if TYPE_CHECKING:
    from ...cells.pool import AnyWorker
    from ...plugin.run import Run
    from ...workers.arrays import Array

EXAMPLES = """\
  modelconform run net.onnx --runtime ort --ones 1,3,224,224
  modelconform run net.pt --runtime libtorch-cpp --inputs inputs.safetensors -o outputs.npz
  modelconform run exported --runtime openvino   (of export --to: compared with its references)
  modelconform run net.onnx --runtime ort --case cases/net.py   (compared with the case's model)

exit status: 0; 1 if the runtime fails, crashes or is missing, or if numbers differ;
2 if the command line is wrong."""

# The first run may allocate, compile or profile; the best of the others is what a server sees.
_REPEATS = 4


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Of `modelconform run`."""
    parser.add_argument("artifact", type=Path, metavar="ARTIFACT", help="file, or folder of modelconform export --to")
    parser.add_argument("-r", "--runtime", required=True, help="runtime to execute it in, as `ort`")
    parser.add_argument("-f", "--format", default="", help="the artifact's format, if its name is unusual")
    what = f"tensors to feed, a file of {', '.join(inputs.KINDS)}; by the artifact's names, else in order"
    parser.add_argument("--inputs", type=Path, metavar="FILE", help=what)
    for kind in ("ones", "random"):
        parser.add_argument(
            f"--{kind}",
            dest="made",
            metavar="SHAPE[:DTYPE]",
            action="append",
            default=[],
            type=lambda text, kind=kind: (kind, text),  # type: ignore[misc]  # its default is no parameter of type's
            help=f"feed {kind} of this shape, such as 1,3,224,224:float32; once for each input",
        )
    what = "case that the file is an export of: it is run on the case's inputs, and compared with its model"
    parser.add_argument("--case", default="", metavar="CASE.py[::case]", help=what)
    parser.add_argument("--dtype", default="float32", choices=list(DEFAULTS), help="the dtype that the case is cast to")
    for kind, example in (("input", "input.1=x"), ("output", "out=boxes")):
        what = f"with --case: which of the model's {kind}s one of the file's is, such as {example}"
        parser.add_argument(f"--match-{kind}", metavar="FILE=MODEL", action="append", default=[], help=what)
    parser.add_argument("--device", default="cpu", help="default: cpu")
    parser.add_argument("--threads", type=int, help="threads of the runtime (default: one a processor)")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="save outputs as .safetensors or .npz")
    parser.add_argument("--timeout", type=float, default=300.0, help="limit in seconds (default: 300)")


def run(arguments: argparse.Namespace) -> int:
    """0: it ran; 1: the runtime failed or isn't there, or numbers differ; 2: the command line makes no sense."""
    if not arguments.case:
        return pytest_session.session("run", lambda run: _answered(run, arguments))
    file = case_argument.located(arguments.case.partition("::")[0])
    timeout = f"{arguments.timeout:g}"
    return case_argument.run("run", file, lambda run: _answered(run, arguments), timeout=timeout)


def _answered(run: Run, arguments: argparse.Namespace) -> int:
    try:
        return Execution(run, arguments).status()
    except Unreadable as unreadable:
        said = advised(Outcome(Verdict.ERROR, Stage.LOAD, str(unreadable))).message
        message = f"{arguments.artifact} can't be read: {said}"
    except StageFailure as failure:
        what = f"{failure.verdict.value} at stage {failure.stage.value}"
        message = f"{arguments.artifact} in {arguments.runtime}: {what}: {advised(failure.outcome()).message}"
    print(f"modelconform run: {printable(message)}", file=sys.stderr)
    return 1


class Execution:
    """One artifact in one runtime. Raises Refused or UnknownName for a command line that makes no sense."""

    def __init__(self, run: Run, arguments: argparse.Namespace) -> None:
        self.machinery = run.machinery
        self.arguments = arguments
        runtime = run.machinery.registry.runtime(arguments.runtime)
        if arguments.device not in runtime.DEVICES:
            devices_of = either(runtime.DEVICES, "and")
            raise Refused(f"--device {arguments.device}: the runtime {runtime.NAME} runs on {devices_of} only.")
        if not 0 < arguments.timeout < float("inf"):
            raise Refused(f"--timeout {arguments.timeout:g}: a positive number of seconds was expected.")
        if arguments.threads is not None and arguments.threads < 1:
            raise Refused(f"--threads {arguments.threads}: 1 or more was expected.")
        if arguments.output:
            run_table.check_target(arguments.output)
        if arguments.inputs and arguments.made:
            raise Refused("--inputs gives all inputs. Leave out --ones and --random.")
        made = [inputs.parse(*pair) for pair in arguments.made]
        given = inputs.read(arguments.inputs) if arguments.inputs else made
        for option in ("match_input", "match_output") if not arguments.case else ():
            if getattr(arguments, option):
                raise Refused(f"--{option.replace('_', '-')} matches a file with a case. Give --case CASE.py, too.")
        if arguments.case and given:
            raise Refused("--case brings the case's inputs. Leave out --inputs, --ones and --random.")
        self.found: Found = (
            against_case(run, arguments, runtime)
            if arguments.case
            else find(arguments.artifact, runtime, run.machinery.registry, arguments.format)
        )
        self.call = inputs.call(self.found.artifact.signature, given) if given else None
        if self.call is None and self.found.prepared is None:
            raise Refused(
                f"No inputs were given, and no export's references lie beside {arguments.artifact}. "
                "Give --inputs FILE, or --ones SHAPE once for each input; or --case CASE.py, whose model it is."
            )
        if self.call is None and arguments.output:
            raise Refused(
                "-o saves the outputs for your own inputs. Give --inputs FILE, or --ones SHAPE once for each input."
            )
        name = Path(self.found.artifact.signature.file).stem
        self.cell = Cell(
            str(arguments.artifact), name, self.found.format, runtime.NAME, arguments.device, self.found.dtype
        )
        self.budget = Budget(arguments.timeout, run.machinery.pool)

    def status(self) -> int:
        """Run it and print what came out; the exit status. Raises StageFailure."""
        runtime = self.machinery.registry.runtime(self.cell.runtime)
        runs_on = devices.route(self.cell.device).runs_on
        if reason := runtime.unavailable(runs_on) or devices.lacking(self.cell.device):
            why = reason if reason.startswith("needs ") else f"is not available: {reason}"
            print(f"modelconform run: The runtime {runtime.NAME} {why}", file=sys.stderr)
            return 1
        if self.arguments.threads:
            self.machinery.pool.threads = self.arguments.threads
        worker = start(lambda: self.machinery.pool.runtime(self.cell.runtime, self.cell.device))
        case_file = case_argument.located(self.arguments.case.partition("::")[0])
        beside = Path(case_file if self.arguments.case else self.arguments.artifact).absolute().parent
        request = load_request(self.machinery.pipeline.tools, self.cell, self.found.artifact, beside)
        loaded = self._read(self._ask(worker, Stage.LOAD, "load", precision=FULL, **request), LoadAnswer, Stage.LOAD)
        about = f"{worker.info.get('version', '')} on {self.cell.device}"
        print(f"{self.found.artifact.path.name} ({self.found.format}) in {runtime.NAME} {about}")
        print(f"loaded in {_milliseconds(loaded.seconds)}")
        return self._compared(worker) if self.call is None else self._shown(worker)

    def _ask(self, worker: AnyWorker, stage: Stage, op: str, **fields: Any) -> dict[str, Any]:
        try:
            return self.budget.ask(worker, op, **fields)
        except WorkerTimeout as problem:
            message = f"{worker.name} gave no answer within {self.arguments.timeout:g} s (--timeout)"
            raise failure_of(WorkerTimeout(message), stage) from problem
        except WorkerProblem as problem:
            raise failure_of(problem, stage) from problem

    def _shown(self, worker: AnyWorker) -> int:
        """Run on the given inputs, print the table and save the outputs."""
        assert self.call is not None
        with tempfile.TemporaryDirectory(prefix="modelconform-run-") as folder:
            inputs, target = Path(folder, "inputs.safetensors"), Path(folder, "outputs.safetensors")
            arrays.write(inputs, self.call.tensors)
            files = {"inputs": str(inputs), "outputs": str(target)}
            asked = self._ask(worker, Stage.RUN, "run", repeats=_REPEATS, **files, **self.call.request)
            answer = self._read(asked, RunAnswer, Stage.RUN)
            outputs = self._outputs(answer, target)
            first, *others = [run.seconds or 0.0 for run in answer.runs]
            print(f"first run {_milliseconds(first)}, then {_milliseconds(min(others))} (best of {len(others)})\n")
            for line in run_table.lines(outputs):
                print(printable(line))
            if len([run for run in answer.runs if run.same_as is None]) > 1:
                print("\nLater runs gave other bits than the first one.")
            if answer.inputs_changed:
                print(f"\nThe artifact changes its inputs in place: {', '.join(answer.inputs_changed)}")
            if self.arguments.output:
                run_table.save(self.arguments.output, outputs)
                print(f"\n{self.arguments.output}  {self.arguments.output.stat().st_size} bytes")
        return 0

    def _read(self, answer: Mapping[str, Any], what: type[T], stage: Stage) -> T:
        try:
            return read(answer, what)
        except BadAnswer as error:
            raise self._nonsense(error, stage) from error

    def _nonsense(self, error: Exception, stage: Stage) -> StageFailure:
        return failure_of(WorkerLied(broken(self.cell.runtime, "its outputs can't be read", error)), stage)

    def _outputs(self, answer: RunAnswer, file: Path) -> dict[str, Array]:
        """Outputs of the first run: by the graph's names, or by their paths in what was returned."""
        signature = self.found.artifact.signature
        try:
            found, first = arrays.read(file), answer.runs[0]
            if first.outputs is None:
                raise ValueError("the first run has no outputs")
            layout = first.layout or signature.layout
            if layout == "flat":
                return {name: found[value["tensor"]] for name, value in first.outputs["dict"]}
            tree = structured(first.outputs, layout, signature, {})
            return {f"output{path}": found[key] for path, key in flatten(tree)[1].items()}
        except NONSENSE as error:
            raise self._nonsense(error, Stage.RUN) from error

    def _compared(self, worker: AnyWorker) -> int:
        """Run on the input sets of the export, and compare with its references."""
        assert self.found.prepared is not None
        machinery, prepared = self.machinery, self.found.prepared
        with tempfile.TemporaryDirectory(prefix="modelconform-run-") as folder:
            target = Path(folder, "outputs.safetensors")
            parts = (self.cell, prepared, self.found.artifact, worker, self.budget, target)
            outcome = InputSets(machinery.registry, machinery.pool, *parts).outcome().outcome
        if outcome.verdict is Verdict.IMPRECISE:
            outcome = undiagnosed(outcome, "the model isn't here to look for causes")
        for name, entry in outcome.inputs.items():
            print(f"\ninput set {name!r}: {entry['verdict']}")
            for where, output in entry.get("outputs", {}).items():
                shape = ", ".join(map(str, output["shape"]))
                bits = [f"{output[key]:.1f}" if output[key] is not None else "-" for key in ("bits", "reference_bits")]
                print(f"  {where}  {output['dtype']} ({shape})  {bits[0]} significant bits (PyTorch has {bits[1]})")
            for line in entry.get("message", "").splitlines():
                print(printable(f"  {line}"))
        for note in (*self.found.artifact.signature.notes, *outcome.notes):
            print(f"\nnote: {note}")
        print(f"\n{outcome.verdict.value}")
        return 1 if outcome.failed else 0


def _milliseconds(seconds: Any) -> str:
    return f"{1000 * float(seconds):.4g} ms" if isinstance(seconds, (int, float)) else "an unknown time"
