"""The case host: the worker that imports case files, builds models, computes references and exports."""

from __future__ import annotations

import gc
import importlib
import importlib.util
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import torch

from pytest_modelconform.terms import memory
from pytest_modelconform.terms.cell import FAST, INFERENCE, SEQUENCE, TRAINING
from pytest_modelconform.terms.runs import runs_file

from .. import lookups, tensors
from ..loop import Answer, Handlers
from ..torch_tensors import release_memory
from . import cases, files, kept, large, own_exports, own_operators
from .build import Built, build, digest, on_device, other_numbers
from .references import bfloat16, noisy
from .references import runs as reference
from .sequences import chain
from .state import Globals, enter, seed_all
from .train import data as train_data
from .train import training

# What a request to export says of a case's own export where it says nothing.
_PLAIN = {"options": "", "own": None, "by": ""}


class Host:
    """The handlers, and the case that was built last, by task: cells of one case follow each other."""

    def __init__(self, device: str = "cpu") -> None:
        self.device = device
        self.globals = Globals()
        self.built: dict[str, tuple[tuple[str, str, str], Built]] = {}
        self.had_large = False

    def hello(self, request: dict[str, Any]) -> Answer:
        """Who we are. Appends the folders that cases import local modules from to sys.path."""
        for folder in request.get("path", []):
            if folder not in sys.path:
                sys.path.append(folder)
        return {
            "name": "case host",
            "version": torch.__version__,
            "language": "Python",
            "layout": "tree",
            # Where it doesn't compute on the GPU, it isn't even asked whether there is one.
            "devices": ["cpu", *(["cuda"] if self.device == "cuda" and torch.cuda.is_available() else [])],
        }

    def collect(self, request: dict[str, Any]) -> Answer:
        """The cases of a file: `file` (absolute) and `relative` (to the root folder)."""
        self.globals.restore()
        return {**cases.collect(request["file"], request["relative"]), "packages": lookups.record()}

    def build(self, request: dict[str, Any]) -> Built:
        """The case that is asked for, built anew unless it is the last one and still as it was."""
        dtype, task = request.get("dtype", "float32"), request.get("task", INFERENCE)
        # Steps are calls of the same model.
        task = INFERENCE if task == SEQUENCE else task
        wanted = (request["file"], request["case"], dtype)
        last, built = self.built.pop(task, (None, None))
        own_operators.register(request)
        if built is None or last != wanted:
            built = None
            if self.had_large:
                # Traced models are in cycles: one more would be here until they are looked for.
                gc.collect()
            built = build(request["file"], request["relative"], request["case"], dtype)
            if task == TRAINING:
                built = train_data.for_training(built, request["file"])
            self.had_large = large.is_large(built.model)
            if self.had_large:
                large.return_freed_memory()
        self.built[task] = (wanted, built)
        enter(cases.module_name(request["relative"]))
        return built

    def same(self, request: dict[str, Any]) -> Built:
        """The case, with the numbers that its references were made of: those of `digest`. Raises WorkerError."""
        self.globals.restore()
        built = self.build(request)
        if built.digest != request["digest"]:
            self.forget(built)
            raise other_numbers(built)
        return built

    def reference(self, request: dict[str, Any]) -> Answer:
        """Write the references of a case to `folder`; those of a runtime's fast mode where `precision` is "fast"."""
        self.globals.restore()
        built = self.build(request)
        fast = request.get("precision") == FAST
        times = memory.SHARED if large.is_large(built.model) else memory.COPIED
        large.require(built, "references", lambda size: times * size)
        try:
            # What forward imports and opens at its first call, the model is made from as well.
            with files.recorded(request["file"], request["case"], besides=request["folder"]) as opened:
                if built.task == TRAINING:
                    answer = training.make(built, request["folder"])
                elif request.get("task") == SEQUENCE:
                    answer = chain.make(built, request["folder"], request["file"])
                else:
                    answer = reference.make(built, request["folder"], bfloat16.noise if fast else None)
            local = opened | files.local_modules(cases.PACKAGE, request["file"])
            return {**answer, "files": answer["files"] | files.hashed(local), "packages": lookups.record()}
        finally:
            self.keep_if_untouched(built)

    def export(self, request: dict[str, Any]) -> Answer:
        """Store a case in a format: `module` (import path of the format), `folder`, `digest` of the expected case.

        `column`, `options`, `own` and `by`: see own_exports.py.
        """
        built = self.same(request)
        built.output_paths = request["output_paths"]
        built.libraries = request.get("libraries", ())
        exporter = importlib.import_module(request["module"])
        format_name = request.get("format") or exporter.NAME
        large.require(
            built, f"an export as {format_name}", getattr(exporter, "memory", lambda size: memory.EXPORT * size)
        )
        folder = Path(request["folder"])
        seed_all(built.case.seed, built.name, "export")
        begin = time.perf_counter()
        try:
            there = on_device(built, request.get("device", "cpu"))
            made = own_exports.make(exporter, there, folder, {**_PLAIN, "column": format_name, **request})
            del there
        except Exception as error:
            if (ours := own_operators.explained(error, built, format_name)) is not None:
                raise ours from error
            raise
        finally:
            seconds = time.perf_counter() - begin
            self.globals.restore()
            self.keep_if_untouched(built)
            release_memory(request.get("device", "cpu"))
        signature = {**made.signature, "format": format_name}
        signature |= own_operators.described(signature, built, request["file"], folder)
        (folder / "signature.json").write_text(json.dumps(signature, indent=1))
        size = sum(f.stat().st_size for f in folder.rglob("*") if f.is_file())
        return {"seconds": seconds, "bytes": size, "packages": lookups.record(), "files": dict(made.files)}

    def diagnose(self, request: dict[str, Any]) -> Answer:
        """Write what eager variants of a case return for an input set: `set`, `folder`, `seconds`, `digest`."""
        built = self.same(request)
        large.require(built, "a diagnosis", lambda size: memory.DIAGNOSIS * size)
        try:
            # Here, since a run without mismatches does without it.
            from .variants import table as variants

            return variants.make(built, request["set"], request["folder"], request["seconds"])
        finally:
            self.globals.restore()
            self.keep_if_untouched(built)

    def noise(self, request: dict[str, Any]) -> Answer:
        """Write further noisy runs of an input set to `folder`: `set`, `runs` (at most), `seconds`, `digest`."""
        built = self.same(request)
        large.require(built, "further noisy runs", lambda size: memory.SHARED * size)
        try:
            runs = noisy.further(built, request["set"], request["runs"], request["seconds"])
            tensors.write(os.path.join(request["folder"], runs_file(request["set"])), runs)
            return {"runs": len({name.partition(":")[0] for name in runs})}
        finally:
            self.globals.restore()
            self.keep_if_untouched(built)

    def sketch(self, request: dict[str, Any]) -> Answer:
        """What a small case file of a case is written from: `set` ("" for the exporters'); tensors go to `folder`.

        way, column: see parts/sketch.py.
        """
        self.globals.restore()
        built = self.build(request)
        from .parts import sketch, source

        try:
            key = request["set"] or built.exporter_set
            return sketch.make(built, key, Path(request["folder"]), request["way"], request["column"])
        except source.Unwritable as problem:
            return {"problem": str(problem)}
        finally:
            self.globals.restore()
            self.keep_if_untouched(built)

    def keep(self, request: dict[str, Any]) -> Answer:
        """Write some tensors of the sketch in `folder` to `target`: `shapes`, and `below` by name."""
        from .parts import sketch

        return sketch.keep(Path(request["folder"]), Path(request["target"]), request["shapes"], request["below"])

    def program(self, request: dict[str, Any]) -> Answer:
        """The operators of a case's model, see parts/programs.py."""
        self.globals.restore()
        own_operators.register(request)
        enter(cases.module_name(request["relative"]))
        try:
            # Here, since a run without failures does without it.
            from .parts import programs

            return programs.answer(
                *(request[name] for name in ("file", "relative", "case", "dtype", "way", "static_too"))
            )
        finally:
            self.globals.restore()

    def resume(self, request: dict[str, Any]) -> Answer:
        """Go on with a training from a runtime's `checkpoint`; writes `outputs`. `digest` of the expected case."""
        built = self.same(request)
        return training.resume(built, request)

    def keep_if_untouched(self, built: Built) -> None:
        """Forget the built case if an exporter or a run has changed its parameters, mode, inputs or plain attributes.

        An export would else have in it what earlier runs left in the model: a table that was made for other inputs.
        """
        training = built.case.mode == "train"
        modes = any(module.training != training for module in built.model.modules())
        left = kept.changed(built.kept, built.model)
        if left and built.put_back is not None:
            built.put_back(left)
        if modes or left or digest(built.model, built.inputs) != built.digest:
            self.forget(built)

    def forget(self, built: Built) -> None:
        """Build a case anew when it is asked for next."""
        self.built.pop(built.task, None)


def handlers(device: str, threads: int) -> Handlers:
    """Handlers for `loop.serve`."""
    torch.set_num_threads(threads)
    # What PyTorch compiles or downloads on its own account is not part of a case.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    if importlib.util.find_spec("tensorflow") is not None:
        # Keras reads it when it is imported; here it is TensorFlow's.
        os.environ["KERAS_BACKEND"] = "tensorflow"
    host = Host(device)
    return {
        "hello": host.hello,
        "collect": host.collect,
        "reference": host.reference,
        "export": host.export,
        "diagnose": host.diagnose,
        "noise": host.noise,
        "sketch": host.sketch,
        "keep": host.keep,
        "program": host.program,
        "resume": host.resume,
        "packages": lambda request: {"packages": lookups.record()},
    }
