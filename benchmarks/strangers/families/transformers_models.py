"""40 of transformers' models, built from configurations that are made small: nothing is downloaded."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from .stranger import Stranger

_ENCODERS = """albert bert convbert deberta deberta-v2 distilbert electra fnet ibert layoutlm longformer megatron-bert
    mobilebert mpnet mra nystromformer rembert roberta roformer squeezebert xlnet"""
_DECODERS = "biogpt bloom gemma gpt2 gpt_neox llama mamba mpt opt phi qwen2 xglm"
_PAIRS = "bart marian t5"
_IMAGES = "beit dinov2 segformer vit"
# A configuration's fields by the value that makes them small; where it is less, it stays.
_SMALL = {
    4: "num_attention_heads n_head n_heads num_heads encoder_attention_heads decoder_attention_heads",
    2: """num_hidden_layers n_layer n_layers num_layers num_decoder_layers encoder_layers decoder_layers
        num_key_value_heads""",
    16: "d_kv head_dim patch_size",
    64: """hidden_size d_model n_embd dim embedding_size image_size word_embed_proj_dim max_position_embeddings
        n_positions""",
    128: "intermediate_size hidden_dim d_ff d_inner encoder_ffn_dim decoder_ffn_dim",
    100: "vocab_size",
}
_LEAST = {field: least for least, fields in _SMALL.items() for field in fields.split()}
_LENGTH, _TARGET = 12, 10


class Hidden(nn.Module):
    """Returns the last hidden state, as what is exported returns tensors."""

    def __init__(self, model: nn.Module, main: str) -> None:
        super().__init__()
        self.model = model
        self.main = main

    def forward(self, x: Tensor, target: Tensor | None = None) -> Tensor:
        further = {} if target is None else {"decoder_input_ids": target}
        # Other outputs are caches, of classes of its own.
        cache = {"use_cache": False} if getattr(self.model.config, "use_cache", False) else {}
        found: Tensor = self.model(**{self.main: x}, **further, **cache, return_dict=True)[0]
        return found


def strangers() -> Iterator[Stranger]:
    """All of them, as missing where transformers isn't installed."""
    there = importlib.util.find_spec("transformers") is not None
    missing = "" if there else "transformers isn't installed: pip install transformers"
    for names, inputs in ((_ENCODERS, _tokens), (_DECODERS, _tokens), (_PAIRS, _two_tokens), (_IMAGES, _image)):
        for name in names.split():
            yield Stranger(f"transformers.{name.replace('-', '_')}", partial(_make, name), inputs, missing=missing)


def _make(name: str) -> nn.Module:
    import transformers

    library: Any = transformers
    library.logging.set_verbosity_error()
    config: Any = library.CONFIG_MAPPING[name]
    usual = config()
    small = {"pad_token_id": 0, "return_dict": True}
    for field, least in _LEAST.items():
        value = getattr(usual, field, None)
        if type(value) is int and value > least:
            small[field] = least
    model: Any = library.AutoModel.from_config(config(**small))
    return Hidden(model, model.main_input_name)


def _tokens() -> Tensor:
    return torch.randint(4, 90, (2, _LENGTH))


def _two_tokens() -> tuple[Tensor, Tensor]:
    return _tokens(), torch.randint(4, 90, (2, _TARGET))


def _image() -> Tensor:
    return torch.randn(2, 3, 64, 64)
