"""The standing of an identity: what Envoy says it serves, and what the task itself has refused."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Any, cast

import pytest

from entrypoint.envoy.acceptance import Leaf, served_leaves
from entrypoint.envoy.handover import EnvoyResource
from entrypoint.judging.preflight import certificate_fields
from entrypoint.rotating.secret import SecretContent, secrets_of
from entrypoint.rotating.standing import LONGEST_REASON, Stage, Standing, Standings
from evidence.fixtures.proxies import GATEWAY_NAME, GATEWAY_SECRET, TELLER_NAME, TELLER_SECRET, gateway, teller
from meshcert.envoy import identity_resource
from meshcert.material.certificate_facts import certificate_facts
from meshcert.proxy import SecretReference
from meshcert.san import Dns, San, Uri

if TYPE_CHECKING:
    from entrypoint.envoy.admin import Admin
    from entrypoint.rotating.secret import Secret
    from evidence.fixtures.pki import Hierarchy
    from meshcert.material import Material
    from meshcert.proxy import ProxySettings


class Envoy:
    """An admin interface that shows these certificates."""

    def __init__(self, *materials: Material) -> None:
        self.materials = materials
        self.versions = {"identity/colorteller": materials[0].version_id if materials else ""}
        self.silent = False

    def get(self, path: str) -> str:
        """The text under a path."""
        if self.silent:
            raise ConnectionRefusedError
        if path == "/certs":
            return json.dumps({"certificates": [{"ca_cert": []}, *map(_shown, self.materials)]})
        return "".join(f'sds.{name}.version_text: "{version}"\n' for name, version in self.versions.items())


def _shown(material: Material) -> dict[str, Any]:
    facts = certificate_facts(material.certificate)
    leaf = {
        "path": "<inline>",
        "serial_number": facts.serial_number,
        "subject_alt_names": [{"dns": str(name)} for name in facts.names],
        "expiration_time": facts.not_after.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    return {"ca_cert": [], "cert_chain": [leaf, {"serial_number": "01", "expiration_time": "no date"}]}


class Ways:
    """A handover that takes everything and has no verdicts yet."""

    def put(self, name: str, resource: EnvoyResource) -> None:
        """Nothing more."""

    def hand(self, name: str, resource: EnvoyResource) -> Ways:
        """Nothing more."""
        del name, resource
        return self

    def verdict(self) -> None:
        """There is none."""


def _content(material: Material) -> SecretContent:
    resource = identity_resource("identity/colorteller", material)
    return SecretContent(EnvoyResource(material.version_id, resource), certificate_fields(material.certificate))


def _secrets(proxy: ProxySettings | None = None) -> dict[str, Secret]:
    ways: Any = Ways()
    return secrets_of(proxy or teller(), ways)


def _standings(envoy: Envoy, *handed: Material) -> Standings:
    """The standings of a watcher that started with the first of these and has handed over the others."""
    secrets, admin = _secrets(), cast("Admin", envoy)
    secret = secrets["identity/colorteller"]
    for number, material in enumerate(handed):
        (secret.hand if number else secret.put)(_content(material))
    return Standings(teller(), secrets, admin)


def _good(material: Material) -> Standing:
    facts = certificate_facts(material.certificate)
    return Standing(material.version_id, facts.serial_number, int(facts.not_after.timestamp()))


def test_what_is_served_is_envoys_word_and_not_what_lies_in_the_file(hierarchy: Hierarchy, material: Material) -> None:
    """The file holds a newer version that Envoy has not taken over."""
    newer = hierarchy.issue([TELLER_NAME])

    assert _standings(Envoy(material), newer).read() == {"colorteller": _good(material)}


def test_of_two_certificates_with_its_names_the_one_of_the_version_is_shown(
    hierarchy: Hierarchy, material: Material
) -> None:
    """Envoy's /certs does not name secrets; connections may hold an old context a little longer."""
    other = hierarchy.issue([TELLER_NAME, "other.local"])
    unrelated = hierarchy.issue(["unrelated.local"])

    standings = _standings(Envoy(material, other, unrelated), material, other)

    assert standings.read() == {"colorteller": _good(material)}


@pytest.mark.parametrize("materials", [0, 2])
def test_a_certificate_that_cannot_be_told_is_not_guessed(
    hierarchy: Hierarchy, material: Material, materials: int
) -> None:
    """With no certificate of its names, or two that were never handed over, only the version is told, and an error."""
    envoy = Envoy(material, *(hierarchy.issue([TELLER_NAME]) for _ in range(materials)))
    if not materials:
        envoy.materials = (hierarchy.issue(["unrelated.local"]),)

    (standing,) = _standings(envoy).read().values()

    assert standing[:3] == (material.version_id, "", 0)
    assert "no single certificate" in standing.error


def test_a_silent_envoy_is_told_beside_what_it_said_last(material: Material) -> None:
    """If it has never answered, there are no standings."""
    envoy = Envoy(material)
    standings = _standings(envoy)
    envoy.silent = True
    assert standings.read() == {}
    envoy.silent = False
    standings.read()

    envoy.silent = True

    (standing,) = standings.read().values()
    assert standing[:4] == _good(material)[:4]
    assert "does not answer" in standing.error


def test_a_refusal_outlives_troubles_and_ends_when_the_current_version_is_served(material: Material) -> None:
    """A trouble ends with the look that had it; the refusal is told before it."""
    secrets, admin = _secrets(), cast("Admin", Envoy(material))
    secret, standings = secrets["identity/colorteller"], Standings(teller(), secrets, admin)
    secret.refuse("v9", "preflight: Certificate:\n  it has\texpired " + "x" * 300)
    secret.complain("v9", Stage.FETCH, "throttled")

    (standing,) = standings.read().values()
    assert standing[:3] == _good(material)[:3]
    assert standing.refused == "v9"
    assert standing.error.startswith("preflight: Certificate: it has expired xxx")
    assert len(standing.error) == LONGEST_REASON == 256

    secret.begin_look()
    secret.settle()
    assert standings.read() == {"colorteller": _good(material)}


@pytest.mark.parametrize("number", [1, 8, 9, 10, 40])
def test_hosts_that_refused_are_told_whole_as_many_as_fit(material: Material, number: int) -> None:
    """A part of an address would pass for another host."""
    secrets, admin = _secrets(), cast("Admin", Envoy(material))
    hosts = tuple(f"upstream-{each:02d}@10.123.200.{each}" for each in range(number))
    secrets["identity/colorteller"].refuse("v9", "trial: upstream", hosts)

    (standing,) = Standings(teller(), secrets, admin).read().values()

    told = standing.refused_by.split(" ")
    assert told == list(hosts[: len(told)])
    assert len(standing.refused_by) <= LONGEST_REASON
    assert len(told) == number or len(f"{standing.refused_by} {hosts[len(told)]}") > LONGEST_REASON


def test_that_what_is_served_has_expired_is_said_first(material: Material) -> None:
    """The reason why there is nothing newer comes after it."""
    secrets, admin = _secrets(), cast("Admin", Envoy(material))
    secret, standings = secrets["identity/colorteller"], Standings(teller(), secrets, admin)
    secret.hand(_content(material))
    ends = certificate_facts(material.certificate).not_after
    secret.check_expiry(ends.timestamp())
    secret.complain("v9", Stage.FETCH, "throttled")

    (standing,) = standings.read().values()
    assert standing.error == f"the served certificate expired on {ends:%Y-%m-%dT%H:%M:%SZ}; fetch: throttled"

    secret.check_expiry(ends.timestamp() - 1)
    secret.begin_look()
    assert standings.read() == {"colorteller": _good(material)}


def test_envoys_certificates_have_uris_for_names_too() -> None:
    """``/certs`` tells each name's kind; the case of a DNS name is no matter, that of a URI is."""

    class Odd:
        def get(self, path: str) -> str:
            leaf = {
                "serial_number": "0a",
                "expiration_time": "2027-01-01T00:00:00Z",
                "subject_alt_names": [{"uri": "spiffe://a.example/W"}, {"dns": "A.local"}, {"ip_address": "10.0.0.1"}],
            }
            return json.dumps({"certificates": [{"cert_chain": [leaf]}]}) if path == "/certs" else ""

    def serial(*names: San) -> str:
        odd: Any = Odd()
        proxy = teller(identities={"colorteller": SecretReference(TELLER_SECRET, names)})
        return Standings(proxy, _secrets(proxy), odd).read()["colorteller"].serial_number

    assert serial(Dns("a.local"), Uri("spiffe://a.example/W")) == serial(Uri("spiffe://a.example/W")) == "0a"
    assert serial(Uri("spiffe://a.example/w")) == serial(Dns("a.example")) == ""


def test_only_identities_that_envoy_uses_are_told(material: Material) -> None:
    """A gateway's own, and never a trust bundle."""
    admin = cast("Admin", Envoy(material))
    unused = {"spare": SecretReference(TELLER_SECRET, (Dns(TELLER_NAME),))}
    proxy = gateway(identities={"colorgateway": SecretReference(GATEWAY_SECRET, (Dns(GATEWAY_NAME),)), **unused})

    assert Standings(proxy, _secrets(proxy), admin).read().keys() == {"colorgateway"}


@pytest.mark.parametrize(
    "answer",
    ["", "<html>", "[]", '{"certificates": 7}', '{"certificates": [{"cert_chain": [{}]}]}'],
)
def test_certificates_that_cannot_be_read_count_as_no_answer(answer: str) -> None:
    """Whatever the admin interface says."""

    class Odd:
        def get(self, _: str) -> str:
            return answer

    odd: Any = Odd()
    with pytest.raises(OSError, match="/certs"):
        served_leaves(odd)


def test_serial_numbers_are_shown_as_the_secrets_show_them(hierarchy: Hierarchy) -> None:
    """Lower-case hex, whole bytes."""

    class Odd:
        def get(self, _: str) -> str:
            leaf = {
                "serial_number": "ABC",
                "expiration_time": "2027-01-01T00:00:00Z",
                "subject_alt_names": [{"ip_address": "10.0.0.1"}],
            }
            return json.dumps({"certificates": [{"cert_chain": [leaf]}]})

    odd: Any = Odd()
    not_after = int(dt.datetime(2027, 1, 1, tzinfo=dt.UTC).timestamp())
    assert served_leaves(odd) == {Leaf("0abc", not_after, frozenset())}
    material = hierarchy.issue([TELLER_NAME])
    envoy: Any = Envoy(material)
    admin: Admin = envoy
    assert {leaf.serial for leaf in served_leaves(admin)} == {certificate_facts(material.certificate).serial_number}


def test_backends_that_only_dns_has_named_are_told_and_refuse_nothing(material: Material) -> None:
    """An operator sees it in ``meshcert status``; no version goes back for it, and it goes when Cloud Map answers."""
    secrets, by_dns = _secrets(), ["ledger", "vault"]
    secrets["identity/colorteller"].take_up(_content(material))
    standings = Standings(teller(), secrets, cast("Admin", Envoy(material)), lambda: tuple(by_dns))

    told = standings.read()["colorteller"]
    by_dns.clear()

    assert told.error.endswith("found by DNS: ledger, vault")
    assert (told.refused, told.version) == ("", material.version_id)
    assert standings.read()["colorteller"].error == ""
