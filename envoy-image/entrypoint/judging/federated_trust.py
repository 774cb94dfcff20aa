"""Settings of federated trust that Envoy would take, and that would let in the wrong peers or nobody."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshcert.proxy import TlsMode
from meshcert.san import Uri
from meshcert.tls_sources import FederatedTrust

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshcert.proxy import ProxySettings
    from meshcert.san import AcceptedName


def federated_problems(proxy: ProxySettings) -> Iterator[tuple[str, str]]:
    """Place and problem of each federated trust in a proxy's settings."""
    for number, listener in enumerate(proxy.listeners):
        if listener.tls.mode is not TlsMode.DISABLED and isinstance(listener.tls.trust, FederatedTrust):
            names = listener.tls.subject_alternative_names
            yield from _problems(f"listeners[{number}].tls", listener.tls.trust, names, proxy)
    for number, backend in enumerate(proxy.backends):
        if backend.tls and isinstance(backend.tls.trust, FederatedTrust):
            names = backend.tls.subject_alternative_names
            yield from _problems(f"backends[{number}].tls", backend.tls.trust, names, proxy)


def _problems(
    place: str, trust: FederatedTrust, names: tuple[AcceptedName, ...], proxy: ProxySettings
) -> Iterator[tuple[str, str]]:
    domains = [*([trust.trust_domain] if trust.hierarchy else []), *trust.foreign]
    if trust.hierarchy and trust.hierarchy not in proxy.trust_bundles:
        yield f"{place}.trust.hierarchy", f"{trust.hierarchy!r} is not declared in these settings"
    for name in trust.foreign:
        if name not in proxy.foreign_bundles:
            yield f"{place}.trust.foreign", f"{name!r} is not declared in these settings"
    if not all(domains) or len(set(domains)) < len(domains):
        yield f"{place}.trust", "a trust domain has no name, or is there twice"
    # Envoy's SPIFFE validator ignores matchers of DNS names; without any other, it admits all of these domains.
    if not names or not all(isinstance(name, Uri) for name in names):
        yield f"{place}.subject_alternative_names", "beside foreign trust domains they are SPIFFE IDs, one or more"
