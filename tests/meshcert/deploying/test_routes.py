"""The custom resource of routes: a deploy writes a service's row, and a deploy that fails takes it back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from evidence.fixtures.proxies import gateway
from evidence.simulation.tables import InMemoryRoutes
from meshcert.deploying.routes import ROUTES_TYPE, RouteRows
from meshcert.documents.route_table import RouteTable
from meshcert.errors import AccessDenied, AwsUnavailable
from meshcert.proxy import Route
from tests.meshcert.deploying.route_rows_claims import RouteRowsClaims

if TYPE_CHECKING:
    from tests.meshcert.publishing.world import World

EDGE = "routes/edge"


def asked(world: World, kind: str, table: RouteTable, **changes: Any) -> dict[str, Any]:
    """A request of CloudFormation's about the routes of the service ``edge``, and its answer."""
    properties = {"Mesh": "color", "Service": "edge", "Version": table.version, "Document": table.packed()} | changes
    beside = {} if kind == "Create" else {"PhysicalResourceId": EDGE}
    return world.ask(kind, properties, ResourceType=ROUTES_TYPE, LogicalResourceId="EdgeRoutes", **beside)


def table(backend: str) -> RouteTable:
    """Everything to one backend."""
    return RouteTable.of(gateway(routes=(Route("/", backend),)))


def versions(world: World) -> list[str]:
    """The versions in the row, the newest first."""
    return [each.version for each in world.routes.rows.get("edge", ())]


def test_a_deploy_writes_the_row_and_a_rollback_takes_it_back(world: World) -> None:
    """CloudFormation undoes an update with an update; what was taken back stays for tasks that still need it."""
    blue, green = table("blue"), table("green")

    assert asked(world, "Create", blue)["PhysicalResourceId"] == EDGE
    asked(world, "Update", green)
    assert versions(world) == [green.version, blue.version]

    assert asked(world, "Update", blue)["Status"] == "SUCCESS"
    assert versions(world) == [blue.version, green.version]


def test_routes_that_go_take_their_row_with_them(world: World) -> None:
    """Nobody reads it any more."""
    asked(world, "Create", table("blue"))

    assert asked(world, "Delete", table("blue"))["Status"] == "SUCCESS"
    assert versions(world) == []


def test_a_row_whose_table_or_right_has_gone_first_fails_no_deploy(world: World) -> None:
    """The identities stack goes before the services stack where a mesh file has no routes any more."""
    asked(world, "Create", table("blue"))
    world.routes.error = AccessDenied("dynamodb:DeleteItem", "edge", "AccessDeniedException")
    begun = world.clock.now()

    assert asked(world, "Delete", table("blue"))["Status"] == "SUCCESS"
    assert world.clock.now() == begun


def test_a_table_that_does_not_answer_fails_the_deploy_with_its_reason(world: World) -> None:
    """Then CloudFormation goes back, and no task is replaced."""
    world.routes.error = AwsUnavailable("dynamodb:UpdateItem", "edge", "ThrottlingException")

    answered = asked(world, "Create", table("blue"))

    assert answered["Status"] == "FAILED"
    assert "ThrottlingException" in answered["Reason"]
    assert answered["PhysicalResourceId"] == EDGE


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"Mesh": "other"}, "this function serves color"),
        ({"Service": ""}, "Service: it is missing or empty"),
        ({"Version": "0" * 64}, "Document: its SHA-256 is not its version"),
        ({"Document": "?"}, "Document: it is not zlib in base64"),
        ({"Document": None}, "Document: it is missing or empty"),
    ],
)
def test_what_is_no_route_table_never_reaches_a_row(world: World, changes: dict[str, Any], problem: str) -> None:
    """Every fault is in the reason."""
    answered = asked(world, "Create", table("blue"), **changes)

    assert answered["Status"] == "FAILED"
    assert problem in answered["Reason"]
    assert world.routes.rows == {}


class TestRouteRowsInMemory(RouteRowsClaims):
    """The claims, in memory."""

    @pytest.fixture
    def rows(self) -> InMemoryRoutes:
        """An empty table."""
        return InMemoryRoutes()

    def kept(self, rows: RouteRows) -> list[str]:
        """See :class:`RouteRowsClaims`."""
        assert isinstance(rows, InMemoryRoutes)
        return [each.version for each in rows.rows.get("front", ())]
