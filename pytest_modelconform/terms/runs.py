"""How the runs of a case in eager are called and stored: the case host writes them, the pytest process reads them."""

from __future__ import annotations

# The input sets that are made from a case's own; workers/host/generate.py says what each is for.
VALUES, TRANSPOSED, SHAPE, LEAST, MOST, ZEROS = GENERATED = (
    "auto-values",
    "auto-transposed",
    "auto-shape",
    "auto-least",
    "auto-most",
    "auto-zeros",
)

# How many runs have each operator's result moved by what another faithful arithmetic could have made of it: e1 …
NOISY_RUNS = 3
# Further ones. Where rounding decides something (integers, how much comes out) they are moved by WIDE times as much, to
# either side, and only tell that: a threshold that a value is close to shows in small moves with luck only. Elsewhere
# they are more of the same, where an output has so few elements that three draws say little of its noise.
WIDE_RUNS = 2
WIDE = 4.0
FEW_ELEMENTS = 64

# Why a variant was not run for a diagnosis, where a longer one would have.
NO_TIME = "no time or room was left"

# The other runs: eager's own; in float64; a second one of eager, where that gave other bits; with the row-major copy
# of transposed inputs; and what a training began with, as if it were a run.
FIRST, FLOAT64, AGAIN, ROW_MAJOR, START = "e0", "r", "again", "contiguous", "start"

# Where another order of equal elements, of which PyTorch promises none, gives other numbers: uint8, 1 there. As if it
# were a run; only of outputs that have such elements. So many orders are tried.
TIED, TURNS = "tied", 5

# What trainings elsewhere need, in the folder of a case's references: all samples; eager's state after the step
# `resume_at`; the loss, where it is a function.
DATA_FILE, CHECKPOINT_FILE, LOSS_FILE = "data.safetensors", "checkpoint.safetensors", "loss.pt"


def noisy(k: int) -> str:
    """The k-th noisy run, from 1."""
    return f"e{k}"


def key(run: str, path: str) -> str:
    """What the tensor at a path of a run's outputs is stored under."""
    return f"{run}:{path}"


def inputs_file(name: str) -> str:
    """Where the inputs of an input set are stored."""
    return f"inputs-{name}.safetensors"


def runs_file(name: str, run: str = "") -> str:
    """Where the runs of an input set are stored; with `run` one of them, since a training has a file for each."""
    return f"runs-{name}-{run}.safetensors" if run else f"runs-{name}.safetensors"


def step(number: int) -> str:
    """What a step of a sequence is called, from 1 on: it stands where an input set does."""
    return f"step-{number}"
