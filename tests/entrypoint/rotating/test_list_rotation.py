"""Newer revocation lists while Envoy runs: handed over with the bundle that is served, or told to be missing."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from entrypoint.aws.retrying import ProcessClock
from entrypoint.aws.secrets_manager import SecretLabels, SecretVersion
from entrypoint.envoy.admin import Admin
from entrypoint.envoy.handover import EnvoyResource, Verdict
from entrypoint.judging.revocation import UsableLists
from entrypoint.log import Log
from entrypoint.rotating.resuming import resume
from entrypoint.rotating.rotation import Rotation
from entrypoint.rotating.secret import secrets_of
from entrypoint.rotating.source import SecretSource
from entrypoint.rotating.standing import Standings
from entrypoint.settings import Settings
from entrypoint.trial.trial import Trial
from evidence.fixtures.proxies import GATEWAY_TRUST, TELLER_SECRET, teller
from meshcert.errors import AwsUnavailable
from meshcert.material.document import write_material, write_trust_bundle
from meshcert.proxy import Revocation, RotationMode

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from evidence.fixtures.pki import Hierarchy
    from meshcert.material import Material, TrustBundle

TRUST = "trust/colorgateway"


class Envoy:
    """Takes over what it is handed, or nothing."""

    ask_every_s = 0.01

    def __init__(self) -> None:
        self.handed: dict[str, EnvoyResource] = {}
        self.installed: list[tuple[str, str]] = []
        self.rejecting = False

    def put(self, name: str, resource: EnvoyResource) -> None:
        """See :class:`entrypoint.envoy.handover.Handover`."""
        self.installed.append((name, resource.version))
        self.handed[name] = resource

    def hand(self, name: str, resource: EnvoyResource) -> Envoy:
        """See :class:`entrypoint.envoy.handover.Handover`; this object is every ticket."""
        self.put(name, resource)
        return self

    def verdict(self) -> Verdict | None:
        """At once."""
        return Verdict(accepted=not self.rejecting, reason="Envoy rejected it" if self.rejecting else "")

    def restore(self, name: str, resource: EnvoyResource | None) -> None:
        """See :class:`entrypoint.envoy.handover.Handover`."""
        assert resource
        self.handed[name] = resource

    def first_verdicts(self, names: Iterable[str]) -> Mapping[str, Verdict]:
        """All of them."""
        return {name: Verdict(accepted=True) for name in names}

    def earlier(self, names: Iterable[str]) -> Mapping[str, EnvoyResource]:
        """See :class:`entrypoint.envoy.handover.Handover`."""
        return {name: self.handed[name] for name in names}

    def context(self) -> dict[str, Any]:
        """The validation context of the bundle it has."""
        found: dict[str, Any] = self.handed[TRUST].body["validation_context"]
        return found


class _SilentAdmin(Admin):
    def get(self, path: str) -> str:
        raise ConnectionRefusedError(path)


class World:
    """A watcher whose Envoy has everything, and lists that a test writes."""

    def __init__(self, folder: Path, hierarchy: Hierarchy, material: Material, rotation: RotationMode) -> None:
        self.lines: list[dict[str, Any]] = []
        self.read: list[str] = []
        self.lists: UsableLists | AwsUnavailable = UsableLists("first")
        self.vault = {
            TELLER_SECRET: SecretVersion(material.version_id, write_material(material, {})),
            GATEWAY_TRUST: SecretVersion("bundle-1", write_trust_bundle(hierarchy.trust_bundle)),
        }
        proxy = teller(rotation=rotation)
        reference = proxy.trust_bundles["colorgateway"]._replace(revocation=Revocation.FAIL_OPEN)
        proxy = proxy._replace(trust_bundles={"colorgateway": reference})
        self.settings = Settings.from_environ(
            {"MESHCERT_PROXY": proxy.to_json(), "AWS_REGION": "eu-west-1", "MESHCERT_MATERIAL_DIR": str(folder)}
        )
        self.envoy = Envoy()
        self.now = 0.0
        self.rotation = self.watcher()

    def watcher(self) -> Rotation:
        """A new watcher, which finds what the one before it has handed over."""
        revocation: Any = self
        source = SecretSource(self, time.time, revocation)
        secrets = secrets_of(self.settings.proxy, self.envoy)
        log = Log("debug", lambda line: self.lines.append(json.loads(line)))
        if self.envoy.handed:
            resume(secrets, self.envoy, source, log, self._sleep)
        else:
            for secret in secrets.values():
                secret.put(source.fetch(secret.wanted))
        clock = ProcessClock(monotonic=lambda: self.now, sleep=self._sleep)
        trial, admin = Trial(self.settings.proxy, self.settings.addresses, str, log), _SilentAdmin("")
        standings = Standings(self.settings.proxy, secrets, admin)
        proxy = self.settings.proxy
        return Rotation(proxy, secrets, source, trial=trial, standings=standings, log=log, clock=clock)

    def labels(self, secret: str) -> SecretLabels:
        """Stand in for Secrets Manager."""
        return SecretLabels(self.vault[secret].version_id)

    def current_value(self, secret: str) -> SecretVersion:
        """Stand in for Secrets Manager."""
        self.read.append(secret)
        return self.vault[secret]

    def current(self, bundle: TrustBundle, revocation: Revocation, subject: str) -> UsableLists:
        """See :class:`entrypoint.judging.revocation.RevocationLists`."""
        del bundle, subject
        assert revocation is Revocation.FAIL_OPEN
        if isinstance(self.lists, AwsUnavailable):
            raise self.lists
        return self.lists

    def told(self, event: str) -> list[str]:
        """The reasons in the log's lines with this event."""
        return [line["reason"] for line in self.lines if line["event"] == event]

    def _sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture(params=list(RotationMode))
def world(request: pytest.FixtureRequest, tmp_path: Path, hierarchy: Hierarchy, material: Material) -> World:
    """For both kinds of rotation: a list is not a rollout."""
    return World(tmp_path, hierarchy, material, request.param)


def test_a_newer_list_is_handed_over_once(world: World, hierarchy: Hierarchy) -> None:
    """With the same roots, under the version of the same secret."""
    world.rotation.look()
    world.lists = UsableLists("second")
    world.rotation.look()
    world.rotation.look()

    assert world.envoy.context()["crl"] == {"inline_string": "second"}
    assert world.envoy.context()["trusted_ca"] == {"inline_string": hierarchy.trust_bundle.certificates}
    versions = [version for name, version in world.envoy.installed if name == TRUST]
    assert versions == [UsableLists("first").version("bundle-1"), UsableLists("second").version("bundle-1")]


def test_lists_that_are_taken_away_are_gone_from_envoy(world: World) -> None:
    """Failing open."""
    world.lists = UsableLists("", "revoked peers pass: they are missing")
    world.rotation.look()

    assert "crl" not in world.envoy.context()
    assert world.envoy.installed[-1][1] == "bundle-1"


def test_trouble_is_told_once_and_its_end_too(world: World) -> None:
    """One line each, however many looks there are."""
    world.lists = UsableLists("first", "S3: HTTP 503")
    world.rotation.look()
    world.rotation.look()
    world.lists = UsableLists("first")
    world.rotation.look()
    world.rotation.look()

    assert world.told("revocation-lists") == ["S3: HTTP 503"]
    assert len(world.told("revocation-lists-good")) == 1


def test_an_error_keeps_what_is_served(world: World) -> None:
    """Nothing is taken away for it."""
    world.lists = AwsUnavailable("s3:GetObject", TRUST, "no revocation list (fail_closed)")
    world.rotation.look()

    assert world.envoy.context()["crl"] == {"inline_string": "first"}
    assert "no revocation list" in world.told("revocation-lists")[0]


def test_lists_that_envoy_rejects_are_taken_back_and_not_tried_again(world: World) -> None:
    """The log says so until other lists come."""
    world.rotation.look()
    world.envoy.rejecting = True
    world.lists = UsableLists("bad")
    world.rotation.look()
    tried = len(world.envoy.installed)
    world.rotation.look()

    assert world.envoy.context()["crl"] == {"inline_string": "first"}
    assert len(world.envoy.installed) == tried
    assert all("Envoy rejected it" in reason for reason in world.told("revocation-lists"))
    assert not world.told("revocation-lists-good")

    world.envoy.rejecting = False
    world.lists = UsableLists("better")
    world.rotation.look()
    assert world.envoy.context()["crl"] == {"inline_string": "better"}
    assert world.told("revocation-lists-good")


def test_a_new_watcher_reads_a_bundle_once_also_while_its_lists_cannot_be_had(world: World) -> None:
    """Every reading of a secret is paid for, and S3 may refuse for ever."""
    world.rotation = world.watcher()
    world.lists = AwsUnavailable("s3:GetObject", TRUST, "AccessDenied")
    world.read.clear()
    for _ in range(10):
        world.rotation.look()

    assert world.read.count(GATEWAY_TRUST) <= 1
    assert "s3:GetObject" in world.told("revocation-lists")[-1]


def test_a_new_watcher_keeps_the_roots_that_are_served(world: World, hierarchy: Hierarchy) -> None:
    """Another bundle is current by now; a `redeploy` task does not take it over with a list."""
    from evidence.fixtures.pki import Hierarchy as AnotherHierarchy  # noqa: PLC0415 -- of this test only

    world.vault[GATEWAY_TRUST] = SecretVersion("bundle-2", write_trust_bundle(AnotherHierarchy().trust_bundle))
    world.rotation = world.watcher()
    world.lists = UsableLists("second")
    world.rotation.look()

    reloads = world.settings.proxy.rotation is RotationMode.RELOAD
    served = world.envoy.installed[-1][1]
    assert served == UsableLists("second").version("bundle-2" if reloads else "bundle-1")
    assert (world.envoy.context()["trusted_ca"]["inline_string"] != hierarchy.trust_bundle.certificates) == reloads
