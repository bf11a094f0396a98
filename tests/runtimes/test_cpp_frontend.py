"""Runtime `cpp-frontend`: real C++ sources, compiled and run; right ones, wrong ones, and those that don't compile."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_modelconform.building import case_library, harness, tools
from tests.support import runs, shared

pytestmark = [
    pytest.mark.compiles,
    pytest.mark.skipif(harness.unavailable("frontend") is not None, reason="no compiler, or no libtorch"),
]

# One source for all: it is the Python that is "wrong".
NET = """\
#include <modelconform/frontend.h>

struct NetImpl : torch::nn::Module {
  NetImpl() {
    W = register_parameter("W", torch::empty({4, 3}));
    b = register_parameter("b", torch::empty(3));
    norm = register_module("norm", torch::nn::BatchNorm1d(torch::nn::BatchNorm1dOptions(3).eps(1e-3)));
    fc = register_module("fc", torch::nn::Linear(3, 2));
  }

  torch::Tensor forward(torch::Tensor x) {
    x = torch::addmm(b, x, W, /*beta=*/2, /*alpha=*/0.5);
    return fc(torch::relu(norm(x)));
  }

  torch::Tensor W, b;
  torch::nn::BatchNorm1d norm{nullptr};
  torch::nn::Linear fc{nullptr};
};
TORCH_MODULE(Net);
MODELCONFORM_MODEL(Net)
"""

NET_CASES = """\
import torch
from torch import nn

from pytest_modelconform import Case, generic_weights


class Net(nn.Module):
    def __init__(self, eps=1e-3, beta=2, alpha=0.5, act=torch.relu, norm=3, fc="fc", extra=False):
        super().__init__()
        self.W = nn.Parameter(torch.rand(4, norm))
        self.b = nn.Parameter(torch.rand(norm))
        self.norm = nn.BatchNorm1d(norm, eps=eps)
        self.add_module(fc, nn.Linear(norm, 2))
        self.fc_name, self.beta, self.alpha, self.act = fc, beta, alpha, act
        if extra:
            self.register_buffer("count", torch.tensor(3))
            self.norm.num_batches_tracked = torch.tensor(2.0)

    def forward(self, x):
        x = torch.addmm(self.b, x, self.W, beta=self.beta, alpha=self.alpha)
        return getattr(self, self.fc_name)(self.act(self.norm(x)))


def case(**options):
    return Case(
        model=lambda: generic_weights(Net(**options)),
        inputs={"four": lambda: (torch.randn(4, 4),), "one": lambda: (torch.randn(1, 4),)},
        dynamic_shapes={"x": {0: "batch"}},
        cpp="net.cpp",
        dtypes=("float32", "float16", "bfloat16", "float64") if not options else ("float32",),
    )


right = case()
relu_forgotten = case(act=lambda x: x)
eps_wrong = case(eps=1e-1)
swapped = case(beta=0.5, alpha=2)
other_names = case(fc="fc_", norm=5, extra=True)
"""

# What it does depends on its arguments.
CALLS = """\
#include <modelconform/frontend.h>

using torch::Tensor;

struct CallsImpl : torch::nn::Module {
  std::tuple<Tensor, std::map<std::string, Tensor>, std::vector<Tensor>> forward(
      const Tensor& x, std::tuple<Tensor, Tensor> pair, std::optional<Tensor> mask,
      const std::vector<Tensor>& parts, double scale = 1.0, bool raise = false) {
    TORCH_CHECK(!raise, "this model raises");
    if (scale < 0) std::abort();
    Tensor y = x * scale + std::get<0>(pair) - std::get<1>(pair);
    if (mask) y = y * *mask;
    std::vector<Tensor> sums;
    for (const Tensor& part : parts) sums.push_back(part + 1);
    return {y, {{"twice", 2 * y}, {"mean", y.mean()}}, sums};
  }
};
TORCH_MODULE(Calls);
MODELCONFORM_MODEL(Calls)
"""

CALLS_CASES = """\
import torch
from torch import nn

from pytest_modelconform import Case


class Calls(nn.Module):
    def forward(self, x, pair, mask=None, parts=(), scale=1.0, raises=False, more=None):
        first, second = pair
        y = x * abs(scale) + first - second
        if mask is not None:
            y = y * mask
        return y, {"twice": 2 * y, "mean": y.mean()}, [part + 1 for part in parts]


def case(make):
    return Case(model=lambda: Calls(), inputs={"set": make}, cpp="calls.cpp", fixed_inputs="what is given counts")


def tensors(count):
    return [torch.randn(3, 2) for _ in range(count)]


def named(**more):
    x, first, second, part = tensors(4)
    return {"x": x, "pair": (first, second), "parts": [part], **more}


positional = case(lambda: (torch.randn(3, 2), tuple(tensors(2)), torch.randn(3, 2), tensors(2), 2.5))
by_name = case(lambda: named(scale=2.0))
raises = case(lambda: named(scale=1.0, raises=True))
crashes = case(lambda: named(scale=-1.0))
too_many = case(lambda: named(more=torch.randn(1)))
no_vector = case(lambda: named() | {"parts": torch.randn(2, 2)})
left_out = case(lambda: named(raises=False))
"""

BROKEN = '#include <modelconform/frontend.h>\n#include "part.h"\n\nMODELCONFORM_MODEL(Broken)\n'
BROKEN_PART = """\
struct BrokenImpl : torch::nn::Module {
  torch::Tensor forward(torch::Tensor x) { return torch::addm(x, x); }
};
TORCH_MODULE(Broken);
"""
# What it lacks is told by our headers, which nobody wants to read.
NO_FORWARD = """\
#include <modelconform/frontend.h>
struct Idle : torch::nn::Module {};
MODELCONFORM_MODEL(Idle)
"""
BROKEN_CASES = runs.CASE + "\n".join(
    f'{name} = Case(model=lambda: Net(), inputs=inputs, cpp="{name}.cpp")' for name in ("broken", "no_forward")
)
# Its source and what that includes are edited.
PLAIN_CASE = runs.CASE.partition("inputs =")[0] + (
    'case = Case(model=lambda: Net(), inputs={"one": lambda: (torch.rand(2, 2),)}, cpp="plain.cpp")\n'
)
PLAIN = (
    (tools.sources() / "frontend" / "smoke.cpp")
    .read_text()
    .replace("+ 1.0", "+ ONE")
    .replace("<modelconform/frontend.h>\n", '<modelconform/frontend.h>\n#include "one.h"\n')
)


def run_frontend(folder: Path, *arguments: str) -> runs.Run:
    options = ["--modelconform-formats=state-dict", "--modelconform-timeout=120", *arguments]
    # Sources are compiled once and not once a session. A minute each, where others want the processors, too.
    env = {"MODELCONFORM_CACHE": str(shared.CACHE)}
    return runs.run(folder, *options, runtimes="cpp-frontend", env=env, seconds=1200)


def everything(folder: Path) -> runs.Run:
    """One run of all: a process that has torch in it takes seconds to begin."""
    cases = {"nets.py": NET_CASES, "calls.py": CALLS_CASES, "brokens.py": BROKEN_CASES, "plain.py": PLAIN_CASE}
    sources = {"net.cpp": NET, "calls.cpp": CALLS, "broken.cpp": BROKEN, "part.h": BROKEN_PART}
    sources |= {"no_forward.cpp": NO_FORWARD, "plain.cpp": PLAIN, "one.h": "#define ONE 1.0\n"}
    return run_frontend(runs.write(folder, {**cases, **sources}))


def name(case: str, suffix: str = "") -> str:
    return f"{case}[state_dict-cpp_frontend-cpu{suffix}]"


@pytest.mark.parametrize("suffix", ["", "-float16", "-bfloat16", "-float64"])
def test_the_same_model_passes_in_every_dtype(suffix: str, session_folder: Path) -> None:
    run = runs.once(session_folder, "frontend", everything)
    assert run.verdict(name("right", suffix)) == ("pass", None)


@pytest.mark.parametrize("case", ["relu_forgotten", "eps_wrong", "swapped"])
def test_another_model_is_a_mismatch(case: str, session_folder: Path) -> None:
    run = runs.once(session_folder, "frontend", everything)
    assert run.verdict(name(case)) == ("mismatch", "compare")


def test_weights_that_do_not_fit_are_listed(session_folder: Path) -> None:
    run = runs.once(session_folder, "frontend", everything)
    assert run.verdict(name("other_names")) == ("error", "load")
    assert run.message(name("other_names")) == (
        "StateDictError: missing in the file: fc.weight, fc.bias; "
        "unexpected (not in the C++ module): count, fc_.bias, fc_.weight; "
        "shape differs: W is [4, 3] in C++, [4, 5] in the file, b is [3] in C++, [5] in the file, "
        "norm.weight is [3] in C++, [5] in the file, norm.bias is [3] in C++, [5] in the file, "
        "norm.running_mean is [3] in C++, [5] in the file, norm.running_var is [3] in C++, [5] in the file; "
        "dtype differs: norm.num_batches_tracked is int64 in C++, float32 in the file"
    )


@pytest.mark.parametrize("case", ["positional", "by_name"])
def test_arguments_and_results_are_converted(case: str, session_folder: Path) -> None:
    run = runs.once(session_folder, "frontend", everything)
    assert run.verdict(name(case)) == ("pass", None)


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("raises", "this model raises"),
        (
            "too_many",
            "forward takes 6 arguments in C++, the case passes 7 (x, pair, mask, parts, scale, raises, more)",
        ),
        ("no_vector", "forward's argument 4 (parts) is a vector in C++, the case passes a tensor"),
        # C++'s defaults are for what is left out at the end.
        ("left_out", "forward's argument 5 (scale) is a number in C++, the case passes None"),
    ],
)
def test_what_forward_throws_is_an_error_of_the_run(case: str, message: str, session_folder: Path) -> None:
    run = runs.once(session_folder, "frontend", everything)
    assert run.verdict(name(case)) == ("error", "run")
    assert message in run.message(name(case))


def test_a_crash_is_a_crash(session_folder: Path) -> None:
    run = runs.once(session_folder, "frontend", everything)
    assert run.verdict(name("crashes")) == ("crash", "run")
    assert "cpp-frontend was killed by SIGABRT (abort)" in run.message(name("crashes"))


@pytest.mark.parametrize(
    ("case", "first"),
    [
        ("broken", "broken.cpp does not compile: part.h:2: 'addm' is not a member of 'torch'"),
        ("no_forward", "no_forward.cpp does not compile: no_forward.cpp:3 (and frontend.h:"),
    ],
)
def test_a_source_that_does_not_compile(case: str, first: str, session_folder: Path) -> None:
    run = runs.once(session_folder, "frontend", everything)
    assert run.verdict(name(case)) == ("error", "build")
    assert run.message(name(case)).startswith(first)
    assert "static assertion failed: modelconform calls the module's forward" in run.message(name("no_forward"))


def test_an_edit_of_the_source_or_its_headers_is_judged_anew(session_folder: Path) -> None:
    cell, folder = name("plain"), session_folder / "frontend"
    assert runs.once(session_folder, "frontend", everything).verdict(cell) == ("pass", None)
    (folder / "one.h").write_text("#define ONE 2.0\n")
    assert run_frontend(folder, "plain.py").verdict(cell) == ("mismatch", "compare")
    (folder / "plain.cpp").write_text(PLAIN.replace("ONE", "1.0"))
    assert run_frontend(folder, "plain.py").verdict(cell) == ("pass", None)


def test_a_source_of_a_case_belongs_to_its_cache_entries(tmp_path: Path) -> None:
    from pytest_modelconform.workers.host import host as host_module

    path = tmp_path / f"{tmp_path.name}.py"
    path.write_text(runs.CASE + 'case = Case(model=lambda: Net(), inputs=inputs, cpp="plain.cpp")\n')
    (tmp_path / "plain.cpp").write_text('#include "part.h"\n')
    host = host_module.Host()
    where = {"file": str(path), "relative": path.name}
    expected = {str(tmp_path.resolve() / file) for file in (path.name, "plain.cpp", "part.h")}
    assert expected <= set(host.collect(where)["files"])
    assert expected <= set(host.build({**where, "case": tmp_path.name}).files)


def test_the_linkers_words() -> None:
    text = "ld: /tmp/x.o: in function `f()':\nnet.cpp:(.text+0x1): undefined reference to `g()'\ncollect2: error: ld"
    source = Path("/tmp/net.cpp")
    failure = case_library.failure(source, [source], 1, text)
    assert failure == f"net.cpp does not link: undefined reference to `g()'\n{text}"
