"""Addresses and paths that an Envoy needs besides its settings."""

from __future__ import annotations

from typing import Any

from meshcert.contract.container import LOOPBACK
from meshcert.values.named_tuple import NamedTuple


class Addresses(NamedTuple):
    """
    Addresses and paths that may differ between two containers with the same settings.

    Args:
        secrets_directory: Folder with an SDS resource file for each secret.
        listen: Address that the listeners bind.
        loopback: Address of the application in the same task, and of Envoy's admin interface.
        dns_resolver: ``host:port`` of the DNS server; empty for those of ``/etc/resolv.conf``.
        sds_socket: Path of the Unix socket that serves what is not delivered as files: secrets, endpoints, routes.
        endpoints_directory: Folder with an EDS resource file for each backend.
        routes_directory: Folder with an RDS resource file for each route configuration of a route table.
        ways_in: Path of the file with the listeners that wait for the application.
    """

    secrets_directory: str
    listen: str = "0.0.0.0"  # noqa: S104 -- a task's network interface is its own; security groups decide who reaches it
    loopback: str = LOOPBACK
    dns_resolver: str = ""
    sds_socket: str = ""
    ways_in: str = ""
    endpoints_directory: str = ""
    routes_directory: str = ""

    @property
    def own_range(self) -> tuple[str, int]:
        """
        The addresses that lead back into the task: the first of them, and the length of their prefix.

        Where tasks share a loopback network, a task has one address of it.
        """
        return ("127.0.0.0", 8) if self.loopback == LOOPBACK else (self.loopback, 32)


def socket_address(address: str, port: int) -> dict[str, Any]:
    """``core.v3.Address.socket_address``."""
    return {"socket_address": {"address": address, "port_value": port}}
