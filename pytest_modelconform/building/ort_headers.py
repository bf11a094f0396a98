"""ONNX Runtime's C++ headers, which its Python package doesn't carry: found on the machine, or fetched.

In this order: ``$ONNXRUNTIME_ROOT``, pkg-config, the system's include folders, what was fetched before; else Debian's
``libonnxruntime-dev``, unpacked without being installed; else the official release archive. Headers may be older than
the library, because the C API is versioned and only grows (1.21's ran with the library of 1.32), but not newer.
"""

from __future__ import annotations

import io
import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

_HEADER = "onnxruntime_cxx_api.h"
# Where the folder that is named by a user, pkg-config or the system has the header itself.
_INSIDE = (".", "include", "include/onnxruntime", "include/onnxruntime/core/session", "onnxruntime")
_SYSTEM = ("/usr/include", "/usr/local/include", "/opt/homebrew/include")

HOW = (
    "set ONNXRUNTIME_ROOT to an unpacked release of ONNX Runtime for C++, or install its development package "
    "(Debian 13: apt-get install libonnxruntime-dev; macOS: brew install onnxruntime)"
)


def obstacle() -> str | None:
    """Why there can be no headers, in a sentence; None where they are there or may be fetched. Fetches nothing."""
    root = os.environ.get("ONNXRUNTIME_ROOT")
    if root and _header_folder(Path(root)) is None:
        return f"ONNXRUNTIME_ROOT is {root}, which has no {_HEADER}: {HOW}"
    return None


def here(version: str, folder: Path) -> Path | None:
    """The folder with headers that fit the library of *version*, if it is on this machine or was fetched."""
    for candidate in _on_this_machine():
        found = _header_folder(candidate)
        if found is not None and _fits(found, version):
            return found
    fetched = _fetched(version, folder)
    return fetched if (fetched / _HEADER).is_file() else None


def _fetched(version: str, folder: Path) -> Path:
    return folder / f"onnxruntime-headers-{version}"


def find(version: str, folder: Path, progress: Callable[[str], None]) -> Path:
    """The folder with headers that fit the library of *version*; fetches them into *folder* if need be.

    Raises:
        LookupError: there are none, with what was tried and what to do.

    """
    if (found := here(version, folder)) is not None:
        return found
    fetched = _fetched(version, folder)
    tried = []
    for fetch in (_from_debian, _from_release):
        with tempfile.TemporaryDirectory(dir=folder, prefix="onnxruntime-headers.") as scratch:
            try:
                progress("fetching ONNX Runtime's C++ headers (once) …")
                headers = fetch(version, Path(scratch))
            except (OSError, LookupError, subprocess.SubprocessError, tarfile.TarError) as error:
                tried.append(f"{(fetch.__doc__ or '').splitlines()[0]} {error}")
                continue
            if not _fits(headers, version):
                tried.append(f"{(fetch.__doc__ or '').splitlines()[0]} They are newer than the library {version}.")
                continue
            shutil.rmtree(fetched, ignore_errors=True)
            headers.rename(fetched)
            return fetched
    raise LookupError("\n".join([f"ONNX Runtime's C++ headers are not here and can't be fetched: {HOW}", *tried]))


def _header_folder(root: Path) -> Path | None:
    return next((root / inside for inside in _INSIDE if (root / inside / _HEADER).is_file()), None)


def _fits(folder: Path, version: str) -> bool:
    """Whether these headers ask for no newer C API than this library has; 1.N has the versions up to N."""
    try:
        text = (folder / "onnxruntime_c_api.h").read_text(errors="replace")
    except OSError:
        return False
    found = re.search(r"#define\s+ORT_API_VERSION\s+(\d+)", text)
    return found is not None and int(found[1]) <= int(version.split(".")[1])


def _on_this_machine() -> Iterator[Path]:
    if root := os.environ.get("ONNXRUNTIME_ROOT"):
        yield Path(root)
    if shutil.which("pkg-config"):
        command = ["pkg-config", "--cflags-only-I", "libonnxruntime"]
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
        yield from (Path(word[2:]) for word in answer.stdout.split() if word.startswith("-I"))
    yield from map(Path, _SYSTEM)


# ---- Debian ----------------------------------------------------------------------------------------------------------

# The first release of Debian that has libonnxruntime-dev (1.21, 85 kB); its headers work on older ones.
_SUITE = "trixie"


def _from_debian(version: str, scratch: Path) -> Path:
    """Debian's libonnxruntime-dev:"""
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        raise LookupError("this machine has no apt-get.")
    own = _release_field("ID"), _release_field("VERSION_CODENAME")
    if own[0] != "debian" or not own[1]:
        raise LookupError("this machine doesn't run Debian.")
    sources = _sources_of_suite(Path("/etc/apt"), own[1])
    if not sources:
        raise LookupError(f"no package source of this machine's names the suite {own[1]}.")
    for name, text in sources.items():
        (scratch / name).write_text(text)
    # A state of its own, so that nothing of the machine's is touched and root isn't needed. Of the machine's settings
    # only those of the transport (proxies, certificates) are kept: others run hooks that clean the machine's own cache.
    dump = _run(["apt-config", "dump"], scratch, os.environ)
    transport = [line for line in dump.splitlines() if line.startswith("Acquire::")]
    (scratch / "empty").touch()
    for inside in ("lists/partial", "cache/archives/partial", "sources", "none"):
        (scratch / inside).mkdir(parents=True)
    for name in sources:
        (scratch / name).rename(scratch / "sources" / name)
    settings = {
        "Dir::State": scratch,
        "Dir::State::lists": scratch / "lists",
        "Dir::State::status": scratch / "empty",
        "Dir::Cache": scratch / "cache",
        "Dir::Etc::main": scratch / "empty",
        "Dir::Etc::parts": scratch / "none",
        "Dir::Etc::sourcelist": scratch / "none/none",
        "Dir::Etc::sourceparts": scratch / "sources",
        "APT::Sandbox::User": "",
        "Acquire::Languages": "none",
        "Acquire::Retries": 1,
        "Acquire::http::Timeout": 15,
        "Acquire::https::Timeout": 15,
    }
    config = scratch / "apt.conf"
    config.write_text("\n".join([*transport, *(f'{name} "{value}";' for name, value in settings.items())]) + "\n")
    environment = {**os.environ, "APT_CONFIG": str(config)}
    _run(["apt-get", "update"], scratch, environment)
    _run(["apt-get", "download", "libonnxruntime-dev"], scratch, environment)
    package = next(scratch.glob("libonnxruntime-dev*.deb"), None)
    if package is None:
        raise LookupError("apt-get downloaded nothing.")
    _run(["dpkg-deb", "-x", str(package), str(scratch / "unpacked")], scratch, os.environ)
    return scratch / "unpacked/usr/include/onnxruntime"


def _run(command: list[str], folder: Path, environment: os._Environ[str] | dict[str, str]) -> str:
    answer = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, errors="replace", timeout=180, check=False
    )
    if answer.returncode != 0:
        raise LookupError(f"{' '.join(command)} ended with status {answer.returncode}: {answer.stderr.strip()}")
    return answer.stdout


def _release_field(name: str) -> str:
    try:
        lines = Path("/etc/os-release").read_text().splitlines()
    except OSError:
        return ""
    values = dict(line.split("=", 1) for line in lines if "=" in line)
    return values.get(name, "").strip('"')


def _sources_of_suite(folder: Path, codename: str) -> dict[str, str]:
    """The machine's package sources of its own release, asking for the suite that has the package instead.

    So the package comes from the mirror that the machine uses, by the keys that it trusts.
    """
    found: dict[str, str] = {}
    for path in [folder / "sources.list", *sorted((folder / "sources.list.d").glob("*"))]:
        if path.suffix not in (".list", ".sources") or not path.is_file():
            continue
        text = path.read_text(errors="replace")
        changed = _deb822(text, codename) if path.suffix == ".sources" else _one_line(text, codename)
        if changed:
            found[path.name] = changed
    return found


def _deb822(text: str, codename: str) -> str:
    """Of a .sources file, the stanzas that name the suite (not bookworm-security, which lies elsewhere)."""
    stanzas = []
    for stanza in re.split(r"\n\s*\n", text):
        suites = re.search(r"^Suites:(.*)$", stanza, re.MULTILINE)
        if suites and codename in suites[1].split() and not re.search(r"^Enabled:\s*no", stanza, re.MULTILINE):
            stanza = stanza.replace(suites[0], f"Suites: {_SUITE}")
            stanzas.append(re.sub(r"^Types:.*$", "Types: deb", stanza, flags=re.MULTILINE))
    return "\n\n".join(stanzas) + "\n" if stanzas else ""


def _one_line(text: str, codename: str) -> str:
    """Of a .list file, the lines ``deb [OPTIONS] ADDRESS SUITE COMPONENT...`` that name the suite."""
    line = re.compile(rf"^(deb\s+(?:\[[^\]]*\]\s+)?\S+\s+){re.escape(codename)}(\s.*)$", re.MULTILINE)
    return "".join(f"{match[1]}{_SUITE}{match[2]}\n" for match in line.finditer(text))


# ---- The official release --------------------------------------------------------------------------------------------

_RELEASE = "https://github.com/microsoft/onnxruntime/releases/download/v{version}/onnxruntime-{system}-{version}.tgz"
_MACHINES = {
    ("linux", "x86_64"): "linux-x64",
    ("linux", "aarch64"): "linux-aarch64",
    ("darwin", "arm64"): "osx-arm64",
    ("darwin", "x86_64"): "osx-x86_64",
}


def _from_release(version: str, scratch: Path) -> Path:
    """The official release:"""
    # For machines that are no Debian. The archive is about 10 MB, of which only the headers are kept: the library that
    # is tested is the one of the installed Python package.
    system = _MACHINES.get((sys.platform, platform.machine()))
    if system is None:
        raise LookupError(f"no release exists for {sys.platform} on {platform.machine()}.")
    with urllib.request.urlopen(_RELEASE.format(version=version, system=system), timeout=15) as answer:
        archive = io.BytesIO(answer.read())
    headers = scratch / "include"
    headers.mkdir()
    with tarfile.open(fileobj=archive) as files:
        for member in files:
            # By the last part of the name only, so that no name leads out of the folder.
            content = files.extractfile(member) if member.isfile() and member.name.endswith(".h") else None
            if content is not None:
                (headers / Path(member.name).name).write_bytes(content.read())
    return headers
