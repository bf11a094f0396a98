"""Espaloma: Wang et al., EspalomaCharge: Ultrafast Partial Charge Assignment, 2023, arXiv:2302.06758.

A port to JAX, which carries the trained weights. Graph convolutions over the bonds of molecules (means at indices that
repeat), then charges in closed form, which sum up to each molecule's charge.
"""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from wheels import absent

from pytest_modelconform import Case

with absent("rdkit"):  # It reads molecules; here their features are given.
    from expaloma import bundled_eqx_path, load_eqx

MASSES = {"H": (1, 1.008), "C": (6, 12.011), "N": (7, 14.007), "O": (8, 15.999)}
SP, SP2, SP3 = range(3)


def build() -> tuple[Any, Any]:
    """The network as a function of its arrays. It takes one molecule's charge, and formal charges that sum up to it."""
    parameters, static = eqx.partition(load_eqx(bundled_eqx_path()), eqx.is_array)

    def apply(parameters: Any, atoms: Any, senders: Any, receivers: Any, formal: Any) -> Any:
        molecule = jnp.zeros(atoms.shape[0], dtype=jnp.int32)
        return eqx.combine(parameters, static)(atoms, senders, receivers, molecule, 1, 0.0, q_ref=formal)

    return apply, parameters


def atom(element: str, degree: int, valence: int, kind: int, ring: int = 0, hydrogens: int = 0) -> np.ndarray:
    """What RDKit says of it: hydrogens that aren't atoms of the graph count in all but the explicit valence."""
    number, mass = MASSES[element]
    features = np.zeros(116, dtype=np.float32)
    features[number] = 1
    features[100:105] = degree, valence, valence - hydrogens, ring == 6, mass
    if ring:
        features[105 + ring - 3] = 1
    features[111 + kind] = 1
    return features


def graph(atoms: list[np.ndarray], bonds: list[tuple[int, int]], charged: dict[int, float]) -> tuple[np.ndarray, ...]:
    one, other = np.array(bonds, dtype=np.int32).T
    formal = np.zeros((len(atoms), 1), dtype=np.float32)
    for index, charge in charged.items():
        formal[index] = charge
    return np.stack(atoms), np.concatenate((one, other)), np.concatenate((other, one)), formal


def benzoate() -> tuple[np.ndarray, ...]:
    """A ring of six with an acid's ion."""
    ring = [atom("C", 3, 4, SP2, ring=6), *(atom("C", 3, 4, SP2, ring=6, hydrogens=1) for _ in range(5))]
    acid = [atom("C", 3, 4, SP2), atom("O", 1, 2, SP2), atom("O", 1, 1, SP2)]
    bonds = [*((index, (index + 1) % 6) for index in range(6)), (0, 6), (6, 7), (6, 8)]
    return graph([*ring, *acid], bonds, {8: -1.0})


def ethylamine() -> tuple[np.ndarray, ...]:
    """A chain with its hydrogens, as an ion."""
    heavy = [atom("C", 4, 4, SP3), atom("C", 4, 4, SP3), atom("N", 4, 4, SP3)]
    light = [atom("H", 1, 1, SP) for _ in range(8)]
    bonds = [(0, 1), (1, 2), (0, 3), (0, 4), (0, 5), (1, 6), (1, 7), (2, 8), (2, 9), (2, 10)]
    return graph([*heavy, *light], bonds, {2: 1.0})


expaloma = Case(
    model=build,
    framework="jax",
    inputs={"benzoate": benzoate, "ethylamine": ethylamine},
    dynamic_shapes=({0: "atoms"}, {0: "bonds"}, {0: "bonds"}, {0: "atoms"}),
    tags=("trained", "frameworks", "graph", "scatter"),
    paper="arXiv:2302.06758",
    requires=("expaloma", "equinox"),
)
