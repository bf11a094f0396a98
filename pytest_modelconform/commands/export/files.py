"""Where `modelconform export` puts an artifact: a folder with inputs and references beside it, or a file of a name."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...cache.files import copy
from ...cells.stages import Artifact
from ...formats.base import Format
from ...references.prepared import Prepared
from ...report import places
from ...terms.wording import Refused

# What describes the case in the folder; cpp/library/reference.cpp reads the tolerance in it.
DESCRIPTION = "case.json"
SIGNATURE = "signature.json"
_OURS = ("export.json", SIGNATURE)


class NoPlace(Refused):
    """An artifact can't be written under the name that was asked for. The message says why and what to do."""


def write_folder(folder: Path, description: dict[str, Any], prepared: Prepared, artifact: Artifact) -> list[Path]:
    """Copy to a folder, and return what is there now, in order. Input sets of an earlier export go."""
    folder.mkdir(parents=True, exist_ok=True)
    sources = [path for path in sorted(artifact.folder.iterdir()) if path.name != "export.json"]
    for name in prepared.sets:
        stems = (f"inputs-{name}.safetensors", f"references-{name}.safetensors", f"references-{name}.json")
        sources += [prepared.folder / stem for stem in stems]
    written = [folder / source.name for source in sources]
    for pattern in ("inputs-*.safetensors", "references-*.safetensors", "references-*.json"):
        for old in set(folder.glob(pattern)) - set(written):
            old.unlink()
    for source, target in zip(sources, written, strict=True):
        copy(source, target)
    described = folder / DESCRIPTION
    described.write_text(json.dumps(description, indent=1) + "\n")
    return [*written, described]


def refuse_place(output: Path | None, folder: Path | None, module: Format) -> None:
    """Raises NoPlace for a file that no artifact of a format can be, or a place that can't be written to.

    Asked before the export, which may take long. Folders on the way are created.
    """
    if output is None:
        assert folder is not None  # one of them is required
        if fault := places.fault_of_folder(folder) or places.fault_of_file(folder / DESCRIPTION):
            raise NoPlace(f"--to: {fault}")
        return
    if output.is_dir():
        raise NoPlace(f"{output} is a folder: name a file, or use --to {output}")
    if module.SUFFIXES and output.suffix not in module.SUFFIXES:
        *others, last = module.SUFFIXES
        kinds = f"{', '.join(others)} or {last}" if others else last
        raise NoPlace(f"an artifact in {module.NAME} needs a name that ends in {kinds}; {output.name} does not")
    if fault := places.fault_of_file(output):
        raise NoPlace(f"-o: {fault}")


def write_file(target: Path, module: Format, artifact: Artifact) -> list[Path]:
    """Copy the artifact alone: its main file is `target`, and what belongs to it goes beside. Raises NoPlace."""
    names = sorted(path.name for path in artifact.folder.iterdir() if path.name not in _OURS)
    main = artifact.path.name
    places = companions(module, main, [name for name in names if name != main], target)
    target.parent.mkdir(parents=True, exist_ok=True)
    for name, place in places.items():
        copy(artifact.folder / name, place)
    return list(places.values())


def companions(module: Format, main: str, others: Sequence[str], target: Path) -> dict[str, Path]:
    """Where each file of an artifact goes whose main file becomes `target`, which comes first. Raises NoPlace.

    A companion that is called like the main file is so beside the target, too: OpenVINO's .bin, ncnn's. Others keep
    their names where the main file records them, as ONNX does those of external data.
    """
    stem = Path(main).stem
    places = {main: target}
    for name in others:
        if module.RECORDS_NAMES:
            places[name] = target.with_name(name)
        elif Path(name).stem == stem:
            places[name] = target.with_name(target.stem + Path(name).suffix)
        else:
            files = ", ".join([main, *others])
            raise NoPlace(
                f"an artifact in {module.NAME} consists of several files ({files}) whose names can't change: use "
                "--to FOLDER"
            )
    if len(set(places.values())) < len(places):
        raise NoPlace(
            f"{target.name} is the name of another file of the artifact ({', '.join(others)}): choose another name"
        )
    return places
