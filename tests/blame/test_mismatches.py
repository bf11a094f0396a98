"""Searches for the operator that is wrong, in programs whose engine is known: what it gets wrong, and when."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import pytest

from pytest_modelconform.blame.mismatches import Mismatches
from pytest_modelconform.blame.trial import OutOfTime, Tried
from pytest_modelconform.terms.blame import Blame
from pytest_modelconform.terms.outcome import Outcome, Stage, Verdict
from pytest_modelconform.terms.program import Operator, Part, Program

CELL = Outcome(Verdict.MISMATCH, Stage.COMPARE, "wrong", inputs={"one": {"verdict": "mismatch"}})
NOT_FIT = Outcome(Verdict.ERROR, Stage.REFERENCE, "the outputs are constant")
CANT = Outcome(Verdict.ERROR, Stage.EXPORT, "RuntimeError: no translation")

# What an operator adds to the error of a part: of the part's operators and outputs.
Fault = Callable[["set[str]", "set[str]"], float]


def always(kept: set[str], outputs: set[str]) -> float:
    return 10.0


def with_(*others: str) -> Fault:
    """Only where others are in the same part, and none of their results is an output: fused with them."""
    return lambda kept, outputs: 10.0 if set(others) <= kept and not outputs & set(others) else 0.0


@dataclass
class Engine:
    """A runtime that is off by more than 1 where it is wrong.

    faults: by operator. gains: what an operator multiplies the error of its operands by. unfit: operators that are no
    case alone. cant: part sizes that the exporter refuses. from_module_only: whether the program is right as it is.
    """

    program: Program
    faults: Mapping[str, Fault]
    gains: Mapping[str, float] = field(default_factory=dict)
    unfit: Sequence[str] = ()
    cant: Callable[[Sequence[str], Sequence[str]], bool] = lambda kept, outputs: False
    is_right_whole: bool = False
    seconds: float = 1000
    parts: dict[Part, Tried] = field(default_factory=dict)

    @property
    def submodules(self) -> Program:
        return self.program

    def tried(self, part: Part) -> Tried:
        if part not in self.parts:
            if self.left() <= 0:
                raise OutOfTime
            self.parts[part] = self._run(part)
        return self.parts[part]

    def left(self) -> float:
        return self.seconds - len(self.parts)

    def _run(self, part: Part) -> Tried:
        if not part.operators and self.is_right_whole:
            return self._came_to({})
        names = [operator.name for operator in self.program.operators]
        constant = self._constant()
        kept = set(part.operators or names)
        if kept != constant & kept:
            kept |= constant
        kept -= set(part.fixed)
        outputs = list(part.outputs) or self._outputs(kept)
        if any(kept - constant == {name} for name in self.unfit):
            return Tried(outcome=NOT_FIT, fit=False)
        if self.cant(part.operators, outputs):
            return Tried(outcome=CANT)
        errors: dict[str, float] = {}
        for operator in self.program.operators:
            if operator.name in kept:
                error = max((errors.get(operand, 0.0) for operand in operator.takes), default=0.0)
                fault = self.faults.get(operator.name)
                own = fault(kept, set(outputs)) if fault else 0.0
                errors[operator.name] = error * self.gains.get(operator.name, 1.0) + own
        return self._came_to({name: errors[name] > 1 for name in outputs if name in errors})

    def _came_to(self, red: Mapping[str, bool]) -> Tried:
        verdict = Verdict.MISMATCH if any(red.values()) else Verdict.PASS
        stage = Stage.COMPARE if any(red.values()) else None
        outcome = Outcome(verdict, stage, bits=1.5, reference_bits=22.0, inputs={"one": {"verdict": verdict.value}})
        return Tried(outcome=outcome, red=red)

    def _outputs(self, kept: set[str]) -> list[str]:
        used = {operand for operator in self.program.operators for operand in operator.takes}
        needed = {operand for o in self.program.operators if o.name not in kept for operand in o.takes}
        return [o.name for o in self.program.operators if o.name in kept and (o.name in needed or o.name not in used)]

    def _constant(self) -> set[str]:
        found: set[str] = set()
        for operator in self.program.operators:
            if all(operand in found for operand in operator.takes):
                found.add(operator.name)
        return found


def program(**takes: str) -> Program:
    """Operators by name, with what they take: "x" is the input. One whose name ends in "_int" can't be compared."""
    return Program(
        operators=tuple(
            Operator(name=n, target=f"aten.{n}", call=n, takes=tuple(t.split()), comparable=not n.endswith("_int"))
            for n, t in takes.items()
        )
    )


def chain(length: int) -> Program:
    return program(**{f"op{i}": f"op{i - 1}" if i else "x" for i in range(length)})


def searched(engine: Engine) -> Blame:
    search = Mismatches(engine, CELL, lambda line: None)
    try:
        search.run()
    except OutOfTime:
        search.end()
    return search.blame()


def named(blame: Blame) -> list[list[str]]:
    return [[operator.name for operator in guilty.operators] for guilty in blame.guilty]


CHAIN = chain(40)
FORK = program(stem="x", left="stem", left2="left", right="stem", right2="right", add="left2 right2", head="add")
# In it, `scale` rests on weights alone.
FOLDED = program(a="x", grid="", scale="grid", mul="a scale", head="mul")

FOUND = {
    "one of a chain": (Engine(CHAIN, {"op17": always}), [["op17"]]),
    "the first": (Engine(CHAIN, {"op0": always}), [["op0"]]),
    "the last": (Engine(CHAIN, {"op39": always}), [["op39"]]),
    "the only one": (Engine(chain(1), {"op0": always}), [["op0"]]),
    "several, one after the other": (
        Engine(CHAIN, {"op5": always, "op20": always, "op21": always}),
        [["op5"], ["op20"], ["op21"]],
    ),
    "several beside each other": (Engine(FORK, {"left": always, "right2": always}), [["left"], ["right2"]]),
    "wrong only where it is an output, beside what makes the model wrong": (
        Engine(CHAIN, {"op9": lambda kept, outputs: 10.0 if "op9" in outputs else 0.0, "op17": with_("op16")}),
        [["op16", "op17"]],
    ),
    "another is wrong where it is an output beside others": (
        Engine(CHAIN, {"op0": lambda kept, outputs: 10.0 if outputs > {"op0"} else 0.0, "op17": always}),
        [["op17"]],
    ),
    "another is wrong where it is an output beside others, and two are wrong together": (
        Engine(CHAIN, {"op0": lambda kept, outputs: 10.0 if outputs > {"op0"} else 0.0, "op17": with_("op16")}),
        [["op16", "op17"]],
    ),
    "at most five": (Engine(CHAIN, {f"op{i}": always for i in range(9)}), [[f"op{i}"] for i in range(5)]),
    "vanishes where all results are looked at": (
        Engine(CHAIN, {"op17": with_("op16")}),
        [["op16", "op17"]],
    ),
    "a window of three": (Engine(CHAIN, {"op17": with_("op16", "op15")}), [["op15", "op16", "op17"]]),
    "a window whose middle doesn't matter": (Engine(CHAIN, {"op17": with_("op13")}), [["op13", "op17"]]),
    "green again behind it, and red at the end": (
        Engine(CHAIN, {"op10": always}, gains={"op12": 0.01, "op30": 1000.0}),
        [["op10"]],
    ),
    "of two outputs": (
        Engine(program(a="x", b="a", side="a", c="b"), {"side": always, "b": always}),
        [["b"], ["side"]],
    ),
    "behind what can't be compared": (
        Engine(program(a="x", top_int="a", pick="a top_int", b="pick"), {"pick": always}),
        [["pick"]],
    ),
    "what can't be compared itself": (
        Engine(program(a="x", top_int="a", pick="a top_int", b="pick"), {"top_int": always}),
        [["top_int"]],
    ),
    "what is no case alone": (Engine(CHAIN, {"op17": always}, unfit=["op17"]), [["op16", "op17"]]),
    "on weights alone": (Engine(FOLDED, {"scale": always}), [["scale"]]),
    "on weights alone, which is folded into what follows": (
        Engine(FOLDED, {"mul": with_("scale")}),
        [["scale", "mul"]],
    ),
    "what weights are folded into": (Engine(FOLDED, {"mul": always}), [["mul"]]),
    "a look that overwrites results": (
        Engine(CHAIN, {"op17": always, "op16": lambda kept, outputs: 10.0 * (len(outputs) > 2)}),
        [["op17"]],
    ),
    "a look that overwrites many results": (
        Engine(
            CHAIN, {"op17": always, **{f"op{i}": lambda kept, outputs: 10.0 * (len(outputs) > 2) for i in range(9)}}
        ),
        [["op17"]],
    ),
    "results can't be looked at": (
        Engine(CHAIN, {"op17": always}, cant=lambda kept, outputs: len(outputs) > 1),
        [["op17"]],
    ),
    "some prefixes can't be exported": (
        Engine(CHAIN, {"op17": always}, cant=lambda kept, outputs: len(outputs) > 1 or len(kept) in (20, 18, 15)),
        [["op17"]],
    ),
}


@pytest.mark.parametrize("name", FOUND)
def test_what_is_wrong_is_named_and_nothing_else(name: str) -> None:
    engine, expected = FOUND[name]
    blame = searched(engine)
    assert named(blame) == expected, blame.note
    assert all(guilty.bits == 1.5 and guilty.of == 22.0 and guilty.stage == "compare" for guilty in blame.guilty)
    assert len(engine.parts) <= 14 + 6 * len(expected), "tries"


def small_errors(kept: set[str], outputs: set[str]) -> float:
    return 0.11


NOT_FOUND = {
    "the program is right": (Engine(CHAIN, {}, is_right_whole=True), "right when exported from its program"),
    "right without writing in place": (Engine(CHAIN, {}), "writes to its operands"),
    "each is a little off": (Engine(CHAIN, {f"op{i}": small_errors for i in range(40)}), "the fewest that are wrong"),
    "no case": (Engine(CHAIN, {}, cant=lambda kept, outputs: not kept), "fails otherwise"),
    "no time": (Engine(CHAIN, {"op17": always}, seconds=2), "Time ended before it was found"),
}


@pytest.mark.parametrize("name", NOT_FOUND)
def test_nothing_is_named_without_confidence(name: str) -> None:
    engine, note = NOT_FOUND[name]
    if name == "right without writing in place":
        in_place = engine.tried(Part())
        engine.parts[Part()] = Tried(outcome=CELL, red={"op39": True})
        assert not in_place.red["op39"]
    blame = searched(engine)
    assert blame.guilty == ()
    assert note in blame.note


def test_what_was_found_when_time_ends_is_kept() -> None:
    blame = searched(Engine(CHAIN, {"op5": always, "op20": always}, seconds=5))
    assert named(blame) == [["op5"]]
    assert "Time ended" in blame.note


def test_an_input_set_that_parts_lack_is_not_taken_for_right() -> None:
    engine = Engine(CHAIN, {})
    cell = Outcome(Verdict.MISMATCH, Stage.COMPARE, inputs={"auto-shape": {"verdict": "mismatch"}})
    search = Mismatches(engine, cell, lambda line: None)
    search.run()
    assert "can't be run on the input sets" in search.blame().note
    assert not search.of_module_only


def test_whatever_the_graph_one_that_is_always_wrong_is_found_alone() -> None:
    """In graphs that are drawn, of one fault; some results can't be compared, some operators shrink errors."""
    draw = random.Random(0)
    for seed in range(200):
        size = draw.randint(1, 30)
        takes = {}
        names: list[str] = []
        for i in range(size):
            name = f"op{i}" + ("_int" if draw.random() < 0.15 and i < size - 1 else "")
            takes[name] = " ".join(draw.sample(names, min(len(names), draw.choice((1, 1, 1, 2))))) or "x"
            names.append(name)
        guilty = draw.choice(names)
        gains = {name: draw.choice((1.0, 1.0, 1.0, 0.05, 40.0)) for name in names}
        engine = Engine(program(**takes), {guilty: always}, gains)
        if not engine.tried(Part()).red or not any(engine.tried(Part()).red.values()):
            continue
        assert named(searched(engine)) == [[guilty]], (seed, takes, guilty, gains)


def test_of_a_model_that_is_slow_one_call_of_each_kind_is_tried_alone() -> None:
    kinds = ("conv2d", "permute", "gelu", "new_zeros")
    operators = tuple(
        Operator(
            name=f"{kind}_{i}",
            target=f"aten.{kind}.default",
            call=f"aten.{kind}(op_{i}, [{i // 50}, 1], ceil_mode=True)",
            takes=(f"{kinds[(i - 1) % 4]}_{i - 1}" if i else "x",),
        )
        for i, kind in enumerate(kinds * 20)
    )
    engine = Engine(Program(operators=operators), {f"gelu_{i}": always for i in range(2, 80, 4)}, seconds=100)
    slow = Outcome(Verdict.MISMATCH, Stage.COMPARE, seconds={"export": 30.0})
    search = Mismatches(engine, slow, lambda line: None)
    search.run()
    blame = search.blame()
    assert named(blame) == [["gelu_2"]]
    assert "19 more of aten.gelu.default" in blame.note
    assert {len(part.operators) for part in engine.parts} == {1}
    assert len(engine.parts) <= 8
    first = [part.operators[0].partition("_")[0] for part in engine.parts]
    assert first[:2] == ["conv2d", "gelu"]
    assert first[-1] == "permute"
    # Where no kind is wrong alone, what is left of the time is for the whole.
    engine = Engine(Program(operators=operators), {"gelu_6": with_("permute_5")}, seconds=100)
    search = Mismatches(engine, slow, lambda line: None)
    search.run()
    assert named(search.blame()) == [["permute_5", "gelu_6"]]
