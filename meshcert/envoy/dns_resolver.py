"""Whom Envoy asks for names, where it is not the system's resolver."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshcert.envoy.addresses import socket_address
from meshcert.envoy.api import CARES_RESOLVER, Json, extension

if TYPE_CHECKING:
    from meshcert.envoy.addresses import Addresses


def dns_resolver(addresses: Addresses) -> Json:
    """The field ``typed_dns_resolver_config``; empty for the system's resolver."""
    if not addresses.dns_resolver:
        return {}
    host, _, port = addresses.dns_resolver.rpartition(":")
    return {
        "typed_dns_resolver_config": extension(
            "envoy.network.dns_resolver.cares",
            CARES_RESOLVER,
            resolvers=[socket_address(host, int(port))],
            # Cloud Map's names are complete; a search list would only add queries.
            dns_resolver_options={"no_default_search_domain": True},
        )
    }
