"""Rotation without a container: what Envoy's counters lead to, and how deaths are paced."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from entrypoint.acceptance import SecretCounters, secret_counters
from entrypoint.delivery import Delivery, wanted_secrets
from entrypoint.first_delivery import FirstDelivery
from entrypoint.install import SecretFiles
from entrypoint.log import Log
from entrypoint.restarts import FIRST_S, MOST_S, SOUND_AFTER_S, Restarts
from entrypoint.retrying import Clock
from entrypoint.rotation import Rotation
from entrypoint.secrets_manager import SecretVersion
from entrypoint.settings import Settings
from meshcert.document import write_material, write_trust_bundle
from tests.proxies import GATEWAY_TRUST, TELLER_NAME, TELLER_SECRET, teller

if TYPE_CHECKING:
    from pathlib import Path

    from meshcert.material import Material
    from tests.pki import Hierarchy

TRUST, IDENTITY = wanted_secrets(teller())


class Envoy:
    """An admin interface whose Envoy serves what lies in the folder, or rejects it."""

    def __init__(self, delivery: Delivery) -> None:
        self._delivery = delivery
        self.rejecting = False
        self.silent = False
        self._version = ""
        self._rejected = 0

    def get(self, path: str) -> str:
        """The counters as Envoy words them."""
        assert path.startswith("/stats?filter=")
        if self.silent:
            raise ConnectionRefusedError
        installed = self._delivery.served(IDENTITY).version
        if installed != self._version:
            if self.rejecting:
                self._rejected += 1
            else:
                self._version = installed
        return (
            f"sds.identity/colorteller.update_rejected: {self._rejected}\n"
            "sds.identity/colorteller.update_success: 1\n"
            "sds.identity/colorteller.update_failure: 0\n"
            f'sds.identity/colorteller.version_text: "{self._version}"\n'
            "sds.trust/colorgateway.update_success: 1\n"
        )


class World:
    """One watcher after a good start."""

    def __init__(self, folder: Path, hierarchy: Hierarchy, material: Material) -> None:
        self.hierarchy = hierarchy
        self.material = material
        self.lines: list[bytes] = []
        self.now = 0.0
        self.vault = {
            TELLER_SECRET: SecretVersion(material.version_id, write_material(material, {})),
            GATEWAY_TRUST: SecretVersion("trust-1", write_trust_bundle(hierarchy.trust_bundle)),
        }
        environ = {
            "MESHCERT_PROXY": teller().to_json(),
            "AWS_REGION": "eu-west-1",
            "MESHCERT_MATERIAL_DIR": str(folder),
        }
        self.settings = Settings.from_environ(environ)
        self.delivery = Delivery(self, SecretFiles(str(folder / "secrets")), time.time)
        log = Log("debug", self.lines.append)
        clock = Clock(monotonic=lambda: self.now, sleep=self._sleep, jitter=lambda: 1.0)
        FirstDelivery(self.settings, self.delivery, log, clock).install(deadline=60.0)
        self.lines.clear()
        self.envoy = Envoy(self.delivery)
        self.rotation = Rotation(self.settings, self.delivery, log, clock)
        self.rotation._admin = self.envoy  # type: ignore[assignment]  # Envoy itself answers in tests/envoy

    def current_version(self, secret: str) -> str:
        """As Secrets Manager."""
        return self.vault[secret].version_id

    def current_value(self, secret: str) -> SecretVersion:
        """As Secrets Manager."""
        return self.vault[secret]

    def publish(self) -> Material:
        """A newer version."""
        newer = self.hierarchy.issue([TELLER_NAME])
        self.vault[TELLER_SECRET] = SecretVersion(newer.version_id, write_material(newer, {}))
        return newer

    def _sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def world(tmp_path: Path, hierarchy: Hierarchy, material: Material) -> World:
    """One watcher after a good start."""
    return World(tmp_path, hierarchy, material)


def test_a_version_envoy_rejects_is_taken_back_and_not_tried_again(world: World) -> None:
    """The file tells what is served; the next good version goes through."""
    world.envoy.rejecting = True
    world.publish()

    for _ in range(3):
        world.rotation.look()

    assert world.delivery.served(IDENTITY).version == world.material.version_id
    assert len(world.lines) == 1
    assert b"Envoy rejected it" in world.lines[0]

    world.envoy.rejecting = False
    newer = world.publish()
    world.rotation.look()

    assert world.delivery.served(IDENTITY).version == newer.version_id
    assert b"secret-rotated" in world.lines[-1]


def test_an_envoy_that_does_not_answer_is_told_and_trusted(world: World) -> None:
    """Its file is there; the wait for its word is bounded."""
    world.envoy.silent = True
    newer = world.publish()

    world.rotation.look()

    assert world.delivery.served(IDENTITY).version == newer.version_id
    assert b"rotation-unconfirmed" in world.lines[0]
    assert world.now < 10.0


def test_a_full_folder_is_told_once_and_the_last_good_version_stays(world: World, tmp_path: Path) -> None:
    """When there is room again, the version is taken over."""
    in_the_way = tmp_path / "secrets/.identity-colorteller.json.new"
    in_the_way.mkdir()
    newer = world.publish()

    for _ in range(3):
        world.rotation.look()

    assert len(world.lines) == 1
    assert b"the material folder cannot be written" in world.lines[0]
    assert world.delivery.served(IDENTITY).version == world.material.version_id

    in_the_way.rmdir()
    world.rotation.look()
    assert world.delivery.served(IDENTITY).version == newer.version_id


def test_jitter_only_shortens_the_poll_interval(world: World) -> None:
    """From 80 % to all of it."""
    waits = []

    class EnoughError(Exception):
        pass

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 2:
            raise EnoughError

    random_numbers = iter([0.0, 1.0])
    world.rotation._clock = Clock(sleep=sleep, jitter=lambda: next(random_numbers))
    with pytest.raises(EnoughError):
        world.rotation.run()

    interval = world.settings.proxy.poll_interval_s
    assert waits == pytest.approx([0.8 * interval, interval])


def test_counters_are_read_by_secret() -> None:
    """Names with a slash, versions without their quotes, other counters ignored."""

    class Admin:
        def get(self, _: str) -> str:
            return (
                'sds.identity/a.version_text: "v1"\n'
                "sds.identity/a.update_success: 2\n"
                "sds.identity/a.version: 123\n"
                "sds.trust/b.update_rejected: 1\n"
                "sds.trust/b.update_failure: 3\n"
            )

    admin: Any = Admin()
    assert secret_counters(admin) == {
        "identity/a": SecretCounters(accepted=2, version="v1"),
        "trust/b": SecretCounters(rejected=1, failed=3),
    }


def test_a_child_that_dies_early_waits_ever_longer_and_a_sound_one_starts_anew() -> None:
    """Half a second, doubling, at most a minute."""
    restarts = Restarts()
    delays = []
    for number in range(12):
        restarts.started(number * 1000.0)
        delays.append(restarts.delay_after_end(number * 1000.0 + 1))

    assert delays[:3] == [FIRST_S, 2 * FIRST_S, 4 * FIRST_S]
    assert delays[-1] == MOST_S
    restarts.started(50_000.0)
    assert restarts.delay_after_end(50_000.0 + SOUND_AFTER_S) == FIRST_S
