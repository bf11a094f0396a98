"""CLIP: Radford et al., Learning Transferable Visual Models From Natural Language Supervision, 2021, arXiv:2103.00020.

Two towers, each with a length of its own, and a product of all with all.
"""

import torch
from pictures import photo
from torch import Tensor, nn
from torch.export import Dim
from transformers import CLIPConfig, CLIPModel

from pytest_modelconform import Case, generic_weights

BEGIN, END = 48, 49


class Scores(nn.Module):
    """Returns plain tensors, which load without transformers: how well each image fits each text, and embeddings."""

    def __init__(self, clip: nn.Module) -> None:
        super().__init__()
        self.clip = clip

    def forward(self, input_ids: Tensor, attention_mask: Tensor, pixel_values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        out = self.clip(input_ids=input_ids, attention_mask=attention_mask, pixel_values=pixel_values)
        return out.logits_per_image, out.text_embeds, out.image_embeds


def model() -> Scores:
    tower = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "projection_dim": 16,
    }
    config = CLIPConfig(
        text_config={
            **tower,
            "vocab_size": 50,
            "max_position_embeddings": 24,
            "bos_token_id": BEGIN,
            "eos_token_id": END,
            "pad_token_id": 0,
        },
        vision_config={**tower, "image_size": 32, "patch_size": 8},
        projection_dim=16,
    )
    return generic_weights(Scores(CLIPModel(config)))


def texts(*lengths: int) -> dict[str, Tensor]:
    """A text of each length, from its begin to its end token, padded to the longest."""
    place, length = torch.arange(max(lengths)), torch.tensor(lengths)[:, None]
    words = torch.randint(1, BEGIN, (len(lengths), max(lengths)))
    words = torch.where(place == 0, BEGIN, torch.where(place == length - 1, END, words))
    mask = (place < length).long()
    return {"input_ids": words * mask, "attention_mask": mask}


LENGTH = Dim("length", min=2, max=24)  # as many as there are position embeddings

case = Case(
    model=model,
    inputs={
        "two": lambda: {**texts(7, 5), "pixel_values": torch.randn(2, 3, 32, 32)},
        "three_photos": lambda: {**texts(4, 11, 9, 6), "pixel_values": photo(3, 32, 32)},
    },
    dynamic_shapes={
        "input_ids": {0: "texts", 1: LENGTH},
        "attention_mask": {0: "texts", 1: LENGTH},
        "pixel_values": {0: "images"},
    },
    tags=("vision", "text", "transformer", "attention"),
    paper="arXiv:2103.00020",
    requires=("transformers",),
)
