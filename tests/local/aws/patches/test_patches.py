"""Every patch says what it is for, and an unpatched MiniStack still needs it."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import pytest

from local.aws.hooks import MINISTACK_VERSION
from local.running_aws import ROOT
from tests.local.aws.patches.probes import STILL_NEEDED
from tests.local.aws.patches.unpatched import Unpatched, running

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = ROOT / "local" / "aws" / "patches"
PATCHES = {str(file.relative_to(FOLDER).with_suffix("")) for file in FOLDER.rglob("*.py") if file.name != "__init__.py"}


@pytest.fixture(scope="module")
def stock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Unpatched]:
    """MiniStack as it is."""
    with running(tmp_path_factory.mktemp("unpatched")) as unpatched:
        yield unpatched


@pytest.mark.parametrize("patch", sorted(PATCHES))
def test_a_patch_says_what_it_is_for(patch: str) -> None:
    """What the pinned MiniStack does, what AWS does, and when the file can go."""
    text = ast.get_docstring(ast.parse((FOLDER / f"{patch}.py").read_text())) or ""
    first, *paragraphs = text.split("\n\n")

    assert "\n" not in first
    assert paragraphs[0].startswith(f"MiniStack {MINISTACK_VERSION} ")
    assert paragraphs[1].startswith("AWS")
    assert paragraphs[-1].startswith("It can go ")


@pytest.mark.parametrize("patch", sorted(PATCHES))
def test_a_patch_still_has_something_to_do(stock: Unpatched, patch: str) -> None:
    """Where this fails after an upgrade, MiniStack does it itself now: try without the file."""
    assert STILL_NEEDED[patch](stock)


def test_every_probe_has_its_patch() -> None:
    """A patch that went takes its probe with it."""
    assert STILL_NEEDED.keys() == PATCHES
