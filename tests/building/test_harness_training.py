"""The libtorch harness trains: a real build, real modules, over the wire, compared with loops in PyTorch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from pytest_modelconform.terms.case import LOSSES
from tests.building.talking import Worker, read_outputs, write_inputs

pytestmark = [
    pytest.mark.compiles,
    pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning", "ignore:.*torch.jit.*:FutureWarning"),
]
jit: Any = torch.jit


class Net(torch.nn.Module):
    """With a batch norm, a dropout, a parameter that gets no gradient and one that must not."""

    def __init__(self) -> None:
        super().__init__()
        # Without a bias: before a batch norm its gradient is rounding, of which Adam makes whole steps.
        self.first = torch.nn.Linear(3, 8, bias=False)
        self.norm = torch.nn.BatchNorm1d(8)
        self.drop = torch.nn.Dropout(0.5)
        self.last = torch.nn.Linear(8, 2)
        self.idle = torch.nn.Parameter(torch.ones(2))
        self.frozen = torch.nn.Parameter(torch.ones(2), requires_grad=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.last(self.drop(torch.tanh(self.norm(self.first(x))))) * self.frozen
        return result


class Pair(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(3, 2)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.linear(x), x


SGD = {"name": "sgd", "lr": 0.1, "momentum": 0.9}
ADAM = {"name": "adam", "lr": 0.05}
ADAMW = {"name": "adamw", "lr": 0.05, "weight_decay": 0.1}
CLASSES = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW}


@pytest.fixture
def worker(libtorch: Worker) -> Worker:
    return libtorch


@pytest.fixture
def net() -> Net:
    torch.manual_seed(0)
    return Net().train()


@pytest.fixture
def loaded(worker: Worker, net: Net, tmp_path: Path) -> Worker:
    jit.script(net).save(tmp_path / "net.pt")
    worker.get("load", model=str(tmp_path / "net.pt"))
    return worker


# In batches of four: the second one is smaller.
X = torch.linspace(-1, 9, 18).reshape(6, 3).sin()
Y = torch.linspace(-2, 7, 12).reshape(6, 2).cos()
BATCHES = (slice(0, 4), slice(4, 6))


def fields(folder: Path, **more: Any) -> dict[str, Any]:
    data = write_inputs(folder / "data.safetensors", {"x": X, "y": Y})
    asked: dict[str, Any] = {
        "data": str(data),
        "inputs": [{"tensor": "x"}],
        "target": {"tensor": "y"},
        "loss": "mse_loss",
    }
    asked |= {"optimizer": SGD, "steps": 5, "batch_size": 4, "seed": 5, "outputs": str(folder / "out.safetensors")}
    return {key: value for key, value in (asked | more).items() if value is not None}


def trained(worker: Worker, folder: Path, **more: Any) -> dict[str, torch.Tensor]:
    answer = worker.get("train", **fields(folder, **more))
    assert answer["seconds"] > 0
    # Copies: they are on the file's memory, which the next training writes to.
    return {key: value.clone() for key, value in read_outputs(folder / "out.safetensors").items()}


def expected(net: Net, optimizer: dict[str, Any], steps: int = 5) -> dict[str, torch.Tensor]:
    """What PyTorch's own loop leaves."""
    options = {key: value for key, value in optimizer.items() if key != "name"}
    chosen = CLASSES[optimizer["name"]](net.parameters(), **options)
    torch.manual_seed(5)
    losses = []
    for step in range(steps):
        chosen.zero_grad()
        batch = BATCHES[step % 2]
        loss = torch.nn.functional.mse_loss(net(X[batch]), Y[batch])
        torch.autograd.backward(loss)
        chosen.step()
        losses.append(loss.detach())
    found = {f"0/parameters/{name}": value.detach() for name, value in net.named_parameters()}
    found |= {f"0/buffers/{name}": value for name, value in net.named_buffers()}
    return {"0/loss": torch.stack(losses), **found}


def same(found: dict[str, torch.Tensor], wanted: dict[str, torch.Tensor]) -> None:
    assert found.keys() == wanted.keys()
    for key, value in wanted.items():
        torch.testing.assert_close(found[key], value, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("optimizer", [SGD, ADAM, ADAMW, {"name": "sgd", "lr": 0.1, "weight_decay": 0.5}], ids=str)
def test_a_training(loaded: Worker, net: Net, tmp_path: Path, optimizer: dict[str, Any]) -> None:
    # In eval mode when it was loaded: it is trained all the same.
    first = trained(loaded, tmp_path, optimizer=optimizer)
    same(first, expected(net, optimizer))
    assert first["0/buffers/norm.num_batches_tracked"] == 5
    assert torch.equal(first["0/parameters/idle"], torch.ones(2))
    assert torch.equal(first["0/parameters/frozen"], torch.ones(2))
    # Another one in the same process begins anew, with the same random numbers; a run between them changes nothing.
    loaded.run({"x": X}, args=[{"tensor": "x"}], kwargs=[])
    again = trained(loaded, tmp_path, optimizer=optimizer)
    assert all(torch.equal(first[key], again[key]) for key in first)
    other = trained(loaded, tmp_path, optimizer=optimizer, seed=6)
    assert not torch.equal(first["0/loss"], other["0/loss"])


def test_gradients(loaded: Worker, net: Net, tmp_path: Path) -> None:
    asked = fields(tmp_path, gradients=True, optimizer=None, steps=None)
    answer = loaded.get("train", **asked)
    [_, (name, tree)] = answer["outputs"]["dict"]
    assert name == "gradients"
    assert {key: "none" in value for key, value in tree["dict"] if "none" in value} == {"idle": True, "frozen": True}
    torch.manual_seed(5)
    loss = torch.nn.functional.mse_loss(net(X[:4]), Y[:4])
    torch.autograd.backward(loss)
    wanted = {f"0/gradients/{name}": value.grad for name, value in net.named_parameters() if value.grad is not None}
    same(read_outputs(tmp_path / "out.safetensors"), {"0/loss": loss.detach(), **wanted})


@pytest.mark.parametrize("loss", LOSSES)
def test_losses(worker: Worker, tmp_path: Path, loss: str) -> None:
    torch.manual_seed(0)
    net = torch.nn.Linear(3, 2)
    jit.script(net).save(tmp_path / "linear.pt")
    worker.get("load", model=str(tmp_path / "linear.pt"))
    target = {"cross_entropy": Y[:, 0].gt(0).long(), "nll_loss": Y[:, 0].gt(0).long()}.get(loss, Y.gt(0).float())
    data = write_inputs(tmp_path / "classes.safetensors", {"x": X, "y": target})
    found = trained(worker, tmp_path, loss=loss, data=str(data), steps=1)
    wanted = getattr(torch.nn.functional, loss)(net(X[:4]), target[:4])
    torch.testing.assert_close(found["0/loss"], wanted.detach()[None])


def test_a_loss_from_a_file(worker: Worker, tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = Pair()
    jit.script(net).save(tmp_path / "pair.pt")
    worker.get("load", model=str(tmp_path / "pair.pt"))
    example = (tuple(value.detach() for value in net(X)), Y)
    jit.trace(lambda output, target: (output[0] - target).abs().sum(), example).save(str(tmp_path / "loss.pt"))
    asked = fields(tmp_path, loss=None, loss_module=str(tmp_path / "loss.pt"), steps=1, batch_size=6)
    worker.get("train", **asked)
    wanted = (net(X)[0] - Y).abs().sum().detach()
    torch.testing.assert_close(read_outputs(tmp_path / "out.safetensors")["0/loss"], wanted[None])
    says = worker.fail("train", **fields(tmp_path))
    assert says == "mse_loss takes a tensor, the model returns a Tuple"


@pytest.mark.parametrize("optimizer", [SGD, ADAM, ADAMW], ids=str)
def test_a_checkpoint_goes_on_where_it_was_written(loaded: Worker, tmp_path: Path, optimizer: dict[str, Any]) -> None:
    file = str(tmp_path / "checkpoint.safetensors")
    whole = trained(loaded, tmp_path, optimizer=optimizer, checkpoint={"step": 3, "file": file})
    rest = trained(loaded, tmp_path, optimizer=optimizer, resume={"step": 3, "file": file})
    # Close only: TorchScript's optimiser looks at the first steps and changes the later ones.
    same(rest, {**whole, "0/loss": whole["0/loss"][3:]})
    stored = read_outputs(Path(file))
    assert stored["step"] == 3
    parts = {"momentum_buffer"} if optimizer is SGD else {"step", "exp_avg", "exp_avg_sq"}
    assert {key.rpartition(".")[2] for key in stored if key.startswith("optimizer/")} == parts
    assert not [key for key in stored if "idle" in key and key.startswith("optimizer/")]


def test_checkpoints_that_do_not_fit(loaded: Worker, tmp_path: Path) -> None:
    file = tmp_path / "checkpoint.safetensors"
    trained(loaded, tmp_path, checkpoint={"step": 2, "file": str(file)})
    stored = read_outputs(file)
    stored["model/first.weigth"] = stored.pop("model/first.weight")
    stored["model/idle"] = torch.ones(3)
    write_inputs(file, stored)
    resume = {"step": 2, "file": str(file)}
    assert loaded.fail("train", **fields(tmp_path, resume=resume)) == (
        "the checkpoint lacks first.weight; has first.weigth, which the model has not; has other shapes: "
        "idle (float32 [3], the model has [2])"
    )
    del stored["model/first.weigth"], stored["model/idle"]
    stored |= {"model/first.weight": torch.ones(8, 3), "model/idle": torch.ones(2)}
    write_inputs(file, stored)
    says = loaded.fail("train", **fields(tmp_path, resume=resume, optimizer=ADAM))
    assert says == "the checkpoint lacks an optimizer's step"


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"loss": "mse"}, "no loss is called mse"),
        ({"loss": None}, "the request has no 'loss_module'"),
        ({"optimizer": {"name": "lion", "lr": 1}}, "no optimizer is called lion"),
        ({"optimizer": {"name": "sgd"}}, "sgd needs an 'lr'"),
        ({"optimizer": {"name": "adam", "lr": 1, "momentum": 0.5}}, "adam has no option 'momentum'"),
        ({"optimizer": {"name": "adam", "lr": "1"}}, "the optimizer's 'lr' is a number"),
        ({"steps": 0}, "'steps' is at least 1"),
        ({"batch_size": 0}, "'batch_size' is at least 1"),
        ({"target": {"tensor": "z"}}, "the data file has no tensor 'z'"),
        ({"inputs": [{"list": []}]}, "an item of 'inputs' is {\"tensor\": KEY}: only tensors have samples"),
        ({"target": {"tensor": "number"}}, "tensor 'number' has no samples along a first dimension"),
        ({"target": {"tensor": "two"}}, "the inputs have 6 samples, the target has 2"),
        ({"resume": {"step": 9, "file": "x"}}, "the step of 'resume' is after the last"),
    ],
    ids=str,
)
def test_requests_that_make_no_sense(loaded: Worker, tmp_path: Path, more: dict[str, Any], message: str) -> None:
    data = {"x": X, "y": Y, "number": torch.ones(()), "two": torch.ones(2, 2)}
    asked = fields(tmp_path, **more) | {"data": str(write_inputs(tmp_path / "odd.safetensors", data))}
    assert loaded.fail("train", **asked) == message


def test_losses_without_a_gradient(worker: Worker, tmp_path: Path) -> None:
    net = torch.nn.Linear(3, 2)
    for parameter in net.parameters():
        parameter.requires_grad_(False)
    jit.script(net).save(tmp_path / "frozen.pt")
    assert worker.fail("train", **fields(tmp_path)) == "no model is loaded"
    worker.get("load", model=str(tmp_path / "frozen.pt"))
    says = worker.fail("train", **fields(tmp_path))
    assert says.startswith("the loss depends on no parameter that requires a gradient")
    jit.trace(lambda output, target: output - target, (Y, Y)).save(str(tmp_path / "loss.pt"))
    says = worker.fail("train", **fields(tmp_path, loss=None, loss_module=str(tmp_path / "loss.pt")))
    assert says == "the loss is a tensor of shape [4, 2]; a number, without dimensions, has a gradient"
