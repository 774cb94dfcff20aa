"""Names of environment variables, of the Envoy container and of the functions."""

from __future__ import annotations

PREFIX = "MESHCERT_"
"""Prefix of every variable. For a function's setting, its name in capital letters follows."""
POLICY_PREFIX = "MESHCERT_POLICY_"
"""Prefix of a policy setting's variable; its name in capital letters follows."""
LEASE_S = "MESHCERT_LEASE_S"
"""How long a lease lasts, seconds."""
MESH = "MESHCERT_MESH"
"""Name of the mesh: set for the functions, and the command line's default."""

PROXY = "MESHCERT_PROXY"
"""The proxy's settings: :class:`meshcert.proxy.ProxySettings` as JSON."""
PROXY_FROM = "MESHCERT_PROXY_FROM"
"""Instead of it, if it would be too long: the object that holds it (:mod:`meshcert.documents.stored_settings`)."""
MATERIAL_DIR = "MESHCERT_MATERIAL_DIR"
LISTEN_ADDRESS = "MESHCERT_LISTEN_ADDRESS"
LOOPBACK_ADDRESS = "MESHCERT_LOOPBACK_ADDRESS"
DNS_RESOLVER = "MESHCERT_DNS_RESOLVER"
START_DEADLINE = "MESHCERT_START_DEADLINE_S"
DRAIN = "MESHCERT_DRAIN_S"
AWAITS_STOP = "MESHCERT_AWAITS_STOP"
"""If set, a container that has failed ends when it is told to, with the exit code of its fault."""
LOG_LEVEL = "MESHCERT_LOG_LEVEL"
WORKLOAD_API_SOCKET = "MESHCERT_WORKLOAD_API_SOCKET"
"""Path of the socket of the SPIFFE Workload API; where it is not set, there is none."""
WORKLOAD_API_USERS = "MESHCERT_WORKLOAD_API_USERS"
"""The users (uid) that may ask it, with commas between them."""

APPLICATION_PORT = "MESHCERT_APPLICATION_PORT"
"""Of the readiness container: TCP port of the application."""
HEALTH_CHECK_PATH = "MESHCERT_HEALTH_CHECK_PATH"
"""Of the readiness container: the path that is asked for; empty if a TCP connection is enough."""

PROFILES = "MESHCERT_PROFILES"
"""Of ``meshcert status --all-cells``: ``CELL=NAME`` of AWS profiles, with spaces between."""

METADATA_URI = "ECS_CONTAINER_METADATA_URI_V4"
"""Amazon ECS sets it: where a container finds its task's metadata."""

OF_ECS = ("ECS_CONTAINER_METADATA_URI", "ECS_AGENT_URI", "AWS_CONTAINER_", "AWS_EXECUTION_ENV")
"""How the names of variables begin that Amazon ECS sets in every container."""

PORT = "PORT"
"""Of the application: the TCP port it is to listen on."""
PROXY_ENVIRONMENT = ("HTTP_PROXY", "http_proxy")
"""Of the application, if it asks for it: where its plain HTTP requests go. ``HTTPS_PROXY`` would ask for tunnels."""
NO_PROXY = ("NO_PROXY", "no_proxy")
"""Of the application: the hosts that it reaches itself."""
SPIFFE_ENDPOINT_SOCKET = "SPIFFE_ENDPOINT_SOCKET"
"""Of the application: where the SPIFFE Workload API is (SPIFFE standard, Workload Endpoint section 4)."""
NODE_USES_PROXY = "NODE_USE_ENV_PROXY"
"""Makes Node look at the variables above (Node.js 24, command-line API)."""
