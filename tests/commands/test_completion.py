"""`modelconform completion`: the script completes, in a shell that really reads it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from pytest_modelconform.commands import cli, completion


@pytest.fixture(scope="module")
def bash_script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("bash") is None:
        pytest.skip("bash is not installed")
    path = tmp_path_factory.mktemp("completion") / "completion.bash"
    path.write_text(completion.script("bash"))
    return path


def completed(script: Path, folder: Path, *words: str) -> list[str]:
    """What bash offers for the last word."""
    program = (
        f"source {script}\n"
        'COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE="$*"; COMP_POINT=${#COMP_LINE}\n'
        "function=$(complete -p modelconform | sed 's/.*-F \\([^ ]*\\).*/\\1/')\n"
        '"$function" modelconform "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}" 2>/dev/null\n'
        "printf '%s\\n' \"${COMPREPLY[@]}\"\n"
    )
    done = subprocess.run(
        ["bash", "--norc", "-c", program, "bash", "modelconform", *words],
        capture_output=True,
        text=True,
        check=True,
        cwd=folder,
    )
    return sorted(word.strip() for word in done.stdout.split("\n") if word.strip())


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["exp"], ["export"]),
        (["b"], ["badge", "blame"]),
        (["export", "--dty"], ["--dtype"]),
        (["new", "--fr"], ["--from"]),
        (["export", "--dtype", "bfl"], ["bfloat16"]),
        (["completion", "z"], ["zsh"]),
        (["env", "rem"], ["remove"]),
        (["report", "lo"], ["logs.jsonl"]),
        (["export", "ne"], ["net.py"]),
        (["history", "fo"], ["folder"]),
        (["run", "net.onnx", "--runtime", "ort-w"], ["ort-wasm", "ort-web", "ort-webgpu"]),
        (["export", "net.py", "--format", "onnx-l"], ["onnx-legacy"]),
        (["badge", "--runtime", "openv"], ["openvino", "openvino-cpp"]),
        (["doctor", "execu"], ["executorch", "executorch-portable"]),
        (["report", "--format", "mark"], ["markdown"]),
        # Case files, and folders on the way to them.
        (["export", ""], ["folder/", "net.py"]),
        (["repro", "ne"], ["net.py"]),
        (["blame", "ne"], ["net.py"]),
        (["--ver"], ["--version"]),
    ],
)
def test_bash_completes(words: list[str], offered: list[str], bash_script: Path, tmp_path: Path) -> None:
    for name in ("logs.jsonl", "net.py", "folded"):
        (tmp_path / name).touch()
    (tmp_path / "folder").mkdir()
    assert completed(bash_script, tmp_path, *words) == offered


def test_bash_offers_every_command(bash_script: Path, tmp_path: Path) -> None:
    assert set(cli.COMMANDS) <= set(completed(bash_script, tmp_path, ""))


@pytest.mark.parametrize("shell", completion.SHELLS)
def test_a_shells_script(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["completion", shell]) == 0
    out = capsys.readouterr().out
    assert "modelconform" in out
    assert "cmake-dir" in out
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=out, text=True, check=True)


def test_a_shell_that_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["completion", "cmd"])
    assert ended.value.code == 2
    assert "invalid choice: 'cmd'" in capsys.readouterr().err
