"""The CI templates: valid by their schemas, and their scripts do what they say, run in bash on real logs."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from pytest_modelconform.report.log import LogWriter
from pytest_modelconform.terms.cell import Cell
from pytest_modelconform.terms.outcome import Outcome, Stage, Verdict
from tests.support import fakes, runs

ROOT = Path(__file__).resolve().parents[1]
ACTION, MERGE, GITLAB = ROOT / "action.yml", ROOT / "ci/merge/action.yml", ROOT / "ci/gitlab.yml"


def loaded(path: Path) -> Any:
    return YAML(typ="safe").load(path)


def check_schema(name: str, path: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{name}", str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def blocks(path: Path) -> list[str]:
    return re.findall(r"```yaml\n(.*?)```", path.read_text(), re.DOTALL)


@pytest.mark.parametrize(
    ("schema", "path"), [("github-actions", ACTION), ("github-actions", MERGE), ("gitlab-ci", GITLAB)]
)
def test_schemas(schema: str, path: Path) -> None:
    checked = check_schema(schema, path)
    assert checked.returncode == 0, checked.stdout


def test_a_schema_sees_faults(tmp_path: Path) -> None:
    # Else the test above could not fail.
    faulty = tmp_path / "action.yml"
    faulty.write_text(ACTION.read_text().replace("using: composite", "using: compost"))
    assert check_schema("github-actions", faulty).returncode == 1
    faulty.write_text(GITLAB.read_text().replace("parallel: 2", "parallel: some"))
    assert check_schema("gitlab-ci", faulty).returncode == 1


def test_the_workflows_in_the_document(tmp_path: Path) -> None:
    *github, gitlab = (block for place in (0, 2, 1) for block in blocks(ROOT / "docs/ci.md")[place : place + 1])
    workflow = tmp_path / "workflow.yml"
    assert len(github) == 2
    for text in github:
        workflow.write_text(text)
        checked = check_schema("github-workflows", workflow)
        assert checked.returncode == 0, checked.stdout
        steps = [step for job in loaded(workflow)["jobs"].values() for step in job["steps"]]
        for folder, action in (("", ACTION), ("/ci/merge", MERGE)):
            [step] = [s for s in steps if re.fullmatch(rf"OWNER/pytest-modelconform{folder}@.*", s.get("uses", ""))]
            assert set(step.get("with", ())) <= set(loaded(action)["inputs"])
    workflow.write_text(gitlab)
    checked = check_schema("gitlab-ci", workflow)
    assert checked.returncode == 0, checked.stdout
    assert set(loaded(workflow)["variables"]) <= set(loaded(GITLAB)["variables"])


def scripts() -> Iterator[tuple[str, str]]:
    for path in (ACTION, MERGE):
        for step in loaded(path)["runs"]["steps"]:
            if "run" in step:
                yield f"{path.parent.name}-{step['name']}", step["run"]
    for job in ("modelconform", "modelconform-report"):
        yield job, "\n".join(loaded(GITLAB)[job]["script"])


@pytest.mark.parametrize("script", [pytest.param(text, id=name) for name, text in scripts()])
def test_no_script_holds_an_expression(script: str) -> None:
    # What a pull request can choose would be executed; in the environment it is text.
    assert "${{" not in script
    subprocess.run(["bash", "-n"], input=script, text=True, check=True, timeout=60)


def step(path: Path, name: str) -> Mapping[str, Any]:
    [found] = [step for step in loaded(path)["runs"]["steps"] if step["name"] == name]
    return found


class Runner:
    """What a runner of GitHub's gives a step: files to write to, and an environment."""

    def __init__(self, folder: Path) -> None:
        self.temp = folder / "runner"
        self.temp.mkdir()
        self.output, self.summary = folder / "output", folder / "summary.md"
        bin_folder = folder / "bin"
        bin_folder.mkdir()
        self.bin = bin_folder
        self.folder = folder
        self.env = {
            **os.environ,
            "RUNNER_TEMP": str(self.temp),
            "GITHUB_OUTPUT": str(self.output),
            "GITHUB_STEP_SUMMARY": str(self.summary),
            "GITHUB_REPOSITORY": "me/mine",
            "GITHUB_SERVER_URL": f"file://{folder}/remotes",
            "GITHUB_SHA": "0123abc",
            "PATH": f"{Path(sys.executable).parent}:{bin_folder}:{os.environ['PATH']}",
        }

    def run(self, script: str, cwd: Path | None = None, /, **env: str) -> subprocess.CompletedProcess[str]:
        """As the runner runs a step of shell bash."""
        command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script]
        return subprocess.run(
            command,
            cwd=cwd or self.folder,
            env={**self.env, **env},
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )

    @property
    def outputs(self) -> dict[str, str]:
        """What steps have written to $GITHUB_OUTPUT."""
        return dict(line.split("=", 1) for line in self.output.read_text().splitlines())


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    return Runner(tmp_path)


# Of pytest. A run takes all cores by itself, which is seconds for each, for two cases.
ARGUMENTS = "-p no:cacheprovider -n 0"


def inputs_of(action: Path) -> dict[str, str]:
    return {name.upper().replace("-", "_"): field["default"] for name, field in loaded(action)["inputs"].items()}


PYTHON = '#!/bin/sh\nprintf "%s\\n" "$@" >"$CALLS"\n'


@pytest.mark.parametrize(
    ("path", "where", "given", "installed"),
    [
        (ACTION, ROOT, None, ["{root}[all]"]),
        (MERGE, ROOT / "ci/merge", None, ["{root}/ci/merge/../.."]),
        (ACTION, ROOT, "-r requirements.txt pytest-xdist", ["-r", "requirements.txt", "pytest-xdist"]),
    ],
)
def test_the_actions_install_their_own_copy(
    runner: Runner, tmp_path: Path, path: Path, where: Path, given: str | None, installed: Sequence[str]
) -> None:
    python = runner.bin / "python"
    python.write_text(PYTHON)
    python.chmod(0o755)
    env = {"CALLS": str(tmp_path / "calls"), "PATH": f"{runner.bin}:{runner.env['PATH']}"}
    env |= {"GITHUB_ACTION_PATH": str(where), "INSTALL": given or inputs_of(path)["INSTALL"]}
    done = runner.run(step(path, "Install")["run"], **env)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "calls").read_text().split() == [
        "-m",
        "pip",
        "install",
        *(w.format(root=ROOT) for w in installed),
    ]


@pytest.mark.parametrize("there", [True, False])
def test_the_document_fetches_the_last_log_if_there_is_one(runner: Runner, tmp_path: Path, there: bool) -> None:
    workflow = YAML(typ="safe").load(blocks(ROOT / "docs/ci.md")[0])
    [fetch] = [step for step in workflow["jobs"]["report"]["steps"] if step.get("id") == "last"]

    def git(*words: str, cwd: Path = tmp_path) -> None:
        identity = ("-c", "user.name=me", "-c", "user.email=me@example.org")
        subprocess.run(["git", *identity, *words], cwd=cwd, check=True, capture_output=True, timeout=60)

    remote, clone = tmp_path / "remote", tmp_path / "clone"
    git("init", "--initial-branch", "badges" if there else "main", str(remote))
    (remote / "modelconform.jsonl").write_text("the log\n")
    git("add", ".", cwd=remote)
    git("commit", "-m", "report", cwd=remote)
    git("clone", str(remote), str(clone))
    done = runner.run(fetch["run"], clone)
    assert done.returncode == 0, done.stderr
    if there:
        assert runner.outputs == {"log": "last.jsonl"}
        assert (clone / "last.jsonl").read_text() == "the log\n"
    else:
        assert not runner.output.exists()


def test_a_shard_is_run_and_its_log_is_kept(runner: Runner, project: Path) -> None:
    given = {**inputs_of(ACTION), "CASES": "plain.py second.py", "SHARD": "1/2", "ARGUMENTS": ARGUMENTS}
    given |= {"FORMATS": "torchscript-trace", "RUNTIMES": "fake-good-never"}
    done = runner.run(step(ACTION, "Run")["run"], project, **given)
    assert done.returncode == 0, done.stdout + done.stderr
    assert runner.outputs["part"] == "1-of-2"
    log = Path(runner.outputs["log"])
    assert log.parent.parent == runner.temp
    assert 0 < log.read_text().count('"kind": "cell"') < 4
    summary = runner.run(step(ACTION, "Summary")["run"], LOG=str(log))
    assert summary.returncode == 0, summary.stderr
    assert "plain" in runner.summary.read_text() or "second" in runner.summary.read_text()


def test_shards_are_split_by_what_the_document_records(runner: Runner, project: Path) -> None:
    """Its steps, one after another, in a run that has no recording yet, and in the next one."""
    workflow = YAML(typ="safe").load(blocks(ROOT / "docs/ci.md")[2])
    begin, record = (
        next(step["run"] for step in workflow["jobs"][job]["steps"] if "run" in step) for job in ("durations", "report")
    )
    given = {**inputs_of(ACTION), "CASES": "plain.py second.py", "SHARD": "1/1", "ARGUMENTS": ARGUMENTS}
    given |= {"FORMATS": "torchscript-trace", "RUNTIMES": "fake-good-never", "DURATIONS": "durations.json"}
    for cells in (0, 4):
        assert runner.run(begin, project).returncode == 0
        done = runner.run(step(ACTION, "Run")["run"], project, **given)
        assert done.returncode == 0, done.stdout + done.stderr
        assert re.search(rf"shard 1 of 1, split by recordings [0-9a-f]+ of {cells} cells", done.stdout)
        assert runner.run(record, project, LOG=runner.outputs["log"]).returncode == 0
    assert len(json.loads((project / "durations.json").read_text())) == 4


def test_a_failing_run_fails_the_step(runner: Runner, project: Path) -> None:
    given = {**inputs_of(ACTION), "CASES": "plain.py", "ARGUMENTS": ARGUMENTS}
    given |= {"FORMATS": "torchscript-trace", "RUNTIMES": fakes.runtime_name("structure@run")}
    assert runner.run(step(ACTION, "Run")["run"], project, **given).returncode == 1


CELL = Cell("cases/net.py", "net", "onnx", "ort")
WRONG = Outcome(Verdict.MISMATCH, Stage.COMPARE, "other numbers")


def write_log(path: Path, outcome: Outcome) -> Path:
    with LogWriter(path, {"date": "2026-01-02T03:04:05", "packages": {"torch": "2.14.1"}}) as writer:
        writer.cell(CELL, outcome)
        writer.cell(Cell("cases/net.py", "net", "onnx", "ort-cpp"), Outcome(Verdict.PASS, bits=22.0))
    return path


def test_a_cell_that_passed_and_did_not_run_fails_the_comparison(runner: Runner, tmp_path: Path) -> None:
    write_log(tmp_path / "modelconform.jsonl", Outcome(Verdict.NOT_RUN, None, "not run"))
    baseline = write_log(tmp_path / "old.jsonl", Outcome(Verdict.PASS, bits=22.0))
    given = {"FOLDER": str(tmp_path), "BASELINE": str(baseline)}
    compare = step(MERGE, "Compare")["run"]
    assert runner.run(compare, **given, FAIL_ON=inputs_of(MERGE)["FAIL_ON"]).returncode == 0
    assert runner.outputs["worse"] == "1"
    assert runner.run(compare, **given, FAIL_ON="regressions").returncode == 0
    assert runner.outputs["worse"] == "0"
    assert loaded(GITLAB)["variables"]["MODELCONFORM_FAIL_ON"] == inputs_of(MERGE)["FAIL_ON"]


def test_logs_are_joined_compared_and_published(runner: Runner, tmp_path: Path) -> None:
    write_log(runner.temp / "modelconform-logs/all.jsonl", WRONG)
    baseline = write_log(tmp_path / "old.jsonl", Outcome(Verdict.PASS, bits=22.0))
    joined = runner.run(step(MERGE, "Join")["run"])
    assert joined.returncode == 0, joined.stdout + joined.stderr
    folder = Path(runner.outputs["folder"])
    assert runner.outputs["missing"] == "0"
    assert (folder / "badge.svg").read_text().lstrip().startswith("<")
    assert "</html>" in (folder / "index.html").read_text()
    compared = runner.run(
        step(MERGE, "Compare")["run"], FOLDER=str(folder), BASELINE=str(baseline), FAIL_ON="regressions"
    )
    assert compared.returncode == 0, compared.stderr
    assert runner.outputs["worse"] == "1"
    assert "other numbers" in (folder / "diff.md").read_text()
    assert "other numbers" in runner.summary.read_text()

    verdict = step(MERGE, "Verdict")["run"]
    for missing, worse, status in (("0", "1", 1), ("1", "0", 1), ("0", "0", 0), ("0", "", 0)):
        assert runner.run(verdict, MISSING=missing, WORSE=worse).returncode == status

    remote = tmp_path / "remotes/me/mine.git"
    subprocess.run(["git", "init", "--quiet", "--bare", str(remote)], check=True, timeout=60)
    (folder / "index.parts").mkdir()
    (folder / "index.parts" / "1-a.html").write_text("<p>")
    for _ in range(2):
        published = runner.run(
            step(MERGE, "Publish badges")["run"], FOLDER=str(folder), BRANCH="badges", TOKEN="secret"
        )
        assert published.returncode == 0, published.stderr
    listed = subprocess.run(
        ["git", "-C", str(remote), "ls-tree", "--name-only", "badges"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert listed.stdout.split() == ["badge.json", "badge.svg", "index.html", "index.parts", "modelconform.jsonl"]


GH = """\
#!/usr/bin/env bash
printf '%s\\n' "$*" >>"$CALLS"
case "$*" in *--paginate*) cat "$COMMENTS";; esac
"""


@pytest.mark.parametrize(
    ("existing", "call"),
    [
        ("", "--method POST repos/me/mine/issues/7/comments"),
        ("11\n12\n", "--method PATCH repos/me/mine/issues/comments/11"),
    ],
)
def test_the_comment_is_made_once_and_then_replaced(runner: Runner, tmp_path: Path, existing: str, call: str) -> None:
    gh = runner.bin / "gh"
    gh.write_text(GH)
    gh.chmod(0o755)
    folder = tmp_path / "report"
    folder.mkdir()
    (folder / "summary.md").write_text("all of it")
    comments = tmp_path / "comments"
    comments.write_text(existing)
    # The stand-in goes before whatever gh this machine has.
    env = {"CALLS": str(tmp_path / "calls"), "COMMENTS": str(comments), "PATH": f"{runner.bin}:{runner.env['PATH']}"}
    done = runner.run(step(MERGE, "Comment")["run"], FOLDER=str(folder), PULL_REQUEST="7", GH_TOKEN="x", **env)
    assert done.returncode == 0, done.stderr
    calls = (tmp_path / "calls").read_text().splitlines()
    assert len(calls) == 2
    assert call in calls[1]
    assert f"body=@{folder}/comment.md" in calls[1]
    assert (folder / "comment.md").read_text() == "<!-- modelconform -->\n\nall of it"


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_gitlabs_scripts(runner: Runner, tmp_path: Path) -> None:
    runs.write(tmp_path, {"plain.py": runs.PLAIN, "conftest.py": fakes.CONFTEST})
    jobs = loaded(GITLAB)
    given = {name: str(value) for name, value in jobs["variables"].items()}
    given |= {"CI_NODE_INDEX": "1", "CI_NODE_TOTAL": "1", "MODELCONFORM_CASES": "plain.py"}
    options = "--modelconform-formats=torchscript-trace --modelconform-runtimes=fake-good-never"
    given["MODELCONFORM_ARGUMENTS"] = f"{ARGUMENTS} {options}"

    def run(job: str) -> subprocess.CompletedProcess[str]:
        script = "\n".join(line for line in jobs[job]["script"] if not line.startswith("pip "))
        return runner.run(script, **given)

    cells = run("modelconform")
    assert cells.returncode == 0, cells.stdout + cells.stderr
    report = run("modelconform-report")
    assert report.returncode == 0, report.stdout + report.stderr
    assert "</html>" in (tmp_path / "modelconform-report/index.html").read_text()
    given["CI_NODE_TOTAL"] = "2"
    assert run("modelconform").returncode in (0, 5)
    report = run("modelconform-report")
    assert report.returncode == 1
    assert "missing" in report.stderr
