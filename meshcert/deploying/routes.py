"""
The custom resource ``Custom::MeshcertRoutes``: the route table of one service.

Its properties are ``Mesh``, ``Service``, ``Version`` (SHA-256) and ``Document`` (as
:meth:`meshcert.documents.route_table.RouteTable.packed` writes it). A deploy that goes back sends the earlier document
again, so the row goes back with it; the later one stays beside it for tasks that are on their way out.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from meshcert.contract.route_rows import SETTINGS_PREFIX
from meshcert.deploying.properties import REMEDY, mesh_faults, text_faults
from meshcert.documents.route_table import read_route_table
from meshcert.errors import Fault, MeshcertError, RequestInvalid, RouteTableUnusable

if TYPE_CHECKING:
    from collections.abc import Mapping

logger = logging.getLogger(__name__)

ROUTES_TYPE = "Custom::MeshcertRoutes"
_PREFIX = "routes/"


class PublishedRoutes(NamedTuple):
    """
    One version of a service's route table, or of an attached service's settings.

    Args:
        service: Name of the service in the mesh file; of settings, the key of their row.
        version: SHA-256 of the document, lower-case hex.
        document: The packed document.
        owner: The CloudFormation resource that declares it.
    """

    service: str
    version: str
    document: str
    owner: str = ""


class RouteRows(Protocol):
    """The table ``routes``: the newest document of each row, and the one before."""

    def publish(self, routes: PublishedRoutes) -> None:
        """Make this the newest, and what was the newest the one before; the same again changes neither."""

    def forget(self, service: str, owner: str) -> None:
        """Delete a service's row. Nothing happens if there is none, or if it belongs to another resource by now."""


def routes_id(service: str) -> str:
    """The physical id of the custom resource of a service's routes; it cannot be an identity's."""
    return f"{_PREFIX}{service}"


def read_routes(properties: Mapping[str, Any], mesh: str, owner: str) -> PublishedRoutes:
    """
    The route table that a request declares.

    Args:
        properties: ``ResourceProperties``.
        mesh: The mesh that the function belongs to.
        owner: The CloudFormation resource that declares it.

    Raises:
        RequestInvalid: With every property that is missing or wrong.
    """
    faults = [*text_faults(properties, ("Service", "Version", "Document")), *mesh_faults(properties, mesh)]
    if not faults:
        try:
            read_route_table(properties["Document"], properties["Version"], f"service {properties['Service']}")
        except RouteTableUnusable as error:
            faults.append(Fault("Document", error.problem, REMEDY))
    if faults:
        raise RequestInvalid(f"routes of service {properties.get('Service', '')}", tuple(faults))
    return PublishedRoutes(properties["Service"], properties["Version"], properties["Document"], owner)


def forget_routes(physical_id: str, owner: str, rows: RouteRows) -> None:
    """
    Delete the row that a custom resource of routes or settings wrote; never raises a MeshcertError.

    A row that stays harms nobody: nobody reads it, and the next deploy of a service of that name writes it anew.
    """
    if not physical_id.startswith((_PREFIX, SETTINGS_PREFIX)):
        return
    try:
        rows.forget(physical_id.removeprefix(_PREFIX), owner)
    except MeshcertError as error:
        logger.warning("%s stays in the table of routes: %s", physical_id, error)
