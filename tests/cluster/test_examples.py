"""The examples of docs/cluster.md, parsed by the tools that they are for."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from ruamel.yaml import YAML

PAGE = (Path(__file__).parents[2] / "docs" / "cluster.md").read_text()
_CRD = "MODELCONFORM_RAYJOB_CRD"
_BRING = (
    "curl -O https://raw.githubusercontent.com/ray-project/kuberay/master/ray-operator/config/crd/bases/"
    f"ray.io_rayjobs.yaml && export {_CRD}=$PWD/ray.io_rayjobs.yaml"
)


def block(pattern: str) -> str:
    found = re.search(rf"```\w+\n({pattern}.*?)```", PAGE, re.DOTALL)
    assert found is not None
    return found[1]


@pytest.fixture
def job() -> str:
    return block("# rayjob.yaml")


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "job.sh"
    path.write_text(block("#!/bin/bash"))
    return path


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="apt-get install kubernetes-client")
def test_kubectl_reads_the_job(job: str, tmp_path: Path) -> None:
    (tmp_path / "rayjob.yaml").write_text(job)
    command = ["kubectl", "label", "--local", "--filename=rayjob.yaml", "read=yes", "--dry-run=client", "--output=name"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "rayjob.ray.io/modelconform"), done.stderr


@pytest.mark.skipif(_CRD not in os.environ, reason=_BRING)
def test_the_job_is_what_kuberay_takes(job: str) -> None:
    definition = YAML(typ="safe").load(Path(os.environ[_CRD]))
    schema = next(v for v in definition["spec"]["versions"] if v["name"] == "v1")["schema"]["openAPIV3Schema"]
    schema["properties"].pop("metadata")  # Kubernetes' own, which the definition leaves open.
    content = YAML(typ="safe").load(job)
    content.pop("metadata")
    jsonschema.validate(content, _strict(schema))
    content["spec"]["entryPoint"] = content["spec"].pop("entrypoint")
    with pytest.raises(jsonschema.ValidationError, match="entryPoint"):
        jsonschema.validate(content, schema)


def _strict(schema: Any) -> Any:
    """A schema of Kubernetes', in which fields that it doesn't name are faults."""
    if isinstance(schema, list):
        return [_strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("x-kubernetes-int-or-string"):
        schema.pop("type", None)
    for part in schema.values():
        _strict(part)
    if "properties" in schema and "x-kubernetes-preserve-unknown-fields" not in schema:
        schema.setdefault("additionalProperties", False)
    return schema


def test_the_head_of_the_job_runs_no_cells(job: str) -> None:
    cluster = YAML(typ="safe").load(job)["spec"]["rayClusterSpec"]
    assert cluster["headGroupSpec"]["rayStartParams"] == {"num-cpus": "0"}
    assert [group["replicas"] for group in cluster["workerGroupSpecs"]] == [20]


def test_bash_reads_the_script(script: Path) -> None:
    assert subprocess.run(["bash", "-n", str(script)], capture_output=True, check=False).stderr == b""


@pytest.mark.skipif(
    None in map(shutil.which, ("sbatch", "slurmctld", "munged")), reason="apt-get install slurm-wlm munge"
)
@pytest.mark.skipif(os.name != "posix" or os.getuid() != 0, reason="Slurm's daemons are started as root here")
def test_slurm_would_run_the_script(script: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    with slurm(tmp_path_factory.mktemp("slurm")) as configuration:
        assert _submitted(script, configuration) == (0, "160 processors")
        script.write_text(script.read_text().replace("--nodes=20", "--nodes=21"))
        assert _submitted(script, configuration)[0] != 0


def _submitted(script: Path, configuration: Path) -> tuple[int, str]:
    """What `sbatch --test-only` says: status, and what it would take."""
    environment = {**os.environ, "SLURM_CONF": str(configuration)}
    command = ["sbatch", "--test-only", str(script)]
    for _ in range(100):
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if "Unable to contact" not in done.stderr:
            break
        time.sleep(0.2)
    found = re.search(r"\d+ processors", done.stderr)
    return done.returncode, found[0] if found else done.stderr


@contextmanager
def slurm(folder: Path) -> Iterator[Path]:
    """A controller of twenty nodes that are not there, on loopback; its configuration."""
    key, wire = folder / "munge.key", folder / "munge.socket"
    key.write_bytes(os.urandom(1024))
    key.chmod(0o600)
    folder.chmod(0o700)
    (folder / "state").mkdir()
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    configuration = folder / "slurm.conf"
    configuration.write_text(
        f"""ClusterName=loopback
SlurmctldHost={socket.gethostname().partition(".")[0]}(127.0.0.1)
AuthType=auth/munge
AuthInfo=socket={wire}
SlurmUser=root
SlurmctldPort={port}
StateSaveLocation={folder}/state
SlurmctldPidFile={folder}/slurmctld.pid
SlurmctldLogFile={folder}/slurmctld.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SuspendProgram=/bin/true
ResumeProgram=/bin/true
SuspendTime=600
NodeName=node[1-20] Sockets=1 CoresPerSocket=8 ThreadsPerCore=1 CPUs=8 RealMemory=64000 State=CLOUD
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""
    )
    names = ("key-file", "socket", "pid-file", "log-file", "seed-file")
    files = [f"--{name}={folder}/munge.{name.partition('-')[0]}" for name in names]
    # On a path that the test's own user alone may write to, munged is content with --force.
    munge = subprocess.Popen(["munged", "--foreground", "--force", *files], stderr=subprocess.DEVNULL)
    controller = subprocess.Popen(
        ["slurmctld", "-D", "-f", str(configuration)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield configuration
    finally:
        for process in (controller, munge):
            process.terminate()
            process.wait(30)
