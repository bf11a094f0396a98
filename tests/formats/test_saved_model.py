"""What a SavedModel says of itself is read without TensorFlow."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_modelconform.formats import saved_model
from pytest_modelconform.formats.foreign import of_saved_model
from tests.support import saved_models

pytest.importorskip("google.protobuf")


def test_inputs_and_outputs() -> None:
    inputs = {"tokens": (9, [None, 4]), "mask": (10, []), "any": (1, None)}
    found = saved_model.read(saved_models.content(inputs, {"z": (1, [2]), "a": (1, [2])}))
    assert found == (
        [
            {"name": "any", "dtype": "float32", "shape": None},
            {"name": "mask", "dtype": "bool", "shape": []},
            {"name": "tokens", "dtype": "int64", "shape": ["?", 4]},
        ],
        ["a", "z"],
    )


def test_what_has_no_tensors_of_a_case() -> None:
    with pytest.raises(ValueError, match=r"no signature 'serving_default'.*it has train"):
        saved_model.read(saved_models.content({}, {}, "train"))
    with pytest.raises(ValueError, match="input words is of TensorFlow's DataType 7"):
        saved_model.read(saved_models.content({"words": (7, [1])}, {}))


def test_a_folder_and_what_is_none(tmp_path: Path) -> None:
    saved_models.write(tmp_path / "net", {"x": (1, [2, 2])}, {"y": (1, [2, 2])})
    found = of_saved_model(tmp_path / "net")
    assert found is not None
    assert found["file"] == "net"
    assert [(value["name"], value["path"]) for value in found["inputs"]] == [("x", "/args/0")]
    assert of_saved_model(tmp_path) is None


def test_one_that_a_package_carries() -> None:
    spec = pytest.importorskip("importlib.util").find_spec("basic_pitch")
    if spec is None:
        pytest.skip("no basic-pitch: pip install --no-deps basic-pitch")
    found = of_saved_model(Path(spec.submodule_search_locations[0]) / "saved_models/icassp_2022/nmp")
    assert found is not None
    assert [(value["name"], value["shape"]) for value in found["inputs"]] == [("input_2", ["?", 43844, 1])]
    assert [value["name"] for value in found["outputs"]] == ["contour", "note", "onset"]
