"""The answer to `diagnose`: what eager returns when something in it is changed, as a runtime may have changed it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from pytest_modelconform.terms.runs import NO_TIME

from ... import tensors
from ...tensors import Tensor
from ...torch_tensors import encode
from ..build import Built
from .hypotheses import (
    Runs,
    Subject,
    arithmetic,
    autocast,
    batch_norms_in_training,
    epsilon,
    filled,
    flag,
    ignored,
    model_in,
    read_as_contiguous,
    rewritten,
    swapped,
    training,
    weights,
)
from .rewrites import to_dtype, to_int8, to_tf32

_MOST_BYTES = 2**28  # of all variants of an input set together


@dataclass(frozen=True)
class Variant:
    """One hypothesis. kind and sentence: as in pytest_modelconform/diagnosis/nearest.py; `{}` is what `runs` yields.

    runs: yields (what takes the place of `{}`, a function that returns the outputs or raises).
    """

    name: str
    kind: str
    sentence: str
    runs: Callable[[Subject], Runs]


# Where two explain as much, the first one is taken.
VARIANTS = (
    Variant("layout", "cause", "input {} is transposed, and was read as if it were row-major", read_as_contiguous),
    Variant("ignored", "cause", "input {} is ignored: the exporters' value of it was baked in", ignored),
    Variant("mask-ones", "cause", "mask {} is ignored, as if it held 1 everywhere", filled(torch.ones_like, True)),
    Variant("mask-inverted", "cause", "mask {} is inverted", filled(lambda mask: (mask == 0).to(mask.dtype), True)),
    Variant("swapped", "cause", "inputs {} are swapped", swapped),
    Variant("zeros", "cause", "input {} is ignored, as if it were 0", filled(torch.zeros_like, False)),
    Variant(
        "batch-norm", "cause", "batch norms use the batch's own statistics, as in train mode", batch_norms_in_training
    ),
    Variant("gelu-tanh", "cause", "GELU by tanh instead of erf", rewritten("approximate", lambda _: "tanh", "gelu")),
    Variant("gelu-erf", "cause", "GELU by erf instead of tanh", rewritten("approximate", lambda _: "none", "gelu")),
    Variant("eps-0.1", "cause", "the epsilons of norms are a tenth of what they should be", epsilon(lambda e: e * 0.1)),
    Variant("eps-10", "cause", "the epsilons of norms are ten times what they should be", epsilon(lambda e: e * 10)),
    Variant("eps-1e-3", "cause", "the epsilons of norms are 1e-3", epsilon(lambda _: 1e-3)),
    Variant("eps-1e-5", "cause", "the epsilons of norms are 1e-5", epsilon(lambda _: 1e-5)),
    Variant("eps-1e-6", "cause", "the epsilons of norms are 1e-6", epsilon(lambda _: 1e-6)),
    Variant("align-corners", "cause", "align_corners is the other way round", flag("align_corners")),
    Variant("count-include-pad", "cause", "count_include_pad is the other way round", flag("count_include_pad")),
    Variant(
        "variance",
        "cause",
        "variances are divided by n instead of n - 1, or the reverse",
        rewritten("correction", lambda given: 0 if given in (None, 1) else 1),
    ),
    Variant("weights-float16", "precision", "float16 weights", weights(to_dtype(torch.float16))),
    Variant("weights-bfloat16", "precision", "bfloat16 weights", weights(to_dtype(torch.bfloat16))),
    Variant("weights-tf32", "precision", "TF32 weights", weights(to_tf32)),
    Variant("weights-int8", "precision", "int8 weights", weights(to_int8)),
    Variant("arithmetic-tf32", "precision", "TF32 arithmetic", arithmetic(to_tf32)),
    Variant("arithmetic-bfloat16", "precision", "bfloat16 arithmetic", arithmetic(to_dtype(torch.bfloat16))),
    Variant("autocast-bfloat16", "precision", "bfloat16 autocast", autocast),
    Variant("model-bfloat16", "precision", "bfloat16 throughout", model_in(torch.bfloat16)),
    Variant("model-float16", "precision", "float16 throughout", model_in(torch.float16)),
    Variant("training", "random", "dropout is active", training),
)


def make(built: Built, key: str, folder: str, seconds: float) -> dict[str, Any]:
    """Run the variants on an input set for as long as there is time; a file of outputs by path for each that ran.

    Returns `variants` (name, kind, sentence, file of each) and `skipped` (why, by name).
    """
    subject = Subject(built, key)
    begin = time.monotonic()
    found: list[dict[str, str]] = []
    skipped: dict[str, str] = {}
    longest, written = 0.0, 0
    for variant in VARIANTS:
        runs = variant.runs(subject)
        while True:
            started = time.monotonic()
            if started - begin + longest > seconds or written > _MOST_BYTES:
                skipped[variant.name] = NO_TIME
                break
            try:
                entry = next(runs, None)
                if entry is None:
                    break
                detail, run = entry
                outputs: dict[str, Tensor] = {}
                encode(run(), str, outputs)
                name = f"variant-{len(found)}.safetensors"
                tensors.write(os.path.join(folder, name), outputs)
            except Exception as error:
                # A model need not run in bfloat16, or with its inputs swapped: then that is not what happened.
                skipped[variant.name] = f"{type(error).__name__}: {error}"
                continue
            longest = max(longest, time.monotonic() - started)
            written += os.path.getsize(os.path.join(folder, name))
            sentence = variant.sentence.format(detail)
            found.append({"name": variant.name, "kind": variant.kind, "sentence": sentence, "file": name})
    return {"variants": found, "skipped": skipped}
