"""The state of a training in a tensor file, the same in every language (cpp/libtorch/checkpoint.h).

model/NAME: parameters and buffers. optimizer/NAME.PART: the optimizer's state of a parameter, by PyTorch's names
(exp_avg, momentum_buffer, step, …). step: of the training. rng: the state of the CPU's generator.
"""

from __future__ import annotations

import torch

from ... import tensors
from ...loop import WorkerError
from ...tensors import Tensor
from ...torch_tensors import from_torch, to_torch

MODEL, OPTIMIZER = "model/", "optimizer/"
State = dict[str, torch.Tensor]


def write(file: str, model: torch.nn.Module, optimizer: torch.optim.Optimizer, step: int) -> None:
    """Write a checkpoint after so many steps."""
    written: dict[str, Tensor] = {MODEL + name: from_torch(value) for name, value in _all(model).items()}
    for name, parameter in model.named_parameters():
        for part, value in optimizer.state.get(parameter, {}).items():
            if value is not None:
                written[f"{OPTIMIZER}{name}.{part}"] = from_torch(_counted(part, torch.as_tensor(value)))
    written["step"] = from_torch(torch.tensor(step))
    written["rng"] = from_torch(torch.get_rng_state())
    tensors.write(file, written)


def read(file: str) -> State:
    """A checkpoint's tensors by key. Raises WorkerError for a file that is none."""
    try:
        return {key: to_torch(tensor) for key, tensor in tensors.read(file).items()}
    except (OSError, tensors.TensorFileError) as error:
        raise WorkerError(f"the checkpoint can't be read: {error}", "run") from error


def restore(state: State, model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> int:
    """Go back to a checkpoint; returns its step. Raises WorkerError listing what does not fit."""
    known = _all(model)
    found = {key[len(MODEL) :]: value for key, value in state.items() if key.startswith(MODEL)}
    faults = [
        ("lacks", [name for name in known if name not in found]),
        ("has, and the model has not,", [name for name in found if name not in known]),
        ("has in other shapes", [n for n, v in known.items() if n in found and found[n].shape != v.shape]),
    ]
    if any(names for _, names in faults):
        text = "; ".join(f"{what} {', '.join(names)}" for what, names in faults if names)
        raise WorkerError(f"the checkpoint {text}", "run")
    if "step" not in state:
        raise WorkerError("the checkpoint lacks its step", "run")
    with torch.no_grad():
        for name, value in known.items():
            value.copy_(found[name])
    for name, parameter in model.named_parameters():
        prefix = f"{OPTIMIZER}{name}."
        parts = {key[len(prefix) :]: value for key, value in state.items() if key.startswith(prefix)}
        parts = {part: value for part, value in parts.items() if "." not in part}
        if parts:
            optimizer.state[parameter] = {
                part: value.float() if part == "step" else value for part, value in parts.items()
            }
    if "rng" in state:
        torch.set_rng_state(state["rng"])
    return int(state["step"])


def _all(model: torch.nn.Module) -> State:
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}


def _counted(part: str, value: torch.Tensor) -> torch.Tensor:
    """Python counts steps in floating point, C++ in integers."""
    return value.to(torch.int64) if part == "step" else value
