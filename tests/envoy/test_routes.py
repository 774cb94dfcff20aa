"""Routes by the real Envoy: who gets a request, as App Mesh would have it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.envoy.routed import Routed
from tests.meshcert.mesh.routed_meshes import edge_routes, header, mesh_values, route

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

TABLES = {
    "colour by header": mesh_values(
        [
            route("blue", "blue", prefix="/", headers=[header("x-color", exact="blue")]),
            route("rest", "green", prefix="/"),
        ]
    )
}


@pytest.fixture(scope="module")
def envoy(
    envoy_binary: Path, tmp_path_factory: pytest.TempPathFactory, new_address: Callable[[], str]
) -> Iterator[Routed]:
    """One Envoy for every table."""
    tables = {name: edge_routes(values) for name, values in TABLES.items()}
    with Routed(envoy_binary, tmp_path_factory.mktemp("envoy"), new_address(), tables) as running:
        yield running


def test_a_header_decides(envoy: Routed) -> None:
    """The walking skeleton."""
    assert envoy.ask("colour by header", "/", {"x-color": "blue"}).node == "blue"
    assert envoy.ask("colour by header", "/").node == "green"
