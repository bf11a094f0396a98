"""Whether two failures are the same error: what their messages say, without what depends on the model around it.

A part of a model has other names for its nodes, other shapes, other files and other addresses than the model. What
stays is the verdict, the stage, the exception, and the words that tell of the fault: operators, types, checks.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

from ..terms.outcome import PREFIX, REMEDY, Outcome, Stage, Verdict

_DIED = (Verdict.CRASH, Verdict.TIMEOUT)
# What an exception is wrapped in, as workers/loop.py writes it.
_CAUSED = "caused by "
# Lines that say where, and not what; ours; and what begins a stack.
_ELSEWHERE = re.compile(rf"^(  at |  \| |-{{3,}}|={{3,}}|{re.escape(PREFIX)}|{re.escape(REMEDY)})")
_STACK = re.compile(
    r"^\s*(Traceback \(most recent call last\)|Stack ?(back)?trace|stack traces?|# ?C\+\+ stack|While executing "
    r"|Original traceback|The following call raised|from user code|User [Ss]tack|Caused by: \(|## |For C\+\+ stack"
    r"|To (find out|fix|see) |For more (information|debugging)|consider using data-dependent)",
    re.IGNORECASE,
)
# How a process ended, see terms/wording.py and cells/worker.py.
_END = re.compile(r"^\S+ (was killed by|ended with status|gave no answer within|closed its output)")
# What a cell puts before the words of its library.
_BEFORE = re.compile(
    r"^(input set '[^']*'( \([^)]*\))?: |step \d+ of \d+: |case '[^']*'(, exports\['[^']*'\], \w+)?: (line \d+: )?)+"
)
_EXCEPTION = re.compile(r"^(?P<kind>[A-Za-z_][\w.:]*(?:Error|Exception|Failure|Fail|Implemented|Graph|Argument"
                        r"|Warning|Violation|Node|[Ee]xit|Interrupt|Operator))\b: ?(?P<words>.*)$")  # fmt: skip
# Lines that stand in all messages of a library.
_GENERIC = re.compile(
    r"^(Exception from \S+|Check 'false' failed at \S+|.*FrontEnd API failed with \w+|Model wasn't fully converted\..*"
    r"|Failed to convert the exported program to an ONNX model.*|Failed to export the model.*|Caused by|\W*):?\W*$"
)
_PATH = re.compile(r"(?<![\w.])(?:[A-Za-z]:)?(?:\.{0,2}/)+[\w.@+-]+(?:/[\w.@+-]*)*(?::\d+)*")
# What torch.export could not decide: the same question is put otherwise in another model.
_QUESTION = re.compile(r"(?<=data-dependent expression ).*")
# What torch.export asks of sizes, and could not prove: for other sizes it is put in other numbers.
_GUARD = re.compile(r"satisfy the generated guard (?P<guard>.+)")
_OF_GUARD = re.compile(r"//|%|\*+|[<>!=]=|[<>]|\b[A-Za-z_]\w*\b")
_SIZE = re.compile(r"L\[.+?\]\.size\(\)\[\d+\]")
_OVERLOAD = re.compile(r"OpOverload\(op='(\w+)\.(\w+)'")
_ADDRESS = re.compile(r"\b0x[0-9a-fA-F]+\b")
# Names of a graph's nodes, where a library says that they are ones.
_NODE = re.compile(r"(?:(?<=node with name )|(?<=node name )|(?<=friendly_name )|(?<=node named ))'[^']*'"
                   r"|(?<=in node )\([^)]*\)|(?<=Node\(\w{2}\): )\w+|%[\w.]+|(?<=\)): [\w./]+(?=>')"
                   r"|(?<=Name:)'[^']*'|(?<=node #)\d+ \"[^\"]*\"")  # fmt: skip
_WORD = re.compile(r"[A-Za-z_][\w]*(?:(?:::|\.)[A-Za-z_]\w*)*")
_TYPE = re.compile(
    r"^(b?float|bf|f|int|i|uint|u|si|complex|c|bool|half|double)(1|4|8|16|32|64|128)?(_e\dm\d\w*)?$", re.IGNORECASE
)
# Namespaces of operators; other words with a dot are names of weights and modules.
_SPACES = ("aten", "prim", "prims", "quantized", "torch", "torchvision", "onnx", "ai", "com", "tfl", "stablehlo",
           "mhlo", "vhlo", "chlo", "opset", "ov", "relax", "tosa", "higher_order", "executorch", "edge")  # fmt: skip
# Words that sizes are called by, and functions that compare them.
_SYMBOL = re.compile(r"^(u|s|zuf|L|x|y|n|N|dim|batch)\d*$")
# Words that may differ between two messages about one fault, at most this share of them.
_MAY_DIFFER = 0.2


@dataclass(frozen=True)
class Told:
    """What a failure tells. kind: the exception that was raised, "" for none. lines: words, those that tell most first.

    wraps: words of the line in which an exception was said that wraps another one; none where it wraps nothing. A
    process that died tells how; its last words only where it ended itself.
    """

    verdict: Verdict
    stage: Stage | None
    kind: str
    lines: tuple[tuple[str, ...], ...]
    wraps: tuple[str, ...] = ()


def told(outcome: Outcome) -> Told:
    """What a cell's failure tells."""
    kind, lines = "", list[tuple[str, ...]]()
    wraps: tuple[str, ...] = ()
    for message in _messages(outcome):
        said_kind, said = _said(message, outcome.verdict)
        kind = kind or said_kind
        wraps = wraps or _wrapping(message)
        lines += [words for words in said if words not in lines]
    return Told(outcome.verdict, outcome.stage, kind, tuple(lines), wraps)


def is_same(whole: Outcome, part: Outcome) -> bool:
    """Whether a part fails as the whole does: alike, at the same stage, by the same words.

    What tells most in the part's message must be told by the whole's, which may tell more.
    """
    first, second = told(whole), told(part)
    if (first.verdict, first.stage) != (second.verdict, second.stage) or first.verdict not in (*_DIED, Verdict.ERROR):
        return False
    if first.verdict is Verdict.TIMEOUT:
        return True
    if first.kind != second.kind or not _alike(first.wraps, second.wraps):
        return False
    if not second.lines:
        return not first.lines
    return any(_alike(line, second.lines[0]) for line in first.lines)


def tells(outcome: Outcome, sentence: str) -> bool:
    """Whether a failure's message says what a sentence says, an exception and its first line, among other things."""
    words = _words(sentence)
    return any(_alike(line, words) for line in told(outcome).lines)


def _messages(outcome: Outcome) -> list[str]:
    """What was said of the input sets that ended so, or of the cell as a whole."""
    entries = [
        str(entry.get("message", ""))
        for entry in outcome.inputs.values()
        if entry.get("verdict") == outcome.verdict.value and entry.get("message")
    ]
    return entries or [outcome.message]


def gist(message: str) -> str:
    """The line of a failure's message that tells most: what was raised first, rather than what an exporter made of it.

    A message on several input sets may begin with a sentence on all of them.
    """
    lines = message.strip().splitlines()
    begin = next((number for number, line in enumerate(lines) if line.startswith("input set '")), 0)
    died = any(_END.match(_BEFORE.sub("", line)) for line in lines[begin : begin + 1])
    _, telling = _telling("\n".join(lines[begin:]), Verdict.CRASH if died else Verdict.ERROR)
    return next((line.strip() for line in telling), "")


def _said(message: str, verdict: Verdict) -> tuple[str, list[tuple[str, ...]]]:
    """The exception that a message begins with, and the words of the lines that tell, those that tell most first."""
    kind, telling = _telling(message, verdict)
    return kind, [words for line in telling if (words := _words(line))]


def _telling(message: str, verdict: Verdict) -> tuple[str, list[str]]:
    lines = [_BEFORE.sub("", line.rstrip()) for line in message.strip().splitlines()]
    first = lines[0] if lines else ""
    if verdict in _DIED:
        last = [line.removeprefix("  | ") for line in lines[1:] if re.search(r"what\(\):|[Aa]ssert|CHECK", line)]
        return "", [*last, first] if "SIGABRT" in first else [first]
    kind = raised["kind"] if (raised := _EXCEPTION.match(first)) else ""
    causes = [line.removeprefix(_CAUSED) for line in lines if line.startswith(_CAUSED)]
    # What was raised first tells the fault; what wraps it tells which node an exporter was at.
    telling = causes[-1:] or _before_stack(lines)
    # That constraints are violated is said of all of these.
    telling = [line for line in telling if _GUARD.search(line)] or telling
    return kind, [line for line in telling if not _is_generic(line)] or [first]


def _wrapping(message: str) -> tuple[str, ...]:
    """The words of the first line, if what it says was raised for another exception."""
    first, _, rest = message.strip().partition("\n")
    return _words(_BEFORE.sub("", first)) if f"\n{_CAUSED}" in f"\n{rest}" else ()


def _before_stack(lines: list[str]) -> list[str]:
    found = []
    for number, line in enumerate(lines):
        if number and _STACK.match(line):
            break
        if not _ELSEWHERE.match(line):
            found.append(line)
    return found


def _is_generic(line: str) -> bool:
    match = _EXCEPTION.match(line)
    return bool(_GENERIC.match(match["words"] if match else line)) or line.rstrip().endswith(" with a message:")


def _words(line: str) -> tuple[str, ...]:
    """The words of a line that are the same for another model with the same fault."""
    if guard := _GUARD.search(line):
        return tuple(f"guard:{word}" for word in sorted(set(_OF_GUARD.findall(_SIZE.sub("", guard["guard"])))))
    line = _QUESTION.sub(" ", line)
    line = _OVERLOAD.sub(r"\1::\2", line)
    for pattern in (_NODE, _ADDRESS, _PATH):
        line = pattern.sub(" ", line)
    line = re.sub(r"\[[\d\s,x?*-]*\]|\([\d\s,x?*-]*\)", " ", line)  # shapes
    return tuple(word for found in _WORD.findall(line) if (word := _kept(found)))


def _kept(word: str) -> str:
    """A word as it counts; "" for a name of the model's, or of a size."""
    if _TYPE.match(word):
        return word
    word = re.sub(r"_\d+$", "", word)  # MatMul_29877
    if _SYMBOL.match(word) or word.startswith(("node_", "val_", "%")):
        return ""
    space, dot, _ = word.partition(".")
    if dot and "::" not in word and space not in _SPACES and not re.match(r"^[A-Z]|.*Error", space):
        return ""
    return re.sub(r"\d+", "#", word)


def _alike(first: tuple[str, ...], second: tuple[str, ...]) -> bool:
    """Whether two lines say the same: few words differ, and none that names an operator or a type."""
    if first == second:
        return True
    differ = list(((Counter(first) - Counter(second)) + (Counter(second) - Counter(first))).elements())
    return len(differ) <= _MAY_DIFFER * (len(first) + len(second)) / 2 and not any(map(_is_telling, differ))


def _is_telling(word: str) -> bool:
    return bool(_TYPE.match(word)) or not word.islower() or "::" in word or "." in word or "_" in word
