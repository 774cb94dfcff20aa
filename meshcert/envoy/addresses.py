"""Where one Envoy listens, and where it finds what the settings do not say."""

from __future__ import annotations

from typing import Any, NamedTuple

from meshcert.contract.container import LOOPBACK


class Addresses(NamedTuple):
    """
    What differs between two containers with the same settings.

    Args:
        secrets_directory: Folder with one SDS resource file per secret.
        listen: Address the listeners bind.
        loopback: Address of the application in the same task, and of Envoy's admin interface.
        dns_resolver: ``host:port`` of the DNS server to ask; empty: those of ``/etc/resolv.conf``.
        sds_socket: Path of the Unix socket that serves secrets, where they are not files.
    """

    secrets_directory: str
    listen: str = "0.0.0.0"  # noqa: S104 -- a task's network interface is its own; security groups decide who reaches it
    loopback: str = LOOPBACK
    dns_resolver: str = ""
    sds_socket: str = ""


def socket_address(address: str, port: int) -> dict[str, Any]:
    """``core.v3.Address.socket_address``."""
    return {"socket_address": {"address": address, "port_value": port}}
