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
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from string import Formatter, Template
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
        image_size max_position_embeddings n_positions max_target_positions moe_intermediate_size output_channels
        flow_size fusion_hidden_size upsample_initial_channel duration_predictor_filter_channels spectrogram_bins""",
    128: """intermediate_size ffn_dim hidden_dim d_ff encoder_ffn_dim decoder_ffn_dim decoder_intermediate_size
        shared_expert_intermediate_size""",
    100: "vocab_size",
}
_LEAST = {field: least for least, fields in _SMALL.items() for field in fields.split()}
# Stages, each with its width: as many as by default.
_STAGES: dict[str, list[Any]] = {
    "depths": [2, 2, 2, 2],
    "hidden_sizes": [16, 32, 64, 128],
    "conv_dim": [32] * 16,
    "attention_types": [[["global", "local"], 1]],
    "backbone_out_indices": [0, 1, 2, 3],
    "neck_hidden_sizes": [16, 32, 64, 128],
}
# SAM: attention in windows, which images need not be several of, and in the whole image in these layers.
_WINDOWS: dict[str, Any] = {"window_size": 3, "global_attn_indexes": [1], "num_pos_feats": 32}
# In the place of a backbone of timm, which may be missing here and elsewhere.
_BACKBONE = {
    "model_type": "resnet",
    "embedding_size": 16,
    "hidden_sizes": [16, 32, 64, 128],
    "depths": [1, 1, 1, 1],
    "layer_type": "basic",
}
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


def inputs(batch: int$sizes) -> dict[str, Tensor]:
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
    """One input of a model. template: of an expression that makes it, of `batch` and of sizes that may change."""

    name: str
    template: str

    @property
    def sizes(self) -> list[str]:
        """Names of the sizes behind the batch, in order."""
        return [name for _, name, _, _ in Formatter().parse(self.template) if name and name != "mask"]

    @property
    def masks(self) -> bool:
        """Whether it is the mask of a text."""
        return self.template == "{mask}"

    def expression(self, sizes: Mapping[str, object]) -> str:
        """What makes it. sizes: a number or a variable's name for each size."""
        return self.template.format(**sizes, mask="mask")

    def free(self) -> dict[int, str]:
        """Axes that may change, by position, beside the batch."""
        if self.masks:
            return {1: "length"}
        shape = self.template.partition("(batch, ")[2].partition(")")[0].split(", ")
        return {axis: word[1:-1] for axis, word in enumerate(shape, 1) if word.startswith("{")}


@dataclass(frozen=True)
class Size:
    """A size that may change: in the first input set, in the second, and how `Dim` bounds it."""

    first: int
    second: int
    bound: str


def _sizes(config: Any) -> dict[str, Size]:
    side = _size(config)
    return {
        "length": Size(9, 14, f"max={_LONGEST}"),
        "height": Size(side, side, f"min={side}"),
        "width": Size(side, side * 3 // 2, f"min={side}"),
        # A quarter of a second at 16 kHz, and a third.
        "samples": Size(4000, 5600, "min=4000"),
    }


def drafts(model: str) -> list[str]:
    """Case files: the sizes of texts, images and sounds may change, then the batch alone. Nothing is downloaded."""
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
            if model.endswith("CTC"):
                options.setdefault("vocab_size", 32)
            config = cls.config_class(**options)
            instance = cls(config).eval()
        except Exception as error:
            raise _cant(model, f"can't be made from a small {cls.config_class.__name__}", error) from error
        inputs, outputs = _runs(model, instance, config)
    varied = [True, False] if any(entry.free() for entry in inputs) else [False]
    known = _sizes(config)
    return [
        _case(model, cls.config_class.__name__, options, inputs, outputs, known if v else {}, known) for v in varied
    ]


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
        if value.model_type == "timm_backbone":
            options[name] = {**_BACKBONE, "out_features": [f"stage{i}" for i in value.out_indices if i > 0]}
            continue
        options[name] = small(type(value))
        # A part of any kind has to say which.
        if part is not type(value):
            options[name] = {"model_type": value.model_type, **options[name]}
    for name in default.to_dict():
        if name in fields and (value := _smaller(name, getattr(default, name, None), fields, options)) is not None:
            options[name] = value
    if getattr(default, "use_cache", False) is True and "use_cache" in fields:
        options["use_cache"] = False
    # Mamba 2: its heads are as many as its width has room for.
    if {"expand", "num_heads", "head_dim", "hidden_size"} <= fields:
        options["num_heads"] = default.expand * options["hidden_size"] // options["head_dim"]
    return options


def _smaller(name: str, value: Any, fields: Set[str], options: Mapping[str, Any]) -> Any:
    """What makes a field of a configuration small, or None where its default stays.

    fields: all that the configuration has. options: those that have been chosen for fields before this one.
    """
    if isinstance(value, bool):
        return None
    if "global_attn_indexes" in fields and name in _WINDOWS:
        return _WINDOWS[name]
    # Attention in windows needs images of several, unless it pads them.
    if name == "image_size" and "window_size" in fields and "global_attn_indexes" not in fields:
        return None
    # DeepSeek: another name for a part of the width that stays, and heads that share nothing.
    if "qk_rope_head_dim" in fields and name in ("head_dim", "num_key_value_heads"):
        return 4 if name == "num_key_value_heads" else None
    # DPT: a layer for each of the maps that it joins.
    if "backbone_out_indices" in fields and name == "num_hidden_layers":
        return 4
    if name.startswith("noise_scale"):
        return 0.0  # a model must not draw random numbers
    if isinstance(value, int) and value > _LEAST.get(name, value):
        return _LEAST[name]
    if isinstance(value, int) and name in _TOKENS and "vocab_size" in options and value >= options["vocab_size"]:
        return _TOKENS[name]
    if isinstance(value, (list, tuple)) and name in _STAGES:
        return _STAGES[name][: len(value)]
    return None


def _runs(model: str, instance: Any, config: Any) -> tuple[list[Input], list[str]]:
    """Inputs that the model runs with, and which of its outputs are tensors."""
    import torch

    first: Exception | None = None
    for inputs in _candidates(instance, config):
        names = {"torch": torch, "batch": 2, "mask": _mask(2, 9)}
        least = {name: size.first for name, size in _sizes(config).items()}
        torch.manual_seed(0)
        try:
            with torch.no_grad():
                made = {entry.name: eval(entry.expression(least), names) for entry in inputs}
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
    text = getattr(config, "text_config", None) or config
    tokens = f"torch.randint(5, {min(100, getattr(text, 'vocab_size', None) or 100)}, (batch, {{}}))"
    rest = []
    if "decoder_input_ids" in parameters and getattr(config, "is_encoder_decoder", False):
        rest.append(Input("decoder_input_ids", tokens.format(6)))
    channels = getattr(_part(config), "num_channels", 3)
    image = f"{channels}, {{height}}, {{width}}"
    main = instance.main_input_name
    if main == "input_ids":
        ids = [Input("input_ids", tokens.format("{length}"))]
        if "attention_mask" in parameters:
            ids.append(Input("attention_mask", "{mask}"))
        if "pixel_values" in parameters and getattr(config, "vision_config", None) is not None:
            side = _size(config)
            rest.append(Input("pixel_values", f"torch.randn(batch, {channels}, {side}, {side})"))
        yield [*ids, *rest]
        return
    shapes = {
        "pixel_values": [image],
        "pixel_values_videos": [f"{getattr(config, 'num_frames', 4)}, {image}"],
        "input_features": [
            _mel(config),
            f"60, {getattr(config, 'num_mel_bins', getattr(config, 'feature_projection_input_dim', 80))}",
        ],
        # A sound; or a spectrogram.
        "input_values": [
            "{samples}",
            "1, {samples}",
            f"{getattr(config, 'max_length', 1024)}, {getattr(config, 'num_mel_bins', 128)}",
        ],
        # A series.
        "past_values": [f"{getattr(config, 'context_length', 32)}, {getattr(config, 'num_input_channels', 1)}"],
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
    model: str,
    config: str,
    options: Mapping[str, Any],
    inputs: list[Input],
    outputs: list[str],
    varied: Mapping[str, Size],
    known: Mapping[str, Size],
) -> str:
    """The text of the case file. varied: which of the `known` sizes may change, beside the batch."""
    names = [entry.name for entry in inputs]
    free = [name for name in varied if any(name in entry.free().values() for entry in inputs)]
    spelled = {name: name if name in free else size.first for name, size in known.items()}
    body = []
    if any(entry.masks for entry in inputs):
        body += [
            f"    mask = torch.ones(batch, {spelled['length']}, dtype=torch.long)",
            "    mask[-1, -2:] = 0  # the last is shorter",
        ]
    made = [f'        "{entry.name}": {entry.expression(spelled)},' for entry in inputs]
    body += ["    return {", *made, "    }\n"]
    several = len(outputs) > 1
    dynamic = []
    for entry in inputs:
        axes = "".join(f", {axis}: {name.upper()}" for axis, name in entry.free().items() if name in free)
        dynamic.append(f'        "{entry.name}": {{0: "batch"{axes}}},')
    constants = "".join(f'{name.upper()} = Dim("{name}", {known[name].bound})\n' for name in free)
    values = {
        "model": model,
        "config": config,
        "imports": ", ".join(sorted((config, model))),
        "dim": "from torch import Tensor, nn\n" + ("from torch.export import Dim\n" if free else ""),
        "constant": f"\n{constants}" if free else "",
        "what": "a tuple of tensors" if several else "a tensor",
        "parameters": ", ".join(f"{name}: Tensor" for name in names),
        "returns": "tuple[Tensor, ...]" if several else "Tensor",
        "passed": ", ".join(f"{name}={name}" for name in names),
        "outputs": ", ".join(f"outputs.{name}" for name in outputs),
        "options": "\n".join(f"        {name}={_spelled(value)}," for name, value in options.items()),
        "sizes": "".join(f", {name}: int" for name in free),
        "first": "".join(f", {known[name].first}" for name in free),
        "second": "".join(f", {known[name].second}" for name in free),
        "body": "\n".join(body),
        "dynamic": "\n".join(dynamic),
    }
    return Template(_CASE).substitute(values)


def _spelled(value: Any) -> str:
    """An option's value as ruff writes it: a dict on lines of its own where it is long."""
    if isinstance(value, dict) and value:
        entries = "".join(f"            {json.dumps(key)}: {_spelled(entry)},\n" for key, entry in value.items())
        return f"{{\n{entries}        }}"
    if isinstance(value, list):
        return f"[{', '.join(map(_spelled, value))}]"
    return json.dumps(value) if isinstance(value, str) else repr(value)
