"""Peers of several trust domains at one listener, and what becomes of them when a foreign bundle is late or bad."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from evidence.fixtures.container import eventually
from evidence.fixtures.pki import Hierarchy
from evidence.fixtures.proxies import GATEWAY_TRUST, PORT, TELLER_SECRET, teller
from meshcert.envoy import roots_name
from meshcert.material.foreign_bundle import ForeignBundle
from meshcert.proxy import Listener, ListenerTls, SecretReference, TlsMode
from meshcert.san import Uri
from meshcert.tls_sources import FederatedTrust
from tests.envoy.conftest import Start, both_deliveries
from tests.envoy.mutual_client import is_admitted

if TYPE_CHECKING:
    from evidence.fixtures.container import Container
    from evidence.fixtures.secrets_api import SecretsApi
    from meshcert.material import Material
    from meshcert.proxy import ProxySettings

OWN, PARTNER, SUPPLIER = "color.example", "partner.example", "supplier.example"
TELLER_ID = f"spiffe://{OWN}/colorteller"
IDS = {domain: f"spiffe://{domain}/web" for domain in (OWN, PARTNER, SUPPLIER)}
TRUST = FederatedTrust("colorgateway", OWN, (PARTNER, SUPPLIER))
NAME = roots_name(TRUST)
SECRETS = {domain: f"meshcert/color/federation/{domain}" for domain in (PARTNER, SUPPLIER)}
NOT_JSON = "{"


def settings(trust: FederatedTrust = TRUST, **changes: Any) -> ProxySettings:
    """A node that admits one workload of each trust domain."""
    tls = ListenerTls(TlsMode.STRICT, "colorteller", trust, tuple(map(Uri, IDS.values())))
    return teller(
        listeners=(Listener(PORT, "http", tls),),
        identities={"colorteller": SecretReference(TELLER_SECRET, (Uri(TELLER_ID),))},
        foreign_bundles={domain: SecretReference(SECRETS[domain]) for domain in trust.foreign},
        **changes,
    )


class Domains(NamedTuple):
    """
    Three trust domains.

    Args:
        api: The AWS of the first one.
        roots: The CAs of each, by trust domain.
        leaves: A workload of each.
    """

    api: SecretsApi
    roots: dict[str, Hierarchy]
    leaves: dict[str, Material]

    def publish(self, domain: str, *hierarchies: Hierarchy, sequence: int = 1) -> str:
        """Publish a foreign domain's bundle and return its version."""
        pem = "".join(hierarchy.root_pem for hierarchy in hierarchies)
        version = f"{domain}-{sequence}"
        self.api.put(SECRETS[domain], version, ForeignBundle(domain, pem, sequence).dumps())
        return version

    def admitted(self, container: Container) -> set[str]:
        """The domains whose workload gets an answer."""
        return {domain for domain, leaf in self.leaves.items() if is_admitted(container.address, PORT, leaf)}


@pytest.fixture
def domains(api: SecretsApi) -> Domains:
    """Everything is published but the supplier's bundle."""
    roots = {domain: Hierarchy(1, name=domain) for domain in IDS}
    leaves = {domain: roots[domain].issue([spiffe_id]) for domain, spiffe_id in IDS.items()}
    found = Domains(api, roots, leaves)
    api.publish(TELLER_SECRET, roots[OWN].issue([TELLER_ID]))
    api.publish_trust_bundle(GATEWAY_TRUST, roots[OWN].trust_bundle)
    found.publish(PARTNER, roots[PARTNER])
    return found


def _run(start: Start, proxy: ProxySettings) -> Container:
    container = start(proxy)
    container.wait_until_healthy()
    start.application(container)
    return container


@both_deliveries
def test_a_domain_whose_bundle_never_came_is_closed_and_all_others_are_open(start: Start, domains: Domains) -> None:
    """The container is healthy, and the domain opens when its bundle comes, without a restart."""
    container = _run(start, settings())

    assert domains.admitted(container) == {OWN, PARTNER}
    assert {line["trust_domain"] for line in container.events("foreign-bundle-waits")} == {SUPPLIER}
    envoy = container.children()["envoy"]

    domains.publish(SUPPLIER, domains.roots[SUPPLIER])
    eventually(lambda: domains.admitted(container) == {OWN, PARTNER, SUPPLIER}, "the supplier's bundle")
    assert container.children()["envoy"] == envoy
