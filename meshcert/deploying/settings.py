"""
The custom resource ``Custom::MeshcertSettings``: the settings of one attached service's proxy.

Its properties are ``Mesh``, ``Service``, ``Version`` (SHA-256), ``Document`` (as
:func:`meshcert.documents.stored_settings.packed_settings` writes it) and ``Identities``, which its proxy holds. It has
a row of its own beside those of routes, and goes back with a deploy as they do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshcert.contract.route_rows import SETTINGS_PREFIX
from meshcert.deploying.properties import REMEDY, mesh_faults, text_faults
from meshcert.deploying.routes import PublishedRoutes
from meshcert.documents.stored_settings import SettingsRow
from meshcert.errors import Fault, RequestInvalid, StoredSettingsUnusable
from meshcert.proxy import ProxySettings

if TYPE_CHECKING:
    from collections.abc import Mapping

SETTINGS_TYPE = "Custom::MeshcertSettings"


def settings_id(service: str) -> str:
    """The physical id of the custom resource of a service's settings, and the key of its row."""
    return SETTINGS_PREFIX + service


def read_settings(properties: Mapping[str, Any], mesh: str, owner: str) -> PublishedRoutes:
    """
    The row that a request declares.

    Args:
        properties: ``ResourceProperties``.
        mesh: The mesh that the function belongs to.
        owner: The CloudFormation resource that declares it.

    Raises:
        RequestInvalid: With every property that is missing or wrong.
    """
    faults = [*text_faults(properties, ("Service", "Version", "Document")), *mesh_faults(properties, mesh)]
    identities = properties.get("Identities")
    if not isinstance(identities, list) or not all(isinstance(each, str) for each in identities):
        faults.append(Fault("Identities", "it is no list of names", REMEDY))
    if not faults:
        row = SettingsRow("the table routes", properties["Service"])
        try:
            text = row.open(row.content(properties["Document"], properties["Version"]))
            if ProxySettings.from_json(text).service != properties["Service"]:
                faults.append(Fault("Document", "it is of another service", REMEDY))
        except (StoredSettingsUnusable, ValueError) as error:
            faults.append(Fault("Document", str(error), REMEDY))
    if faults:
        raise RequestInvalid(f"settings of service {properties.get('Service', '')}", tuple(faults))
    key = settings_id(properties["Service"])
    return PublishedRoutes(key, properties["Version"], properties["Document"], owner)
