"""What training and speed put around a model's operators, which a format doesn't take: each works without."""

from __future__ import annotations

from .failure import Failure


def checkpoint(failure: Failure) -> str | None:
    """A checkpoint of the reentrant kind, which is an autograd function without operators of its own, in a trace."""
    if not failure.search(r"unordered_map::at|Could not export Python function call 'CheckpointFunction'"):
        return None
    if "checkpoint" not in failure.message:
        return None
    return (
        f"{failure.line} saves memory in training only, and a trace can't follow it. Give it `use_reentrant=False`, or "
        "call the part itself where `not self.training`"
    )


def autograd_function(failure: Failure) -> str | None:
    """A `torch.autograd.Function` in a trace, which has a place for operators only."""
    found = failure.search(r"Could not export Python function call '(?P<name>\w+)'")
    if found is None:
        return None
    return (
        f"a trace has operators only, and {found['name']} is a torch.autograd.Function. Its backward is of use in "
        f"training: call `{found['name']}.apply(x)` if `self.training`, else what its forward computes. torch.export "
        "looks into it: formats `export` and `onnx`"
    )


def compiled(failure: Failure) -> str | None:
    """A model that torch.compile was applied to, in a trace."""
    if "trace a dynamo-optimized function" not in failure.message:
        return None
    return (
        "the model, or a part of it, was given to torch.compile, or it calls torch.cond or torch.while_loop, which do "
        "that themselves. Return the module itself from `model`: without torch.compile, or its `_orig_mod`. "
        "`--modelconform-runtimes torch-compile` compares what torch.compile makes of it. What has torch.cond can't be "
        "traced: use the formats `export` and `onnx`"
    )
