"""Facts about every Envoy container: its user, its folder, its addresses."""

from __future__ import annotations

USER_ID = 1337
"""The user that runs everything and owns the material folder; also ``USER`` in the Dockerfile."""

MATERIAL_DIR = "/run/meshcert"
"""A tmpfs: certificates and keys never reach a disk."""

WORKLOAD_API_DIR = "/run/spiffe"
"""A volume that Envoy's container and the application's share; also ``VOLUME`` in the Dockerfile."""

WORKLOAD_API_SOCKET_PATH = f"{WORKLOAD_API_DIR}/workload.sock"
"""The socket of the SPIFFE Workload API in it."""

LOOPBACK = "127.0.0.1"
"""Address at which the containers of a task reach each other."""

ADMIN_PORT = 9901
"""TCP port of Envoy's administration interface, on the loopback address."""

READINESS_PORT = 9902
"""TCP port of Envoy's loopback listener through which the readiness container asks the application."""

WAYS_IN_PORT = 9903
"""TCP port on the loopback address where the readiness container asks the entrypoint to open the ways in."""

PUBLIC_ROOTS = "/etc/ssl/certs/ca-certificates.crt"
"""The public CAs in the image, PEM: where Debian's package ca-certificates has them."""

READY_FILE = "ready"
"""In the readiness container's material folder while the application answers: the health check looks for it."""
