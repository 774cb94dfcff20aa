"""Whatever AWS answers and whatever befalls the folder, Envoy serves the last good material and goes on."""

from __future__ import annotations

import datetime as dt
import os
import shutil
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from evidence.fixtures.container import Container, eventually
from evidence.fixtures.proxies import GATEWAY_TRUST, TELLER_NAME, TELLER_SECRET, teller
from meshcert.contract import exit_codes
from meshcert.proxy import DeliveryMode
from tests.envoy.conftest import both_deliveries

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evidence.fixtures.pki import Hierarchy
    from evidence.fixtures.secrets_api import Fault, SecretsApi
    from meshcert.material import Material
    from tests.envoy.conftest import Start

POLL_S = 0.2
"""The teller's poll interval."""
FAULTS: tuple[Fault, ...] = ("throttled", "broken", "denied", "cut", "garbage", "empty", "hanging")
TWO_LOOKS_S = 2 * POLL_S
MACHINE_S = 3.0
"""What a busy machine may add to two looks."""
LIVES_S = (8, 60, 240)
"""What a certificate has left when its container is started: enough for an idle machine, else for a busy one."""


@pytest.fixture
def node(start: Start, published: SecretsApi, material: Material) -> Iterator[Container]:
    """A teller in reload mode that serves its first material; in the end it still runs."""
    assert published.url
    container = start(teller(poll_interval_s=POLL_S))
    container.wait_until_healthy()
    assert container.serves(material)
    yield container
    assert container.process.poll() is None


@both_deliveries
def test_after_every_failure_of_aws_the_new_version_comes_within_two_looks(
    node: Container, api: SecretsApi, hierarchy: Hierarchy, material: Material
) -> None:
    """One outage after the other; during each the last good version is served and the container is healthy."""
    envoy = node.children()["envoy"]
    served = material
    for fault in FAULTS:
        newer = hierarchy.issue([TELLER_NAME])
        _fail(api, fault, newer)
        assert node.serves(served), fault
        assert node.healthy(), fault

        api.fail_always(None)
        # A call that hangs has an end of its own, which is later than the next look.
        _take_over(node, newer, fault, within_s=TWO_LOOKS_S + MACHINE_S + (10 if fault == "hanging" else 0))
        served = newer
    assert node.children()["envoy"] == envoy


def _fail(api: SecretsApi, fault: Fault, newer: Material) -> None:
    """AWS holds a newer version, and fails those who ask for it."""
    api.fail_always(fault)
    asked = len(api.calls)
    api.publish(TELLER_SECRET, newer)
    eventually(lambda: len(api.calls) > asked + 1, f"asked in vain: {fault}")


def _take_over(node: Container, newer: Material, fault: Fault, within_s: float) -> None:
    eventually(lambda: node.serves(newer), f"the new version after {fault}", within_s)


@both_deliveries
def test_a_certificate_that_expires_in_an_outage_is_served_on_and_replaced_after_it(
    start: Start, api: SecretsApi, hierarchy: Hierarchy
) -> None:
    """From a tenth of its life until after its end nobody answers: the container stays up and says so."""
    api.publish_trust_bundle(GATEWAY_TRUST, hierarchy.trust_bundle)
    container, ending = _healthy_with_little_left(start, api, hierarchy)

    api.fail_always("broken")
    (told,) = eventually(lambda: container.events("certificate-expired"), "it says so", LIVES_S[-1])
    assert told["secret"] == "identity/colorteller"
    assert container.serves(ending)
    assert container.healthy()

    newer = hierarchy.issue([TELLER_NAME])
    api.publish(TELLER_SECRET, newer)
    api.fail_always(None)
    eventually(lambda: container.serves(newer), "the new one", TWO_LOOKS_S + MACHINE_S)
    assert len(container.events("certificate-expired")) == 1


def _becomes_healthy(container: Container) -> bool:
    """Whether a container that has just been started becomes healthy; false if it gives up."""
    eventually(lambda: container.healthy() or container.process.poll() is not None, "it is healthy, or gives up")
    return container.process.poll() is None


def _healthy_with_little_left(start: Start, api: SecretsApi, hierarchy: Hierarchy) -> tuple[Container, Material]:
    """A container that serves a certificate whose end is near, however long its start takes."""
    for life_s in LIVES_S:
        now = dt.datetime.now(dt.UTC).replace(microsecond=0)
        not_before, not_after = now - dt.timedelta(minutes=1), now + dt.timedelta(seconds=life_s)
        ending = hierarchy.issue([TELLER_NAME], not_before=not_before, not_after=not_after)
        api.publish(TELLER_SECRET, ending)
        container = start(teller(poll_interval_s=POLL_S))
        if _becomes_healthy(container):
            return container, ending
    pytest.fail("every certificate ended before the container was healthy")


@pytest.mark.parametrize("delivery", [DeliveryMode.FILE])
def test_a_folder_that_was_removed_costs_no_served_certificate(
    node: Container, api: SecretsApi, hierarchy: Hierarchy, material: Material
) -> None:
    """Envoy has lost its watch: the last good version stays, and it is told that the new one is not served."""
    shutil.rmtree(node.material_dir / "secrets")
    newer = hierarchy.issue([TELLER_NAME])
    api.publish(TELLER_SECRET, newer)

    eventually(
        lambda: [told for told in node.events("rotation-waits") if told["stage"] == "served"], "told", within_s=20
    )
    assert node.serves(material)


def test_a_standard_output_that_nobody_reads_stops_no_rotation_and_no_stop(
    start: Start, published: SecretsApi, hierarchy: Hierarchy
) -> None:
    """The pipe is full before the container starts: lines have to wait, and nobody else."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with suppress(BlockingIOError):
        while os.write(writer, bytes(4096)):
            pass
    os.set_blocking(writer, True)
    start.output = writer
    container = start(teller(poll_interval_s=POLL_S), MESHCERT_LOG_LEVEL="debug")
    container.wait_until_healthy()

    newer = hierarchy.issue([TELLER_NAME])
    published.publish(TELLER_SECRET, newer)
    eventually(lambda: container.serves(newer), "rotated")
    container.process.terminate()

    assert container.process.wait(15) == exit_codes.STOPPED
    os.close(reader)
    os.close(writer)
