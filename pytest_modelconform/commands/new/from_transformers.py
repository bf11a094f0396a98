"""Models of transformers: a class, made small by its configuration, behind a module that returns tensors.

What the class takes is found by trying: its main input, in the shapes that inputs of that name have.
"""

from __future__ import annotations

import contextlib
import inspect
import json
import logging
import os
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from string import Template
from typing import Any

from .sources import CantScaffold, unknown

PACKAGE = "transformers"

# A configuration's fields by the value that makes them small; where the default is less, it stays.
_SMALL = {
    4: """num_attention_heads n_head n_heads num_heads encoder_attention_heads decoder_attention_heads num_frames
        decoder_num_attention_heads num_conv_pos_embedding_groups num_experts num_local_experts n_routed_experts""",
    2: """num_hidden_layers n_layer n_layers num_layers num_decoder_layers encoder_layers decoder_layers
        decoder_num_hidden_layers num_key_value_heads num_kv_heads num_experts_per_tok num_hidden_groups""",
    16: "d_kv head_dim rotary_dim patch_size num_conv_pos_embeddings",
    40: "num_mel_bins",
    50: "max_source_positions",
    64: """hidden_size d_model n_embd dim embedding_size word_embed_proj_dim projection_dim decoder_hidden_size
        image_size max_position_embeddings n_positions max_target_positions moe_intermediate_size""",
    128: """intermediate_size ffn_dim hidden_dim d_ff encoder_ffn_dim decoder_ffn_dim decoder_intermediate_size
        shared_expert_intermediate_size""",
    100: "vocab_size",
}
_LEAST = {field: least for least, fields in _SMALL.items() for field in fields.split()}
# Stages, each with its width: as many as by default.
_STAGES = {"depths": [2, 2, 2, 2], "hidden_sizes": [16, 32, 64, 128], "conv_dim": [32] * 7}
_TOKENS = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 3}
# Position embeddings are 64, of which some models reserve a few.
_LONGEST = 32

_CASE = '''\
"""$model of transformers, made small: say here in which paper it was published."""

import torch
${dim}from transformers import $imports

from pytest_modelconform import Case, generic_weights
$constant

class Tensors(nn.Module):
    """Returns $what, to load where transformers isn't installed."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, $parameters) -> $returns:
        outputs = self.model($passed)
        return $outputs


def model() -> Tensors:
    config = $config(
$options
    )
    return generic_weights(Tensors($model(config)))


def inputs(batch: int$length) -> dict[str, Tensor]:
$body

case = Case(
    model=model,
    # Exporters see the first; the other shows whether the export generalises.
    inputs={"two": lambda: inputs(2$first), "three": lambda: inputs(3$second)},
    dynamic_shapes={
$dynamic
    },
    tags=("transformer",),
    requires=("transformers",),
)
'''


@dataclass(frozen=True)
class Input:
    """One input of a model. expression: that makes it, of `batch` and perhaps `length`."""

    name: str
    expression: str

    @property
    def long(self) -> bool:
        """Whether its second dimension is a length."""
        return "length" in self.expression


def drafts(model: str) -> list[str]:
    """Case files: the length of a text may change, then the batch alone. Nothing is downloaded for that."""
    # Read when huggingface_hub is imported: a configuration may name a backbone that would be downloaded.
    os.environ["HF_HUB_OFFLINE"] = "1"
    with _quiet():
        import transformers

        cls: Any = getattr(transformers, model, None)
        if not (hasattr(cls, "main_input_name") and getattr(cls, "config_class", None)):
            classes = [name for name in dir(transformers) if name.endswith(_MODELS)]
            raise unknown(PACKAGE, model, classes, "https://huggingface.co/docs/transformers")
        try:
            options = small(cls.config_class)
            if model.endswith("ForSequenceClassification"):
                options["pad_token_id"] = 0
            config = cls.config_class(**options)
            instance = cls(config).eval()
        except Exception as error:
            raise _cant(model, f"can't be made from a small {cls.config_class.__name__}", error) from error
        inputs, outputs = _runs(model, instance, config)
    lengths = [True, False] if any(entry.long for entry in inputs) else [False]
    return [_case(model, cls.config_class.__name__, options, inputs, outputs, length) for length in lengths]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without what transformers and what it imports say about themselves: the command's stderr is for the user."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


# What classes that are models end in; others of transformers are configurations, tokenizers and such.
_MODELS = (
    "Model",
    "LM",
    "LMHeadModel",
    "Classification",
    "Generation",
    "Answering",
    "CTC",
    "Detection",
    "Segmentation",
)


def _cant(model: str, what: str, error: BaseException | None) -> CantScaffold:
    said = f": {type(error).__name__}: {' '.join(str(error).split())[:300]}" if error else ""
    return CantScaffold(f"transformers:{model} {what}{said}")


def small(config_class: Any) -> dict[str, Any]:
    """Options that make a configuration small, those of its parts included."""
    default = config_class()
    fields = set(default.to_dict()) - set(config_class.attribute_map)
    options: dict[str, Any] = {}
    for name, part in config_class.sub_configs.items():
        if (value := getattr(default, name, None)) is None:
            continue
        options[name] = small(type(value))
        # A part of any kind has to say which.
        if part is not type(value):
            options[name] = {"model_type": value.model_type, **options[name]}
    for name in default.to_dict():
        value = getattr(default, name, None)
        if name not in fields or isinstance(value, bool):
            continue
        # Attention in windows needs images of several.
        if name == "image_size" and "window_size" in fields:
            continue
        if isinstance(value, int) and value > _LEAST.get(name, value):
            options[name] = _LEAST[name]
        elif isinstance(value, int) and name in _TOKENS and "vocab_size" in options and value >= options["vocab_size"]:
            options[name] = _TOKENS[name]
        elif isinstance(value, (list, tuple)) and name in _STAGES:
            options[name] = _STAGES[name][: len(value)]
    if getattr(default, "use_cache", False) is True and "use_cache" in fields:
        options["use_cache"] = False
    return options


def _runs(model: str, instance: Any, config: Any) -> tuple[list[Input], list[str]]:
    """Inputs that the model runs with, and which of its outputs are tensors."""
    import torch

    first: Exception | None = None
    for inputs in _candidates(instance, config):
        names = {"torch": torch, "batch": 2, "length": 9, "mask": _mask(2, 9)}
        torch.manual_seed(0)
        try:
            with torch.no_grad():
                made = {entry.name: eval(entry.expression, names) for entry in inputs}
                returned = instance(**made, return_dict=True)
        except Exception as error:
            first = first or error
            continue
        outputs = [name for name, value in returned.items() if isinstance(value, torch.Tensor) and value.ndim]
        if outputs:
            return inputs, outputs
    if first is None:
        raise _cant(
            model,
            f"takes an input ({instance.main_input_name}), or returns outputs, that this command doesn't know",
            None,
        )
    raise _cant(model, "fails with the inputs that models of its kind usually take", first)


def _candidates(instance: Any, config: Any) -> Iterator[list[Input]]:
    """Inputs to try, by the names of forward's parameters and the configuration's sizes."""
    parameters = inspect.signature(instance.forward).parameters
    tokens = "torch.randint(5, 100, (batch, {}))"
    rest = []
    if "decoder_input_ids" in parameters and getattr(config, "is_encoder_decoder", False):
        rest.append(Input("decoder_input_ids", tokens.format(6)))
    size = _size(config)
    image = f"{getattr(_part(config), 'num_channels', 3)}, {size}, {size}"
    main = instance.main_input_name
    if main == "input_ids":
        ids = [Input("input_ids", tokens.format("length"))]
        if "attention_mask" in parameters:
            ids.append(Input("attention_mask", "mask"))
        if "pixel_values" in parameters and getattr(config, "vision_config", None) is not None:
            rest.append(Input("pixel_values", f"torch.randn(batch, {image})"))
        yield [*ids, *rest]
        return
    shapes = {
        "pixel_values": [image],
        "pixel_values_videos": [f"{getattr(config, 'num_frames', 4)}, {image}"],
        "input_features": [_mel(config), f"60, {getattr(config, 'num_mel_bins', 80)}"],
        # A quarter of a second at 16 kHz; or a spectrogram.
        "input_values": ["4000", f"{getattr(config, 'max_length', 1024)}, {getattr(config, 'num_mel_bins', 128)}"],
    }.get(main, [])
    if main == "pixel_values" and hasattr(config, "num_frames"):
        shapes = [f"{config.num_frames}, {image}"]
    for shape in shapes:
        yield [Input(main, f"torch.randn(batch, {shape})"), *rest]


def _part(config: Any) -> Any:
    """The configuration that says what images are like."""
    return getattr(config, "vision_config", None) or config


def _size(config: Any) -> int:
    size = getattr(_part(config), "image_size", 64)
    return size if isinstance(size, int) else 64


def _mel(config: Any) -> str:
    # Whisper's convolution halves the length, and the encoder takes no other than its own.
    return f"{getattr(config, 'num_mel_bins', 80)}, {2 * getattr(config, 'max_source_positions', 1500)}"


def _mask(batch: int, length: int) -> Any:
    import torch

    mask = torch.ones(batch, length, dtype=torch.long)
    mask[-1, -2:] = 0
    return mask


def _case(
    model: str, config: str, options: Mapping[str, Any], inputs: list[Input], outputs: list[str], length: bool
) -> str:
    """The text of the case file. length: whether the length may change, too."""
    names = [entry.name for entry in inputs]
    masked = any(entry.expression == "mask" for entry in inputs)
    # A mask is as long as what it masks.
    long = any(entry.long for entry in inputs)
    body = []
    if masked:
        body += [
            "    mask = torch.ones(batch, length, dtype=torch.long)",
            "    mask[-1, -2:] = 0  # the last is shorter",
        ]
    body += ["    return {", *(f'        "{entry.name}": {entry.expression},' for entry in inputs), "    }\n"]
    several = len(outputs) > 1
    dynamic = []
    for entry in inputs:
        second = ", 1: LENGTH" if length and (entry.long or entry.expression == "mask") else ""
        dynamic.append(f'        "{entry.name}": {{0: "batch"{second}}},')
    values = {
        "model": model,
        "config": config,
        "imports": ", ".join(sorted((config, model))),
        "dim": "from torch import Tensor, nn\n" + ("from torch.export import Dim\n" if length else ""),
        "constant": f'\nLENGTH = Dim("length", max={_LONGEST})\n' if length else "",
        "what": "a tuple of tensors" if several else "a tensor",
        "parameters": ", ".join(f"{name}: Tensor" for name in names),
        "returns": "tuple[Tensor, ...]" if several else "Tensor",
        "passed": ", ".join(f"{name}={name}" for name in names),
        "outputs": ", ".join(f"outputs.{name}" for name in outputs),
        "options": "\n".join(f"        {name}={_spelled(value)}," for name, value in options.items()),
        "length": ", length: int" if long else "",
        "first": ", 9" if long else "",
        "second": (", 14" if length else ", 9") if long else "",
        "body": "\n".join(body),
        "dynamic": "\n".join(dynamic),
    }
    return Template(_CASE).substitute(values)


def _spelled(value: Any) -> str:
    """An option's value as ruff writes it: a dict on lines of its own where it is long."""
    if isinstance(value, dict) and value:
        entries = "".join(f"            {json.dumps(key)}: {_spelled(entry)},\n" for key, entry in value.items())
        return f"{{\n{entries}        }}"
    return json.dumps(value) if isinstance(value, str) else repr(value)
