"""What a case's artifact in a column is made of and by whom: the exporter, a converter, or the case's own code."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from .. import environments
from ..cache import fingerprint
from ..cache.fingerprint import hash_of
from ..environments import Environment, EnvironmentFault
from ..references.prepared import Prepared
from ..runtimes.base import WORKERS
from ..terms import devices
from ..terms.case import TORCH
from ..terms.cell import CaseRef
from ..terms.exports import Given
from ..terms.outcome import Stage, Verdict
from .pool import Pool
from .registry import Registry
from .stages import StageFailure

SMOKE = CaseRef(WORKERS / "host" / "smoke.py", "pytest_modelconform_smoke.py", "smoke")


class Columns:
    """Knows of each column who makes its artifacts, and names them. given: options for exporters, by column."""

    def __init__(self, registry: Registry, pool: Pool, given: Mapping[str, Given] = MappingProxyType({})) -> None:
        self.registry = registry
        self.pool = pool
        self.given = given

    def key(self, prepared: Prepared, column: str, device: str, ref: CaseRef) -> str:
        """What names an artifact: all that decides what is in it, but for files that its export reads (made.py).

        Raises StageFailure.
        """
        module = self.registry.format(column)
        made_with: list[Any] = [module.VERSION, module.tools(), device]
        if device == devices.CUDA and self.pool.turns.portion is not None:
            # What is compiled for a GPU runs on its kind only.
            made_with.append(self.pool.turns.portion.gpu.kind)
        if module.ENVIRONMENT is not None:
            made_with.append(self.environment(module.ENVIRONMENT))
        if not self.is_exported(ref, column):
            made_with.append(self.key(prepared, module.FROM, device, ref))
        if options := self.options(column, ref):
            made_with.append(options)
        if own := self.own(column):
            made_with.append(own)
        # What a case says of an export is in the files of the case, and these are in its key.
        if column != module.NAME:
            made_with.append(column)
        return hash_of("artifact", prepared.key, module.NAME, made_with, fingerprint.fingerprint())

    def options(self, column: str, ref: CaseRef) -> str:
        """What the command line gives the exporter of a column."""
        is_for = ref.framework == TORCH and ref.file != SMOKE.file
        return self.given[column].options if is_for and column in self.given else ""

    def own(self, column: str) -> dict[str, Any] | None:
        """The file of `modelconform run`, as fields of an `Export`."""
        export = self.given[column].export if column in self.given else None
        if export is None:
            return None
        return {"file": export.file, "inputs": dict(export.inputs), "outputs": dict(export.outputs)}

    def environment(self, environment: Environment) -> str:
        """The folder's name of an environment, which says what is in it. Raises StageFailure."""
        try:
            return environments.path_of(environment, self.pool.cache).name
        except EnvironmentFault as fault:
            raise StageFailure(Stage.ENVIRONMENT, Verdict.ERROR, str(fault)) from fault

    def is_own_file(self, ref: CaseRef, column: str) -> bool:
        """Whether what the case's own code made, or a file that is there, stands in a column."""
        return column in ref.own or self.own(column) is not None

    def is_exported(self, ref: CaseRef, column: str) -> bool:
        """Whether a case host makes a column, and no converter from another format."""
        return self.is_own_file(ref, column) or ref.framework in self.registry.format(column).FRAMEWORKS
