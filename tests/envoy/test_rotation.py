"""New versions while Envoy runs: taken over unnoticed, or not at all."""

from __future__ import annotations

import datetime as dt
import os
import signal
from typing import TYPE_CHECKING

import pytest

from evidence.fixtures.container import Container, eventually
from evidence.fixtures.pki import Hierarchy
from evidence.fixtures.proxies import GATEWAY_TRUST, TELLER_NAME, TELLER_SECRET, teller
from meshcert.proxy import DeliveryMode, RotationMode
from tests.envoy.conftest import both_deliveries

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evidence.fixtures.secrets_api import SecretsApi
    from meshcert.material import Material
    from tests.envoy.conftest import Start


pytestmark = both_deliveries


@pytest.fixture
def node(start: Start, api: SecretsApi, hierarchy: Hierarchy, material: Material) -> Iterator[Container]:
    """A teller in reload mode that serves its first material."""
    api.publish(TELLER_SECRET, material)
    api.publish_trust_bundle(GATEWAY_TRUST, hierarchy.trust_bundle)
    container = start(teller())
    container.wait_until_healthy()
    yield container
    assert container.process.poll() is None


def test_a_new_version_is_served_without_a_restart(node: Container, api: SecretsApi, hierarchy: Hierarchy) -> None:
    """Within the poll interval; Envoy stays the same process."""
    envoy = node.children()["envoy"]
    newer = hierarchy.issue([TELLER_NAME])

    api.publish(TELLER_SECRET, newer)

    eventually(lambda: node.serves(newer), "the new serial number")
    assert node.told("secret-rotated")[0]["version"] == newer.version_id
    assert node.children()["envoy"] == envoy


def test_a_new_trust_bundle_is_taken_over_too(node: Container, api: SecretsApi, hierarchy: Hierarchy) -> None:
    """A CA that is being replaced adds its root first."""
    from meshcert.material import TrustBundle, join_certificates  # noqa: PLC0415 -- of this test only

    both = TrustBundle(join_certificates([hierarchy.root_pem, Hierarchy(1).root_pem]))
    api.publish_trust_bundle(GATEWAY_TRUST, both)

    eventually(
        lambda: node.stats("version_text")["sds.trust/colorgateway.version_text"] == both.version_id, "the new bundle"
    )


def test_an_unchanged_secret_is_never_read_again(node: Container, api: SecretsApi) -> None:
    """Looking is DescribeSecret; the value is read once a version."""
    reads = api.calls.count(("GetSecretValue", TELLER_SECRET))
    looks = api.calls.count(("DescribeSecret", TELLER_SECRET))

    eventually(lambda: api.calls.count(("DescribeSecret", TELLER_SECRET)) >= looks + 3, "three more looks")

    assert api.calls.count(("GetSecretValue", TELLER_SECRET)) == reads == 1
    assert node.stats("update_success")["sds.identity/colorteller.update_success"] == "1"


def test_bad_versions_are_told_once_and_the_last_good_one_stays(
    node: Container, api: SecretsApi, hierarchy: Hierarchy, material: Material
) -> None:
    """Garbage, an expired certificate, an older one; then a good one is taken over all the same."""
    now = dt.datetime.now(dt.UTC)
    expired = hierarchy.issue(
        [TELLER_NAME], not_before=now - dt.timedelta(minutes=30), not_after=now - dt.timedelta(minutes=1)
    )
    older = hierarchy.issue([TELLER_NAME], not_before=now - dt.timedelta(days=30))
    api.put(TELLER_SECRET, "garbage", "not json")
    eventually(lambda: len(node.events("rotation-waits")) == 1, "garbage told")
    api.publish(TELLER_SECRET, expired)
    eventually(lambda: len(node.events("rotation-waits")) == 2, "expiry told")
    api.publish(TELLER_SECRET, older)
    eventually(lambda: len(node.events("rotation-waits")) == 3, "age told")
    looks = len(api.calls)
    eventually(lambda: len(api.calls) > looks + 6, "some more looks")

    reasons = [event["reason"] for event in node.events("rotation-waits")]
    assert ["not JSON" in reasons[0], "it expired on" in reasons[1], "older than the one served" in reasons[2]] == [
        True
    ] * 3
    assert len(reasons) == 3
    assert node.serves(material)

    newer = hierarchy.issue([TELLER_NAME])
    api.publish(TELLER_SECRET, newer)
    eventually(lambda: node.serves(newer), "the good one")


def test_an_outage_of_aws_is_told_once_and_survived(node: Container, api: SecretsApi, hierarchy: Hierarchy) -> None:
    """Envoy serves on; after the outage the next look finds the new version."""
    api.fail_always("broken")
    eventually(lambda: len(node.events("rotation-waits")) == 2, "one line a secret")
    calls = len(api.calls)
    eventually(lambda: len(api.calls) > calls + 8, "further tries")
    assert len(node.events("rotation-waits")) == 2
    assert node.healthy()

    newer = hierarchy.issue([TELLER_NAME])
    api.publish(TELLER_SECRET, newer)
    api.fail_always(None)

    eventually(lambda: node.serves(newer), "recovered")


def test_a_killed_watcher_comes_back_and_goes_on(
    node: Container, api: SecretsApi, hierarchy: Hierarchy, material: Material, delivery: DeliveryMode
) -> None:
    """Envoy serves on; the new watcher knows what is served, has it at hand again, and rotates."""
    children = node.children()
    reads = api.calls.count(("GetSecretValue", TELLER_SECRET))

    os.kill(children["watcher"], signal.SIGKILL)
    eventually(lambda: node.children().get("watcher") not in {None, children["watcher"]}, "a new watcher")

    looks = len(api.calls)
    eventually(lambda: len(api.calls) > looks + 2, "it looks")
    read_again = delivery is DeliveryMode.SDS  # what the old watcher had was in its memory alone
    assert api.calls.count(("GetSecretValue", TELLER_SECRET)) == reads + read_again
    assert node.serves(material)
    newer = hierarchy.issue([TELLER_NAME])
    api.publish(TELLER_SECRET, newer)
    eventually(lambda: node.serves(newer), "the new serial number")
    assert node.children()["envoy"] == children["envoy"]


def test_redeploy_mode_reads_once_and_only_reports(
    start: Start, api: SecretsApi, hierarchy: Hierarchy, material: Material
) -> None:
    """A new deployment takes the new version over, not this task."""
    api.publish(TELLER_SECRET, material)
    api.publish_trust_bundle(GATEWAY_TRUST, hierarchy.trust_bundle)
    node = start(teller(rotation=RotationMode.REDEPLOY))
    node.wait_until_healthy()
    newer = hierarchy.issue([TELLER_NAME])

    api.publish(TELLER_SECRET, newer)

    (line,) = eventually(lambda: node.events("newer-version"), "the report")
    assert line["version"] == newer.version_id
    looks = len(api.calls)
    eventually(lambda: len(api.calls) > looks + 4, "further looks")
    assert len(node.events("newer-version")) == 1
    assert api.calls.count(("GetSecretValue", TELLER_SECRET)) == 1
    assert node.serves(material)
