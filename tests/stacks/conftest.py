"""The templates of the demo's mesh, synthesised once for all stack tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.stacks.synthesis import synthesise

if TYPE_CHECKING:
    from tests.stacks.synthesis import Templates


@pytest.fixture(scope="session")
def templates(tmp_path_factory: pytest.TempPathFactory) -> Templates:
    """The templates of ``mesh.yaml``."""
    return synthesise(tmp_path_factory.mktemp("assembly"))
