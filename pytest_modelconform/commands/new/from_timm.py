"""Models of timm: images in the size that suits a test where the model takes any, else in the one that it says."""

from __future__ import annotations

from .sources import image_cases, sizes, unknown

PACKAGE = "timm"


def drafts(model: str) -> list[str]:
    """Case files: a small size, unless the model takes only its own, then that. Nothing is downloaded."""
    import timm

    known = timm.list_models()
    # "resnet50.a1_in1k" names weights, too.
    if model.partition(".")[0] not in known:
        raise unknown(PACKAGE, model, known, "timm.list_models()")
    config = timm.get_pretrained_cfg(model, allow_unregistered=False)
    channels, meant, _ = config.input_size if config else (3, 224, 224)
    least = config.min_input_size[1] if config and config.min_input_size else 1
    fixed = bool(config and config.fixed_input_size)
    return image_cases(
        f"{model} of timm",
        ["import timm"],
        f'timm.create_model("{model}", pretrained=False)',
        str(channels),
        [meant] if fixed else sizes(least, meant),
        '("vision",)',
        PACKAGE,
    )
