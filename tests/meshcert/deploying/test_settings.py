"""The custom resource of an attached service's settings: a row of its own, and a look at each identity."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from evidence.fixtures.proxies import teller
from meshcert.deploying.settings import SETTINGS_TYPE
from meshcert.documents.stored_settings import packed_settings

if TYPE_CHECKING:
    from tests.meshcert.publishing.world import World

KEY = "settings/orders"


def document(port: int) -> dict[str, str]:
    """Settings of a service whose application listens there."""
    packed, version = packed_settings(teller(service="orders", application_port=port).to_json())
    return {"Document": packed, "Version": version}


def asked(world: World, kind: str, port: int, **changes: Any) -> dict[str, Any]:
    """A request of CloudFormation's, and its answer."""
    properties = {"Mesh": "color", "Service": "orders", "Identities": ["orders"], **document(port)} | changes
    beside = {} if kind == "Create" else {"PhysicalResourceId": KEY}
    return world.ask(kind, properties, ResourceType=SETTINGS_TYPE, LogicalResourceId="Settings", **beside)


def versions(world: World) -> list[str]:
    """The versions in the row, the newest first."""
    return [each.version for each in world.routes.rows.get(KEY, ())]


def test_a_deploy_writes_the_row_a_rollback_puts_it_back_and_a_delete_takes_it(world: World) -> None:
    """Routes of the same service have a row beside it."""
    first, second = (document(port)["Version"] for port in (8080, 9090))

    assert asked(world, "Create", 8080)["PhysicalResourceId"] == KEY
    asked(world, "Update", 9090)
    assert versions(world) == [second, first]
    asked(world, "Update", 8080)
    assert versions(world) == [first, second]
    assert asked(world, "Delete", 8080)["Status"] == "SUCCESS"
    assert versions(world) == []


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"Version": "0" * 64}, "Document"),
        ({"Document": "AAAA"}, "Document"),
        ({"Service": "stock"}, "Document"),
        ({"Mesh": "other"}, "Mesh"),
        ({"Identities": "orders"}, "Identities"),
    ],
)
def test_what_is_no_settings_of_this_service_is_refused(world: World, changes: dict[str, Any], place: str) -> None:
    """And nothing is written."""
    answer = asked(world, "Create", 8080, **changes)

    assert (answer["Status"], place in answer["Reason"]) == ("FAILED", True)
    assert versions(world) == []
