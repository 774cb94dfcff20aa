"""Revoked peers are refused by a running Envoy, and what becomes of peers when lists are missing or have ended."""

from __future__ import annotations

import datetime as dt
import os
import signal
import time
from typing import TYPE_CHECKING, NamedTuple

import pytest

from evidence.fixtures.container import Container, eventually
from evidence.fixtures.pki import Hierarchy
from evidence.fixtures.proxies import GATEWAY_NAME, GATEWAY_TRUST, TELLER_NAME, TELLER_SECRET, teller
from meshcert.material import ListSource, TrustBundle
from meshcert.proxy import DeliveryMode, Revocation, RotationMode
from tests.envoy.mutual_client import MutualClient, is_admitted

if TYPE_CHECKING:
    from evidence.fixtures.secrets_api import SecretsApi
    from meshcert.material import Material
    from meshcert.proxy import ProxySettings
    from tests.envoy.conftest import Start

LISTENER = 9080
BUCKET = "meshcert-color-crl"
KEYS = {"issuing": "crl/issuing.crl", "root": "crl/root.crl"}
VERSION = "sds.trust/colorgateway.version_text"


class World(NamedTuple):
    """
    A teller whose callers' hierarchy makes lists.

    Args:
        api: Its AWS.
        gateways: The callers' hierarchy, two tiers.
        leaf: A caller's material.
        other: Another caller's.
        start: Starts containers.
    """

    api: SecretsApi
    gateways: Hierarchy
    leaf: Material
    other: Material
    start: Start

    def write_lists(
        self, *revoked: Material, number: int = 1, next_update: dt.datetime | None = None, only: str = ""
    ) -> None:
        """Put both CAs' lists into S3, or one."""
        for by, key in KEYS.items():
            of = "issuing" if by == "issuing" else "root"
            if only in {"", by}:
                encoded = self.gateways.revocation_list(
                    *(revoked if by == "issuing" else ()),
                    by=of,  # type: ignore[arg-type]  # one of the two
                    number=number,
                    next_update=next_update,
                )
                self.api.objects[f"{BUCKET}/{key}"] = encoded

    def publish(self) -> TrustBundle:
        """The bundle, as the deploy function publishes it."""
        lists = (
            ListSource(BUCKET, KEYS["issuing"], self.gateways.issuing_pem),
            ListSource(BUCKET, KEYS["root"], self.gateways.root_pem),
        )
        bundle = TrustBundle(self.gateways.root_pem, lists)
        self.api.publish_trust_bundle(GATEWAY_TRUST, bundle)
        return bundle

    def run(self, settings: ProxySettings) -> Container:
        """A teller that serves, with its application."""
        container = self.start(settings)
        container.wait_until_healthy()
        self.start.application(container)
        return container

    def admits(self, container: Container) -> tuple[bool, bool]:
        """Whether the two callers get an answer."""
        first, second = (is_admitted(container.address, LISTENER, leaf) for leaf in (self.leaf, self.other))
        return first, second


@pytest.fixture
def world(start: Start, api: SecretsApi) -> World:
    """Secrets are published, lists are not."""
    gateways = Hierarchy(2, name="colorgateway")
    api.publish(TELLER_SECRET, Hierarchy(1, name="colorteller").issue([TELLER_NAME]))
    leaves = [gateways.issue([GATEWAY_NAME]) for _ in range(2)]
    world = World(api, gateways, leaves[0], leaves[1], start)
    world.publish()
    return world


def settings(revocation: Revocation, **changes: object) -> ProxySettings:
    """The teller's, with a policy."""
    base = teller(**changes)
    reference = base.trust_bundles["colorgateway"]._replace(revocation=revocation)
    return base._replace(trust_bundles={"colorgateway": reference})


@pytest.mark.parametrize("delivery", list(DeliveryMode))
@pytest.mark.parametrize("rotation", list(RotationMode))
def test_a_revoked_peer_is_refused_within_the_poll_interval(
    world: World, delivery: DeliveryMode, rotation: RotationMode
) -> None:
    """By either delivery, and also by a task that takes new certificates with its next deployment only."""
    world.write_lists()
    container = world.run(settings(Revocation.FAIL_CLOSED, delivery=delivery, rotation=rotation))
    before = world.admits(container)

    world.write_lists(world.leaf, number=2)

    eventually(lambda: world.admits(container) == (False, True), "the revoked peer alone is refused")
    assert before == (True, True)
    refused = eventually(lambda: container.events("connection-refused"), "a line")
    assert "revoked" in str(refused[0]).lower()


def test_each_list_is_a_version_that_envoy_shows_and_is_sent_once(world: World) -> None:
    """Behind the version of the bundle's secret; looks in between ask with the list's entity tag."""
    world.write_lists()
    container = world.run(settings(Revocation.FAIL_OPEN))
    bundle = world.publish()
    first = container.stats(VERSION)[VERSION]

    world.write_lists(world.leaf, number=2)
    eventually(lambda: container.stats(VERSION)[VERSION] != first, "another version")
    second = container.stats(VERSION)[VERSION]
    looks = world.api.calls.count(("DescribeSecret", GATEWAY_TRUST))
    eventually(lambda: world.api.calls.count(("DescribeSecret", GATEWAY_TRUST)) > looks + 3, "three more looks")

    assert [version.partition(".")[0] for version in (first, second)] == [bundle.version_id] * 2
    assert world.api.objects_sent == 4
    assert world.api.calls.count(("GetSecretValue", GATEWAY_TRUST)) == 1


def test_without_lists_peers_pass_and_it_is_said_until_they_come(world: World) -> None:
    """The default policy: a missing object must not end all traffic."""
    world.write_lists(world.leaf, only="issuing")
    container = world.run(settings(Revocation.FAIL_OPEN, acknowledgements="acknowledgements"))
    expected = "revoked peers pass: s3://meshcert-color-crl/crl/root.crl: AccessDenied"

    assert world.admits(container) == (True, True)
    assert container.told("revocation-lists")[0]["reason"] == expected
    eventually(
        lambda: world.api.rows and world.api.rows[-1]["secrets"]["colorteller"]["error"].endswith(expected), "a row"
    )

    world.write_lists(world.leaf)
    eventually(lambda: world.admits(container) == (False, True), "the revoked peer alone is refused")
    container.told("revocation-lists-good")


def test_closed_with_one_list_missing_every_peer_is_refused(world: World) -> None:
    """Envoy wants a list of every CA of the chain."""
    world.write_lists(only="root")
    container = world.run(settings(Revocation.FAIL_CLOSED))

    assert world.admits(container) == (False, False)
    world.write_lists()
    eventually(lambda: world.admits(container) == (True, True), "both lists are there")


def test_closed_without_any_list_a_container_does_not_start(world: World) -> None:
    """It waits for one until its deadline: with none, Envoy would not look at revocation at all."""
    container = world.start(settings(Revocation.FAIL_CLOSED), MESHCERT_START_DEADLINE_S="1.5")

    assert container.exit_code() != 0
    assert "no revocation list (fail_closed)" in container.log
    assert "Traceback" not in container.log


@pytest.mark.parametrize(
    ("revocation", "expected"), [(Revocation.FAIL_OPEN, (True, True)), (Revocation.FAIL_CLOSED, (False, False))]
)
def test_lists_that_end_let_peers_pass_or_refuse_them(
    world: World, revocation: Revocation, expected: tuple[bool, bool]
) -> None:
    """Nobody renews them: Envoy itself refuses every peer of a CA whose list has ended."""
    ends = dt.datetime.now(dt.UTC).replace(microsecond=0) + dt.timedelta(seconds=6)
    world.write_lists(world.leaf, next_update=ends)
    container = world.run(settings(revocation))
    before = world.admits(container)
    eventually(lambda: time.time() > ends.timestamp() + 1, "the end of the lists")

    eventually(lambda: world.admits(container) == expected, f"{revocation} at the end of the lists")
    assert before == (False, True)
    eventually(lambda: "the list at hand ended on" in str(container.events("revocation-lists")), "a line")


def test_an_outage_of_s3_is_told_once_and_changes_nothing(world: World) -> None:
    """The lists at hand are good for days."""
    world.write_lists(world.leaf)
    container = world.run(settings(Revocation.FAIL_CLOSED))
    world.api.objects_available = False

    container.told("revocation-lists")
    looks = len(world.api.calls)
    eventually(lambda: len(world.api.calls) > looks + 6, "three more looks")
    world.api.objects_available = True
    container.told("revocation-lists-good")

    assert world.admits(container) == (False, True)
    assert len(container.events("revocation-lists")) == 1


def test_a_watcher_that_died_leaves_lists_that_the_next_one_renews(world: World) -> None:
    """It asks anew where lists lie, and hands over the same roots with them."""
    world.write_lists()
    container = world.run(settings(Revocation.FAIL_CLOSED, rotation=RotationMode.REDEPLOY))
    before = world.admits(container)
    first = container.children()["watcher"]
    os.kill(first, signal.SIGKILL)
    eventually(lambda: container.children().get("watcher") not in {None, first}, "another watcher")
    world.write_lists(world.other, number=2)

    eventually(lambda: world.admits(container) == (True, False), "the revoked peer alone is refused")
    assert before == (True, True)


@pytest.mark.parametrize("delivery", list(DeliveryMode))
def test_a_live_connection_of_a_revoked_peer_ends_within_the_cap(world: World, delivery: DeliveryMode) -> None:
    """A list judges new connections only; the longest life of a connection is what ends the others."""
    cap_s = 2.0
    world.write_lists()
    container = world.run(settings(Revocation.FAIL_CLOSED, delivery=delivery, max_connection_duration_s=cap_s))
    with MutualClient(container.address, LISTENER, world.leaf) as client:
        opened = time.monotonic()
        alive = client.answered()
        world.write_lists(world.leaf, number=2)
        eventually(lambda: world.admits(container) == (False, True), "new connections are refused")

        eventually(lambda: not client.answered(), "the end of the connection", within_s=cap_s + 3)
        lasted_s = time.monotonic() - opened

    assert alive
    assert lasted_s < cap_s + 2
