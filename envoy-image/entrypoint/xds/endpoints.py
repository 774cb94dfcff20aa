"""
The endpoints of clusters as an xDS type: Envoy's Endpoint Discovery Service.

Field numbers are those of ``envoy/config/endpoint/v3/{endpoint,endpoint_components}.proto`` and
``envoy/config/core/v3/{address,base,health_check}.proto``; tests compare with the generated messages.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from entrypoint.xds.encoding import encoded
from entrypoint.xds.resources import ResourceType
from meshcert.envoy.api import CLUSTER_LOAD_ASSIGNMENT

if TYPE_CHECKING:
    from entrypoint.xds.encoding import Fields
    from meshcert.envoy.api import Json

_ADDRESS: Fields = {"socket_address": (1, {"address": (2, {}), "port_value": (3, {})})}
_ENDPOINTS: Fields = {
    "endpoints": (
        2,
        {
            "locality": (1, {"zone": (2, {})}),
            "lb_endpoints": (2, {"endpoint": (1, {"address": (1, _ADDRESS)}), "health_status": (2, {})}),
        },
    ),
}


def endpoints_body(resource: Json) -> bytes:
    """
    Encode endpoints (``endpoint.v3.ClusterLoadAssignment``) without the cluster's name.

    Args:
        resource: From :func:`meshcert.envoy.endpoints.endpoints_resource`.

    Raises:
        KeyError: If it has an unknown field.
    """
    return encoded({"endpoints": resource["endpoints"]}, _ENDPOINTS)


ENDPOINTS = ResourceType(CLUSTER_LOAD_ASSIGNMENT, "envoy.service.endpoint.v3.EndpointDiscoveryService", "Endpoints")
