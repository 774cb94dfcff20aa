"""Secrets over the socket, without a socket: what is offered when, and what a new watcher learns from Envoy."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from entrypoint.aws.secrets_manager import SecretLabels, SecretVersion
from entrypoint.envoy.handover import EnvoyResource, EnvoySilent, Verdict
from entrypoint.log import Log
from entrypoint.rotating.resuming import resume
from entrypoint.rotating.secret import secrets_of, wanted_secrets
from entrypoint.rotating.source import SecretSource
from entrypoint.xds.handover import SocketHandover
from entrypoint.xds.resources import ResourceStore
from entrypoint.xds.secrets import SECRETS, secret_body
from evidence.fixtures.proxies import GATEWAY_TRUST, TELLER_NAME, TELLER_SECRET, teller
from meshcert.envoy import identity_resource
from meshcert.material.document import write_material, write_trust_bundle

if TYPE_CHECKING:
    from entrypoint.rotating.secret import Secret
    from evidence.fixtures.pki import Hierarchy
    from meshcert.material import Material

TRUST, IDENTITY = wanted_secrets(teller())


class World:
    """Secrets in AWS, an Envoy that shows what it has, and a watcher between them that can die."""

    def __init__(self, hierarchy: Hierarchy, material: Material) -> None:
        self.lines: list[bytes] = []
        self.silences = 0
        self.dump: dict[str, Any] = {}
        self.vault = {
            TELLER_SECRET: SecretVersion(material.version_id, write_material(material, {})),
            GATEWAY_TRUST: SecretVersion("trust-1", write_trust_bundle(hierarchy.trust_bundle)),
        }
        self.log = Log("debug", self.lines.append)
        self.new_watcher()

    def new_watcher(self) -> None:
        """Replace the watcher by one with nothing in memory."""
        self.store = ResourceStore(SECRETS, [TRUST.name, IDENTITY.name])
        admin: Any = self
        self.handover = SocketHandover(self.store, secret_body, lambda: admin)
        self.secrets = secrets_of(teller(), self.handover)
        self.source = SecretSource(self, time.time)

    @property
    def identity(self) -> Secret:
        """The teller's."""
        return self.secrets[IDENTITY.name]

    def put(self) -> EnvoyResource:
        """Offer the current version of the identity, as at a start."""
        content = self.source.fetch(IDENTITY)
        self.identity.put(content)
        return content.envoy

    def labels(self, secret: str) -> SecretLabels:
        """Stand in for Secrets Manager."""
        return SecretLabels(self.vault[secret].version_id)

    def current_value(self, secret: str) -> SecretVersion:
        """Stand in for Secrets Manager."""
        return self.vault[secret]

    def get(self, path: str) -> str:
        """Stand in for Envoy's administration interface."""
        assert path == "/config_dump?resource=dynamic_active_secrets"
        if self.silences:
            self.silences -= 1
            raise ConnectionRefusedError
        return json.dumps(self.dump)

    def envoy_shows(self, material: Material) -> None:
        """The material in place, its key as Envoy shows it."""
        secret = identity_resource(IDENTITY.name, material)
        for field in ("private_key", "password"):
            secret["tls_certificate"][field] = {"inline_string": "[redacted]"}
        entry = {"name": IDENTITY.name, "version_info": material.version_id, "secret": secret}
        self.dump = {"configs": [entry, {"name": TRUST.name, "secret": {"name": TRUST.name}}]}

    def follow_up(self) -> None:
        """Do what a new watcher does first."""
        self.new_watcher()
        resume(self.secrets, self.handover, self.source, self.log, lambda _: None)


@pytest.fixture
def world(hierarchy: Hierarchy, material: Material) -> World:
    """Before the first secret is fetched."""
    return World(hierarchy, material)


def test_an_installed_secret_is_offered_and_judged_by_envoys_word(world: World, material: Material) -> None:
    """That it was offered is not enough."""
    assert world.identity.content is None
    world.identity.hand(world.source.fetch(IDENTITY))

    offer = world.store.offered(IDENTITY.name)
    assert offer == (material.version_id, secret_body(identity_resource(IDENTITY.name, material)))
    assert world.identity.version == material.version_id
    assert world.identity.verdict() is None
    assert world.handover.first_verdicts([IDENTITY.name]) == {}

    world.store.acknowledge(IDENTITY.name, offer)

    assert world.identity.verdict() == Verdict(accepted=True)
    assert world.handover.first_verdicts([IDENTITY.name, TRUST.name]) == {IDENTITY.name: Verdict(accepted=True)}


@pytest.mark.parametrize(("said", "told"), [("bad key", "Envoy rejected it: bad key"), ("", "Envoy rejected it")])
def test_a_refusal_is_told_in_envoys_words_and_the_good_one_is_offered_again(
    world: World, hierarchy: Hierarchy, said: str, told: str
) -> None:
    """The rotation's own taking back then changes nothing more."""
    served = world.put()
    good = world.store.offered(IDENTITY.name)
    assert good
    world.store.acknowledge(IDENTITY.name, good)
    newer = hierarchy.issue([TELLER_NAME])
    world.vault[TELLER_SECRET] = SecretVersion(newer.version_id, write_material(newer, {}))
    world.identity.hand(world.source.fetch(IDENTITY))
    bad = world.store.offered(IDENTITY.name)
    assert bad

    world.store.refuse(IDENTITY.name, bad, said)

    assert world.store.offered(IDENTITY.name) == good
    assert world.identity.verdict() == Verdict(accepted=False, reason=told)
    assert world.store.offered(IDENTITY.name) == good
    assert world.identity.content
    assert world.identity.content.envoy == served
    assert world.identity.rejected == (newer.version_id, told, ())


def test_a_new_watcher_has_what_envoy_serves_at_hand_again(world: World, material: Material) -> None:
    """Fetched anew, key included; Envoy is asked until it answers, which is told once."""
    served = world.put()
    world.envoy_shows(material)
    world.silences = 3

    world.follow_up()

    assert world.identity.content
    assert world.identity.content.envoy == served
    assert world.store.offered(IDENTITY.name)
    assert world.store.offered(TRUST.name) is None  # Envoy does not have it
    assert b"".join(world.lines).count(b"envoy-silent") == 1


def test_a_new_watcher_offers_no_other_version_by_itself(
    world: World, hierarchy: Hierarchy, material: Material
) -> None:
    """The rotation decides whether Envoy should get it, because it knows what is served and how old that is."""
    world.put()
    leaf = world.identity.content and world.identity.content.leaf
    world.envoy_shows(material)
    newer = hierarchy.issue([TELLER_NAME])
    world.vault[TELLER_SECRET] = SecretVersion(newer.version_id, write_material(newer, {}))

    world.follow_up()

    assert world.identity.version == material.version_id
    assert world.identity.content
    assert world.identity.content.leaf == leaf
    assert world.store.offered(IDENTITY.name) is None
    world.identity.hand(world.source.fetch(IDENTITY))
    bad = world.store.offered(IDENTITY.name)
    assert bad
    world.store.refuse(IDENTITY.name, bad, "bad key")
    assert world.identity.verdict()
    assert world.identity.version == material.version_id
    assert world.store.offered(IDENTITY.name) is None  # a key that reads [redacted] is never offered


def test_what_cannot_be_fetched_again_is_told_and_left_to_the_rotation(world: World, material: Material) -> None:
    """Envoy keeps what it has."""
    world.put()
    world.envoy_shows(material)
    world.vault[TELLER_SECRET] = SecretVersion("v", "garbage")

    world.follow_up()

    assert world.identity.version == material.version_id
    assert b"secret-not-at-hand" in b"".join(world.lines)
    assert b"garbage" not in b"".join(world.lines)


@pytest.mark.parametrize(
    "dump",
    ["", "[]", '{"configs": 7}', '{"configs": [{"version_info": "v"}]}', '{"configs": ["v"]}', "[" * 100_000],
    ids=["empty", "a list", "a number", "no secret", "a text", "nested"],
)
def test_a_dump_that_cannot_be_read_counts_as_silence(world: World, dump: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is handed over on a guess."""
    monkeypatch.setattr(world, "get", lambda _: dump)

    with pytest.raises(EnvoySilent, match="/config_dump"):
        world.handover.earlier([IDENTITY.name])


def test_no_part_of_the_key_shows_in_a_representation(world: World, material: Material) -> None:
    """This holds even if one is logged by mistake."""
    shown = f"{world.put()!r} {world.identity.content!r} {world.store.offered(IDENTITY.name)!r}"

    assert material.passphrase.reveal() not in shown
    assert "PRIVATE KEY" not in shown
