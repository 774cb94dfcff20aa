"""An xDS type of the tests' own: the endpoints of clusters. All that a type is, in one file."""

from __future__ import annotations

from entrypoint.grpc.wire import field
from entrypoint.xds.resources import ResourceType, VersionedResource

ENDPOINTS = ResourceType(
    "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
    "envoy.service.endpoint.v3.EndpointDiscoveryService",
    "Endpoints",
)


def endpoints(version: str, address: str, port: int) -> VersionedResource:
    """A ``ClusterLoadAssignment`` with one endpoint."""
    socket_address = field(2, address) + field(3, port)
    lb_endpoint = field(1, field(1, field(1, socket_address)))
    return VersionedResource(version, field(2, field(2, lb_endpoint)))
