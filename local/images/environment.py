"""Python environments of images, made once for each set of requirements."""

from __future__ import annotations

import fcntl
import hashlib
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_STAMP = "complete"
_PYTHON_IMAGE = re.compile(r"(?:.*/)?python:(\d+\.\d+)")


class InstallError(RuntimeError):
    """
    pip could not install an image's requirements.

    Args:
        output: What pip printed.
    """

    def __init__(self, requirements: Path, output: str) -> None:
        self.requirements = requirements
        self.output = output
        super().__init__(f"installing {requirements.name} failed:\n{output.strip()}")


def python_of(base: str) -> str:
    """The version of Python in an image, as its name says it, for example ``3.13``; empty if it says none."""
    found = _PYTHON_IMAGE.match(base)
    return found.group(1) if found else ""


def requirements_environment(
    venvs: Path, requirements: Path, constraints: Path | None, say: Callable[[str], None], python: str = ""
) -> Path:
    """
    A Python environment that holds the requirements and nothing else.

    Made at most once: its folder is named after everything that decides its content.

    Args:
        venvs: Folder of such environments.
        constraints: Exact versions, or None.
        say: Told when one is made.
        python: The image's Python. Packages that have nothing for this machine's are taken for that one: what they
            hold may be a program that needs no Python, as a server's.

    Raises:
        InstallError: If pip fails.
    """
    content = [requirements.read_bytes(), constraints.read_bytes() if constraints else b"", sys.version.encode()]
    base = Path(sys.executable).resolve()
    digest = hashlib.sha256(b"\0".join([*content, bytes(base)])).hexdigest()[:16]
    folder = venvs / digest
    venvs.mkdir(parents=True, exist_ok=True)
    with (venvs / f"{digest}.lock").open("w") as lock:
        # Two builds of the same image may run at once; the second one waits and finds it done.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / _STAMP).exists():
            say(f"installing {requirements.name} into {folder}")
            shutil.rmtree(folder, ignore_errors=True)
            _run([str(base), "-I", "-m", "venv", str(folder)], requirements)
            pip = [str(folder / "bin/python"), "-I", "-m", "pip", "install", "--disable-pip-version-check", "--quiet"]
            wanted = ["-r", str(requirements), *(["-c", str(constraints)] if constraints else [])]
            own = "{}.{}".format(*sys.version_info)
            try:
                _run([*pip, *wanted], requirements)
            except InstallError as error:
                if python in ("", own):
                    raise
                say(f"{requirements.name} has nothing for Python {own}: taking what it has for the image's {python}")
                (packages,) = folder.glob("lib/python*/site-packages")
                others = ["--python-version", python, "--only-binary=:all:", "--target", str(packages)]
                try:
                    _run([*pip, *others, *wanted], requirements)
                except InstallError as again:
                    said = f"for this machine's Python {own}: {error.output}\nfor the image's {python}: {again.output}"
                    raise InstallError(requirements, said) from None
            (folder / _STAMP).touch()
    return folder


def _run(argv: list[str], requirements: Path) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        raise InstallError(requirements, done.stdout + done.stderr)
