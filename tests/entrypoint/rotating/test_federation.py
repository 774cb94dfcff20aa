"""Bundles of several trust domains become one resource, whatever is wrong with one of them."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from entrypoint.aws.retrying import ProcessClock
from entrypoint.aws.secrets_manager import SecretLabels, SecretVersion
from entrypoint.envoy.handover import EnvoyResource, Verdict
from entrypoint.log import Log
from entrypoint.rotating.federation.delivery import FederationDelivery
from entrypoint.rotating.secret import SecretContent, secrets_of
from evidence.fixtures.pki import Hierarchy
from evidence.fixtures.proxies import PORT, TELLER_NAME, teller
from meshcert.envoy import federated_bundles, roots_name, trust_name, trust_resource
from meshcert.errors import AwsUnavailable
from meshcert.material import TrustBundle
from meshcert.material.foreign_bundle import ForeignBundle
from meshcert.proxy import BackendTls, Listener, ListenerTls, SecretReference, TlsMode
from meshcert.san import Uri
from meshcert.tls_sources import FederatedTrust

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from meshcert.proxy import ProxySettings

OWN, PARTNER, SUPPLIER = "color.example", "partner.example", "supplier.example"
TRUST = FederatedTrust("colorgateway", OWN, (PARTNER, SUPPLIER))
NAME = roots_name(TRUST)
LIST = "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n"
DAY_S = 86_400.0


def _settings(*trusts: FederatedTrust) -> ProxySettings:
    names = (Uri(f"spiffe://{PARTNER}/web"),)
    listeners = (
        Listener(PORT + number, "http", ListenerTls(TlsMode.STRICT, "colorteller", trust, names))
        for number, trust in enumerate(trusts)
    )
    secrets = {name: SecretReference(name) for name in (PARTNER, SUPPLIER)}
    return teller(listeners=tuple(listeners), foreign_bundles=secrets)


class _Ticket:
    def __init__(self, verdict: Verdict | None) -> None:
        self._verdict = verdict

    def verdict(self) -> Verdict | None:
        return self._verdict


class Envoy:
    """Takes what it is handed, unless it holds a text that it refuses; both the handover and what stands behind it."""

    ask_every_s = 0.002

    def __init__(self) -> None:
        self.serves: dict[str, EnvoyResource] = {}
        self.refuses: tuple[str, ...] = ()
        self.silent = False
        self.handed: list[str] = []

    def put(self, name: str, resource: EnvoyResource) -> None:
        """Serve it."""
        self.serves[name] = resource

    def hand(self, name: str, resource: EnvoyResource) -> _Ticket:
        """Judge it at once, unless it is silent."""
        self.handed.append(resource.version)
        if self.silent:
            return _Ticket(None)
        if any(text in json.dumps(resource.body) for text in self.refuses):
            return _Ticket(Verdict(accepted=False, reason="Envoy rejected it"))
        self.serves[name] = resource
        return _Ticket(Verdict(accepted=True))

    def restore(self, name: str, resource: EnvoyResource | None) -> None:
        """Serve it again."""
        if resource:
            self.serves[name] = resource

    def first_verdicts(self, names: Iterable[str]) -> Mapping[str, Verdict]:
        """All good."""
        return {name: Verdict(accepted=True) for name in names}

    def earlier(self, names: Iterable[str]) -> Mapping[str, EnvoyResource]:
        """What it serves."""
        return {name: self.serves[name] for name in names if name in self.serves}

    def shown(self, name: str) -> str | None:
        """What it says it serves."""
        return None if self.silent else self.serves[name].version


class World:
    """A proxy's federated trusts, with an AWS and an Envoy that obey the test."""

    def __init__(self, *trusts: FederatedTrust) -> None:
        self.roots = {domain: Hierarchy(1, name=domain) for domain in (OWN, PARTNER, SUPPLIER)}
        self.vault: dict[str, SecretVersion] = {}
        self.down = False
        self.takes_s = 0.0
        self.asked: list[str] = []
        self.lines: list[bytes] = []
        self.elapsed = 0.0
        self.days_ahead = 0
        self.envoy = Envoy()
        self.proxy = _settings(*(trusts or (TRUST,)))
        self.begin()
        self.own("own-1", self.roots[OWN].root_pem)

    def begin(self) -> None:
        """Another watcher, which knows nothing yet."""
        handover: Any = self.envoy
        self.secrets = secrets_of(self.proxy, handover)
        clock = ProcessClock(
            monotonic=lambda: self.elapsed,
            sleep=self._sleep,
            jitter=lambda: 1.0,
            now=lambda: time.time() + self.days_ahead * DAY_S,
        )
        log = Log("debug", self.lines.append)
        self.federation = FederationDelivery(self.proxy, self.secrets, self, handover, log=log, clock=clock)

    def own(self, version: str, roots: str, lists: str = "") -> None:
        """Another version of the own trust bundle, as the rotation of secrets leaves it."""
        name = trust_name("colorgateway")
        body = trust_resource(name, TrustBundle(roots), lists)
        self.secrets[name].take_up(SecretContent(EnvoyResource(version, body), None, roots))

    def publish(self, domain: str, *hierarchies: Hierarchy, sequence: int = 1) -> None:
        """Another version of a foreign bundle."""
        self.publish_text(domain, _bundle(domain, *hierarchies, sequence=sequence), f"{domain}-{sequence}")

    def publish_text(self, domain: str, text: str, version: str = "spoiled") -> None:
        """Another version of a foreign domain's secret, whatever is in it."""
        self.vault[domain] = SecretVersion(version, text)

    def labels(self, secret: str) -> SecretLabels:
        """Stand in for Secrets Manager."""
        return SecretLabels(self.current_value(secret).version_id, frozenset())

    def current_value(self, secret: str) -> SecretVersion:
        """Stand in for Secrets Manager."""
        self.asked.append(secret)
        self.elapsed += self.takes_s
        if self.down or secret not in self.vault:
            raise AwsUnavailable("secretsmanager:GetSecretValue", secret, "throttled")
        return self.vault[secret]

    def look(self) -> None:
        """Look once."""
        self.federation.look(self.envoy.shown)

    @property
    def served(self) -> dict[str, str]:
        """What Envoy serves, by trust domain."""
        return federated_bundles(self.envoy.serves[NAME].body)

    def events(self, name: str = "") -> list[dict[str, Any]]:
        """The log's lines."""
        found = [json.loads(line) for line in self.lines]
        return [line for line in found if line["event"] == name] if name else found

    def _sleep(self, seconds: float) -> None:
        self.elapsed += seconds


def _bundle(domain: str, *hierarchies: Hierarchy, sequence: int = 1) -> str:
    return ForeignBundle(domain, "".join(each.root_pem for each in hierarchies), sequence).dumps()


@pytest.fixture
def world() -> World:
    """Both foreign domains have published, and Envoy has begun with both."""
    found = World()
    for domain in (PARTNER, SUPPLIER):
        found.publish(domain, found.roots[domain])
    found.federation.install(60.0)
    return found


def _roots(world: World, *domains: str) -> dict[str, str]:
    return {domain: world.roots[domain].root_pem for domain in domains}


def test_each_domain_has_its_own_roots_and_ours_come_first_with_their_lists(world: World) -> None:
    """A list stands beside the roots: Envoy's SPIFFE validator looks for it nowhere else."""
    assert world.served == _roots(world, OWN, PARTNER, SUPPLIER)

    world.own("own-1.lists", world.roots[OWN].root_pem, LIST)
    world.look()

    assert world.served == _roots(world, OWN, PARTNER, SUPPLIER) | {OWN: world.roots[OWN].root_pem + LIST}
    assert list(world.served) == [OWN, PARTNER, SUPPLIER]


def test_a_start_goes_on_without_a_bundle_that_does_not_come() -> None:
    """It waits for all of them together no longer than five seconds."""
    world = World()
    world.publish(PARTNER, world.roots[PARTNER])

    world.federation.install(60.0)

    assert world.served == _roots(world, OWN, PARTNER)
    assert world.elapsed <= 5.0
    assert [line["trust_domain"] for line in world.events("foreign-bundle-waits")] == [SUPPLIER]


def test_without_any_bundle_everybody_is_refused_and_nothing_fails() -> None:
    """An empty list of trust domains is a resource that Envoy takes."""
    alone = FederatedTrust("", "", (PARTNER,))
    world = World(alone)
    world.publish(PARTNER)
    world.publish(SUPPLIER)

    world.federation.install(60.0)

    assert federated_bundles(world.envoy.serves[roots_name(alone)].body) == {}
    assert world.events("foreign-bundle-waits") == []


def test_an_emptied_bundle_closes_its_domain(world: World) -> None:
    """It says that nobody of the domain is to be admitted."""
    world.publish(PARTNER, sequence=2)
    world.look()

    assert world.served == _roots(world, OWN, SUPPLIER)


SPOILED: dict[str, Callable[[World], str]] = {
    "no JSON": lambda _: "{",
    "another document": lambda _: '{"Schema": 1, "TrustBundle": "x"}',
    "another domain's": lambda world: _bundle(SUPPLIER, world.roots[PARTNER]),
    "a leaf": lambda world: ForeignBundle(
        PARTNER, world.roots[PARTNER].issue([f"spiffe://{PARTNER}/web"]).certificate
    ).dumps(),
    "a root and a leaf": lambda world: ForeignBundle(
        PARTNER, world.roots[PARTNER].root_pem + world.roots[PARTNER].issue([TELLER_NAME]).certificate
    ).dumps(),
    "an intermediate CA alone": lambda _: ForeignBundle(PARTNER, Hierarchy(2, name="two tiers").issuing_pem).dumps(),
    "no certificate in the PEM": lambda _: ForeignBundle(
        PARTNER, "-----BEGIN CERTIFICATE-----\nMAAA\n-----END CERTIFICATE-----\n"
    ).dumps(),
}


@pytest.mark.parametrize("kind", SPOILED)
def test_a_spoiled_bundle_leaves_the_last_good_one_and_every_other_domain(world: World, kind: str) -> None:
    """The reason is logged once, and it is over with the next good one."""
    world.publish_text(PARTNER, SPOILED[kind](world))
    world.publish(SUPPLIER, world.roots[SUPPLIER], world.roots[OWN], sequence=2)

    world.look()
    world.look()

    assert world.served[PARTNER] == world.roots[PARTNER].root_pem
    assert world.served[SUPPLIER] == world.roots[SUPPLIER].root_pem + world.roots[OWN].root_pem
    assert [line["trust_domain"] for line in world.events("foreign-bundle-waits")] == [PARTNER]
    assert world.federation.trouble().startswith(f"{PARTNER}: ")

    world.publish(PARTNER, world.roots[PARTNER], sequence=2)
    world.look()

    assert world.federation.trouble() == ""
    assert len(world.events("foreign-bundle-recovered")) == 1


def test_a_bundle_of_expired_roots_is_not_taken_over(world: World) -> None:
    """Nor one of roots that have all ended meanwhile."""
    world.days_ahead = 100_000
    world.publish(PARTNER, world.roots[PARTNER], world.roots[SUPPLIER], sequence=2)
    world.look()

    assert world.served[PARTNER] == world.roots[PARTNER].root_pem
    assert "every root in it has expired" in world.federation.trouble()


def test_a_root_that_stands_there_twice_is_handed_over_once(world: World) -> None:
    """Whoever publishes it so."""
    world.publish(PARTNER, world.roots[PARTNER], world.roots[PARTNER], sequence=2)
    world.look()

    assert world.served[PARTNER] == world.roots[PARTNER].root_pem


def test_an_aws_that_keeps_a_look_waiting_takes_no_more_than_its_time(world: World) -> None:
    """The next look begins with whom the last one did not come to."""
    world.down, world.takes_s = True, 11.0
    world.asked.clear()

    world.look()
    assert world.asked == [PARTNER]
    assert "asked for with the next look" in world.federation.trouble()

    world.look()
    assert world.asked == [PARTNER, SUPPLIER]


def test_an_outage_leaves_what_is_served(world: World) -> None:
    """However long it takes."""
    world.down = True
    world.look()

    assert world.served == _roots(world, OWN, PARTNER, SUPPLIER)
    assert {line["trust_domain"] for line in world.events("foreign-bundle-waits")} == {PARTNER, SUPPLIER}


def test_nothing_is_handed_over_while_nothing_changes(world: World) -> None:
    """A bundle that was published again with another number and the same roots is no change."""
    world.publish(PARTNER, world.roots[PARTNER], sequence=2)
    world.look()
    world.look()

    assert world.envoy.handed == []


def test_what_envoy_refuses_of_one_domain_holds_up_no_other(world: World) -> None:
    """Each change goes by itself, the own roots first, and what was refused is not handed over again."""
    bad, good = Hierarchy(1, name="bad"), Hierarchy(1, name="good")
    world.envoy.refuses = (json.dumps(bad.root_pem)[1:-1],)
    world.own("own-2", good.root_pem)
    world.publish(PARTNER, bad, sequence=2)
    world.publish(SUPPLIER, good, sequence=2)

    world.look()
    handed = len(world.envoy.handed)
    world.look()
    world.look()

    assert world.served == {OWN: good.root_pem, PARTNER: world.roots[PARTNER].root_pem, SUPPLIER: good.root_pem}
    assert world.envoy.serves[NAME].version.startswith("own-2.")
    assert PARTNER in world.federation.trouble()
    assert handed == 3
    assert len(world.envoy.handed) <= 4


def test_a_start_whose_first_bundles_envoy_refuses_goes_on_with_the_own_roots(world: World) -> None:
    """Then the foreign domains come one by one, and only the bad one stays out."""
    bad = Hierarchy(1, name="bad")
    world.publish(PARTNER, bad, sequence=2)
    world.envoy.refuses = (json.dumps(bad.root_pem)[1:-1],)
    world.federation.install(60.0)

    assert world.federation.reduce()
    assert world.served == _roots(world, OWN)
    assert not world.federation.reduce()

    world.look()
    assert world.served == _roots(world, OWN, SUPPLIER)


def test_a_start_ends_by_no_refusal_that_envoy_has_not_repeated(world: World) -> None:
    """Of the own roots alone it has not said anything yet, so its first word is about what others have published."""
    world.envoy.silent = True

    assert world.federation.reduce()
    assert world.federation.reduce()
    assert len(world.envoy.handed) == 1


def test_a_start_whose_own_roots_envoy_refuses_is_tried_once(world: World) -> None:
    """What it says of them alone is final: no foreign domain is to blame."""
    world.envoy.refuses = (json.dumps(world.roots[OWN].root_pem)[1:-1],)

    assert world.federation.reduce()
    assert not world.federation.reduce()


def test_a_verdict_that_does_not_come_is_waited_for(world: World) -> None:
    """Nothing else is handed over meanwhile."""
    world.envoy.silent = True
    world.publish(PARTNER, world.roots[SUPPLIER], sequence=2)
    world.publish(SUPPLIER, world.roots[PARTNER], sequence=2)

    world.look()
    world.look()

    assert len(world.envoy.handed) == 1
    assert "has not said" in world.federation.trouble()


def test_another_watcher_takes_up_what_envoy_serves(world: World) -> None:
    """Also the last good bundle of a domain that has published a bad one since, and own roots with their lists."""
    world.own("own-1.lists", world.roots[OWN].root_pem, LIST)
    world.look()
    before = world.envoy.serves[NAME]
    world.publish_text(PARTNER, "{")
    world.begin()

    world.federation.resume()
    world.look()

    own = world.secrets[trust_name("colorgateway")]
    assert own.version_id == "own-1"
    assert own.roots == world.roots[OWN].root_pem
    assert world.envoy.serves[NAME] == before

    world.publish(SUPPLIER, world.roots[PARTNER], sequence=2)
    world.look()
    assert world.served[SUPPLIER] == world.served[PARTNER] == world.roots[PARTNER].root_pem
    assert world.served[OWN].endswith(LIST)


def test_another_watcher_that_finds_nothing_hands_everything_over_at_once(world: World) -> None:
    """One domain after the other would close those that come last."""
    before = world.envoy.serves.pop(NAME)
    world.begin()
    world.federation.resume()
    world.own("own-1", world.roots[OWN].root_pem)

    world.look()

    assert world.envoy.serves[NAME] == before
    assert len(world.envoy.handed) == 1


def test_envoy_is_handed_again_what_it_should_serve(world: World) -> None:
    """Somebody else has put another version in its place."""
    right = world.envoy.serves[NAME]
    world.envoy.serves[NAME] = right._replace(version="another")
    world.look()

    assert world.envoy.serves[NAME] == right


def test_two_trusts_share_the_bundle_of_a_domain() -> None:
    """It is fetched once."""
    fewer = FederatedTrust("", "", (PARTNER,))
    world = World(TRUST, fewer)
    world.publish(PARTNER, world.roots[PARTNER])
    world.publish(SUPPLIER, world.roots[SUPPLIER])

    world.federation.install(60.0)

    assert federated_bundles(world.envoy.serves[roots_name(fewer)].body) == _roots(world, PARTNER)
    assert world.asked == [PARTNER, SUPPLIER]


@pytest.mark.parametrize(
    ("names", "domains"),
    [((PARTNER,), (PARTNER,)), ((OWN,), (OWN,)), ((PARTNER, OWN), (OWN, PARTNER)), (("unknown.example",), ())],
)
def test_a_backend_is_tried_with_the_roots_of_the_domains_that_its_names_are_of(
    world: World, names: tuple[str, ...], domains: tuple[str, ...]
) -> None:
    """Without the lists, which OpenSSL does not want there."""
    world.own("own-1.lists", world.roots[OWN].root_pem, LIST)
    world.look()
    tls = BackendTls(TRUST, "colorteller", tuple(Uri(f"spiffe://{name}/web") for name in names))

    assert world.federation.roots(tls) == "".join(_roots(world, *domains).values())


def test_only_accepted_foreign_bundles_are_told_to_the_application(world: World) -> None:
    """And never the own one, which it has besides."""
    world.publish(PARTNER, sequence=2)
    world.look()

    assert world.federation.foreign_bundles() == _roots(world, SUPPLIER)

    world.envoy.silent = True
    world.publish(SUPPLIER, world.roots[PARTNER], sequence=2)
    world.look()

    assert world.federation.foreign_bundles() == _roots(world, SUPPLIER)
