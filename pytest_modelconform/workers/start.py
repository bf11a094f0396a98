"""Start a worker: `python start.py WORKER.py --device cpu --threads 1`. Standard library only, Python 3.8.

The worker's file need not be importable in its environment (a Python 3.8 with Caffe2 in it has no pytest-modelconform):
this folder becomes the package `modelconform_workers`, so that workers import `modelconform_workers.loop` there and
relative to it here. Neither this folder nor the current one is on `sys.path`: a worker that lives in `onnx.py` must not
shadow the library.
"""

import atexit
import importlib
import importlib.util
import os
import sys
import types

PACKAGE = "modelconform_workers"


def load(path: str) -> types.ModuleType:
    """Import the worker's file; one from this folder as a submodule of the package, so that it imports relatively."""
    folder = os.path.dirname(os.path.abspath(__file__))
    package = types.ModuleType(PACKAGE)
    package.__path__ = [folder]
    sys.modules[PACKAGE] = package
    relative = os.path.relpath(os.path.abspath(path), folder)
    if not relative.startswith(os.pardir):
        if relative.startswith("host" + os.sep):
            provide(os.path.dirname(folder))
            # One WorkerError, whichever way a format or a case imports it.
            own = os.path.basename(os.path.dirname(folder)) + "." + os.path.basename(folder) + ".loop"
            sys.modules[own] = importlib.import_module(PACKAGE + ".loop")
        if not relative.startswith("python" + os.sep):
            # What it makes is kept, and depends on what it imports. A runtime's is not.
            importlib.import_module(PACKAGE + ".lookups").watch()
        return importlib.import_module(PACKAGE + "." + os.path.splitext(relative)[0].replace(os.sep, "."))
    spec = importlib.util.spec_from_file_location("modelconform_worker", path)
    if spec is None or spec.loader is None:
        raise ImportError("%s isn't a Python file" % path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["modelconform_worker"] = module
    spec.loader.exec_module(module)
    return module


def provide(folder: str) -> None:
    """Have `import pytest_modelconform`, as in case files, find the one that this file is part of.

    A case host in an environment of its own has none, or another one.
    """
    name = os.path.basename(folder)
    spec = importlib.util.spec_from_file_location(name, os.path.join(folder, "__init__.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)


if __name__ == "__main__":
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [entry for entry in sys.path if entry and os.path.abspath(entry) != here]
    worker = sys.argv.pop(1)
    loop = importlib.util.spec_from_file_location("modelconform_loop", os.path.join(here, "loop.py"))
    assert loop is not None
    assert loop.loader is not None
    early = importlib.util.module_from_spec(loop)
    loop.loader.exec_module(early)
    # Both before the worker's imports, which may take seconds, and print (MNN's does).
    early.die_with_parent()
    answers = early.take_stdout()
    module = load(worker)
    name = os.path.splitext(os.path.basename(worker))[0]
    status = importlib.import_module(PACKAGE + ".loop").serve(name, module.handlers, answers)
    # What asked to be told of the end is told, but nothing is taken apart object by object: after an export that took
    # 1.4 s of processor time.
    atexit._run_exitfuncs()
    sys.stderr.flush()
    os._exit(status)
