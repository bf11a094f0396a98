"""How xdist spreads our own tests: the tests of a file stay together, and the longest files go first."""

from __future__ import annotations

from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

# Seconds, by the file's name, on two cores with nothing in the cache; what has no number here takes ten at most. Only
# their order counts, so that the last one to begin is none of the long ones.
SECONDS = {
    "test_old_frameworks.py": 300.0,
    "test_cpp_frontend.py": 280.0,
    "test_harness.py": 250.0,
    "test_dtypes.py": 240.0,
    "test_programs.py": 200.0,
    "test_store.py": 140.0,
    "test_docs_cpp.py": 100.0,
    "test_operators_in_runtimes.py": 100.0,
    "test_harness_threads.py": 95.0,
    "test_isolation.py": 90.0,
    "test_updating.py": 80.0,
    "test_torch_versions.py": 80.0,
    "test_frameworks.py": 80.0,
    "test_export.py": 70.0,
    "test_file.py": 70.0,
    "test_torch_compile.py": 60.0,
    "test_items.py": 65.0,
    "test_ci_templates.py": 60.0,
    "test_options.py": 60.0,
    "test_environments.py": 50.0,
    "test_ahead.py": 45.0,
    "test_outside.py": 50.0,
    "test_compare_cpp.py": 50.0,
    "test_witnesses.py": 50.0,
    "test_case_files.py": 60.0,
    "test_docs.py": 60.0,
    "test_recorded.py": 15.0,
    "test_models.py": 30.0,
    "test_failing_for_real.py": 25.0,
    "test_command_lines.py": 30.0,
    "test_outside_faults.py": 30.0,
    "test_strangers.py": 90.0,
    "test_yardsticks.py": 30.0,
    "test_repro.py": 50.0,
    "test_node.py": 45.0,
    "test_node_cells.py": 40.0,
    "test_table.py": 40.0,
    "test_litert_web.py": 35.0,
    "test_diagnosis.py": 35.0,
    "test_external_data.py": 40.0,
    "test_large.py": 30.0,
    "test_aoti.py": 30.0,
    "test_imprecise.py": 35.0,
    "test_blaming.py": 35.0,
    "test_blame.py": 20.0,
    "test_fixture.py": 25.0,
    "test_exports.py": 20.0,
    "test_source.py": 12.0,
    "test_own_exports.py": 15.0,
    "test_harness_training.py": 25.0,
    "test_accounting.py": 20.0,
    "test_sequences.py": 25.0,
    "test_from_onnx.py": 20.0,
    "test_processes.py": 20.0,
    "test_shown.py": 20.0,
    "test_full_disk.py": 15.0,
    "test_quantise.py": 60.0,
    "test_quantised.py": 40.0,
    "test_machine.py": 30.0,
    "test_overview.py": 15.0,
    "test_find.py": 25.0,
}
OTHERS = 5.0


class FileScheduling(LoadScopeScheduling):
    """Units of files: neighbours share a set-up, and those of another process would wait for it at a lock."""

    def _split_scope(self, nodeid: str) -> str:
        return nodeid.partition("::")[0]

    def _assign_work_unit(self, node: Any) -> None:
        self.workqueue.move_to_end(max(self.workqueue, key=_seconds), last=False)
        super()._assign_work_unit(node)


def _seconds(scope: str) -> float:
    return SECONDS.get(scope.rpartition("/")[2], OTHERS)


def scheduler(config: pytest.Config, log: Any) -> FileScheduling | None:
    """That of this session, unless --dist names another."""
    return FileScheduling(config, log) if config.getoption("dist") == "load" else None
