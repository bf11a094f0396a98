"""What the case host leaves of eager's trainings, and trainings that it refuses."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from pytest_modelconform.references.model_check import ModelFault
from pytest_modelconform.workers import arrays, tensors
from pytest_modelconform.workers.host.build import Built, build, digest
from pytest_modelconform.workers.host.train import checkpoint, training
from pytest_modelconform.workers.host.train import data as train_data
from pytest_modelconform.workers.host.train import loop as train_loop
from pytest_modelconform.workers.loop import WorkerError
from tests.support import trainings

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning", "ignore:.*torch.jit.*:FutureWarning")


def test_runs(tmp_path: Path) -> None:
    case = trainings.built(tmp_path, trainings.NORM, '"momentum": 0.9')
    content = training.make(case, str(tmp_path))
    assert content["train"] == {
        "inputs": [{"tensor": "/0"}],
        "target": {"tensor": "/1"},
        "loss": "mse_loss",
        "optimizer": {"name": "sgd", "lr": 0.1, "momentum": 0.9},
        "steps": 4,
        "batch_size": 2,
        "resume_at": 2,
        "seed": train_loop.seed(case),
    }
    json.dumps(content)
    assert {key: value.shape for key, value in arrays.read(tmp_path / "data.safetensors").items()} == {
        "/0": (4, 3),
        "/1": (4, 2),
    }
    runs: dict[str, arrays.Array] = {}
    for file in tmp_path.glob("runs-training-*.safetensors"):
        runs |= arrays.read(file)
    names = {"start", "e0", "r", *(f"e{k}" for k in range(1, 6))}
    assert {key.partition(":")[0] for key in runs if key.endswith("/parameters/0.weight")} == names
    assert runs["r:/loss"].dtype == np.float64
    assert runs["e0:/loss"].shape == (4,)
    assert runs["e0:/buffers/1.num_batches_tracked"] == 4
    assert runs["start:/buffers/1.num_batches_tracked"] == 0
    # Begun a unit in the last place apart; what that grows to depends on the processor (1e-6 to 1e-5 were seen), while
    # another order of batches or another start would differ by 1e-2 and more.
    for k in range(1, 5):
        assert 0 < np.abs(runs[f"e{k}:/parameters/0.weight"] - runs["e0:/parameters/0.weight"]).max() < 1e-3
    # Nothing of that has changed the model, from which artifacts are made.
    assert digest(case.model, case.inputs) == case.digest


def test_a_training_is_what_a_loop_in_pytorch_gives(tmp_path: Path) -> None:
    case = trainings.built(tmp_path, trainings.MLP, '"optimizer": "adam", "steps": 5, "batch_size": 3')
    model = copy.deepcopy(case.model)
    x, target = case.inputs["data"][0]
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    losses = []
    # Batches of 3 and 1, again and again.
    for batch in (slice(0, 3), slice(3, 4), slice(0, 3), slice(3, 4), slice(0, 3)):
        optimizer.zero_grad()
        loss = torch.nn.functional.mse_loss(model(x[batch]), target[batch])
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
    found = train_loop.run(case, copy.deepcopy(case.model), case.inputs["data"][0])
    assert torch.equal(found["loss"], torch.stack(losses))
    for name, value in model.named_parameters():
        assert torch.equal(found["parameters"][name], value)


def test_no_gradient_is_not_a_gradient_of_zero(tmp_path: Path) -> None:
    case = trainings.built(tmp_path, "Unused()")
    found = train_loop.gradients(case, copy.deepcopy(case.model), case.inputs["data"][0])
    assert {name: value is None for name, value in found["gradients"].items()} == {
        "idle": True,
        "linear.weight": False,
        "linear.bias": False,
    }
    content = training.make(case, str(tmp_path))
    [_, (_, gradients)] = content["sets"]["gradients"]["outputs"]["dict"]
    assert dict(gradients["dict"])["idle"] == {"none": True}


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
def test_a_checkpoint_goes_on_where_it_was_written(tmp_path: Path, optimizer: str) -> None:
    momentum = ', "momentum": 0.9' if optimizer == "sgd" else ""
    model = "nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 2))"
    case = trainings.built(tmp_path, model, f'"optimizer": "{optimizer}", "resume_at": 3, "steps": 5{momentum}')
    file = tmp_path / "checkpoint.safetensors"
    whole = train_loop.run(case, copy.deepcopy(case.model), case.inputs["data"][0], save=str(file))
    answer = training.resume(case, {"checkpoint": str(file), "outputs": str(tmp_path / "out.safetensors")})
    found = arrays.read(tmp_path / "out.safetensors")
    assert (found["/loss"] == whole["loss"][3:].numpy()).all()
    for kind in ("parameters", "buffers"):
        for name, value in whole[kind].items():
            assert (found[f"/{kind}/{name}"] == value.numpy()).all(), name
    assert answer["seconds"] > 0
    keys = set(tensors.read(str(file)))
    assert {"step", "rng", "model/0.weight", "model/1.running_var"} <= keys
    parts = {key.rpartition(".")[2] for key in keys if key.startswith("optimizer/")}
    assert parts == ({"momentum_buffer"} if optimizer == "sgd" else {"step", "exp_avg", "exp_avg_sq"})


def test_checkpoints_that_do_not_fit(tmp_path: Path) -> None:
    case = trainings.built(tmp_path)
    file = tmp_path / "checkpoint.safetensors"
    train_loop.run(case, copy.deepcopy(case.model), case.inputs["data"][0], save=str(file))
    state = checkpoint.read(str(file))
    state["model/0.weigth"] = state.pop("model/0.weight")
    state["model/2.bias"] = torch.zeros(3)
    optimizer = torch.optim.SGD(case.model.parameters(), lr=0.1)
    says = r"the checkpoint lacks 0\.weight; has, and the model has not, 0\.weigth; has in other shapes 2\.bias"
    with pytest.raises(WorkerError, match=says) as caught:
        checkpoint.restore(state, case.model, optimizer)
    assert caught.value.stage == "run"
    (tmp_path / "no.safetensors").write_bytes(b"no")
    with pytest.raises(WorkerError, match="the checkpoint can't be read: "):
        checkpoint.read(str(tmp_path / "no.safetensors"))


@pytest.mark.parametrize(
    ("loss", "model", "dtype", "shape", "least", "most"),
    [
        ("cross_entropy", "nn.Linear(3, 5)", torch.int64, (4,), 0, 4),
        ("cross_entropy", "nn.Sequential(nn.Linear(3, 10), nn.Unflatten(1, (2, 5)))", torch.int64, (4, 5), 0, 1),
        ("binary_cross_entropy_with_logits", trainings.MLP, torch.float32, (4, 2), 0, 1),
        ("huber_loss", trainings.MLP, torch.float32, (4, 2), -5, 5),
    ],
)
def test_targets_that_are_drawn(
    tmp_path: Path, loss: str, model: str, dtype: torch.dtype, shape: tuple[int, ...], least: float, most: float
) -> None:
    case = trainings.built(tmp_path, model, f'"loss": "{loss}"')
    *_, target = case.inputs["data"][0]
    assert (target.dtype, tuple(target.shape)) == (dtype, shape)
    assert least <= target.min() < target.max() <= most
    # The same ones each time: artifacts and references belong together.
    again = train_data.for_training(build(*_where(case)), "")
    assert torch.equal(target, again.inputs["data"][0][-1])


def _where(case: Built) -> tuple[str, str, str]:
    [path] = [path for path in case.files if path.endswith(f"{case.name}.py")]
    return path, Path(path).name, case.name


@pytest.mark.parametrize(
    ("model", "train", "stage", "message"),
    [
        (
            trainings.MLP,
            '"loss": lambda y, t: y - t',
            "reference",
            r"the loss is a tensor of shape \(2, 2\); it must",
        ),
        (trainings.MLP, '"loss": lambda y, t: 1.0', "reference", "the loss is float; it must be a tensor without"),
        (
            trainings.MLP,
            '"loss": lambda y, t: t.sum()',
            "reference",
            "depends on no parameter that requires",
        ),
        (trainings.MLP, '"data": lambda: 1', "build", r"data must return \(inputs, target\), not a int"),
        (trainings.MLP, '"data": lambda: 1 / 0', "build", "data: line 21: ZeroDivisionError"),
        (
            trainings.MLP,
            '"data": lambda: (torch.rand(4, 3), torch.rand(5, 2))',
            "build",
            "the target has 5 samples, input 0 has 4: give as many of each",
        ),
        (trainings.MLP, '"data": lambda: (torch.rand(4, 3), 1)', "build", "the target must be a tensor with samples"),
        ("nn.LSTM(3, 2)", "", "build", r"returns a tuple, so that no target .* and a function as loss"),
        (
            "nn.Flatten(0)",
            '"loss": "nll_loss"',
            "build",
            r"an output of \(batch, classes, …\), not \(12,\)",
        ),
        ("nn.Identity()", "", "reference", "the loss depends on no parameter that requires"),
        (
            trainings.MLP,
            '"loss": lambda y, t: y.no',
            "reference",
            "the model can't be trained: AttributeError: 'Tensor'",
        ),
    ],
)
def test_what_can_not_be_trained(tmp_path: Path, model: str, train: str, stage: str, message: str) -> None:
    with pytest.raises(WorkerError, match=rf"case 'trained\d+'.*{message}") as caught:
        training.make(trainings.built(tmp_path, model, train), str(tmp_path))
    assert caught.value.stage == stage


@pytest.mark.parametrize(
    ("model", "train", "message"),
    [
        (trainings.MLP, '"lr": 1e30', "the loss is (nan|inf) in step [2-4], from which nothing can be learnt"),
        (trainings.MLP, '"lr": 1e-12', "training changes no parameter: are gradients switched off"),
        (trainings.MLP, '"lr": 1e-7', r"only end apart by 1/\d+ of what they learn, .* fewer steps, a smaller lr"),
        (
            "Noisy()",
            "",
            "a second training with the same seed ends with another loss.*draw from torch's generator only",
        ),
    ],
)
def test_trainings_that_nothing_can_be_compared_with(tmp_path: Path, model: str, train: str, message: str) -> None:
    noisy = """\
class Noisy(Unused):
    def forward(self, x):
        self.__class__.calls = getattr(self.__class__, "calls", 0) + 1
        return self.linear(x) * (1 + self.__class__.calls)


case ="""
    case = trainings.built(tmp_path, model, train, head=trainings.HEAD.replace("case =", noisy))
    with pytest.raises(ModelFault, match=message):
        trainings.prepared(case, tmp_path)


def test_what_is_worth_knowing_of_a_training(tmp_path: Path) -> None:
    # A bias before a batch norm: its gradient is zero but for rounding, of which Adam makes whole steps.
    adam = '"optimizer": "adam", "lr": 0.01, "batch_size": 4'
    notes = trainings.prepared(trainings.built(tmp_path, trainings.NORM, adam), tmp_path).content.notes
    assert "gradient of 0.bias is decided by rounding: only its size is compared" in notes
    assert any(
        note.startswith("can't see an error of 1 % in what 1 of 6 parameters learn (0.bias): ") for note in notes
    )
    dropout = "nn.Sequential(nn.Linear(3, 8), nn.Dropout(0.5), nn.Linear(8, 2))"
    notes = trainings.prepared(trainings.built(tmp_path, dropout), tmp_path).content.notes
    [note] = notes
    assert note.startswith("draws random numbers: trainings agree only where a runtime draws the same")
    assert trainings.prepared(trainings.built(tmp_path), tmp_path).content.notes == []


def test_without_a_float64_training_eager_is_the_middle(tmp_path: Path) -> None:
    body = "        if x.dtype == torch.float64: raise TypeError('float32 only')\n        return self.linear(x)"
    head = trainings.HEAD.replace("        return self.linear(x)", body).replace("self.idle", "self.calls")
    head = head.replace("        self.calls = nn.Parameter(torch.ones(2))\n", "")
    found = trainings.prepared(trainings.built(tmp_path, "Unused()", head=head), tmp_path)
    assert found.content.notes[0].startswith("gradients: the model does not run in float64: TypeError: float32 only")
    assert (found.sets["training"].references["['parameters']['linear.weight']"].reference_bits or 0) > 20


def test_a_case_in_training_is_another_one(tmp_path: Path) -> None:
    case = trainings.built(tmp_path)
    plain = build(*_where(case))
    assert case.digest != plain.digest
    assert (case.task, plain.task) == ("training", "inference")
    assert case.model.training
    assert not plain.model.training
    assert [tuple(value.shape) for value in case.clone_inputs()[0]] == [(2, 3)]  # exporters see a batch
