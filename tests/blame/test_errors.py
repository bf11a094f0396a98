"""Searches for what fails, in models of which it is known."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import pytest

from pytest_modelconform.blame.errors import is_searched, searched
from pytest_modelconform.blame.trial import OutOfTime, Tried
from pytest_modelconform.terms.blame import EXPORTER, RUNTIME, UNKNOWN, Blame
from pytest_modelconform.terms.outcome import Outcome, Stage, Verdict
from pytest_modelconform.terms.program import SUBMODULES, Operator, Part, Program

Says = Callable[[Sequence[str]], "Outcome | None"]
NOT_FIT = Outcome(Verdict.ERROR, Stage.REFERENCE, "the outputs are constant")


def failed(message: str, stage: Stage = Stage.EXPORT, verdict: Verdict = Verdict.ERROR) -> Outcome:
    return Outcome(verdict, stage, message)


BROKEN = failed("RuntimeError: the folding of a norm went wrong")


@dataclass
class Fake:
    """A model whose parts come to what `says` says of their operators; None is a pass. seconds: for how many tries."""

    program: Program
    says: Says
    seconds: float = 1000
    submodules: Program = field(default_factory=lambda: Program(operators=(), way=SUBMODULES))
    tried_parts: dict[Part, Tried] = field(default_factory=dict)

    def tried(self, part: Part) -> Tried:
        if part not in self.tried_parts:
            if len(self.tried_parts) >= self.seconds:
                raise OutOfTime
            outcome = self.says(part.operators or [o.name for o in self.program.operators]) or Outcome(Verdict.PASS)
            self.tried_parts[part] = Tried(outcome=outcome, fit=outcome is not NOT_FIT, seconds=1)
        return self.tried_parts[part]

    def left(self) -> float:
        return self.seconds - len(self.tried_parts)


def chain(*targets: str) -> Program:
    """Each takes what the one before it returns. Names as torch.export has them: "conv2d", "relu", "conv2d_1"."""
    operators: list[Operator] = []
    for target in targets:
        count = sum(other.target == f"aten.{target}.default" for other in operators)
        name = f"{target}_{count}" if count else target
        takes = (operators[-1].name,) if operators else ("x",)
        operators.append(Operator(name=name, target=f"aten.{target}.default", call=f"aten.{target}(…)", takes=takes))
    return Program(operators=tuple(operators))


def needs(*names: str, outcome: Outcome = BROKEN) -> Says:
    return lambda some: outcome if set(names) <= set(some) else None


def one_of(*all_says: Says) -> Says:
    """What the first says that has something to say, as an exporter ends at the first operator that it can't do."""
    return lambda some: next((found for says in all_says if (found := says(some))), None)


def named(blame: Blame) -> list[list[str]]:
    return [[operator.name for operator in guilty.operators] for guilty in blame.guilty]


LONG = chain(*("conv2d", "batch_norm", "relu") * 20, "flatten", "linear")


def test_the_operator_that_the_message_names_is_tried_first() -> None:
    message = "RuntimeError: no function for %relu_7 : [num_users=1] = call_function[target=aten.relu]"
    fake = Fake(LONG, needs("relu_7", outcome=failed(message)))
    blame = searched(fake, failed(message))
    assert named(blame) == [["relu_7"]]
    assert blame.guilty[0].message == message
    assert (blame.guilty[0].stage, blame.guilty[0].party) == ("export", EXPORTER)
    assert len(fake.tried_parts) <= 4


def test_a_message_that_names_another_operator_is_not_believed() -> None:
    message = "RuntimeError: no kernel of aten.relu here"
    fake = Fake(LONG, needs("linear", outcome=failed(message)))
    assert named(searched(fake, failed(message))) == [["linear"]]


@pytest.mark.parametrize("at", [0, 1, 30, 60, 61])
def test_one_of_many_by_halves(at: int) -> None:
    name = LONG.operators[at].name
    fake = Fake(LONG, needs(name))
    blame = searched(fake, BROKEN)
    assert named(blame) == [[name]]
    assert len(fake.tried_parts) <= 10


@pytest.mark.parametrize(
    "together",
    [
        ("conv2d_5", "batch_norm_5"),
        ("conv2d", "linear"),
        ("relu_1", "relu_2", "relu_9"),
        ("batch_norm", "batch_norm_3"),
    ],
)
def test_operators_that_fail_only_together(together: tuple[str, ...]) -> None:
    assert named(searched(Fake(LONG, needs(*together)), BROKEN))[:1] == [list(together)]


def test_a_part_that_fails_otherwise_is_no_proof() -> None:
    """Whatever is cut off before the last norm fails by another exception, of which the cell's says nothing."""
    other = failed("RuntimeError: an input of this type is not taken")

    def says(some: Sequence[str]) -> Outcome | None:
        if "relu_9" in some:
            return BROKEN
        return other if "conv2d" not in some else None

    assert named(searched(Fake(LONG, says), BROKEN))[0] == ["relu_9"]


def test_parts_that_are_no_cases_say_nothing() -> None:
    """Alone, and wherever a relu is last, it can't be tried."""

    def says(some: Sequence[str]) -> Outcome | None:
        if len(some) == 1 or some[-1].startswith("relu"):
            return NOT_FIT
        return BROKEN if "batch_norm_4" in some else None

    [first] = named(searched(Fake(LONG, says), BROKEN))
    assert "batch_norm_4" in first
    assert len(first) == 2


def test_a_part_that_was_not_run_on_what_fails_says_nothing() -> None:
    """A part that has a number in the place of a size takes the exported set only, and is right for that."""
    entries = {name: {"verdict": verdict, "message": ""} for name, verdict in (("one", "pass"), ("two", "error"))}
    entries["two"]["message"] = "Fail: it can't be reshaped"
    whole = Outcome(Verdict.ERROR, Stage.RUN, "input set 'two': Fail: it can't be reshaped", inputs=entries)
    right = Outcome(Verdict.PASS, inputs=entries | {"two": {"verdict": "pass"}})
    elsewhere = Outcome(Verdict.PASS, inputs={"one": {"verdict": "pass"}})

    def says(some: Sequence[str]) -> Outcome | None:
        if "relu_3" not in some:
            return right
        return whole if "batch_norm_3" in some else elsewhere

    assert named(searched(Fake(LONG, says), whole))[0] == ["batch_norm_3", "relu_3"]


def test_several_guilty_ones_in_the_order_of_the_model() -> None:
    kernel = failed("NotImplemented: could not find an implementation for Sort", Stage.LOAD)
    program = chain("conv2d", "sort", "relu", "stft", "relu", "sort", "linear")
    fake = Fake(program, one_of(needs("stft", outcome=BROKEN), needs("sort", outcome=kernel), needs("sort_1")))
    blame = searched(fake, BROKEN)
    assert named(blame) == [["sort"], ["stft"]]
    assert [guilty.stage for guilty in blame.guilty] == ["load", "export"]
    assert [guilty.party for guilty in blame.guilty] == [UNKNOWN, EXPORTER]
    assert "aten.sort.default has 1 other call, which was not tried" in blame.note


def test_what_is_wrong_beside_it_is_said() -> None:
    wrong = Outcome(Verdict.MISMATCH, Stage.COMPARE, "wrong values")
    blame = searched(Fake(LONG, one_of(needs("linear"), needs("relu", outcome=wrong))), BROKEN)
    assert named(blame) == [["linear"]]
    assert "Without what is named, the rest is a mismatch at compare" in blame.note


@pytest.mark.parametrize(
    ("whole", "note"),
    [
        (None, "The model is right when exported from its program; from the module, it is an error at export"),
        (
            failed("ValueError: no"),
            "From its program, the model fails otherwise than from the module: an error at export",
        ),
        (NOT_FIT, "The model's program can't be a case: the outputs are constant"),
    ],
)
def test_a_program_that_does_not_fail_alike(whole: Outcome | None, note: str) -> None:
    fake = Fake(LONG, lambda some: whole)
    blame = searched(fake, BROKEN)
    assert blame.guilty == ()
    assert blame.note.startswith(note)
    assert {part for part in fake.tried_parts if part.way != SUBMODULES} == {Part()}


@pytest.mark.parametrize("program", [Outcome(Verdict.PASS), failed("ValueError: no source")])
def test_a_submodule_that_fails_only_as_a_module(program: Outcome) -> None:
    """Its program is right, or can't be scripted, say: then its submodules are tried as they are."""

    def says(some: Sequence[str]) -> Outcome | None:
        if len(some) > 1:
            return program
        # A list of modules is no case, those in it are.
        return {"body": NOT_FIT, "norm": BROKEN}.get(some[0])

    fake = Fake(LONG, says, submodules=tree({"": ["body", "head"], "body": ["act", "norm"]}))
    blame = searched(fake, BROKEN)
    assert [(o.name, o.target) for o in blame.guilty[0].operators] == [("norm", "Norm")]
    assert blame.way == SUBMODULES
    assert "rom its program" in blame.note


@pytest.mark.parametrize("verdict", [Verdict.CRASH, Verdict.TIMEOUT])
def test_crashes_and_hangs(verdict: Verdict) -> None:
    died = failed("ort was killed by SIGSEGV (segmentation fault)", Stage.RUN, verdict)
    blame = searched(Fake(LONG, needs("flatten", outcome=died)), died)
    assert named(blame) == [["flatten"]]
    assert blame.guilty[0].party == RUNTIME


@pytest.mark.parametrize("seconds", range(14))
def test_when_time_ends_what_is_named_fails_alone(seconds: int) -> None:
    fake = Fake(LONG, needs("conv2d_9", "batch_norm_9"), seconds)
    blame = searched(fake, BROKEN)
    for names in named(blame):
        assert {"conv2d_9", "batch_norm_9"} <= set(names)
        assert len(names) <= 4
    assert blame.guilty or "Time ended" in blame.note


def test_whatever_is_needed_is_found() -> None:
    """Random graphs: an operator takes one or two of those before it."""
    rng = random.Random(0)
    for _ in range(60):
        count = rng.randint(2, 40)
        operators = [
            Operator(
                name=f"op{n}", target=f"aten.t{n}.default", call="",
                takes=tuple({f"op{rng.randrange(n)}" for _ in range(rng.randint(1, 2))}) if n else ("x",),
            )
            for n in range(count)
        ]  # fmt: skip
        wanted = sorted(rng.sample(range(count), min(count, rng.randint(1, 3))))
        fake = Fake(Program(operators=tuple(operators)), needs(*(f"op{n}" for n in wanted)))
        assert named(searched(fake, BROKEN)) == [[f"op{n}" for n in wanted]]


# -- submodules --------------------------------------------------------------------------------------------------------


def tree(calls: Mapping[str, Iterable[str]], **more: Operator) -> Program:
    """calls: by the name of a call ("" for the model) those that it makes."""
    parents = {name: parent for parent, names in calls.items() for name in names}
    operators = tuple(more.get(name) or Operator(name=name, target=name.title(), call=f"{name}(x)") for name in parents)
    return Program(
        operators=operators,
        way=SUBMODULES,
        problem="torch.export refuses the model.",
        parents={name: parent for name, parent in parents.items() if parent},
    )


MODEL = {"": ["backbone", "head", "anchors"], "backbone": ["stem", "body"], "head": ["boxes", "classes"]}


def test_the_smallest_submodule_that_fails_alike() -> None:
    fake = Fake(tree(MODEL), lambda some: BROKEN if some[0] in ("head", "classes") else None)
    blame = searched(fake, BROKEN)
    assert named(blame) == [["classes"]]
    assert blame.way == SUBMODULES
    assert blame.note == "torch.export refuses the model."


def test_a_submodules_own_code() -> None:
    blame = searched(Fake(tree(MODEL), lambda some: BROKEN if some[0] == "head" else None), BROKEN)
    assert named(blame) == [["head"]]
    assert "None of the submodules that head calls fails alike: it is its own code." in blame.note


def test_a_submodule_whose_parts_fail_otherwise() -> None:
    """What fails by another error may hide the one that is looked for."""
    other = failed("OSError: no source")
    blame = searched(
        Fake(tree(MODEL), lambda some: {"head": BROKEN, "boxes": other}.get(some[0])),
        BROKEN,
    )
    assert named(blame) == [["head"]]
    assert blame.note.endswith("None of the submodules that head calls fails alike. Alone, by another error: boxes.")


def test_the_models_own_code() -> None:
    def says(some: Sequence[str]) -> Outcome | None:
        return NOT_FIT if some[0] == "anchors" else failed("ValueError: another") if some[0] == "head" else None

    blame = searched(Fake(tree(MODEL), says), BROKEN)
    assert blame.guilty == ()
    assert "No submodule that can be tried fails alike when it is alone." in blame.note
    assert "Not tried alone, since no case could be made of it: anchors." in blame.note


def test_the_submodule_that_the_message_names_is_tried_first() -> None:
    message = "UserError: could not guard\nCaused by: (detectors/heads.py:31 in forward)"
    at = Operator(name="anchors", target="Anchors", call="", file="/venv/lib/detectors/heads.py", line=31)
    fake = Fake(tree(MODEL, anchors=at), lambda some: failed(message) if some[0] == "anchors" else None)
    assert named(searched(fake, failed(message))) == [["anchors"]]
    assert len(fake.tried_parts) == 1


GUARD = "GuardOnDataDependentSymNode: Could not guard on data-dependent expression {} > 4000\nCaused by: ({})"


def test_the_line_of_the_models_own_code() -> None:
    """SSDLite: no submodule has what torch.export can't guard on, and the message tells the line."""
    whole = failed(GUARD.format("u0", "torchvision/ops/boxes.py:86 in batched_nms"))
    elsewhere = failed(GUARD.format("u1", "detectors/heads.py:12 in forward"))
    blame = searched(Fake(tree(MODEL), lambda some: elsewhere if some[0] == "head" else None), whole)
    [guilty] = blame.guilty
    [operator] = guilty.operators
    assert (operator.target, operator.file, operator.line) == ("batched_nms", "torchvision/ops/boxes.py", 86)
    assert "No submodule that can be tried fails alike when it is alone; the line is the exporter's word." in blame.note
    right = searched(Fake(tree(MODEL), lambda some: None), whole)
    assert "No submodule that can be tried fails alike when it is alone: it is the model's own code." in right.note
    # What can't be tried may be what has it: then that is the exporter's word only.
    blame = searched(Fake(tree(MODEL), lambda some: NOT_FIT if some[0] == "head" else None), whole)
    assert blame.guilty == (guilty,)
    assert "the line is the exporter's word" in blame.note


def test_the_line_of_a_submodules_own_code() -> None:
    whole = failed(GUARD.format("u0", "detectors/heads.py:12 in forward"))
    blame = searched(Fake(tree(MODEL), lambda some: whole if some[0] == "head" else None), whole)
    [operator] = blame.guilty[0].operators
    assert (operator.name, operator.file, operator.line) == ("head", "detectors/heads.py", 12)


@pytest.mark.parametrize("seconds", range(6))
def test_when_time_ends_among_submodules(seconds: int) -> None:
    blame = searched(Fake(tree(MODEL), lambda some: BROKEN if some[0] in ("head", "boxes") else None, seconds), BROKEN)
    assert named(blame) in ([], [["head"]], [["boxes"]])
    if named(blame) != [["boxes"]]:
        assert "Time ended" in blame.note


# -- where torch.export gives up ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("module", "fails", "names", "note"),
    [
        ("head.boxes", ["head", "head.boxes"], "head.boxes", "torch.export gives up in head.boxes."),
        ("head.boxes", ["head"], "head", "Alone, head.boxes can be exported."),
        ("head.boxes", [], "", "Alone, head.boxes and head can be exported."),
        ("", ["head", "head.boxes"], "", "torch.export gives up in the code of the model itself."),
    ],
)
def test_the_submodule_in_which_torch_export_gives_up(module: str, fails: list[str], names: str, note: str) -> None:
    """Only what ran when it gave up is tried; if that is right alone, its line is told all the same."""
    message = GUARD.format("u0", "torchvision/ops/boxes.py:86 in batched_nms")
    stopped = Operator(
        name="", target="batched_nms", call="if n > 4000:", module=module, file="/lib/boxes.py", line=86,
        source="if n > 4000:",
    )  # fmt: skip
    program = replace(
        tree({"": ["backbone", "head"], "head": ["head.boxes", "head.classes"]}),
        problem=f"torch.export can't capture the model: {GUARD.format('u3', '').splitlines()[0]}",
        stopped=stopped,
    )
    fake = Fake(program, lambda some: failed(message) if some[0] in fails else None)
    blame = searched(fake, failed(message))
    [[operator]] = [guilty.operators for guilty in blame.guilty]
    assert operator.name == names
    if operator.name in ("", module):
        assert (operator.file, operator.line, operator.source) == ("/lib/boxes.py", 86, "if n > 4000:")
    assert note in blame.note
    assert {part.operators[0] for part in fake.tried_parts} <= {"head", "head.boxes"}
    # Another failure of the same model: its submodules are searched.
    other = searched(Fake(program, lambda some: BROKEN if some[0] == "backbone" else None), BROKEN)
    assert named(other) == [["backbone"]]
    # Time that ends takes nothing from what is known.
    assert searched(Fake(program, lambda some: None, seconds=0), failed(message)).guilty[0].operators == (stopped,)


def test_which_outcomes_are_searched_here() -> None:
    assert is_searched(BROKEN)
    assert is_searched(failed("", Stage.RUN, Verdict.CRASH))
    assert not is_searched(Outcome(Verdict.MISMATCH, Stage.COMPARE))
    assert not is_searched(failed("", Stage.REFERENCE))
    assert not is_searched(failed("", Stage.ENVIRONMENT))
    assert not is_searched(Outcome(Verdict.UNSUPPORTED, Stage.EXPORT))


@dataclass
class OnWeights(Fake):
    """One whose operators `made` and `written` rest on weights alone: they come along with what needs them."""

    def tried(self, part: Part) -> Tried:
        names = set(part.operators)
        if part.operators and "sampled" in names:
            names |= {"made", "written"} - set(part.fixed)
        return super().tried(replace(part, operators=tuple(names)))


def test_what_was_found_on_weights_does_not_come_along_with_what_needs_it() -> None:
    """torchvision's rotate: the grid is made of numbers alone, and grid_sampler was named for what made it."""
    operators = (
        Operator(name="made", target="aten.copy.default", call=""),
        Operator(name="written", target="aten.select_scatter.default", call="", takes=("made",)),
        Operator(name="sampled", target="aten.grid_sampler.default", call="", takes=("x", "written")),
        Operator(name="relu", target="aten.relu.default", call="", takes=("sampled",)),
    )
    fake = OnWeights(Program(operators=operators), needs("made", "written"))
    blame = searched(fake, BROKEN, lambda line: None)
    assert named(blame) == [["made", "written"]]
