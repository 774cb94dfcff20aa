"""What is shipped is code: what a linter or an editor leaves behind makes no new image and no new functions."""

from __future__ import annotations

import platform
import re
import shutil
import sys
from pathlib import Path

import pytest

from local.images.context import FileTree
from stacks.bundling import NOT_IN_FUNCTIONS, lay_out_bundle
from stacks.constructs.images import ENVOY_CONTEXT, NOT_IN_APPLICATIONS
from stacks.runtime import GLIBC, WHEEL_PLATFORMS, Platform

ROOT = Path(__file__).resolve().parents[2]
_GLIBC_SYMBOLS = re.compile(rb"GLIBC_(\d+)\.(\d+)")
DOCKERIGNORE = (ROOT / "envoy-image" / "Dockerfile.dockerignore").read_text().split()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A checkout in which somebody has worked."""
    tree = tmp_path / "tree"
    for folder in ("meshcert/contract", "envoy-image/entrypoint"):
        for name in ("code.py", "ruff.toml", ".ruff_cache/found", "__pycache__/code.pyc"):
            file = tree / folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
    return tree


def _files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_the_functions_get_code_only(tree: Path, tmp_path: Path) -> None:
    """The bundle's hash is that of its files, so a stray file would deploy five functions."""
    shutil.copytree(tree / "meshcert", tmp_path / "bundle", ignore=NOT_IN_FUNCTIONS)

    assert _files(tmp_path / "bundle") == {"contract/code.py"}


@pytest.mark.parametrize("ignored", [ENVOY_CONTEXT, DOCKERIGNORE], ids=["asset", "docker"])
def test_the_image_gets_code_only(tree: Path, tmp_path: Path, ignored: list[str]) -> None:
    """The asset's hash is that of its context, so a stray file would replace every task."""
    FileTree(tree, ignored).copy_tree(tree, tmp_path / "context", None)

    assert _files(tmp_path / "context") == {"meshcert/contract/code.py", "envoy-image/entrypoint/code.py"}


def test_an_application_that_was_run_here_is_no_other_image(tmp_path: Path) -> None:
    """A test that imports it leaves byte code; and its own .dockerignore counts as before."""
    for name in ("Dockerfile", "app.py", "part/code.py", "__pycache__/app.pyc", "part/__pycache__/code.pyc"):
        file = tmp_path / "tree" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()

    FileTree(tmp_path / "tree", NOT_IN_APPLICATIONS).copy_tree(tmp_path / "tree", tmp_path / "context", None)

    assert _files(tmp_path / "context") == {"Dockerfile", "app.py", "part/code.py"}


MANYLINUX = {"manylinux2014": (2, 17)}
"""Names of before PEP 600 and the C library that each stands for (PEP 599)."""


@pytest.mark.parametrize("architecture", WHEEL_PLATFORMS)
def test_wheels_are_for_no_newer_c_library_than_every_runtime_has(architecture: str) -> None:
    """A wheel's tag names the oldest one it runs on (PEP 600), and pip takes no other."""
    for tag in WHEEL_PLATFORMS[architecture]:
        newer = re.match(r"manylinux_(\d+)_(\d+)_", tag)
        floor = (int(newer[1]), int(newer[2])) if newer else MANYLINUX[tag.partition("_")[0]]
        assert floor <= GLIBC, tag


def test_nothing_in_the_bundle_asks_for_a_newer_c_library_than_every_runtime_has(tmp_path: Path) -> None:
    """What a tag promises, the libraries themselves hold: each names the versions of the symbols that it needs."""
    architecture = "arm64" if platform.machine() in {"aarch64", "arm64"} else "x86_64"
    lay_out_bundle(tmp_path, Platform(architecture, f"{sys.version_info.major}.{sys.version_info.minor}"))
    asked = {
        file.name: [(int(major), int(minor)) for major, minor in _GLIBC_SYMBOLS.findall(file.read_bytes())]
        for file in tmp_path.rglob("*.so*")
    }

    assert any(asked.values())
    assert {name: max(versions) for name, versions in asked.items() if versions and max(versions) > GLIBC} == {}
