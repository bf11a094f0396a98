"""What other tools do for the same cells: models of torchvision, with static and with dynamic sizes of images.

Both sides begin cold: new processes, an empty cache of ours. Both use what cores they use if nobody says otherwise.
"""

from __future__ import annotations

import importlib.util
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from ..measuring import Failed, Measured, Pairs, failure, in_turn, measure, total

# By ExecuTorch's names of its tests.
MODELS = ("resnet50", "mobilenet_v3_small", "shufflenet_v2_x1_0")
SIZES = ("static", "dynamic")

_PROGRAMS = (sys.executable, "-m", "benchmarks.speed.peers.onnx_programs")

_HEAD = """\
import torch
from torch.export import Dim
from torchvision import models

from pytest_modelconform import Case

SIDES = {2: 16 * Dim("height", min=1, max=16), 3: 16 * Dim("width", min=1, max=16)}
"""
_CASE = """
{name}_{sizes} = Case(
    model=lambda: models.{name}(),
    inputs={{"image": lambda: (torch.randn(1, 3, 224, 224),)}},{more}
)
"""


def case_file(models: Sequence[str]) -> str:
    """A case file of the same cells."""
    shapes = {"static": "", "dynamic": '\n    dynamic_shapes={"x": SIDES},'}
    return _HEAD + "".join(_CASE.format(name=n, sizes=s, more=shapes[s]) for n in models for s in SIZES)


class Peers:
    """Each method measures one of them beside ours. processes: options of pytest's for ours, if any."""

    def __init__(self, models: Sequence[str], pairs: int, processes: Sequence[str]) -> None:
        self.models = models
        self.pairs = pairs
        self.processes = processes

    def executorch(self) -> Pairs:
        """ExecuTorch's own suite, as it ships in the wheel: XNNPACK, the runtime's Python bindings, allclose."""
        spec = importlib.util.find_spec("executorch")
        if spec is None or not spec.submodule_search_locations:
            raise Failed("ExecuTorch is not here: pip install executorch")
        suite = Path(spec.submodule_search_locations[0]) / "backends/test/suite/models/test_torchvision.py"
        # pytest reads no settings of ours, and our plugin is none of theirs.
        options = ["-c", "/dev/null", "-p", "no:modelconform", "-p", "no:xdist", "-p", "no:cacheprovider"]
        chosen = ["-m", "flow_xnnpack", "-k", " or ".join(f"test_{name}" for name in self.models)]
        command = [sys.executable, "-m", "pytest", *options, *chosen, str(suite)]

        def theirs(folder: Path) -> Measured:
            found = measure(command, folder)
            _check(f"{len(self.models) * len(SIZES)} passed" in found.output, command, found)
            return found

        return self._beside("executorch", "executorch", theirs)

    def verification(self) -> Pairs:
        """torch.onnx.export, then torch.onnx.verification.verify_onnx_program, all in one process."""
        command = [*_PROGRAMS, "verify", *self.models]
        return self._beside("onnx", "ort", lambda folder: measure(command, folder))

    def polygraphy(self) -> Pairs:
        """torch.onnx.export, then `polygraphy run --onnxrt --onnxrt`, which compares two runs, for each file."""
        program = _polygraphy()

        def theirs(folder: Path) -> Measured:
            return total([measure([*_PROGRAMS, "write", str(folder), *self.models]), *_compared(program, folder)])

        return self._beside("onnx", "ort", theirs)

    def polygraphy_alone(self) -> Pairs:
        """`polygraphy run` of files that are there, beside ours with artifacts and references in the cache."""
        program = _polygraphy()
        with tempfile.TemporaryDirectory(prefix="speed-") as folder:
            measure([*_PROGRAMS, "write", folder, *self.models])
            return self._beside("onnx", "ort", lambda _: total(_compared(program, Path(folder))), is_cold=False)

    def _beside(
        self, format_name: str, runtime: str, theirs: Callable[[Path], Measured], is_cold: bool = True
    ) -> Pairs:
        """Ours and theirs in turn, each time in a new folder, where ours has a cache of its own if it begins cold."""
        with tempfile.TemporaryDirectory(prefix="speed-") as temporary:
            names = iter(range(1_000_000))

            def folder() -> Path:
                made = Path(temporary) / str(next(names))
                made.mkdir()
                return made

            project, cache = folder(), folder()
            (project / "pytest.ini").write_text("[pytest]\n")
            (project / "models_of_peers.py").write_text(case_file(self.models))
            command = [sys.executable, "-m", "pytest", "--modelconform", "models_of_peers.py", *self.processes]
            command += ["--modelconform-formats", format_name, "--modelconform-runtimes", runtime]

            def ours(cache: Path) -> Measured:
                found = measure([*command, "--modelconform-cache", str(cache)], project)
                _check(" pass" in found.output and "failed" not in found.output, command, found)
                return found

            if not is_cold:
                ours(cache)
            return in_turn(lambda: ours(folder() if is_cold else cache), lambda: theirs(folder()), self.pairs)


def _polygraphy() -> str:
    program = shutil.which("polygraphy", path=str(Path(sys.executable).parent)) or shutil.which("polygraphy")
    if program is None:
        raise Failed("Polygraphy is not here: pip install polygraphy")
    return program


def _compared(program: str, folder: Path) -> list[Measured]:
    """What `polygraphy run` takes for each file of a folder."""
    found = []
    for file in sorted(folder.glob("*.onnx")):
        shapes = ["--input-shapes", "x:[1,3,224,224]"]
        command = [program, "run", str(file), "--onnxrt", "--onnxrt", *shapes]
        found.append(measure(command, folder))
        _check("PASSED" in found[-1].output, command, found[-1])
    return found


def _check(holds: bool, command: Sequence[str], found: Measured) -> None:
    if not holds:
        raise Failed(failure(command, "did not do what was to be measured", found.output))
