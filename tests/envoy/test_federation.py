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
from meshcert.material import ListSource, TrustBundle
from meshcert.material.foreign_bundle import ForeignBundle
from meshcert.proxy import Listener, ListenerTls, Revocation, RotationMode, SecretReference, TlsMode
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
BUCKET = "meshcert-color-crl"


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


@both_deliveries
def test_a_spoiled_bundle_leaves_the_last_good_one_and_an_emptied_one_closes_its_domain(
    start: Start, domains: Domains
) -> None:
    """The watcher's death changes nothing: the next one takes up what Envoy serves."""
    domains.publish(SUPPLIER, domains.roots[SUPPLIER])
    container = _run(start, settings())
    assert domains.admitted(container) == set(IDS)

    domains.api.put(SECRETS[PARTNER], "spoiled", NOT_JSON)
    eventually(lambda: container.events("foreign-bundle-waits"), "the spoiled bundle seen")
    assert domains.admitted(container) == set(IDS)

    os.kill(container.children()["watcher"], signal.SIGKILL)
    newer = Hierarchy(1, name="newer")
    domains.publish(SUPPLIER, newer, sequence=2)
    eventually(lambda: domains.admitted(container) == {OWN, PARTNER}, "the supplier's new root")
    assert is_admitted(container.address, PORT, newer.issue([IDS[SUPPLIER]]))

    domains.publish(PARTNER, sequence=2)
    eventually(lambda: domains.admitted(container) == {OWN}, "the emptied bundle")


@both_deliveries
def test_a_redeploy_service_takes_foreign_bundles_over_without_a_deployment(start: Start, domains: Domains) -> None:
    """Its own roots and certificate it does not."""
    domains.publish(SUPPLIER, domains.roots[SUPPLIER])
    container = _run(start, settings(rotation=RotationMode.REDEPLOY))
    assert domains.admitted(container) == set(IDS)

    domains.api.publish_trust_bundle(GATEWAY_TRUST, Hierarchy(1).trust_bundle)
    domains.publish(PARTNER, sequence=2)

    eventually(lambda: domains.admitted(container) == {OWN, SUPPLIER}, "the emptied bundle")


@both_deliveries
def test_a_revoked_workload_of_our_own_is_refused_and_lists_do_not_touch_other_domains(
    start: Start, domains: Domains
) -> None:
    """A list of the own CA stands in the own domain's bundle; a foreign CA needs none."""
    domains.publish(SUPPLIER, domains.roots[SUPPLIER])
    own = domains.roots[OWN]
    place = f"{BUCKET}/crl/root.crl"
    domains.api.objects[place] = own.revocation_list(by="root", number=1)
    bundle = TrustBundle(own.root_pem, (ListSource(BUCKET, "crl/root.crl", own.root_pem),))
    domains.api.publish_trust_bundle(GATEWAY_TRUST, bundle)
    trusts = {"colorgateway": SecretReference(GATEWAY_TRUST, revocation=Revocation.FAIL_CLOSED)}
    container = _run(start, settings(trust_bundles=trusts))
    other = own.issue([IDS[OWN]])
    assert domains.admitted(container) == set(IDS)

    domains.api.objects[place] = own.revocation_list(domains.leaves[OWN], by="root", number=2)

    eventually(lambda: domains.admitted(container) == {PARTNER, SUPPLIER}, "the list")
    assert is_admitted(container.address, PORT, other)
    line = eventually(lambda: container.events("connection-refused"), "the line")[-1]
    assert line["cause"] == "revoked"


@both_deliveries
def test_a_new_root_of_our_own_is_taken_over_beside_the_others(start: Start, domains: Domains) -> None:
    """As without other domains; nobody is refused meanwhile."""
    domains.publish(SUPPLIER, domains.roots[SUPPLIER])
    container = _run(start, settings())
    newer = Hierarchy(1, name="newer")
    leaf = newer.issue([IDS[OWN]])
    assert not is_admitted(container.address, PORT, leaf)

    both = TrustBundle(domains.roots[OWN].root_pem + newer.root_pem)
    domains.api.publish_trust_bundle(GATEWAY_TRUST, both)

    eventually(lambda: is_admitted(container.address, PORT, leaf), "the new root")
    assert domains.admitted(container) == set(IDS)


def test_without_a_hierarchy_nobody_of_our_own_is_admitted(start: Start, domains: Domains) -> None:
    """The partner alone is trusted."""
    tls = ListenerTls(TlsMode.STRICT, "colorteller", FederatedTrust("", "", (PARTNER,)), (Uri(IDS[PARTNER]),))
    container = _run(start, settings()._replace(listeners=(Listener(PORT, "http", tls),)))

    assert domains.admitted(container) == {PARTNER}
