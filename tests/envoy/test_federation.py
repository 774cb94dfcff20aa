"""Peers of several trust domains at one listener, and what becomes of them when a foreign bundle is late or bad."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from evidence.fixtures.cloud_map import CloudMap
from evidence.fixtures.container import eventually, request, serial_number
from evidence.fixtures.pki import Hierarchy
from evidence.fixtures.proxies import (
    GATEWAY_SECRET,
    GATEWAY_TRUST,
    PORT,
    TELLER_NAME,
    TELLER_SECRET,
    TELLER_TRUST,
    gateway,
    teller,
)
from meshcert.envoy import roots_name
from meshcert.material import ListSource, TrustBundle
from meshcert.material.foreign_bundle import ForeignBundle
from meshcert.proxy import BackendTls, Listener, ListenerTls, Revocation, RotationMode, SecretReference, TlsMode
from meshcert.routes import AllowRule
from meshcert.san import Uri
from meshcert.tls_sources import FederatedTrust
from tests.envoy.conftest import Start, both_deliveries
from tests.envoy.mutual_client import MutualClient, is_admitted

if TYPE_CHECKING:
    from collections.abc import Callable

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


def test_an_allow_rule_tells_peers_of_several_trust_domains_apart(start: Start, domains: Domains) -> None:
    """The SPIFFE validator verifies them as the other one does: a rule without callers is about all, others by name."""
    rules = (AllowRule(prefix="/for-all"), AllowRule((Uri(IDS[PARTNER]),), prefix="/"))
    (listener,) = settings().listeners

    container = _run(start, settings()._replace(listeners=(listener._replace(allow=rules),)))

    assert domains.admitted(container) == {PARTNER}
    asked = {domain: MutualClient(container.address, PORT, domains.leaves[domain]) for domain in (OWN, PARTNER)}
    for client in asked.values():
        with client:
            assert client.answered("/for-all")


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


def test_without_a_hierarchy_nobody_of_our_own_is_admitted_and_an_id_is_all_that_is_told_of_the_partner(
    start: Start, domains: Domains
) -> None:
    """The application gets no DNS name of its certificate: a foreign CA could make one look like another's ID."""
    tls = ListenerTls(TlsMode.STRICT, "colorteller", FederatedTrust("", "", (PARTNER,)), (Uri(IDS[PARTNER]),))
    container = _run(start, settings()._replace(listeners=(Listener(PORT, "http", tls),)))
    leaf = domains.roots[PARTNER].issue([IDS[PARTNER], "web.partner.example"])

    assert domains.admitted(container) == {PARTNER}
    with MutualClient(container.address, PORT, leaf) as client:
        status, told = client.answer()
    assert status == 200
    assert f";URI={IDS[PARTNER]}" in told
    assert "DNS=" not in told
    assert "web.partner.example" not in told


@both_deliveries
def test_own_certificates_are_tried_at_a_backend_of_several_trust_domains(
    start: Start, domains: Domains, new_address: Callable[[], str]
) -> None:
    """A good one is taken over; one that the backend's validator refuses waits, and the old one serves on."""
    api, own = domains.api, domains.roots[OWN]
    api.publish_trust_bundle(TELLER_TRUST, own.trust_bundle)
    api.publish(GATEWAY_SECRET, own.issue([IDS[OWN]]))
    node = _run(start, settings())
    (behind,) = gateway().backends
    trust = FederatedTrust("colorteller", OWN, (PARTNER,))
    tls = BackendTls(trust, "colorgateway", (Uri(TELLER_ID), Uri(f"spiffe://{PARTNER}/colorteller")))
    edge_settings = gateway(
        identities={"colorgateway": SecretReference(GATEWAY_SECRET, (Uri(IDS[OWN]),))},
        backends=(behind._replace(tls=tls),),
        foreign_bundles={PARTNER: SecretReference(SECRETS[PARTNER])},
    )
    with CloudMap(new_address()) as cloud_map:
        cloud_map.records[TELLER_NAME] = [node.address]
        edge = start(edge_settings, MESHCERT_DNS_RESOLVER=cloud_map.resolver)
        edge.wait_until_healthy()
        eventually(lambda: request(edge.address, PORT)[0] == 200, "a first answer")

        newer = own.issue([IDS[OWN]])
        api.publish(GATEWAY_SECRET, newer)
        eventually(lambda: edge.served_serial_numbers() == {serial_number(newer)}, "taken over")
        (tried,) = edge.told("certificate-tried")
        assert (tried["upstreams"], tried["undecided"]) == (1, {})

        api.publish(GATEWAY_SECRET, Hierarchy(1, name="another").issue([IDS[OWN]]))
        (waits,) = edge.told("rotation-waits")
        assert (waits["stage"], "it refuses the new client certificate" in waits["reason"]) == ("trial", True)
        assert edge.served_serial_numbers() == {serial_number(newer)}
        assert request(edge.address, PORT)[0] == 200


def test_a_task_says_which_foreign_bundle_waits(start: Start, domains: Domains) -> None:
    """With its identity, as no refusal: nothing goes back for it."""
    container = _run(start, settings(acknowledgements="acknowledgements"))
    api = domains.api

    def told() -> dict[str, Any]:
        return dict(api.rows[-1]["secrets"]["colorteller"]) if api.rows else {}

    eventually(lambda: SUPPLIER in told().get("error", ""), "what waits")
    assert told()["refused"] == ""

    domains.publish(SUPPLIER, domains.roots[SUPPLIER])
    eventually(lambda: told()["error"] == "", "nothing waits any more")
    assert domains.admitted(container) == set(IDS)
