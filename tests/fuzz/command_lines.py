"""Command lines that make no sense, by kind: of pytest and of `modelconform`."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import strategies as st

from pytest_modelconform.cells.registry import Registry, register_built_in
from pytest_modelconform.commands.cli import COMMANDS
from tests.fuzz.drawing import near_miss


@dataclass(frozen=True)
class Line:
    """Words of a command line. names: what the message has to name."""

    words: tuple[str, ...]
    names: str


Kind = st.SearchStrategy[Line]

_REGISTRY = Registry()
register_built_in(_REGISTRY)
KNOWN = {
    "formats": _REGISTRY.formats,
    "runtimes": _REGISTRY.runtimes,
    "devices": ("cpu", "cuda"),
    "precisions": ("fast",),
}
# Files of the folder in which these lines run (`test_command_lines.py`), and what is none of a log's or an artifact's.
NO_LOGS = (
    "empty",
    "binary",
    "words",
    "folder",
    "plain.py",
    "list.json",
    "cut.jsonl",
    "old.jsonl",
    "nowhere",
    "a" * 300,
)
PLACES = ("folder", "plain.py/x.{}", "/proc/x.{}", "/dev/full/x.{}", "a" * 300 + ".{}")


def misspelt(names: tuple[str, ...]) -> st.SearchStrategy[str]:
    """Names with a slip."""
    return (
        st.tuples(st.sampled_from(names), st.integers(0, 20), st.integers(0, 4))
        .map(lambda one: near_miss(*one))
        .filter(lambda name: name not in names and name != "" and not name.startswith("-"))
    )


def words(*fixed: str, last: st.SearchStrategy[str]) -> Kind:
    """A line whose last word is drawn, and has to be named."""
    return last.map(lambda word: Line((*fixed, word), word))


def listed(names: str, *lines: str) -> Kind:
    """Lines as one types them. names: what each has to name."""
    return st.sampled_from([Line(tuple(line.split()), names) for line in lines])


def at_places(line: str, suffix: str) -> Kind:
    """A line whose last word is a file that can't be written."""
    return words(*line.split(), last=st.sampled_from([place.format(suffix) for place in PLACES]))


SUBCOMMANDS: dict[str, Kind] = {
    "no command": words(last=misspelt(tuple(COMMANDS))),
    "no option": st.sampled_from(sorted(set(COMMANDS) - {"env"})).map(
        lambda name: Line((name, "--no-such"), "modelconform")
    ),
    "nothing": st.sampled_from(
        ["report", "diff", "merge", "history", "badge", "export", "run", "repro", "new", "env"]
    ).map(lambda name: Line((name,), "required")),
    "report of no log": words("report", last=st.sampled_from(NO_LOGS)),
    "badge of no log": st.sampled_from(NO_LOGS).map(lambda log: Line(("badge", "-o", "b.svg", log), log)),
    "diff of no log": words("diff", "run.jsonl", last=st.sampled_from(NO_LOGS)),
    "merge of no log": st.sampled_from(NO_LOGS).map(
        lambda log: Line(("merge", "-o", "m.jsonl", "run.jsonl", log), log)
    ),
    "history of nothing": st.sampled_from(["nowhere", "folder", "plain.py", "words"]).map(
        lambda folder: Line(("history", "-o", "h.html", folder), folder)
    ),
    "report nowhere": at_places("report run.jsonl -o", "html"),
    "badge nowhere": at_places("badge run.jsonl -o", "json"),
    "diff nowhere": at_places("diff run.jsonl run.jsonl -o", "md"),
    "merge nowhere": at_places("merge run.jsonl -o", "jsonl"),
    "history nowhere": at_places("history logs -o", "html"),
    "export nowhere": at_places("export plain.py -f torchscript-trace -o", "pt"),
    "export to no folder": words(
        "export",
        "plain.py",
        "-f",
        "torchscript-trace",
        "--to",
        last=st.sampled_from(["plain.py", "/proc/x", "words/x"]),
    ),
    "odd numbers": st.one_of(
        listed(
            "--limit", "report run.jsonl --limit 3", "diff run.jsonl run.jsonl --limit x", "report run.jsonl --limit -1"
        ),
        listed("timeout", "export plain.py -f onnx --to o --timeout x", "export plain.py -f onnx --to o --timeout -3"),
        listed("--threads", "run net.onnx -r ort --threads x", "run net.onnx -r ort --threads -1"),
    ),
    "odd choices": st.one_of(
        listed("--format", "report run.jsonl --format pdf", "diff run.jsonl run.jsonl --format pdf"),
        listed("--fail-on", "diff run.jsonl run.jsonl --fail-on regresions", "diff run.jsonl run.jsonl --fail-on x,y"),
        listed(
            "dtype", "export plain.py -f onnx --to o --dtype flaot32", "export plain.py -f onnx --to o --dtype int4"
        ),
        listed("--html", "report run.jsonl --html x.html -o y", "report run.jsonl --html x.html --format csv"),
        listed("shell", "completion fish", "completion bsh"),
        listed(
            "not allowed", "export plain.py -f onnx -o x.onnx --to y", "badge run.jsonl -o b.svg --case a --format b"
        ),
        listed("--with", "cmake-dir --with nothing"),
    ),
    "badge of no name": st.one_of(
        words("badge", "run.jsonl", "-o", "b.svg", "--runtime", last=misspelt(("torch", "ort"))),
        words("badge", "run.jsonl", "-o", "b.svg", "--case", last=misspelt(("plain",))),
        words("badge", "run.jsonl", "-o", last=st.sampled_from(["b.png", "b", "b.svgz"])),
    ),
    "no case file": st.sampled_from(
        ["nowhere.py", "words", "folder", "none.py", "binary", "a" * 300 + ".py", "\udcff.py"]
    ).map(
        lambda file: Line(("export", file, "-f", "onnx", "--to", "out"), file.encode("utf-8", "replace").decode()[:9])
    ),
    "no case": misspelt(("plain",)).map(
        lambda name: Line(("export", f"plain.py::{name}", "-f", "torchscript-trace", "--to", "out"), name)
    ),
    "no format": misspelt(tuple(KNOWN["formats"])).map(
        lambda name: Line(("export", "plain.py", "--to", "out", "-f", name), name)
    ),
    "doctor of no name": words("doctor", last=misspelt((*KNOWN["formats"], *KNOWN["runtimes"]))),
    "no environment": words("env", "install", last=misspelt(("tensorflow", "caffe2", "node"))),
    "no artifact": st.sampled_from(["nowhere.onnx", "words", "folder", "plain.py", "binary"]).map(
        lambda file: Line(("run", file, "-r", "ort"), file)
    ),
    "no runtime": misspelt(tuple(KNOWN["runtimes"])).map(lambda name: Line(("run", "words", "-r", name), name)),
    "no cell": st.one_of(
        misspelt(("plain",)).map(lambda name: Line(("repro", "-o", "out", f"plain.py::{name}[onnx-ort-cpu]"), name)),
        st.sampled_from(
            ["plain.py", "plain.py::plain", "plain.py::plain[]", "plain.py::plain[onnx]", "::", "[", "x"]
        ).map(lambda cell: Line(("repro", "-o", "out", cell), cell)),
        misspelt(("onnx",)).map(
            lambda name: Line(("repro", "-o", "out", f"plain.py::plain[{name}-ort-cpu]"), f"{name}-ort")
        ),
    ),
    "nothing new": st.one_of(
        words("new", last=st.sampled_from(["1a", "a b", "class", "plain", "../x", "", "test_a"])),
        words(
            "new", "net2", "--from", last=st.sampled_from(["torchvison:resnet18", "torchvision:resnt18", "torchvision"])
        ),
        listed("folder", "new net3 --folder plain.py"),
    ),
}

_JUNK = ("", "x", "-1", "0", "1.5", "nan", "inf", "1,,2", "1;2", "ﬁve", "1/0", "4/3", "a" * 300)


def option(name: str, values: st.SearchStrategy[str], names: str = "") -> Kind:
    """A value of one of pytest's options of ours."""
    return values.map(lambda value: Line((f"--modelconform-{name}={value}",), names or value[:100]))


PYTEST: dict[str, Kind] = {
    **{f"{name} misspelt": option(name, misspelt(tuple(known))) for name, known in KNOWN.items()},
    "require misspelt": option("require", misspelt((*KNOWN["formats"], *KNOWN["runtimes"]))),
    "option misspelt": misspelt(("formats", "runtimes", "devices", "precisions", "require", "timeout", "threads")).map(
        lambda name: Line((f"--modelconform-{name}=x",), f"--modelconform-{name}")
    ),
    "timeout": option("timeout", st.sampled_from([one for one in _JUNK if one not in ("", "1.5")]), "timeout"),
    "threads": option("threads", st.sampled_from([one for one in _JUNK if one not in ("", "0", "1,,2")]), "threads"),
    "memory": option("memory", st.sampled_from([one for one in _JUNK if one]), "memory"),
    "durations": option("durations", st.sampled_from(["nowhere", "plain.py", "run.jsonl", "folder"]), "durations"),
    "shard": option("shard", st.sampled_from([one for one in _JUNK if one]), "shard"),
    "reports": st.tuples(st.sampled_from(["json", "html", "log"]), st.sampled_from(PLACES)).map(
        lambda one: Line((f"--modelconform-{one[0]}={one[1].format(one[0])}",), f"--modelconform-{one[0]}")
    ),
    "cache": option("cache", st.sampled_from(["plain.py", "/proc/x", "plain.py/x", "words"])),
    "conflicts": st.one_of(
        listed("--modelconform-shard", "--modelconform-update-expected --modelconform-shard=1/2"),
        listed(
            "same file", "--modelconform-json=x --modelconform-html=x", "--modelconform-log=x --modelconform-json=x"
        ),
    ),
    "ini": st.sampled_from(["timeout=x", "shard=4", "threads=x", "formats=onx", "devices=gpu", "html=folder"]).map(
        lambda one: Line(("-o", f"modelconform_{one}"), one.partition("=")[2])
    ),
    "paths": words(last=st.sampled_from(["nowhere.py", "nowhere/", "plain.py::nowhere", "a" * 300 + ".py"])),
}
