"""Endpoints of clusters with one task each, as tests offer them."""

from __future__ import annotations

from entrypoint.xds.endpoints import endpoints_body
from entrypoint.xds.resources import VersionedResource
from meshcert.envoy.endpoints import TaskAddress, endpoints_resource


def endpoints(version: str, address: str, port: int) -> VersionedResource:
    """A ``ClusterLoadAssignment`` with one endpoint."""
    return VersionedResource(version, endpoints_body(endpoints_resource("any", port, [TaskAddress(address)])))
