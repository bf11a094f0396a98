"""AOTInductor: the model compiled to machine code, in a package with its weights."""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..building.tools import inductors_compiler, lacking_inductors_compiler
from . import program as programs
from . import strides
from .base import ExportMismatch, Signature, flat_signature
from .foreign import of_package
from .program import exported

if TYPE_CHECKING:
    import torch

    from ..workers.host.build import Built

NAME = "aoti"
SUFFIXES = (".pt2",)
foreign = of_package
REQUIRES = ("torch",)
QUANTISED = True
REPRO = "pytest_modelconform.repro.parts.export_aoti"
MAIN = True
# Compiled code is the same in every run; the second one shows what a run leaves behind in buffers.
REPEATS = 2
# The code in a package is a device's own, and so are its weights.
DEVICE_BOUND = True
LIMITS = {
    "transposed-inputs": "a package keeps to the strides that it was exported with. It refuses others where it is told "
    "to check its inputs (AOTI_RUNTIME_CHECK_INPUTS=1, as here), and else returns wrong numbers without a word"
}

EXPORT_OPTIONS = {
    **programs.EXPORT_OPTIONS,
    "torch._inductor.aoti_compile_and_package": ("exported_program", "package_path"),
}
# Nothing here changes a number: docs/performance.md has what each saves, and how it was found to give the same bits.
OPTIONS: dict[str, Any] = {
    # The function that calls the kernels, whose every line is called once a run, is half of what there is to compile.
    "aot_inductor.compile_wrapper_opt_level": "O0",
    # torch.export takes lengths of 0 and 1 apart from all others, and the check of inputs would refuse them, where
    # artifacts in fact run them. They are run, and the numbers judged.
    "aot_inductor.check_lowerbound": False,
}


def unavailable() -> str | None:
    """None if there is a C++ compiler, else a sentence. Costs a look at PATH."""
    return lacking_inductors_compiler()


@functools.cache
def tools() -> str:
    """The compiler and its version: other ones make other code."""
    command = inductors_compiler()
    if not command:
        return ""
    said = subprocess.run([*command, "--version"], capture_output=True, text=True, errors="replace", check=False)
    return " ".join([*command, said.stdout])


def export(built: Built, folder: Path) -> Signature:
    """`torch.export.export` and `torch._inductor.aoti_compile_and_package`, for the device that the model is on."""
    import torch
    from torch._inductor import config

    from ..workers.host import containers
    from ..workers.host.operators import of_program

    known = config.get_config_copy()
    ours = {name: value for name, value in OPTIONS.items() if name in known}
    given = dict(built.options.get("torch._inductor.aoti_compile_and_package", {}))
    with torch.no_grad(), own_caches(folder / "inductor"), strides.read_off():
        program = exported(built)
        # First, since what does not fit need not be compiled.
        signature = signature_of(program, built)
        signature |= {"operators": of_program(program), **containers.signed(program)}
        torch._inductor.aoti_compile_and_package(
            program,
            package_path=str(folder / "model.pt2"),
            inductor_configs={**ours, **given.pop("inductor_configs", {})},
            **given,
        )
    return signature


def signature_of(program: torch.export.ExportedProgram, built: Built) -> Signature:
    """A package takes the call's tensors and returns the result's leaves, each in the order of the flattened trees.

    Outputs are named by their place among the leaves: at that of a None there is no tensor.
    """
    from torch.export.graph_signature import ConstantArgument, InputKind, OutputKind, TensorArgument

    given, returned = program.graph_signature.input_specs, program.graph_signature.output_specs
    inputs = [
        spec.arg.name for spec in given if spec.kind == InputKind.USER_INPUT and isinstance(spec.arg, TensorArgument)
    ]
    if len(inputs) != len(built.input_leaves):
        raise ExportMismatch(f"the program takes {len(inputs)} tensors, the model {len(built.input_leaves)}")
    leaves = [spec.arg for spec in returned if spec.kind == OutputKind.USER_OUTPUT]
    nothing = [isinstance(leaf, ConstantArgument) and leaf.value is None for leaf in leaves]
    outputs = [str(place) for place, absent in enumerate(nothing) if not absent]
    return flat_signature("model.pt2", built, inputs, outputs, inputs)


@contextlib.contextmanager
def own_caches(folder: Path) -> Iterator[None]:
    """Have inductor write to a folder that is gone afterwards: what is left of one model can't get into another's.

    What models share, the precompiled headers (270 MB, content-addressed by inductor) and the test of the compiler,
    stays in the folder that the pytest process names in TORCHINDUCTOR_CACHE_DIR.
    """
    from torch._inductor import codecache, cpu_vec_isa

    name = "TORCHINDUCTOR_CACHE_DIR"
    shared = os.environ.get(name)
    headers = Path(shared or folder) / "precompiled_headers"
    # Constants there, which say a folder below /tmp whatever the variable is.
    paths = {"_HEADER_DIR": headers, "_HEADER_LOCK_DIR": headers / "locks"}
    before = {constant: getattr(codecache, constant) for constant in paths if hasattr(codecache, constant)}
    try:
        cpu_vec_isa.pick_vec_isa()  # Once a process: it compiles a test, and starts another Python to run it.
        os.environ[name] = str(folder)
        for constant in before:
            setattr(codecache, constant, str(paths[constant]))
        yield
    finally:
        for constant, value in before.items():
            setattr(codecache, constant, value)
        os.environ.pop(name, None)
        if shared is not None:
            os.environ[name] = shared
        shutil.rmtree(folder, ignore_errors=True)
