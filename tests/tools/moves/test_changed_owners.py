"""A service or a load balancer that would change hands is told before a deploy, with the way that loses nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from meshcert.mesh import load_mesh, read_mesh
from tests.meshcert.mesh.mesh_slips import changed
from tests.stacks.synthesis import ROOT, assemble
from tests.stacks.test_load_balancers import EXISTING, GROUP, PLACE
from tools.moves.changed_owners import Owners, changed_owners

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SHOP = ROOT / "examples" / "own-cdk-app" / "mesh.yaml"
SHOPS = {"edge": False, "orders": True, "stock": True, "report": True}
YOURS = changed((PLACE, {"target_groups": {8443: GROUP}}), ("network", {"existing": EXISTING}))


def deployed(folder: Path, mesh: str) -> Owners:
    """What the templates of a mesh say."""
    return Owners.of({each.stack_name: each.template for each in assemble(folder, mesh=mesh)})


def told(moves: Iterator[str]) -> list[tuple[str, str]]:
    """The place of each move, and whose it would be."""
    return [(place, "yours" if "yours:" in text or "made by" in text else "made") for place, _, text in _parts(moves)]


def _parts(moves: Iterator[str]) -> Iterator[tuple[str, str, str]]:
    for move in moves:
        assert "docs/attached.md" in move
        yield move.partition(": ")


def test_templates_say_whose_services_and_load_balancers_are(tmp_path: Path) -> None:
    """Those of a service of yours have its row of settings; a target group of yours stands there by its ARN."""
    file = tmp_path / "mesh.yaml"
    file.write_bytes(YOURS)

    assert deployed(tmp_path / "shop", str(SHOP)) == Owners(SHOPS, {"edge": False})
    assert deployed(tmp_path / "color", str(file)) == Owners(
        {"colorgateway": False, "colorteller": False}, {"colorgateway": True}
    )


@pytest.mark.parametrize(
    ("attached", "places"),
    [
        (SHOPS, []),
        ({"edge": False}, []),
        ({**SHOPS, "gone": True}, []),
        ({**SHOPS, "orders": False}, [("services.orders.attached", "yours")]),
        ({**SHOPS, "edge": True}, [("services.edge.attached", "made")]),
    ],
    ids=["as before", "new ones", "one taken out", "made, then yours", "yours, then made"],
)
def test_a_service_does_not_change_hands_under_its_name(
    attached: dict[str, bool], places: list[tuple[str, str]]
) -> None:
    """What is new, or goes, is nobody's business here."""
    assert told(changed_owners(load_mesh(SHOP), Owners(attached, {}))) == places


@pytest.mark.parametrize(
    ("text", "balanced", "places"),
    [
        (changed(), {"colorgateway": False}, []),
        (YOURS, {"colorgateway": True}, []),
        (YOURS, {}, []),
        (changed((PLACE, False)), {"colorgateway": False}, []),
        (YOURS, {"colorgateway": False}, [(PLACE, "yours")]),
        (changed(), {"colorgateway": True}, [(PLACE, "made")]),
    ],
    ids=["made", "yours", "there was none", "none any more", "made, then yours", "yours, then made"],
)
def test_a_load_balancer_does_not_change_hands_under_running_clients(
    text: bytes, balanced: dict[str, bool], places: list[tuple[str, str]]
) -> None:
    """Whoever takes it out first has said that nobody uses it."""
    mesh = read_mesh(text).mesh
    assert mesh

    assert told(changed_owners(mesh, Owners({}, balanced))) == places
