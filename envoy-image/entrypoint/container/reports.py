"""The watcher's reports to the supervisor, one byte each, through a pipe."""

from __future__ import annotations

INSTALLED = b"i"
"""Every secret is in its file or offered over the socket, and Envoy's configuration is written."""
ACCEPTED = b"a"
"""Envoy has accepted every secret."""
