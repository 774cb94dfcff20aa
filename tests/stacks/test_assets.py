"""What is shipped is code: what a linter or an editor leaves behind makes no new image and no new functions."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from local.images.context import FileTree
from stacks.bundling import NOT_IN_FUNCTIONS
from stacks.constructs.images import ENVOY_CONTEXT

ROOT = Path(__file__).resolve().parents[2]
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
