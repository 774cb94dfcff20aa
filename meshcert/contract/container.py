"""Facts about every Envoy container: its user, its folder, its addresses."""

from __future__ import annotations

USER_ID = 1337
"""The user that runs everything and owns the material folder; also ``USER`` in the Dockerfile."""

MATERIAL_DIR = "/run/meshcert"
"""A tmpfs: certificates and keys never reach a disk."""

LOOPBACK = "127.0.0.1"
"""Address at which the containers of a task reach each other."""

ADMIN_PORT = 9901
"""TCP port of Envoy's administration interface, on the loopback address."""
