"""AttaCut: Chormai et al., AttaCut: A Fast and Accurate Neural Thai Word Segmenter, 2019, arXiv:1911.07056.

Trained weights. The smaller network reads characters, the larger one syllables, too; both return one number for each
character of all sentences in a row: does a word begin here?
"""

import json

import torch
from torch import Tensor, nn
from wheels import absent, file_of

from pytest_modelconform import Case

with absent("ssg"):  # It cuts syllables; here they are given.
    from attacut.models import get_model

SENTENCE = "ฉัน|รัก|ภา|ษา|ไทย| |เพราะ|มัน|เป็น|ภา|ษา|บ้าน|เกิด"
OTHER = "วัน|นี้|อา|กาศ|ดี|มาก"


class Sentences(nn.Module):
    """Without the lengths, which forward takes and doesn't look at."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, text: Tensor) -> Tensor:
        return self.net((text, None))


def table(name: str, of: str) -> dict[str, int]:
    return json.loads(file_of("attacut", f"artifacts/{name}/{of}.json").read_text(encoding="utf-8"))


def model(name: str) -> nn.Module:
    settings = file_of("attacut", f"artifacts/{name}/params.yml").read_text(encoding="utf-8")
    kind, parameters = (line.split(": ", 1)[1] for line in settings.splitlines())
    net = get_model(kind)
    sizes = {"num_char_tokens": len(table(name, "characters"))}
    sizes["num_tokens"] = len(table(name, "syllables")) if "sc" in name else sizes["num_char_tokens"]
    return Sentences(net.load(str(file_of("attacut", f"artifacts/{name}")), sizes, parameters))


def characters(name: str, *sentences: str) -> Tensor:
    """The numbers of the characters, (sentences, length), int64; padded with 0."""
    known = table(name, "characters")
    rows = [torch.tensor([known.get(one, known["<UNK>"]) for one in text.replace("|", "")]) for text in sentences]
    return nn.utils.rnn.pad_sequence(rows, batch_first=True)


def syllables(*sentences: str) -> Tensor:
    """The numbers of the characters and of the syllables that they are in, (sentences, 2, length), int64."""
    known = table("attacut-sc", "syllables")
    rows = [
        torch.tensor([known.get(one, known["<UNK>"]) for one in text.split("|") for _ in one]) for text in sentences
    ]
    return torch.stack((characters("attacut-sc", *sentences), nn.utils.rnn.pad_sequence(rows, batch_first=True)), dim=1)


attacut_c = Case(
    model=lambda: model("attacut-c"),
    inputs={
        "padded": lambda: (characters("attacut-c", SENTENCE, OTHER),),
        "any": lambda: (torch.randint(0, len(table("attacut-c", "characters")), (3, 21)),),
    },
    dynamic_shapes={"text": {0: "batch", 1: "length"}},
    tags=("trained", "text", "convolution"),
    paper="arXiv:1911.07056",
    requires=("attacut",),
)
attacut_sc = Case(
    model=lambda: model("attacut-sc"),
    inputs={
        "padded": lambda: (syllables(SENTENCE, OTHER),),
        "one": lambda: (syllables(OTHER),),
    },
    dynamic_shapes={"text": {0: "batch", 2: "length"}},
    tags=("trained", "text", "convolution"),
    paper="arXiv:1911.07056",
    requires=("attacut",),
)
