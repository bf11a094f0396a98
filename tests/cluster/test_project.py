from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from pytest_modelconform.cluster import project
from pytest_modelconform.cluster.project import ProjectRefused, pack, scan, unpack


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    for name in ("cases/a.py", "cases/data/w.bin", ".venv/pyvenv.cfg", ".venv/lib/x.py", "__pycache__/a.pyc"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


def files(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_environments_and_caches_are_no_part_of_a_project(root: Path) -> None:
    assert sorted(scan(root, ["build"]).files) == ["cases/a.py", "cases/data/w.bin"]
    assert sorted(scan(root, ["data"]).files) == ["cases/a.py"]


def test_what_git_ignores_is_none_either(root: Path) -> None:
    (root / ".gitignore").write_text("*.bin\n.venv\n__pycache__\n")
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    assert sorted(scan(root, []).files) == [".gitignore", "cases/a.py"]


def test_a_node_that_sees_the_same_files_has_the_project(root: Path) -> None:
    made = scan(root, [])
    assert made.is_here
    (root / "cases" / "a.py").write_text("other")
    assert not made.is_here


def test_a_copy_has_one_place_and_follows_the_project(root: Path, tmp_path: Path) -> None:
    made = scan(root, [])
    copy = unpack(made, pack(made), tmp_path / "node")
    assert files(copy.root) == {"cases/a.py": "cases/a.py", "cases/data/w.bin": "cases/data/w.bin"}
    kept = (copy.root / "cases" / "a.py").stat().st_ino
    copy.release()

    (root / "cases" / "data" / "w.bin").unlink()
    (root / "cases" / "b.py").write_text("b")
    made = scan(root, [])
    again = unpack(made, pack(made), tmp_path / "node")
    assert again.root == copy.root
    assert files(again.root) == {"cases/a.py": "cases/a.py", "cases/b.py": "b"}
    assert (again.root / "cases" / "a.py").stat().st_ino == kept
    assert not (again.root / "cases" / "data").exists()
    # A second run at a time may have another state of it.
    other = unpack(made, pack(made), tmp_path / "node")
    assert other.root != again.root
    other.release()
    again.release()


def test_a_large_project_is_refused(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(project, "LARGEST", 10)
    with pytest.raises(ProjectRefused, match="all nodes see under the same path"):
        pack(scan(root, []))


def test_a_link_travels_as_what_it_leads_to(root: Path, tmp_path: Path) -> None:
    (tmp_path / "weights").write_text("w")
    (root / "cases" / "link").symlink_to(tmp_path / "weights")
    made = scan(root, [])
    copy = unpack(made, pack(made), tmp_path / "node")
    assert files(copy.root)["cases/link"] == "w"
    copy.release()
