"""The table of what is known, and an outcome with its advice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..terms.case import TORCH
from ..terms.outcome import NOT_FIT, Outcome, Stage, Verdict
from . import around, files, operators, scripts, shapes, values
from .failure import Failure, Rule

# The first one that has something to say is heard: what is special stands before what is general.
RULES: Sequence[Rule] = (
    shapes.data_dependent,
    shapes.one,
    shapes.constraints,
    shapes.beyond_64_bits,
    values.cache_object,
    values.not_copied,
    values.complex_numbers,
    values.number,
    values.named_tuple,
    values.unknown_object,
    values.traced_output,
    around.checkpoint,
    around.autograd_function,
    around.compiled,
    operators.fake_kernel,
    operators.newer_opset,
    operators.own,
    operators.newer,
    operators.mixed_bounds,
    operators.packed,
    operators.functional_gradient,
    operators.lacking,
    operators.index_dtype,
    operators.kernel,
    values.foreign_object,
    values.untyped_default,
    values.sparse,
    scripts.variable_arguments,
    scripts.parents_method,
    scripts.hook,
    scripts.source,
    scripts.statement,
    scripts.annotation,
    scripts.closed_over,
    scripts.size_as_flag,
    files.too_new,
    files.saved_on_gpu,
    files.asks_for_gpu,
)
STAGES = (Stage.BUILD, Stage.REFERENCE, Stage.EXPORT, Stage.LOAD)
# What ends later has run. Numbers tell of its cause (diagnosis/), and these where an exception is all there is.
OF_RUNS: Sequence[Rule] = (shapes.fixed, shapes.split)


def advice(failure: Failure) -> str | None:
    """What to change in the case, as a sentence; None where nobody knows."""
    rules = RULES if failure.stage in STAGES else OF_RUNS if failure.stage is Stage.RUN else ()
    return next((sentence for rule in rules if (sentence := rule(failure))), None)


def advised(outcome: Outcome, framework: str = TORCH) -> Outcome:
    """An outcome with what to change, in `hints` and at the end of its message.

    Verdicts stay what they are. A cell that fails only since its model check does says so, and that is enough.
    """
    if outcome.verdict is not Verdict.ERROR or outcome.stage is None or outcome.hints:
        return outcome
    if outcome.message.startswith(NOT_FIT):
        return outcome
    sentence = advice(Failure(outcome.stage, outcome.message, framework))
    if sentence is None:
        return outcome
    said = replace(outcome, hints=(sentence,))
    return replace(said, message="\n".join([outcome.message.rstrip(), *said.hint_lines]))
