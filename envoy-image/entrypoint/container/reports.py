"""What the watcher tells the supervisor, one byte each, through a pipe."""

from __future__ import annotations

INSTALLED = b"i"
"""Every secret lies in its file or can be had over the socket, and the configuration is written."""
ACCEPTED = b"a"
"""Envoy has accepted every secret."""
