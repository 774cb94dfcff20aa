"""Names of environment variables, of the Envoy container and of the functions."""

from __future__ import annotations

PREFIX = "MESHCERT_"
"""A function's setting has the variable of its own name in capital letters, after this."""
POLICY_PREFIX = "MESHCERT_POLICY_"
"""The same for a setting of the policy."""
LEASE_S = "MESHCERT_LEASE_S"
"""One of these settings: how long a lease lasts."""
MESH = "MESHCERT_MESH"
"""Name of the mesh: of the functions, and the command line's default."""

PROXY = "MESHCERT_PROXY"
"""What the container's Envoy is for: :class:`meshcert.proxy.ProxySettings` as JSON."""
MATERIAL_DIR = "MESHCERT_MATERIAL_DIR"
LISTEN_ADDRESS = "MESHCERT_LISTEN_ADDRESS"
LOOPBACK_ADDRESS = "MESHCERT_LOOPBACK_ADDRESS"
DNS_RESOLVER = "MESHCERT_DNS_RESOLVER"
START_DEADLINE = "MESHCERT_START_DEADLINE_S"
DRAIN = "MESHCERT_DRAIN_S"
LOG_LEVEL = "MESHCERT_LOG_LEVEL"

METADATA_URI = "ECS_CONTAINER_METADATA_URI_V4"
"""Amazon ECS sets it: where a container finds its task's metadata."""
