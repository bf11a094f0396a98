"""How xdist spreads our own tests: the tests of a file stay together, and the longest files go first."""

from __future__ import annotations

from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

# Seconds, by the file's name, with three processes on two cores and nothing in the cache; what has no number here takes
# 20 at most. Only their order counts, so that the last one to begin is none of the long ones. Of those that may be the
# first to compile or to install something the others use, it is what that takes, too.
SECONDS = {
    "test_cpp_frontend.py": 405.0,
    "test_old_frameworks.py": 300.0,
    "test_operators_in_runtimes.py": 280.0,
    "test_strangers.py": 275.0,
    "test_harness.py": 250.0,
    "test_run.py": 250.0,
    "test_dtypes.py": 240.0,
    "test_isolation.py": 220.0,
    "test_torch_versions.py": 195.0,
    "test_docs_cpp.py": 190.0,
    "test_repro.py": 175.0,
    "test_frameworks.py": 160.0,
    "test_store.py": 130.0,
    "test_docs.py": 130.0,
    "test_updating.py": 130.0,
    "test_programs.py": 125.0,
    "test_ahead.py": 110.0,
    "test_resuming.py": 95.0,
    "test_gpu.py": 80.0,
    "test_ending.py": 80.0,
    "test_command_lines.py": 80.0,
    "test_shown.py": 75.0,
    "test_sources.py": 75.0,
    "test_keeper.py": 75.0,
    "test_browser.py": 75.0,
    "test_table.py": 75.0,
    "test_options.py": 70.0,
    "test_main.py": 70.0,
    "test_node_cells.py": 70.0,
    "test_exports.py": 65.0,
    "test_export.py": 65.0,
    "test_items.py": 60.0,
    "test_imprecise.py": 60.0,
    "test_witnesses.py": 55.0,
    "test_outside.py": 50.0,
    "test_quantise.py": 50.0,
    "test_shards.py": 50.0,
    "test_node.py": 45.0,
    "test_diagnosis.py": 45.0,
    "test_torch_compile.py": 45.0,
    "test_blaming.py": 45.0,
    "test_gpu_memory.py": 45.0,
    "test_containers.py": 45.0,
    "test_new.py": 45.0,
    "test_fixture.py": 40.0,
    "test_openvino.py": 40.0,
    "test_named.py": 40.0,
    "test_ci_templates.py": 40.0,
    "test_environments.py": 40.0,
    "test_outside_faults.py": 40.0,
    "test_twins.py": 35.0,
    "test_case_files.py": 35.0,
    "test_build.py": 35.0,
    "test_file.py": 30.0,
    "test_failing_for_real.py": 30.0,
    "test_training.py": 30.0,
    "test_sequences.py": 30.0,
    "test_external_data.py": 25.0,
    "test_quantised.py": 25.0,
    "test_room.py": 25.0,
    "test_harness_threads.py": 25.0,
    "test_numbers.py": 25.0,
    "test_from_onnx.py": 25.0,
    "test_accounting.py": 25.0,
    "test_models.py": 25.0,
    "test_plugin.py": 25.0,
    "test_yardsticks.py": 20.0,
    "test_executorch_worker.py": 20.0,
    "test_litert_web.py": 20.0,
    "test_aoti.py": 20.0,
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
