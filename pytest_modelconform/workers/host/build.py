"""Build a case's model and inputs, and say what exporters need to know of them."""

from __future__ import annotations

import hashlib
import inspect
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import torch
from torch.utils._pytree import tree_leaves, tree_map_only

from pytest_modelconform.terms.case import INT8, LAYOUT, TORCH, Case
from pytest_modelconform.terms.cell import INFERENCE
from pytest_modelconform.terms.runs import TRANSPOSED

from ..loop import WorkerError
from ..tensors import Tensor
from ..torch_tensors import Tree, encode, view_of
from . import cast, declared, dense, files, frameworks, kept, module, native_readers, quantise
from .cases import PACKAGE, check, cpp_files, cpp_source, explain, find, import_file, operator_files, short_trace
from .clones import clone, copied
from .forward import signature
from .generate import Call, Generated, dimensions, generate, is_dynamic, name_of
from .part_case import PartCase
from .state import enter, seed_all

native_readers.install()


@dataclass
class Built:
    """A case's model with all its input sets.

    inputs: (args, kwargs) by input set; keyword arguments are in forward's order, and what exporters see by place the
    other sets give by place, too, and the rest by name. exporter_set: the set that exporters see.
    dynamic_shapes: in torch.export's notation, with `Dim`s. input_leaves: path, dtype and shape (dynamic dimensions by
        name) of each tensor of that set, in the order of a flattened call.
    output_paths: paths of the tensors that eager returns, in order. digest: of parameters, buffers and inputs.
    generated: the input sets among `inputs` that are not the case's own.
    files: SHA-256 by path of the local files that the case was made from. dtype: of the model's parameters, buffers
    and inputs, unless they are integers. notes: what there is to say about the cast. cpp: absolute path of the model's
    C++ source, if the case names one. at_import: whether `model` only hands out a module that the file built when it
    was imported. options: what a case or the command line gives the exporter, by function, see formats/options.py.
    task: "training" for a model in training mode, whose input sets are those of train_data.py. libraries: of the case's
    own operators, those that the exporter loads. kept: what the model keeps in plain attributes, as it was built, see
    kept.py. put_back: puts attributes back that runs have changed, of a model that was built `at_import`.
    """

    case: Case
    name: str
    model: torch.nn.Module
    inputs: dict[str, tuple[tuple[Any, ...], dict[str, Any]]]
    exporter_set: str
    dynamic_shapes: Any
    input_leaves: list[dict[str, Any]]
    digest: str
    files: dict[str, str]
    output_paths: list[str]
    dtype: str
    notes: list[str]
    generated: dict[str, Generated] = field(default_factory=dict)
    cpp: str | None = None
    task: str = INFERENCE
    at_import: bool = False
    libraries: Sequence[str] = ()
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    kept: Mapping[str, object] = field(default_factory=dict)
    put_back: Callable[[Sequence[str]], None] | None = None

    def clone_inputs(self, name: str = "") -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Fresh inputs of a set; without a name of the one that exporters see."""
        args, kwargs = self.inputs[name or self.exporter_set]
        return clone(args), clone(kwargs)

    def weights(self) -> dict[str, Any]:
        """What a twin is given: arrays by the names of `state_dict()`."""
        return {name: value.detach().numpy().copy() for name, value in self.model.state_dict().items()}

    def argument_name(self, path: str) -> str:
        """The name of an argument's tensor, by forward's parameters: `/args/0` is `x`, `/kwargs/state/1` `state_1`."""
        kind, first, *rest = path.removeprefix("/").split("/")
        parameters = list(signature(self.model).parameters)
        if kind == "args":
            first = parameters[int(first)] if int(first) < len(parameters) else f"input_{first}"
        return "_".join([first, *rest])

    def by_name(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """All arguments by the names that forward gives them."""
        return dict(signature(self.model).bind(*args, **kwargs).arguments)


def on_device(built: Built, device: str) -> Built:
    """The case with its model and inputs on a device, and as it is where they are on the CPU."""
    if device == "cpu":
        return built

    def moved(value: torch.Tensor) -> torch.Tensor:
        return value.to(device)

    inputs = {key: tree_map_only(torch.Tensor, moved, built.clone_inputs(key)) for key in built.inputs}
    return replace(built, model=copied(built.model).to(device), inputs=inputs)


def build(path: str, relative: str, name: str, dtype: str = "float32") -> Built:
    """Import the file, build the case's model and inputs in a dtype. Raises WorkerError at stage collect or build."""
    with files.recorded(path, name) as opened:
        imported = import_file(path, relative)
        enter(imported.__name__)
        case = find(imported, path)[name]
        check(name, case, path)
        if fault := declared.fault_of_spec(case.dynamic_shapes):
            raise WorkerError(f"case {name!r}, field 'dynamic_shapes': {fault}", "build")
        model = _call(case.model, path, f"case {name!r}, field 'model'", case, name, "model")
        at_import = any(value is model for value in vars(imported).values())
        if case.framework != TORCH:
            model = _wrapped(name, case.framework, model)
        model = module.checked(name, model)
        try:
            signature(model)
        except TypeError as error:
            raise WorkerError(f"case {name!r}, field 'model': {error}", "build") from error

        def given(key: str, *purpose: str) -> Call:
            where = f"case {name!r}, input set {key!r}"
            value = _call(case.inputs[key], path, where, case, name, key, *purpose)
            return normalise(model, value if case.framework == TORCH else frameworks.to_torch(value), name, key)

        if module.has_lazy_weights(model):
            args, kwargs = given(next(iter(case.inputs)))
            settled = partial(module.settle, model, args, kwargs)
            _call(settled, path, f"case {name!r}, the call that lazy modules wait for", case, name, "model")
        module.set_mode(name, model, case.mode == "train")
        # A part of another case was cast, and quantised, with it.
        is_part = isinstance(case, PartCase)
        as_is = is_part or dtype in ("float32", INT8)

        def make(key: str, *purpose: str) -> Call:
            call = given(key, *purpose)
            return call if as_is else cast.cast(call, dtype)

        if not as_is:
            cast.cast_model(model, dtype)
        inputs = {key: make(key) for key in case.inputs}
        shapes = {key: leaf_shapes(name, key, model, case.dynamic_shapes, *value) for key, value in inputs.items()}
        declared.check(name, signature(model), case.dynamic_shapes, inputs)
        complete = declared.check_given(name, signature(model), case.dynamic_shapes, inputs)
        exporter_set = choose_exporter_set(name, {key: shapes[key] for key in complete})
        for key, call in inputs.items():
            inputs[key] = called_alike(model, call, len(inputs[exporter_set][0]))
            shapes[key] = leaf_shapes(name, key, model, case.dynamic_shapes, *inputs[key])
        notes = cast.notes(model, inputs, dtype) if dtype != "float32" and not is_part else []
        if dtype == INT8 and not is_part:
            model, note = quantise.quantised(name, model, inputs, exporter_set, with_dims(case.dynamic_shapes, {}))
            notes.append(note)
        generated: dict[str, Generated] = {}
        if not case.fixed_inputs:
            generated = generate(
                inputs,
                exporter_set,
                shapes,
                dimensions(case.dynamic_shapes),
                lambda purpose: make(exporter_set, purpose),
            )
        if LAYOUT in case.accept:
            generated.pop(TRANSPOSED, None)  # the model itself takes these for other inputs
    inputs |= {key: found.inputs for key, found in generated.items()}
    further = [os.path.join(os.path.dirname(path), file) for file in case.files]
    missing = [file for file in further if not os.path.isfile(file)]
    if missing:
        raise WorkerError(f"case {name!r}, field 'files': {missing[0]} doesn't exist", "build")
    local = opened | files.local_modules(PACKAGE, path, *further)
    local |= cpp_files(case, path) | operator_files(case, path)
    try:
        content = digest(model, inputs)
    except WorkerError as error:
        raise WorkerError(f"case {name!r}, {error}", "build") from error
    return Built(
        case=case,
        name=name,
        model=model,
        inputs=inputs,
        exporter_set=exporter_set,
        dynamic_shapes=with_dims(case.dynamic_shapes, {}),
        input_leaves=shapes[exporter_set],
        digest=content,
        files=files.hashed(local),
        output_paths=[],
        dtype=dtype,
        notes=notes,
        generated=generated,
        cpp=cpp_source(case, path),
        at_import=at_import,
        kept=kept.state(model),
        put_back=kept.keeper(model) if at_import else None,
    )


def other_numbers(built: Built) -> WorkerError:
    """The error where a case was built once more, and its parameters or inputs are not what they were."""
    if built.at_import:
        kind = type(built.model).__name__
        fault = (
            f"case {built.name!r}, field 'model': the function returns a {kind} that was built when the file was "
            "imported. It has other numbers now than when the references were made: an exporter or another case may "
            f"have changed it. Build it inside the function: `model=lambda: {kind}(…)`"
        )
    else:
        fault = (
            f"case {built.name!r}: building the model and the inputs a second time gave other numbers, so that nothing "
            "can be compared. Build both inside the functions of `model` and `inputs`, draw random numbers from torch, "
            "numpy or random only (these are seeded), and let nothing depend on time, addresses or the order of a set"
        )
    return WorkerError(fault, "build")


def _wrapped(name: str, framework: str, model: Any) -> torch.nn.Module:
    try:
        return frameworks.wrap(framework, model)
    except Exception as error:
        raise WorkerError(f"case {name!r}, field 'model': {type(error).__name__}: {error}", "build") from error


def _call(function: Any, path: str, what: str, case: Case, *purpose: str) -> Any:
    seed_all(case.seed, *purpose)
    try:
        return function()
    except BaseException as error:
        raise WorkerError(f"{what}: {explain(error, path)}", "build", "", short_trace(error, path)) from error


def normalise(model: torch.nn.Module, value: Any, name: str, key: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """(args, kwargs) of what an input function returned, in the order of forward's signature."""
    where = f"case {name!r}, input set {key!r}"
    if not isinstance(value, (tuple, dict)):
        raise WorkerError(
            f"{where}: the function returned a {type(value).__name__}: return a tuple of positional arguments, "
            "`(x,)`, or a dict of keyword arguments",
            "build",
        )
    args, kwargs = ((), value) if isinstance(value, dict) else (value, {})
    try:
        bound = signature(model).bind(*args, **kwargs)
    except TypeError as error:
        raise WorkerError(f"{where}: it doesn't fit forward{signature(model)}: {error}", "build") from error
    for given in tree_leaves((args, kwargs)):
        if isinstance(given, torch.Tensor) and (given.layout != torch.strided or given.is_nested):
            kind = "nested" if given.is_nested else str(given.layout).removeprefix("torch.")
            raise WorkerError(
                f"{where}: it has a {kind} tensor, and runtimes take dense ones: give its parts (indices and values, "
                "say) as inputs, and let forward make it of them; one that never changes can be a buffer",
                "build",
            )
    return args, dict(_in_order(bound, kwargs))


def called_alike(model: torch.nn.Module, call: Call, places: int) -> Call:
    """The same call with as many arguments by place, and the others by name; as it is where forward can't take that.

    Else two sets that give one tensor, one by place and one by name, had different inputs to an export.
    """
    args, kwargs = call
    parameters = list(signature(model).parameters.values())
    by_place = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    first, given = parameters[:places], signature(model).bind(*args, **kwargs).arguments
    if len(args) == places or any(one.kind not in by_place or one.name not in given for one in first):
        return call
    rest = [one for one in parameters[places:] if one.name in given]
    if any(one.kind in (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.VAR_POSITIONAL) for one in rest):
        return call
    moved = {one.name: given[one.name] for one in rest if one.kind is not inspect.Parameter.VAR_KEYWORD}
    return tuple(given[one.name] for one in first), moved | {k: v for k, v in kwargs.items() if k not in given}


def _in_order(bound: inspect.BoundArguments, kwargs: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    yield from ((k, kwargs[k]) for k in bound.signature.parameters if k in kwargs)
    yield from ((k, v) for k, v in kwargs.items() if k not in bound.signature.parameters)


def leaf_shapes(
    name: str, key: str, model: torch.nn.Module, spec: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> list[dict[str, Any]]:
    """Path, dtype, actual and declared shape of every tensor in a set's arguments."""
    parameters = list(signature(model).parameters)
    leaves: list[dict[str, Any]] = []

    def walk(value: Any, spec: Any, path: str) -> None:
        if isinstance(value, torch.Tensor):
            if odd := [axis for axis in spec if not isinstance(axis, int)] if isinstance(spec, dict) else []:
                raise WorkerError(
                    f"case {name!r}, field 'dynamic_shapes': {path} is a tensor: its dimensions are numbers, like "
                    f"{{0: 'batch'}}, not {odd[0]!r}",
                    "build",
                )
            names = _dimension_names(spec)
            wrong = [axis for axis in names if not -value.dim() <= axis < value.dim()]
            if wrong:
                raise WorkerError(
                    f"case {name!r}, field 'dynamic_shapes': it names dimension {wrong[0]} of {path}, which has "
                    f"{value.dim()} dimensions in input set {key!r}; the first one is 0",
                    "build",
                )
            shape = [names.get(axis, length) for axis, length in enumerate(value.shape)]
            dtype = str(value.dtype).removeprefix("torch.")
            leaves.append({"path": path, "dtype": dtype, "shape": shape, "actual": list(value.shape)})
        else:
            for k, v, inner in declared.inside(value, spec):
                walk(v, inner, f"{path}/{k}")

    if isinstance(spec, dict):
        unknown = [k for k in spec if k not in parameters and k not in kwargs]
        variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
        if unknown and not any(p.kind in variable for p in signature(model).parameters.values()):
            raise WorkerError(
                f"case {name!r}, field 'dynamic_shapes': forward has no parameter {unknown[0]!r}; it has "
                f"{', '.join(parameters)}",
                "build",
            )
    for i, value in enumerate(args):
        parameter = parameters[i] if i < len(parameters) else None
        if isinstance(spec, dict):
            walk(value, spec.get(parameter), f"/args/{i}")
        else:
            walk(value, spec[i] if spec is not None and i < len(spec) else None, f"/args/{i}")
    for k, value in kwargs.items():
        if isinstance(spec, (list, tuple)):
            position = parameters.index(k) if k in parameters else len(spec)
            walk(value, spec[position] if position < len(spec) else None, f"/kwargs/{k}")
        else:
            walk(value, spec.get(k) if spec else None, f"/kwargs/{k}")
    return leaves


def _dimension_names(spec: Any) -> dict[int, str]:
    """Names of the dynamic dimensions in torch.export's specification of one tensor."""
    entries = spec.items() if isinstance(spec, dict) else enumerate(spec) if isinstance(spec, (list, tuple)) else ()
    names = {}
    for axis, entry in entries:
        if is_dynamic(entry):
            names[int(axis)] = name_of(entry, int(axis))
    return names


def with_dims(spec: Any, dims: dict[str, Any]) -> Any:
    """dynamic_shapes with a `Dim` for every string, the same one for the same string."""
    if isinstance(spec, str):
        if spec not in dims:
            dims[spec] = torch.export.Dim(spec)
        return dims[spec]
    if isinstance(spec, dict):
        return {k: with_dims(v, dims) for k, v in spec.items()}
    if isinstance(spec, (list, tuple)):
        return type(spec)(with_dims(v, dims) for v in spec)
    return spec


def choose_exporter_set(name: str, shapes: dict[str, list[dict[str, Any]]]) -> str:
    """The first input set in which every dynamic dimension is at least 2.

    torch.export takes a length of 0 or 1 for a constant (measured: "Constraints violated … specialized to 1").
    """
    for key, leaves in shapes.items():
        lengths = [
            actual
            for leaf in leaves
            for declared, actual in zip(leaf["shape"], leaf["actual"], strict=True)
            if isinstance(declared, str)
        ]
        if all(length >= 2 for length in lengths):
            return key
    raise WorkerError(
        f"case {name!r}, field 'inputs': in each input set some dynamic dimension is 0 or 1, which torch.export takes "
        "for a constant: add an input set in which all are 2 or more",
        "build",
    )


def digest(model: torch.nn.Module, inputs: dict[str, Any]) -> str:
    """SHA-256 over parameters, buffers and inputs, with their names, dtypes, shapes and strides' order."""
    total = hashlib.sha256()

    def add(name: str, tensor: Tensor) -> None:
        total.update(repr((name, tensor.dtype, tensor.shape, tensor.order)).encode())
        total.update(tensor.data)

    given: dict[str, Tensor] = {}
    for key, (args, kwargs) in inputs.items():
        try:
            tree = [encode_inputs(args, kwargs, given, f"{key}:")]
        except WorkerError as error:
            raise WorkerError(f"input set {key!r}, {error}", "build") from error
        total.update(repr(tree).encode())
    # One after another, and not copied: there may be gigabytes.
    for name, value in {**dict(model.named_parameters()), **dict(model.named_buffers())}.items():
        for ending, part in dense.parts(value):
            add(f"{name}{ending}", view_of(part))
    for name, tensor in given.items():
        add(name, tensor)
    return total.hexdigest()


def encode_inputs(
    args: tuple[Any, ...], kwargs: dict[str, Any], out: dict[str, Tensor], prefix: str = ""
) -> tuple[list[Tree], list[list[Any]]]:
    """The wire's args and kwargs; tensors go into `out` under their paths."""

    def key(path: str) -> str:
        return prefix + path

    trees = [encode(value, key, out, f"/args/{i}", constants=True) for i, value in enumerate(args)]
    named = [[k, encode(value, key, out, f"/kwargs/{k}", constants=True)] for k, value in kwargs.items()]
    return trees, named
