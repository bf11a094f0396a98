"""Cases as users bring them whose model an exporter refuses, each beside the same with the advice followed.

tests/advice/test_table.py says which exporter refuses what.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple, Optional

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from torchvision.ops import deform_conv2d

from pytest_modelconform import Case, generic_weights

THREE = {"three": lambda: (torch.randn(3, 4),), "five": lambda: (torch.randn(5, 4),)}
ROWS = {"five": lambda: (torch.randn(2, 5),), "six": lambda: (torch.randn(3, 6),)}
SIX = {"six": lambda: (torch.randn(6, 4),), "four": lambda: (torch.randn(4, 4),)}
BATCH = {"x": {0: "batch"}}


class Net(nn.Module):
    """A linear layer, and what a subclass makes of it."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(4, 4)
        self.position = nn.Parameter(torch.randn(6, 4))


class Branch(Net):
    def forward(self, x: Tensor) -> Tensor:
        if x.sum() > 0:
            return self.a(x)
        return self.a(-x)


class Asserted(Net):
    def forward(self, x: Tensor) -> Tensor:
        assert (x.abs() < 100.0).all()
        return self.a(x)


class AssertedInEager(Net):
    def forward(self, x: Tensor) -> Tensor:
        if not torch.compiler.is_exporting():
            assert (x.abs() < 100.0).all()
        return self.a(x)


class Compared(Net):
    seen: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("seen", torch.zeros(3, 4))

    def forward(self, x: Tensor) -> Tensor:
        known = not torch.compiler.is_exporting() and torch.equal(x, self.seen)
        return self.answer(x, known)

    def answer(self, x: Tensor, known: bool) -> Tensor:
        return x if known else self.a(x)


class ComparedAlways(Compared):
    def forward(self, x: Tensor) -> Tensor:
        return self.answer(x, torch.equal(x, self.seen))


class Imaginary(Net):
    def forward(self, x: Tensor) -> Tensor:
        return (self.a(x) * 1j).imag


class SortedUnstably(Net):
    def forward(self, x: Tensor) -> Tensor:
        return torch.sort(self.a(x), stable=False).values


class Sorted(Net):
    def forward(self, x: Tensor) -> Tensor:
        return torch.sort(self.a(x)).values


class BranchChosen(Net):
    def forward(self, x: Tensor) -> Tensor:
        return torch.where(x.sum() > 0, self.a(x), self.a(-x))


class BranchBoth(Net):
    def forward(self, x: Tensor) -> Tensor:
        return torch.cond(x.sum() > 0, lambda x: self.a(x), lambda x: self.a(-x), (x,))


class Mask(Net):
    def forward(self, x: Tensor) -> Tensor:
        kept = x[x[:, 0] > -9]
        if kept.shape[0] == 0:
            return self.a(x).mean(0)
        return self.a(kept).mean(0)


class MaskChecked(Net):
    def forward(self, x: Tensor) -> Tensor:
        kept = x[x[:, 0] > -9]
        torch._check(kept.shape[0] != 0)
        if kept.shape[0] == 0:
            return self.a(x).mean(0)
        return self.a(kept).mean(0)


class MaskKept(Net):
    def forward(self, x: Tensor) -> Tensor:
        mask = x[:, :1] > -9
        return torch.where(mask, self.a(x), 0).sum(0) / mask.sum()


class Cut(Net):
    def forward(self, x: Tensor, n: Tensor) -> Tensor:
        return self.a(x)[:, : int(n)]


class Stretched(nn.Module):
    """A length of which Python's int is taken."""

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.interpolate(x.T[None], size=int(x.shape[0] * 1.5))


class StretchedTrunc(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.interpolate(x.T[None], size=math.trunc(x.shape[0] * 1.5))


class StretchedWhole(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.interpolate(x.T[None], size=x.shape[0] * 3 // 2)


class CutKept(Net):
    def forward(self, x: Tensor, n: Tensor) -> Tensor:
        return torch.where(torch.arange(x.shape[1]) < n, self.a(x), 0)


class Added(Net):
    """Takes six rows only."""

    def forward(self, x: Tensor) -> Tensor:
        return self.a(x) + self.position


class Positions(Net):
    """Takes up to six rows."""

    def forward(self, x: Tensor) -> Tensor:
        return self.a(x) + self.position[: x.shape[0]]


class Pair(Net):
    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return self.a(x) + y


class Viewed(Net):
    def forward(self, x: Tensor) -> Tensor:
        return self.a(x).view(int(x.shape[0]), 2, 2)


class ViewedAsItIs(Net):
    def forward(self, x: Tensor) -> Tensor:
        return self.a(x).view(x.shape[0], 2, 2)


class Rounded(nn.Module):
    """Pools columns by two, and rounds up: the last one may stand alone."""

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.max_pool2d(x[:, None, None], (1, 2), ceil_mode=True)


class Pairs(Net):
    """Takes even numbers of rows."""

    def forward(self, x: Tensor) -> Tensor:
        return self.a(x.view(-1, 2, 4))


class Several(Net):
    def forward(self, x: Tensor) -> dict[str, Any]:
        y = self.a(x)
        return {"y": y, "states": (y + 1, y + 2)}


class SeveralTuple(Net):
    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        y = self.a(x)
        return y, *(y + 1, y + 2)


class Nothing(Net):
    def forward(self, x: Tensor) -> tuple[Tensor, None]:
        return self.a(x), None


class Deformed(nn.Module):
    """An operator of torchvision's, which the older ONNX exporter has not."""

    def forward(self, x: Tensor) -> Tensor:
        image = x[:, None, None]
        weight = torch.ones(1, 1, 1, 1, dtype=x.dtype)
        return deform_conv2d(image, torch.cat((image, image), 1), weight).flatten(1)


class Best(Net):
    def forward(self, x: Tensor) -> Any:
        return self.a(x).topk(2)


class BestTuple(Net):
    def forward(self, x: Tensor) -> Any:
        return tuple(self.a(x).topk(2))


class Autocast(Net):
    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return self.a(x).float()


class Chosen(Net):
    """One row of each matrix by a mask, as pytorch3d makes quaternions."""

    def forward(self, x: Tensor) -> Tensor:
        y = self.a(x)
        rows = torch.stack([y, y.sin(), y.cos(), -y], -2)
        chosen = nn.functional.one_hot(y.argmax(-1), 4) > 0.5
        return rows[chosen, :].reshape(x.shape[0], 4)


class Recurrent(Net):
    def __init__(self) -> None:
        super().__init__()
        self.gru = nn.GRU(4, 4, batch_first=True)

    def forward(self, x: Tensor) -> Any:
        return self.gru(x)[0]


class Guided(Net):
    def forward(self, x: Tensor, guidance: float = 3.0) -> Tensor:
        return self.a(x) * guidance


class Masked(Net):
    def forward(self, x: Tensor, mask=None) -> Tensor:  # type: ignore[no-untyped-def]
        y: Tensor = self.a(x)
        return y if mask is None else y * mask


class MaskedOrNot(Net):
    def forward(self, x: Tensor, mask: Optional[Tensor] = None) -> Tensor:  # noqa: UP045 - as TorchScript has it
        y: Tensor = self.a(x)
        return y if mask is None else y * mask


class Picked(nn.Module):
    def forward(self, x: Tensor, i: Tensor) -> Tensor:
        return x[:, i]


class PickedLong(nn.Module):
    def forward(self, x: Tensor, i: Tensor) -> Tensor:
        return x[:, i.long()]


class GuidedByPair(Net):
    def forward(self, x: Tensor, guidance: tuple[float, Tensor]) -> Tensor:
        return self.a(x) * guidance[0] + guidance[1]


class GuidedMore(Net):
    def __init__(self) -> None:
        super().__init__()
        self.model = Guided()

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x, guidance=5.0)


class Row(NamedTuple):
    boxes: Tensor
    scores: Tensor


class Named(Net):
    def forward(self, x: Tensor) -> Any:
        return Row(self.a(x), x.sigmoid())


class NamedPlain(Net):
    def __init__(self) -> None:
        super().__init__()
        self.model = Named()

    def forward(self, x: Tensor) -> Any:
        return self.model(x)._asdict()


@dataclass
class Found:
    boxes: Tensor
    scores: Tensor


class Detected(Net):
    def forward(self, x: Tensor) -> Any:
        return Found(self.a(x), x.sigmoid())


class DetectedTuple(Net):
    def forward(self, x: Tensor) -> Any:
        return self.a(x), x.sigmoid()


class Checkpointed(Net):
    def forward(self, x: Tensor) -> Any:
        return checkpoint(self.a, x, use_reentrant=True)


class CheckpointedOtherwise(Net):
    def forward(self, x: Tensor) -> Any:
        return checkpoint(self.a, x, use_reentrant=False)


class Straight(torch.autograd.Function):
    """Rounds, and lets gradients through."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.round()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        return gradients


class Estimated(Net):
    def forward(self, x: Tensor) -> Any:
        return Straight.apply(self.a(x))


class EstimatedInTraining(Net):
    def forward(self, x: Tensor) -> Any:
        y = self.a(x)
        return Straight.apply(y) if self.training else y.round()


def compiled_module() -> nn.Module:
    # With Inductor, which would compile C++, a trace says the same.
    found: Any = torch.compile(generic_weights(SeveralTuple()), backend="eager")
    return found


class Spectrum(Net):
    def forward(self, x: Tensor) -> Tensor:
        return torch.fft.rfft(self.a(x)).abs()


class SpectrumReal(Net):
    def forward(self, x: Tensor) -> Tensor:
        angles = torch.outer(torch.arange(4.0), torch.arange(3.0)) * (torch.pi / 2)
        y = self.a(x)
        return torch.sqrt((y @ torch.cos(angles)) ** 2 + (y @ torch.sin(angles)) ** 2)


class Rotary(Net):
    def forward(self, x: Tensor) -> Tensor:
        y = torch.view_as_complex(self.a(x).view(-1, 2, 2))
        return torch.view_as_real(y * torch.exp(1j * torch.arange(2))).flatten(1)


class RotaryReal(Net):
    def forward(self, x: Tensor) -> Tensor:
        a, b = self.a(x).view(-1, 2, 2).unbind(-1)
        angle = torch.arange(2.0)
        c, d = torch.cos(angle), torch.sin(angle)
        return torch.stack([a * c - b * d, a * d + b * c], -1).flatten(1)


class Triangle(Net):
    def forward(self, x: Tensor) -> Tensor:
        return self.a(torch.tril(x))


class TriangleOld(Net):
    def forward(self, x: Tensor) -> Tensor:
        return self.a(x * torch.ones(3, 4).tril())


class Values(Net):
    def forward(self, x: Tensor) -> Tensor:
        y = self.a(x)
        return torch.linalg.eigvalsh(y.T @ y)


@torch.library.custom_op("refused::shrink", mutates_args=())
def shrink(x: Tensor, by: float) -> Tensor:
    """Soft thresholding, as a kernel of one's own would do it."""
    return torch.sign(x) * torch.relu(x.abs() - by)


@shrink.register_fake
def _(x: Tensor, by: float) -> Tensor:
    return torch.empty_like(x)


@torch.library.custom_op("refused::unseen", mutates_args=())
def unseen(x: Tensor) -> Tensor:
    """It has no fake kernel."""
    return x * 2


torch.library.define("refused::defined", "(Tensor x) -> Tensor")
torch.library.impl("refused::defined", "CPU", lambda x: x * 2)


class Shrunk(Net):
    def forward(self, x: Tensor) -> Tensor:
        return self.a(shrink(self.a(x), 0.2))


class Keeps(Net):
    """It keeps an operator as an attribute."""

    def __init__(self) -> None:
        super().__init__()
        self.shrink = shrink

    def forward(self, x: Tensor) -> Tensor:
        return self.shrink(self.a(x), 0.2)


class Unseen(Net):
    def forward(self, x: Tensor) -> Tensor:
        return self.a(unseen(x))


class Defined(Net):
    def forward(self, x: Tensor) -> Tensor:
        return self.a(torch.ops.refused.defined(x))


def gpt(**more: Any) -> nn.Module:
    """A small one."""
    from transformers import GPT2Config, GPT2LMHeadModel

    return GPT2LMHeadModel(GPT2Config(vocab_size=50, n_positions=16, n_embd=16, n_layer=1, n_head=2, **more))


def case(model: type[nn.Module], inputs: Any = THREE, dynamic_shapes: Any = None) -> Case:
    """One of these models."""
    return Case(model=lambda: generic_weights(model()), inputs=inputs, dynamic_shapes=dynamic_shapes)


branch = case(Branch, dynamic_shapes=BATCH)
branch_chosen = case(BranchChosen, dynamic_shapes=BATCH)
branch_both = case(BranchBoth, dynamic_shapes=BATCH)
mask = case(Mask, dynamic_shapes=BATCH)
mask_checked = case(MaskChecked, dynamic_shapes=BATCH)
mask_kept = case(MaskKept, dynamic_shapes=BATCH)
cut = case(Cut, {"three": lambda: (torch.randn(3, 4), torch.tensor(3))})
cut_kept = case(CutKept, {"three": lambda: (torch.randn(3, 4), torch.tensor(3))})
stretched = case(Stretched, SIX, BATCH)
stretched_trunc = case(StretchedTrunc, SIX, BATCH)
stretched_whole = case(StretchedWhole, SIX, BATCH)
added = case(Added, {"six": lambda: (torch.randn(6, 4),)}, BATCH)
added_static = case(Added, {"six": lambda: (torch.randn(6, 4),)})
positions = case(Positions, SIX, BATCH)
positions_bound = case(Positions, SIX, {"x": {0: torch.export.Dim("batch", max=6)}})
pair = case(Pair, {"six": lambda: (torch.randn(6, 4), torch.randn(6, 4))}, {"x": {0: "n"}, "y": {0: "m"}})
pair_named = case(Pair, {"six": lambda: (torch.randn(6, 4), torch.randn(6, 4))}, {"x": {0: "n"}, "y": {0: "n"}})
viewed = case(Viewed, dynamic_shapes=BATCH)
viewed_as_it_is = case(ViewedAsItIs, dynamic_shapes=BATCH)
pairs = case(Pairs, SIX, BATCH)
pairs_even = case(Pairs, SIX, {"x": {0: 2 * torch.export.Dim("part")}})
rounded = case(Rounded, ROWS, {"x": {0: "batch", 1: torch.export.Dim("width", min=4)}})
one = case(Pair, {"one": lambda: (torch.randn(1, 4), torch.randn(1, 4))}, {"x": {0: "n"}, "y": {0: "n"}})
several = case(Several)
several_tuple = case(SeveralTuple)
nothing = case(Nothing)
deformed = case(Deformed)


class Clamped(nn.Module):
    """A clamp between an int and a float."""

    def forward(self, x: Tensor) -> Tensor:
        return x.clamp(0, 0.5)


class ClampedFloats(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.clamp(0.0, 0.5)


class Packed(nn.Module):
    """x (batch, time, 4) of lengths (batch) → the last state (1, batch, 4)."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.LSTM(4, 4, batch_first=True)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        sequence = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        last: Tensor = self.layer(sequence)[1][0]
        return last


class PackedNot(Packed):
    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        y: Tensor = self.layer(x)[0]
        return y[torch.arange(len(y)), lengths - 1][None]


class Score(nn.Module):
    """The gradient of a row's energy, x (batch, 4) → (batch, 4)."""

    def forward(self, x: Tensor) -> Tensor:
        score: Tensor = torch.func.vmap(torch.func.grad(lambda row: row.sin().sum()))(x)
        return score


class ScoreOfOne(nn.Module):
    """Without vmap, torch.export makes a program that it can't write."""

    def forward(self, x: Tensor) -> Tensor:
        score: Tensor = torch.func.grad(lambda x: x.sin().sum())(x)
        return score


class ScoreByAutograd(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            return torch.autograd.grad(x.sin().sum(), x)[0]


clamped = case(Clamped)
clamped_floats = case(ClampedFloats)
PADDED = {"two": lambda: (torch.randn(2, 3, 4), torch.tensor([2, 3]))}
packed = case(Packed, PADDED)
packed_not = case(PackedNot, PADDED)
score = case(Score)
score_of_one = case(ScoreOfOne)
score_by_autograd = case(ScoreByAutograd)
best = case(Best)
best_tuple = case(BestTuple)
autocast = case(Autocast)
chosen = case(Chosen, SIX, BATCH)
chosen_bound = case(Chosen, SIX, {"x": {0: torch.export.Dim("batch", max=1024)}})
frames = {"six": lambda: (torch.randn(2, 6, 4),)}
recurrent = case(Recurrent, frames, {"x": {1: "frames"}})
recurrent_fixed = case(Recurrent, frames)
PICKED = {"one": lambda: (torch.randn(3, 4), torch.tensor([[0, 2], [3, 1]], dtype=torch.int32))}
picked = Case(model=Picked, inputs=PICKED)
picked_long = Case(model=PickedLong, inputs=PICKED)
masked = case(Masked)
masked_or_not = case(MaskedOrNot)


def guidance() -> tuple[float, Tensor]:
    return 5.0, torch.ones(1)


guided = case(GuidedByPair, {"three": lambda: (torch.randn(3, 4), guidance())})
guided_by_name = case(GuidedByPair, {"three": lambda: {"x": torch.randn(3, 4), "guidance": guidance()}})
guided_default = case(Guided)
guided_more = case(GuidedMore)
compared = case(Compared)
compared_always = case(ComparedAlways)
asserted = case(Asserted)
asserted_in_eager = case(AssertedInEager)
imaginary = case(Imaginary)
sorted_unstably = case(SortedUnstably)
sorted_plainly = case(Sorted)
named = case(Named)
named_plain = case(NamedPlain)
detected = case(Detected)
detected_tuple = case(DetectedTuple)
checkpointed = case(Checkpointed)
checkpointed_otherwise = case(CheckpointedOtherwise)
estimated = case(Estimated)
estimated_in_training = case(EstimatedInTraining)
compiled = Case(model=lambda: compiled_module(), inputs=THREE)
compiled_not = case(SeveralTuple)
spectrum = case(Spectrum)
spectrum_real = case(SpectrumReal)
rotary = case(Rotary)
rotary_real = case(RotaryReal)
triangle = case(Triangle)
triangle_old = case(TriangleOld)
values = case(Values)
shrunk = case(Shrunk)
keeps_operator = case(Keeps)
no_fake = case(Unseen)
no_meta = case(Defined)


class Stepped(nn.Module):
    """A model with the cache of transformers inside, whose keys and values come and go as tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.model = gpt()

    def forward(self, ids: Tensor, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        from transformers import DynamicCache

        cache = DynamicCache()
        cache.update(keys, values, 0)
        found = self.model(input_ids=ids, past_key_values=cache, use_cache=True)
        layer = found.past_key_values.layers[0]
        return found.logits, layer.keys, layer.values


IDS = {"two": lambda: (torch.randint(0, 50, (2, 5)),)}
cache = Case(model=lambda: generic_weights(gpt()), inputs=IDS, requires=("transformers",))
cache_off = Case(model=lambda: generic_weights(gpt(use_cache=False)), inputs=IDS, requires=("transformers",))
cache_inside = Case(
    model=lambda: generic_weights(Stepped()),
    inputs={"two": lambda: (torch.randint(0, 50, (2, 1)), torch.randn(2, 2, 3, 8), torch.randn(2, 2, 3, 8))},
    requires=("transformers",),
)
