"""Tensor files: what the standard library writes, safetensors and numpy read, and what is refused."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pytest_modelconform.workers import arrays, tensors
from pytest_modelconform.workers.tensors import DTYPES, Tensor, TensorFileError


def file(tmp_path: Path, header: Any, data: bytes = b"", length: int | None = None) -> str:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path = tmp_path / "x.safetensors"
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + data)
    return str(path)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (0, 4)])
def test_every_dtype_and_shape(tmp_path: Path, dtype: str, shape: tuple[int, ...]) -> None:
    path = str(tmp_path / "x.safetensors")
    data = bytes(i % 2 for i in range(tensors.size(dtype, shape)))
    written = {"a/0": Tensor(dtype, shape, data), "é": Tensor("int64", (1,), b"\x01" + bytes(7))}
    tensors.write(path, written)
    read = tensors.read(path)
    assert {key: tensor._replace(data=bytes(tensor.data)) for key, tensor in read.items()} == written
    again = str(tmp_path / "again.safetensors")
    arrays.write(again, arrays.read(path))
    assert {key: bytes(tensor.data) for key, tensor in tensors.read(again).items()} == {
        key: tensor.data for key, tensor in written.items()
    }


def test_it_is_plain_safetensors(tmp_path: Path) -> None:
    numpy = pytest.importorskip("safetensors.numpy")
    path = tmp_path / "x.safetensors"
    values = {
        "x": np.arange(6, dtype=np.float32).reshape(2, 3),
        "flag": np.array(True),
        "n": np.zeros((0, 2), np.int16),
    }
    arrays.write(path, values)
    for key, value in numpy.load_file(path).items():
        np.testing.assert_array_equal(value, values[key])
    numpy.save_file(values, path)
    for key, value in arrays.read(path).items():
        np.testing.assert_array_equal(value, values[key])
        assert value.dtype == values[key].dtype


def test_complex_numbers_are_pairs(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    value = np.array([1 + 2j, 3 - 4j], dtype=np.complex64)
    arrays.write(path, {"z": value})
    content = path.read_bytes()
    header = json.loads(content[8 : 8 + struct.unpack("<Q", content[:8])[0]])
    assert header["z"]["dtype"] == "F32"
    assert header["z"]["shape"] == [2, 2]
    assert json.loads(header["__metadata__"]["modelconform"]) == {"z": {"dtype": "complex64"}}
    np.testing.assert_array_equal(arrays.read(path)["z"], value)


@pytest.mark.parametrize("order", [(1, 0, 2), (2, 0, 1), (1, 2, 0), (2, 1, 0)])
def test_the_order_of_strides_is_kept(tmp_path: Path, order: tuple[int, ...]) -> None:
    path = str(tmp_path / "x.safetensors")
    value = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    tensors.write(path, {"x": arrays.from_array(value)._replace(order=order)})
    found = arrays.read(path)["x"]
    np.testing.assert_array_equal(found, value)
    by_stride = sorted(range(3), key=lambda axis: -found.strides[axis])
    assert tuple(by_stride) == order


def test_reading_copies_nothing(tmp_path: Path) -> None:
    arrays.write(tmp_path / "x", {"x": np.ones(1000)})
    found = arrays.read(tmp_path / "x")["x"]
    assert not found.flags.writeable
    assert not found.flags.owndata


def test_a_tensor_whose_data_do_not_fit_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(TensorFileError, match="'x' has 7 bytes, its shape needs 8"):
        tensors.write(str(tmp_path / "x"), {"x": Tensor("float32", (2,), b"1234567")})
    with pytest.raises(KeyError):
        tensors.write(str(tmp_path / "x"), {"x": Tensor("float4", (2,), b"1")})


def entry(**changed: Any) -> dict[str, Any]:
    return {"x": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8], **changed}}


def extra(**fields: Any) -> dict[str, Any]:
    return {"__metadata__": {"modelconform": json.dumps({"x": fields})}}


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (entry(dtype="F4"), "unknown dtype 'F4'"),
        (entry(shape=[3]), r"offsets \[0, 8\] do not fit shape \(3,\) of float32"),
        (entry(shape=[-2]), r"impossible shape \[-2\]"),
        (entry(shape=[2.0]), "impossible shape"),
        (entry(shape=None), "impossible shape None"),
        (entry(data_offsets=[0, 16]), "do not fit"),
        (entry(data_offsets=[8, 0]), "do not fit"),
        (entry(data_offsets=[-8, 0]), r"impossible data_offsets \[-8, 0\]"),
        (entry(data_offsets=[0]), "do not fit"),
        ({"x": {"shape": [2]}}, "'dtype'"),
        ({"x": []}, r"a tensor isn't an object: \[\]"),
        (
            {**entry(shape=[1], data_offsets=[0, 4]), **extra(dtype="complex64")},
            r"without a last dimension of 2: \(1,\)",
        ),
        ({**entry(), **extra(dtype="float64")}, "a F32 tensor can't hold 'float64'"),
        ({**entry(), **extra(dtype="float4")}, "can't hold 'float4'"),
        ({**entry(), **extra(order=[1])}, r"order \[1\] isn't a permutation of 1 dimensions"),
        ({**entry(), **extra(order=[0, 0])}, "isn't a permutation"),
        ([1], "the header is not the expected JSON"),
        (b"\xff\xff", "the header is not the expected JSON"),
        (b"{", "the header is not the expected JSON"),
        ({**entry(), "__metadata__": {"modelconform": "{"}}, "the header is not the expected JSON"),
        ({**entry(), "__metadata__": 5}, "__metadata__ isn't an object"),
        ({**entry(), **extra(), "x": 1}, "a tensor isn't an object: 1"),
        ({"__metadata__": {"modelconform": '{"y": {}}'}}, "metadata of 'y', which isn't one of its tensors"),
        (entry(data_offsets=[0, 4], shape=[1]), "the last 4 bytes of the data belong to no tensor"),
        (entry(data_offsets=[4, 8], shape=[1]), "bytes 0 to 4 of the data belong to no tensor"),
        (
            {**entry(), "y": entry(shape=[1], data_offsets=[4, 8])["x"]},
            "bytes 4 to 8 of the data belong to two",
        ),
        (entry(shape=[2**62, 2**62]), "overflows"),
        (b'{"x": 1, "x": 2}', "a key is given twice among"),
        (b'{"x": ' + b"[" * 17 + b"]" * 17 + b"}", "it is nested deeper than 16"),
        (b'{"x": NaN}', "NaN isn't JSON"),
        (b'{"x": 1e999}', "a number that is too large"),
        (b'{"\\ud800": 1}', "surrogates not allowed"),
    ],
)
def test_malformed_headers(tmp_path: Path, header: Any, message: str) -> None:
    path = file(tmp_path, header, bytes(8))
    with pytest.raises(TensorFileError, match=message) as caught:
        tensors.read(path)
    assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.parametrize("content", [b"", b"1234567", b"\xff" * 8, struct.pack("<Q", 100) + b"{}"])
def test_malformed_files(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x"
    path.write_bytes(content)
    with pytest.raises(TensorFileError):
        tensors.read(str(path))
