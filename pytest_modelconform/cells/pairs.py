"""Complex tensors of a file that has none: pairs of real numbers, in a last dimension of 2.

PyTorch's ONNX exporter writes them so (`torch.view_as_real`). The wire stores complex tensors in the same way, so that
a file of inputs differs in what it says of them alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..terms.signature import Signature

if TYPE_CHECKING:
    from ..references.prepared import InputSet
    from .answers import Run

REAL = {"complex64": "float32", "complex128": "float64"}
_COMPLEX = {real: name for name, real in REAL.items()}


def inputs_file(entry: InputSet, signature: Signature, folder: Path) -> Path:
    """The file of an input set as the artifact takes it: the set's own, or one in `folder` with pairs in it."""
    from ..workers import tensors

    if not signature.pairs:
        return entry.file
    found = tensors.read(str(entry.file))
    if not any(tensor.dtype in REAL for tensor in found.values()):
        return entry.file
    path = folder / f"pairs-{entry.file.name}"
    tensors.write(str(path), {key: _real(tensor) for key, tensor in found.items()})
    return path


def _real(tensor: Any) -> Any:
    if tensor.dtype not in REAL:
        return tensor
    order = None if tensor.order is None else (*tensor.order, len(tensor.shape))
    return tensor._replace(dtype=REAL[tensor.dtype], shape=(*tensor.shape, 2), order=order)


def joined(runs: Sequence[Run], entry: InputSet, signature: Signature) -> list[Run]:
    """Runs with complex tensors where the model returns these and the artifact returned pairs."""
    if not signature.pairs:
        return list(runs)
    return [(tree, _joined(tree, found, entry)) for tree, found in runs]


def _joined(tree: Any, found: Mapping[str, Any], entry: InputSet) -> dict[str, Any]:
    from ..compare import flatten

    arrays = dict(found)
    for path, key in flatten(tree)[1].items():
        reference, array = entry.references.get(path), arrays[key]
        if reference is None or REAL.get(reference.dtype) != array.dtype.name:
            continue
        if array.shape == (*reference.shape, 2):
            arrays[key] = array.copy(order="C").view(_COMPLEX[array.dtype.name])[..., 0]
    return arrays
