"""What the cases of this folder share: sentences of tokens, and language models that return plain tensors.

There are 100 tokens: 0 is padding, 1 begins a sentence, 2 ends it, 3 is a full stop.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

VOCABULARY = 100

Past = tuple[tuple[Tensor, Tensor], ...]


def noise(batch: int, length: int) -> Tensor:
    """Tokens without padding, each as likely as any other: (batch, length)."""
    return torch.randint(4, VOCABULARY, (batch, length))


def sentence(length: int) -> Tensor:
    """Tokens (length,) as a text has them: a start, a clause that is said twice, rare and common words, an end."""
    words = torch.multinomial(1 / torch.arange(1.0, VOCABULARY - 3), length, replacement=True) + 4
    clause = max((length - 3) // 2, 0)
    words[1 + clause : 1 + 2 * clause] = words[1 : 1 + clause]
    words[0], words[-2], words[-1] = 1, 3, 2
    return words


def sentences(*lengths: int, left: bool = False) -> tuple[Tensor, Tensor]:
    """Sentences of these lengths, padded to the longest, and their mask: both (batch, length), int64, 1 for a word."""
    tokens = torch.zeros(len(lengths), max(lengths), dtype=torch.int64)
    mask = torch.zeros_like(tokens)
    for row, length in enumerate(lengths):
        place = slice(-length, None) if left else slice(length)
        tokens[row, place], mask[row, place] = sentence(length), 1
    return tokens, mask


def masked(*lengths: int, left: bool = False) -> dict[str, Tensor]:
    """The same, by the names that transformers gives them."""
    return dict(zip(("input_ids", "attention_mask"), sentences(*lengths, left=left), strict=True))


class Logits(nn.Module):
    """Tokens (batch, length) → the logits of a language model of transformers, as a tensor: it loads without them."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor) -> Tensor:
        logits: Tensor = self.model(input_ids, use_cache=False).logits
        return logits


class MaskedLogits(nn.Module):
    """The same for padded sentences: the mask (batch, length) is 1 for words and 0 for padding."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        logits: Tensor = self.model(input_ids, attention_mask=attention_mask, use_cache=False).logits
        return logits


class Cached(nn.Module):
    """The same for a server: tokens and the past in, logits and the past with these tokens out.

    `cache` makes transformers' cache from the past. (A dict of both, no trace can return.)
    """

    def __init__(self, model: nn.Module, cache: Callable[[Past], Any]) -> None:
        super().__init__()
        self.model = model
        self.cache = cache

    def forward(self, tokens: Tensor, past: Past) -> tuple[Tensor, Past]:
        """Takes tokens (batch, length); past: keys and values of each layer, (batch, heads, length so far, width)."""
        cache = self.cache(past)
        logits = self.model(tokens, past_key_values=cache, use_cache=True).logits
        return logits, tuple((layer.keys, layer.values) for layer in cache.layers)
