"""The check of what proxies read: every fault is a sentence, and nothing of the material is in any."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from evidence.fixtures.pki import Hierarchy
from evidence.simulation.vault import SEED_VERSION
from meshcert.errors import AwsUnavailable
from meshcert.material.document import PLACEHOLDER
from meshcert.publishing.export import export_identity
from meshcert.publishing.verify import verify_published
from meshcert.san import Dns
from tests.meshcert.publishing.world import ROOT, SECRET, TELLER

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshcert.identity import Identity
    from meshcert.publishing.verify import Verified
    from tests.meshcert.publishing.world import World


def check(world: World, identity: Identity = TELLER) -> Verified:
    """The current value of the teller's secret, checked."""
    return verify_published(identity, world.vault, world.authorities, world.clock)


def change(world: World, edit: Callable[[dict[str, Any]], Any]) -> None:
    """Somebody wrote another value into the current version."""
    current = world.vault.current_value(SECRET)
    fields = json.loads(current.value)
    edit(fields)
    world.vault.secrets[SECRET].values[current.version_id] = json.dumps(fields)


def test_what_was_published_passes(world: World) -> None:
    """With its public facts, as the publication told them."""
    published = export_identity(TELLER, world.sources)

    found = check(world)

    assert (found.subject, found.version_id, found.faults) == ("colorteller", published.version_id, ())
    assert found.facts == published.facts


def test_nothing_is_changed(world: World) -> None:
    """Neither in the secret nor in ACM."""
    export_identity(TELLER, world.sources)
    world.certificates.forget_export(TELLER.certificate_arn)
    before = world.vault.labels(SECRET), world.vault.current_value(SECRET)

    check(world)

    assert (world.vault.labels(SECRET), world.vault.current_value(SECRET)) == before
    assert not world.certificates.is_renewable(TELLER.certificate_arn)


def test_a_certificate_that_has_expired_is_told(world: World) -> None:
    """As the day of the check says."""
    export_identity(TELLER, world.sources)
    world.clock.time += dt.timedelta(days=396)

    assert any(fault.startswith("certificate: it expired at ") for fault in check(world).faults)


def test_all_faults_are_told_at_once(world: World) -> None:
    """Names, peers and the key."""
    export_identity(TELLER, world.sources)
    change(world, lambda fields: fields.update(Passphrase="another"))

    faults = check(world, replace(TELLER, names=(Dns("other.local"),), peer_rules=((Dns("peer.local"),),))).faults

    assert [fault.partition(":")[0] for fault in faults] == ["certificate names", "certificate names", "private key"]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (PLACEHOLDER, "holds the template's placeholder"),
        ("", "it is not JSON"),
        ("[]", "it is JSON, but no object"),
        ('{"Schema": 2}', "its Schema is not 1"),
        ('{"Schema": 1, "Certificate": "x"}', "missing or empty: CertificateChain, PrivateKey, Passphrase"),
    ],
)
def test_a_secret_without_material_is_told(world: World, value: str, words: str) -> None:
    """The version is named, its certificate is not."""
    world.vault.secrets[SECRET].values[SEED_VERSION] = value

    found = check(world)

    assert (found.version_id, found.facts) == (SEED_VERSION, None)
    assert len(found.faults) == 1
    assert words in found.faults[0]


def test_a_certificate_that_is_none_is_told(world: World) -> None:
    """PEM around nonsense."""
    export_identity(TELLER, world.sources)
    pem = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    change(world, lambda fields: fields.update(Certificate=pem))

    found = check(world)

    assert found.facts is None
    assert "Certificate is no X.509 certificate" in found.faults[0]


@pytest.mark.parametrize(
    "identity",
    [replace(TELLER, secret_id="arn:no-such-secret"), replace(TELLER, root_certificate_authority_arn="arn:no-such-ca")],
    ids=["secret", "root CA"],
)
def test_what_is_missing_is_told(world: World, identity: Identity) -> None:
    """With what brings it back."""
    export_identity(TELLER, world.sources)

    (fault,) = check(world, identity).faults

    assert "does not exist. Deploy the stacks again" in fault


def test_a_version_that_bears_another_certificates_name_is_told(world: World) -> None:
    """Versions are named after their certificates, so somebody else wrote this one."""
    first = export_identity(TELLER, world.sources).version_id
    stored = world.vault.secrets[SECRET].values
    world.issue()
    second = export_identity(TELLER, world.sources).version_id
    stored[second] = stored[first]

    (fault,) = check(world).faults

    assert f"it is named {second}, and its certificate would be {first}" in fault


def test_another_hierarchys_material_is_told(world: World) -> None:
    """The trust anchor is asked of the CA itself."""
    export_identity(TELLER, world.sources)
    world.authorities.hierarchies[ROOT] = Hierarchy()

    assert any("does not lead to the trust anchor" in fault for fault in check(world).faults)


def test_what_aws_cannot_say_now_is_no_verdict(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A throttled call says nothing about the material."""

    def throttled(secret_id: str) -> Any:
        raise AwsUnavailable("secretsmanager:GetSecretValue", secret_id, "ThrottlingException")

    monkeypatch.setattr(world.vault, "current_value", throttled)

    with pytest.raises(AwsUnavailable, match="ThrottlingException"):
        check(world)
