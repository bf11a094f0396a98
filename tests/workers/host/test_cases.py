"""What is said of a case file that can't be imported."""

from __future__ import annotations

from pathlib import Path

from pytest_modelconform.workers.host import cases


def test_a_module_beside_the_case_is_not_to_be_installed(tmp_path: Path) -> None:
    (tmp_path / "pictures.py").touch()
    path = str(tmp_path / "net.py")
    assert cases.explain(ModuleNotFoundError("No module named 'pictures'", name="pictures"), path) == (
        "ModuleNotFoundError: No module named 'pictures' (pictures is beside this file, in a folder that Python "
        f"doesn't look in: name {tmp_path} in `pythonpath`, in pytest's configuration)"
    )
    assert cases.explain(ModuleNotFoundError("No module named 'einops'", name="einops"), path) == (
        "ModuleNotFoundError: No module named 'einops' (install it, and give the Case requires=('einops',), so that it "
        "is `unavailable` elsewhere)"
    )
