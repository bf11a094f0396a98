"""Import a case file and find its cases."""

from __future__ import annotations

import difflib
import importlib.util
import inspect
import math
import os
import re
import sys
import traceback
from dataclasses import asdict, fields
from pathlib import Path
from types import ModuleType
from typing import Any

from pytest_modelconform.building.includes import SUFFIXES, UnknownInclude, paths
from pytest_modelconform.terms import operators, part_case
from pytest_modelconform.terms.case import (
    ACCEPTED,
    DEFAULTS,
    FRAMEWORKS,
    MODES,
    OPTIONAL,
    TAG,
    TAKEN_TAGS,
    TORCH,
    TWINS,
    Case,
    Tolerance,
    Train,
    twin,
)
from pytest_modelconform.terms.exports import Export
from pytest_modelconform.terms.wording import shown

from ..loop import WorkerError
from . import files, siblings
from .export_check import fault as fault_of_exports
from .nameless import Made
from .sequence_check import fault as fault_of_sequence
from .state import Globals, keep_for, seed_all
from .train_check import fault as fault_of_training

PACKAGE = "modelconform_cases"
part_case.host = __name__.rpartition(".")[0]
_LIKE = {"tags": '("vision",)', "requires": '("transformers>=5",)', "files": '("weights.npz",)'}


def module_name(relative: str) -> str:
    """Name under which a case file is imported, from its path relative to the root folder."""
    return f"{PACKAGE}.{re.sub(r'[^0-9a-zA-Z_]', '_', os.path.splitext(relative)[0])}"


def import_file(path: str, relative: str) -> ModuleType:
    """Import a case file, once a process. Raises WorkerError with the end of the traceback that is the author's."""
    siblings.enter(path)
    name = module_name(relative)
    known = sys.modules.get(name)
    if known is not None and os.path.realpath(known.__file__ or "") == os.path.realpath(path):
        return known
    if PACKAGE not in sys.modules:
        package = ModuleType(PACKAGE)
        package.__path__ = []
        sys.modules[PACKAGE] = package
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Registered, so that pickle, dataclasses and inspect find the module of the classes in it.
    sys.modules[name] = module
    files.hashed({os.path.abspath(path)})
    # What a file draws while it is imported (a model, say) is then the same in every process.
    seed_all("import", relative)
    before, made = Globals(), Made(module)
    try:
        with made.noted():
            spec.loader.exec_module(module)
        if fault := made.fault():
            raise WorkerError(fault, "collect")
    except BaseException as error:
        before.restore()
        del sys.modules[name]
        if isinstance(error, WorkerError):
            raise  # a part of a model that is none has said why
        raise WorkerError(explain(error, path), "collect", "", short_trace(error, path)) from error
    keep_for(name, before)
    return module


def explain(error: BaseException, path: str) -> str:
    """One message for an exception in a case file, with the remedy where one is known."""
    try:
        str(error)
    except Exception:
        return f"line {line_in(error, path)}: {type(error).__name__}, whose message can't be read"
    line = line_in(error, path)
    text = f"line {line}: " if line else ""
    # Python itself repeats file and line behind a syntax error's message.
    text += f"{type(error).__name__}: {error.msg if isinstance(error, SyntaxError) else error}"
    if isinstance(error, TypeError) and (match := re.search(r"unexpected keyword argument '(\w+)'", str(error))):
        for kind in (Case, Tolerance, Train, Export, operators.Operators):
            if f"{kind.__name__}." in str(error):
                return f"line {line}: {unknown_field(kind, match[1])}"
    if isinstance(error, ModuleNotFoundError) and error.name:
        package = error.name.partition(".")[0]
        folder = os.path.dirname(os.path.abspath(path))
        if os.path.exists(os.path.join(folder, f"{package}.py")) or os.path.isdir(os.path.join(folder, package)):
            return (
                f"{text} ({package} is beside this file, in a folder that Python doesn't look in: name {folder} in "
                "`pythonpath`, in pytest's configuration)"
            )
        text += f" (install it, and give the Case requires=({package!r},), so that it is `unavailable` elsewhere)"
    return text


def unknown_field(kind: type[Any], name: str) -> str:
    """The message for a misspelt field of Case, Tolerance, Train or Operators."""
    known = [f.name for f in fields(kind)]
    near = difflib.get_close_matches(name, known, 1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"{kind.__name__} has no field {name!r}.{hint} Fields: {', '.join(known)}"


def line_in(error: BaseException, path: str) -> int | None:
    """The last line of `path` in an exception's traceback."""
    if isinstance(error, SyntaxError) and error.filename == path:
        return error.lineno
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == path]
    return frames[-1].lineno if frames else None


def short_trace(error: BaseException, path: str) -> str:
    """The traceback from the case file on: what comes before is ours, or Python's, and tells the author nothing.

    A syntax error has no frame of the file, and names it by itself.
    """
    frames = traceback.extract_tb(error.__traceback__)
    first = next((i for i, frame in enumerate(frames) if frame.filename == path), len(frames))
    lines = traceback.format_list(frames[first:]) + traceback.format_exception_only(type(error), error)
    return "".join(lines)[-20000:]


def find(module: ModuleType, path: str) -> dict[str, Case]:
    """The cases of a module by name. Raises WorkerError for cases that can't be told apart, or for none at all."""
    stem = os.path.splitext(os.path.basename(path))[0]
    found: dict[str, Case] = {}
    variables: dict[str, str] = {}
    for variable, value in vars(module).items():
        if variable.startswith("_") or not isinstance(value, Case):
            continue
        name = stem if variable == "case" else variable
        if name in found:
            raise WorkerError(
                f"the variables {variables[name]!r} and {variable!r} both name the case {name!r}, since a variable "
                "`case` takes the file's name: rename one of them",
                "collect",
            )
        found[name], variables[name] = value, variable
    if not found:
        raise WorkerError(
            "the file imports pytest_modelconform but assigns no Case at module level: write "
            "`case = Case(model=…, inputs=…)`, or let the file's name begin with an underscore if it isn't a case file",
            "collect",
        )
    return found


def check(name: str, case: Case, path: str) -> None:
    """Look at the fields of a case in the file `path`. Raises WorkerError naming case, field and remedy."""

    def wrong(field: str, fault: str) -> WorkerError:
        return WorkerError(f"case {name!r}, field {field!r}: {fault}", "collect")

    model: Any = case.model
    if isinstance(model, type):
        if needed := _required(model):
            what = f"the class {model.__name__} needs arguments ({', '.join(needed)})"
            raise wrong("model", f"{what}: give them in a function, `model=lambda: {model.__name__}(…)`")
    elif hasattr(model, "forward"):
        kind = type(model).__name__
        raise wrong(
            "model",
            f"this is a {kind} that was built when the file was imported. Build it inside a function, so that every "
            f"use gets a fresh one: `model=lambda: {kind}(…)`",
        )
    elif not callable(model):
        what = f"this is a {type(model).__name__}"
        raise wrong("model", f"{what}: give a function that builds and returns the model, `model=lambda: Net(…)`")
    elif needed := _required(model):
        function = getattr(model, "__name__", "build").replace("<lambda>", "build")
        what = f"the function is called without arguments, and needs {', '.join(needed)}"
        raise wrong("model", f"{what}: wrap it, `model=lambda: {function}(…)`")
    if not isinstance(case.inputs, dict) or not case.inputs:
        raise wrong("inputs", 'give a dict of named functions, like {"one": lambda: (torch.rand(1, 3),)}')
    for key, function in case.inputs.items():
        if not isinstance(key, str) or not re.fullmatch(r"[\w.-]+", key):
            raise wrong("inputs", f"the name {key!r} may hold letters, digits, '_', '-' and '.' only")
        if not callable(function):
            raise wrong("inputs", f"give a function for {key!r}, so that every use gets fresh tensors: `lambda: (x,)`")
        if needed := _required(function):
            what = f"the function for {key!r} is called without arguments, and needs {', '.join(needed)}"
            raise wrong("inputs", f"{what}: wrap it in a lambda that gives them")
    if not isinstance(case.tolerance, Tolerance):
        raise wrong("tolerance", f"give a Tolerance(…), not {shown(case.tolerance)}")
    if not isinstance(case.tolerances, dict) or not all(isinstance(t, Tolerance) for t in case.tolerances.values()):
        raise wrong("tolerances", 'give a dict, like {"openvino": Tolerance(bits_lost=5, reason="…")}')
    for field, tolerance in (("tolerance", case.tolerance), *(("tolerances", t) for t in case.tolerances.values())):
        if fault := _fault_of(tolerance):
            raise wrong(field, fault)
    if fault := _fault_of_dtypes(case.dtypes):
        raise wrong("dtypes", fault)
    if fault := _fault_of_cpp(case, path):
        raise wrong("cpp", fault)
    for field in ("tags", "requires", "files"):
        value = getattr(case, field)
        if not isinstance(value, (tuple, list, set, frozenset)) or not all(isinstance(item, str) for item in value):
            like = f"({value!r},)" if isinstance(value, str) else _LIKE[field]
            raise wrong(field, f"give a tuple of strings, like {like}, not {shown(value)}")
    for tag in case.tags:
        if (
            not TAG.fullmatch(tag)
            or tag in TAKEN_TAGS
            or tag.startswith(("format_", "variant_", "runtime_", "device_", "dtype_", "precision_", "task_"))
        ):
            raise wrong(
                "tags",
                f"{tag!r} can't be a pytest marker: use lower-case letters, digits and '_', and none of the names that "
                "pytest or this plugin take (skip, xfail, format_…, runtime_…)",
            )
    if fault := operators.fault(case.operators, path):
        raise wrong("operators", fault)
    if case.train is not None and (fault := fault_of_training(case.train)):
        raise wrong("train", fault)
    if case.sequence is not None and (fault := fault_of_sequence(case.sequence)):
        raise wrong("sequence", fault)
    if fault := _fault_of_framework(case):
        raise wrong("framework", fault)
    if fault := _fault_of_twins(case):
        raise wrong("twins", fault)
    if fault := fault_of_exports(case):
        raise wrong("exports", fault)
    if case.mode not in MODES:
        raise wrong("mode", f"give 'eval' or 'train', not {shown(case.mode)}")
    if not isinstance(case.paper, str):
        raise wrong("paper", "give the citation or link as a text")
    if not isinstance(case.seed, int):
        raise wrong("seed", f"give a whole number, not a value of type {type(case.seed).__name__}")
    for field in ("blind_ok", "fixed_inputs"):
        if not isinstance(getattr(case, field), str):
            raise wrong(field, f"give the reason as a text, not {shown(getattr(case, field))}")
    if not isinstance(case.accept, dict):
        raise wrong(
            "accept",
            f'give a dict of reasons, like {{"{ACCEPTED[0]}": "why"}}; what can be accepted: {", ".join(ACCEPTED)}',
        )
    for what, reason in case.accept.items():
        if what not in ACCEPTED:
            raise wrong("accept", f"{what!r} can't be accepted; what can be: {', '.join(ACCEPTED)}")
        if not isinstance(reason, str) or not reason.strip():
            raise wrong("accept", f"give the reason for {what!r} as a text, not {shown(reason)}")


def cpp_source(case: Case, path: str) -> str | None:
    """The absolute path of the C++ source that a case in the file `path` names, if it names one."""
    return os.path.join(os.path.dirname(os.path.abspath(path)), case.cpp) if isinstance(case.cpp, str) else None


def cpp_files(case: Case, path: str) -> set[str]:
    """The files that the C++ source of a case consists of; those that are missing, too."""
    source = cpp_source(case, path)
    try:
        return paths(Path(source)) if source is not None else set()
    except (UnknownInclude, ValueError):
        # The compilation's error to tell, in the cells that need it; or that of the check, for a name that is none.
        return {str(source)}


def operator_files(case: Case, path: str) -> set[str]:
    """The files that register a case's own operators, with what C++ sources include; those that are missing, too."""
    found: set[str] = set()
    for file in (file for names in operators.named(case.operators, path).values() for file in names):
        if operators.is_file(file):
            try:
                found |= paths(Path(file)) if file.endswith(SUFFIXES) else {file}
            except UnknownInclude:
                found.add(file)  # the compilation's error to tell
    return found


def _fault_of_framework(case: Case) -> str:
    """What is wrong with a case's framework; "" if nothing is."""
    if case.framework not in FRAMEWORKS:
        return f"unknown framework {case.framework!r}; known: {', '.join(FRAMEWORKS)}"
    if case.framework == TORCH:
        return ""
    only = {"cpp": case.cpp is not None, "train": case.train is not None, "mode": case.mode != "eval"}
    only["operators"] = case.operators is not None
    only["sequence"] = case.sequence is not None
    only["dtypes"] = tuple(case.dtypes) != ("float32",)
    field = next((field for field, given in only.items() if given), None)
    return f"a model in {case.framework} can't have the field {field!r}: leave it out" if field else ""


def has(case: Case) -> list[str]:
    """What a case gives that brings cells which others don't have."""
    return [f for f in OPTIONAL if getattr(case, f) is not None] + [twin(framework) for framework in case.twins]


def _fault_of_twins(case: Case) -> str:
    """What is wrong with a case's twins; "" if nothing is."""
    if not isinstance(case.twins, dict):
        return 'give a dict of functions by framework, like {"keras": build_keras}'
    for framework, function in case.twins.items():
        if framework not in TWINS:
            return f"no twin can be in {framework!r}; known: {', '.join(TWINS)}"
        if not callable(function):
            return f"give a function for {framework!r} that takes the weights and returns the model"
    return "a model in another framework can't have twins" if case.twins and case.framework != TORCH else ""


def _fault_of_cpp(case: Case, path: str) -> str:
    """What is wrong with a case's C++ source, and the remedy; "" if nothing is."""
    if case.cpp is None:
        return ""
    if not isinstance(case.cpp, str) or os.path.isabs(case.cpp):
        return f'give the path of a C++ source relative to the case file, like "net.cpp", not {shown(case.cpp)}'
    if not case.cpp.endswith(SUFFIXES):
        return f"{case.cpp!r} isn't the name of a C++ source, which ends in {', '.join(SUFFIXES)}"
    if not os.path.isfile(str(cpp_source(case, path))):
        return f"{cpp_source(case, path)} doesn't exist: write it, see docs/cpp-frontend.md, or leave the field out"
    return ""


def _fault_of(tolerance: Tolerance) -> str:
    """What is wrong with a tolerance's values; "" if nothing is."""
    for f in fields(Tolerance):
        value = getattr(tolerance, f.name)
        if f.name == "reason":
            if not isinstance(value, str):
                return f"reason={value!r} must be a text"
        elif f.name == "strict":
            if not isinstance(value, bool):
                return f"strict={value!r} must be True or False"
        elif value is not None:
            number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
            if f.name == "cosine" and not (number and -1 <= value <= 1):
                return f"cosine={value!r} must be a number from -1 to 1"
            if not number or (f.name != "cosine" and value < 0):
                return f"{f.name}={value!r} must be a finite number, 0 or more (or be left out)"
    return ""


def _fault_of_dtypes(dtypes: Any) -> str:
    """What is wrong with a case's dtypes, and the remedy; "" if nothing is."""
    if not isinstance(dtypes, tuple) or not all(isinstance(dtype, str) for dtype in dtypes):
        return f'give a tuple of names, like ("float32", "bfloat16"), not {shown(dtypes)}'
    if not dtypes:
        return 'it is empty, so that nothing would run: leave it out, or give ("float32",)'
    for dtype in dtypes:
        if dtype not in DEFAULTS:
            near = difflib.get_close_matches(dtype, DEFAULTS, 1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            return f"a model can't be cast to {dtype!r}.{hint} Known: {', '.join(DEFAULTS)}"
    if len(set(dtypes)) < len(dtypes):
        twice = next(dtype for dtype in dtypes if dtypes.count(dtype) > 1)
        return f"{twice!r} is listed twice: remove one"
    return ""


def _required(function: Any) -> list[str]:
    """The names of the arguments without which a function can't be called, nor a class be made."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return []
    variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [p.name for p in parameters if p.default is inspect.Parameter.empty and p.kind not in variable]


def collect(path: str, relative: str) -> dict[str, Any]:
    """The answer to `collect`: what the pytest process needs to know of a file's cases.

    A case with a faulty field is listed with its fault, so that the others in the file still run.
    """
    with files.recorded() as opened:
        module = import_file(path, relative)
    listed = []
    sources: set[str] = set()
    for name, case in find(module, path).items():
        fault = None
        try:
            sources |= cpp_files(case, path) | operator_files(case, path)
            check(name, case, path)
        except WorkerError as error:
            fault = str(error)
        except Exception as error:  # Of a value that can't be looked at: one whose __repr__ raises, say.
            fault = f"case {name!r}: its fields can't be read: {type(error).__name__}: {error}"
        listed.append(
            {
                "name": name,
                "fault": fault,
                "tags": list(case.tags) if not fault else [],
                "paper": case.paper if not fault else "",
                "requires": list(case.requires) if not fault else [],
                "dtypes": list(case.dtypes) if not fault else [],
                "has": has(case) if not fault else [],
                "framework": case.framework if not fault else TORCH,
                "operators": operators.named(case.operators, path) if not fault else {},
                "exports": {name: export.kind for name, export in case.exports.items()} if not fault else {},
                "tolerance": asdict(case.tolerance) if not fault else {},
                "tolerances": {key: asdict(t) for key, t in case.tolerances.items()} if not fault else {},
            }
        )
    local = opened | files.local_modules(PACKAGE, path) | sources
    return {"cases": listed, "files": files.hashed(local)}
