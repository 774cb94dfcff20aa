"""Fixtures that every kind of test may use."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.pki import Hierarchy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshcert.material import Material


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of one file share an emulator, those of tests/e2e a whole demo: each such group stays in one process."""
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            shared = item.path.parent if item.path.parent.name == "e2e" else item.path
            item.add_marker(pytest.mark.xdist_group(str(shared.relative_to(item.config.rootpath))))


@pytest.fixture(autouse=True)
def clean_environ() -> Iterator[None]:
    """No test leaves a trace in the environment."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def hierarchy() -> Hierarchy:
    """A root CA and its issuing CA."""
    return Hierarchy(tiers=2)


@pytest.fixture
def material(hierarchy: Hierarchy) -> Material:
    """What ACM exports for the teller, without a fault."""
    return hierarchy.issue(["colorteller.mtls.svc.cluster.local"])
