"""
Envoy's configuration for one proxy, as plain dictionaries ready for ``json.dumps``.

Pure functions turn :class:`~meshcert.proxy.ProxySettings` and a few :class:`Addresses` into Envoy's v3 API. Field names
in the docstrings are Envoy's (https://www.envoyproxy.io/docs/envoy/v1.40.0/api-v3/api). Only the standard library is
used, because this runs at the start of every container.
"""

from __future__ import annotations

from meshcert.contract.container import ADMIN_PORT
from meshcert.envoy.addresses import Addresses
from meshcert.envoy.bootstrap import bootstrap
from meshcert.envoy.clusters import APPLICATION_CLUSTER
from meshcert.envoy.endpoints import TaskAddress, endpoints_resource
from meshcert.envoy.http.route_configurations import (
    filter_chain_name,
    listener_name,
    route_configurations,
    route_names,
)
from meshcert.envoy.secrets import (
    certificate_name,
    discovery_response,
    federated_bundles,
    federated_resource,
    file_resource,
    identity_name,
    identity_resource,
    roots_name,
    secrets_used,
    trust_name,
    trust_resource,
)
from meshcert.envoy.ways_in import ways_in

__all__ = [
    "ADMIN_PORT",
    "APPLICATION_CLUSTER",
    "Addresses",
    "TaskAddress",
    "bootstrap",
    "certificate_name",
    "discovery_response",
    "endpoints_resource",
    "federated_bundles",
    "federated_resource",
    "file_resource",
    "filter_chain_name",
    "identity_name",
    "identity_resource",
    "listener_name",
    "roots_name",
    "route_configurations",
    "route_names",
    "secrets_used",
    "trust_name",
    "trust_resource",
    "ways_in",
]
