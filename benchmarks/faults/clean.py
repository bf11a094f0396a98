"""Clean reruns: the same model, other inputs or weights, in real runtimes with other settings. All have to pass."""

from __future__ import annotations

import contextlib
import copy
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import openvino
import torch
from torch.utils._pytree import tree_map

from pytest_modelconform import generic_weights
from pytest_modelconform.cells.answers import Run
from pytest_modelconform.references.model_check import ModelFault
from pytest_modelconform.references.prepared import InputSet
from pytest_modelconform.workers.host.build import Built, digest, normalise
from pytest_modelconform.workers.host.state import seed_all
from pytest_modelconform.workers.loop import WorkerError

from .artifact import Artifact, OnnxArtifact, TorchArtifact, read_inputs, session
from .judge import Record, clean_record
from .mutants import Faulty
from .subject import Subject, exported, prepare

NOT_COMPARABLE = "not comparable"
KNOWN_FAULT = "known fault"
# (case, runtime, a setting or "" for all): what is wrong there. Such a rerun may fail without being a false alarm.
_POOLING = (
    "oneDNN's average pooling divides by the whole window where ceil_mode makes one hang over the edge: of ones that "
    "are padded by one it makes 1/3, where eager and ONNX Runtime make 1/2"
)
KNOWN = {
    ("large_integers", "openvino", ""): "OpenVINO computes int64 in 32 bits",
    ("pixels", "openvino", ""): _POOLING,
    ("pixels", "torch", "optimized for inference"): _POOLING,
}
MAGNITUDES = (1e-3, 1e-1, 10.0, 1e3)
SEEDS = 2
WEIGHTS_SEED = 1
LARGE = 60  # nodes
REPEATS = 2  # TorchScript optimises in the second run

Answer = Callable[[InputSet], list[Run]]


class SameInputs(Exception):
    """A variant that is the case itself: inputs that no seed changes, or no floating ones to scale."""


# -- variants of a case ------------------------------------------------------------------------------------------------


def other_seed(built: Built, seed: int) -> Built:
    """The inputs that the case's functions draw under another seed; without the sets that were made from others."""
    inputs = {}
    for key, function in built.case.inputs.items():
        seed_all(seed, built.name, key, "detection")
        inputs[key] = normalise(built.model, function(), built.name, key)
    return _changed(built, inputs)


def scaled(built: Built, factor: float) -> Built:
    """Floating inputs times a factor."""

    def scale(value: Any) -> Any:
        return value * factor if isinstance(value, torch.Tensor) and value.is_floating_point() else value

    return _changed(built, {key: tree_map(scale, value) for key, value in built.inputs.items()})


def _changed(built: Built, inputs: dict[str, Any]) -> Built:
    def tensors(values: dict[str, Any]) -> list[torch.Tensor]:
        return [leaf for leaf in torch.utils._pytree.tree_leaves(values) if isinstance(leaf, torch.Tensor)]

    pairs = zip(tensors({key: built.inputs[key] for key in inputs}), tensors(inputs), strict=True)
    if all(torch.equal(one, two) for one, two in pairs):
        raise SameInputs
    return replace(built, inputs=inputs, generated={k: v for k, v in built.generated.items() if k in inputs})


def other_weights(built: Built, seed: int) -> Built:
    """Generic weights of another seed, in the model itself: the last variant of a case."""
    generic_weights(built.model, seed=seed)
    # Artifacts are kept by it.
    return replace(built, digest=digest(built.model, built.inputs))


VARIANTS: dict[str, Callable[[Built], Built]] = {
    "as it is": lambda built: built,
    **{f"inputs of seed {seed}": partial(other_seed, seed=seed) for seed in range(1, SEEDS + 1)},
    **{f"inputs × {factor:g}": partial(scaled, factor=factor) for factor in MAGNITUDES},
    "other weights": partial(other_weights, seed=WEIGHTS_SEED),
}


# -- runtimes and their settings ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Setting:
    """A runtime with settings: makes a function that answers an input set, from an artifact."""

    runtime: str
    name: str
    make: Callable[[Any], Answer]


@contextlib.contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Another number of threads for the while."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def in_torch(threads: int, onednn: bool, change: Callable[[Any], Any], artifact: TorchArtifact) -> Answer:
    """TorchScript (or the model) with flags, as changed by `change`."""
    with torch.no_grad():
        module = change(artifact.module)

    def answer(entry: InputSet) -> list[Run]:
        changed = TorchArtifact(artifact.format, module)
        with torch_threads(threads), torch.backends.mkldnn.flags(enabled=onednn):
            return [changed.run(entry, read_inputs(entry)) for _ in range(REPEATS)]

    return answer


def channels_last(artifact: TorchArtifact) -> Answer:
    """Weights and images with the channels as the fastest dimension."""
    formats = {4: torch.channels_last, 5: torch.channels_last_3d}
    module = copy.deepcopy(artifact.module)
    for value in module.parameters():
        if value.dim() in formats:
            value.data = value.data.contiguous(memory_format=formats[value.dim()])

    def answer(entry: InputSet) -> list[Run]:
        inputs = {
            path: value.contiguous(memory_format=formats[value.dim()]) if value.dim() in formats else value
            for path, value in read_inputs(entry).items()
        }
        return [TorchArtifact(artifact.format, module).run(entry, inputs) for _ in range(REPEATS)]

    return answer


def in_ort(threads: int, level: str, artifact: OnnxArtifact) -> Answer:
    """ONNX Runtime at an optimisation level."""
    running = session(artifact.model.SerializeToString(), threads, level)
    return lambda entry: [artifact.answer(entry, read_inputs(entry), running.run)]


def in_openvino(threads: int, streams: int, artifact: OnnxArtifact) -> Answer:
    """OpenVINO, as the worker compiles it but for threads and streams."""
    options = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": streams}
    core = openvino.Core()
    compiled = core.compile_model(core.read_model(artifact.model.SerializeToString()), "CPU", options)
    infer = compiled.create_infer_request()

    def call(fetches: list[str], feeds: dict[str, Any]) -> list[Any]:
        infer.infer(feeds, share_inputs=False)
        return [infer.get_tensor(name).data.copy() for name in fetches]

    return lambda entry: [artifact.answer(entry, read_inputs(entry), call)]


def frozen(module: Any) -> Any:
    """With weights as constants."""
    return torch.jit.freeze(copy.deepcopy(module).eval())


def optimised(module: Any) -> Any:
    """Frozen, norms folded, and in oneDNN's layouts where those are faster."""
    return torch.jit.optimize_for_inference(copy.deepcopy(module).eval())


LEVELS = ("ORT_DISABLE_ALL", "ORT_ENABLE_BASIC", "ORT_ENABLE_EXTENDED", "ORT_ENABLE_ALL")
SETTINGS = [
    *(
        Setting(
            "torch",
            f"{threads} threads, oneDNN {'on' if onednn else 'off'}",
            partial(in_torch, threads, onednn, lambda module: module),
        )
        for threads in (1, 2)
        for onednn in (True, False)
    ),
    Setting("torch", "frozen", partial(in_torch, 1, True, frozen)),
    Setting("torch", "optimized for inference", partial(in_torch, 1, True, optimised)),
    Setting("torch", "channels last", channels_last),
    *(
        Setting("ort", f"{threads} threads, {level}", partial(in_ort, threads, level))
        for threads in (1, 2)
        for level in LEVELS
    ),
    *(
        Setting("openvino", f"{threads} threads, {streams} streams", partial(in_openvino, threads, streams))
        for threads, streams in ((1, 1), (2, 1), (2, 2))
    ),
]


def reruns(subject: Subject, wanted: int, seed: str, folder: Path) -> Iterator[Record]:
    """That many reruns of a case, spread over its variants and the settings."""
    serving = {"torch": "torch", "ort": "ort", "openvino": "ort"}
    settings = [setting for setting in SETTINGS if serving[setting.runtime] in subject.artifacts]
    combinations = [(variant, setting) for variant in VARIANTS for setting in settings]
    chosen = random.Random(f"{seed}:{subject.name}").sample(combinations, min(wanted, len(combinations)))
    for variant, change in VARIANTS.items():
        mine = [setting for name, setting in combinations if name == variant and (name, setting) in chosen]
        if mine:
            yield from _variant(subject, variant, change, mine, serving, folder / variant)


def _variant(
    subject: Subject,
    variant: str,
    change: Callable[[Built], Built],
    settings: list[Setting],
    serving: Mapping[str, str],
    folder: Path,
) -> Iterator[Record]:
    base = Record(subject.name, variant, "", "", "", NOT_COMPARABLE)
    artifacts = dict(subject.artifacts)
    try:
        built = change(subject.built)
        prepared = subject.prepared if built is subject.built else prepare(built, folder)
        if built.digest != subject.built.digest:
            artifacts = _anew(built, artifacts)
    except SameInputs:
        return
    except (WorkerError, ModelFault) as error:
        yield replace(base, message=str(error)[:300])
        return
    for setting in settings:
        artifact = artifacts.get(serving[setting.runtime])
        if artifact is None:
            continue
        at = (subject.name, setting.runtime)
        record = replace(base, where=setting.name, format=artifact.format, runtime=setting.runtime)
        try:
            answer = setting.make(artifact)
        except Exception as error:
            yield replace(record, message=f"{type(error).__name__}: {error}"[:300])
            continue
        record = clean_record(record, Faulty(answer, answer), prepared.sets, subject.tolerance)
        reason = next((KNOWN[key] for name in (setting.name, "") if (key := (*at, name)) in KNOWN), "")
        yield replace(record, verdict=KNOWN_FAULT, message=reason) if reason and not record.passed else record


def _anew(built: Built, artifacts: Mapping[str, Artifact]) -> dict[str, Artifact]:
    """Artifacts of a changed model, without large graphs: these take half a minute to export."""
    found: dict[str, Artifact] = {}
    for runtime, artifact in artifacts.items():
        if artifact.format == "eager":
            found[runtime] = artifact
        elif isinstance(artifact, TorchArtifact) or len(artifact.model.graph.node) < LARGE:  # type: ignore[attr-defined]
            found[runtime] = exported(built, artifact.format)
    return found
