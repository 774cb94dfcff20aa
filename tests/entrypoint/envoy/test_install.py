"""Secrets on the tmpfs: one private file each, replaced atomically."""

from __future__ import annotations

import datetime as dt
import json
import stat
import time
from contextlib import nullcontext
from typing import TYPE_CHECKING, Never

import pytest

from entrypoint.aws.secrets_manager import SecretLabels, SecretVersion
from entrypoint.envoy.handover import FileHandover
from entrypoint.envoy.install import ResourceFiles
from entrypoint.judging.preflight import certificate_fields
from entrypoint.log import Log
from entrypoint.rotating.resuming import resume
from entrypoint.rotating.rotation import refuse_older
from entrypoint.rotating.secret import secrets_of, wanted_secrets
from entrypoint.rotating.source import SecretSource
from evidence.fixtures.proxies import GATEWAY_TRUST, TELLER_NAME, TELLER_SECRET, teller
from meshcert.errors import MaterialRejected, SecretMalformed, SecretNotPublished
from meshcert.material.document import PLACEHOLDER, write_material, write_trust_bundle

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from entrypoint.envoy.handover import EnvoyResource
    from entrypoint.rotating.secret import SecretContent, WantedSecret
    from evidence.fixtures.pki import Hierarchy
    from meshcert.material import Material

TRUST, IDENTITY = wanted_secrets(teller())


class Vault:
    """Secrets with a current version each."""

    def __init__(self) -> None:
        self.current: dict[str, SecretVersion] = {}

    def labels(self, secret: str) -> SecretLabels:
        """The version that its label is attached to."""
        return SecretLabels(self.current[secret].version_id)

    def current_value(self, secret: str) -> SecretVersion:
        """All of it."""
        return self.current[secret]


def no_envoy() -> Never:
    """Fail: no test here asks Envoy."""
    raise AssertionError


class Watcher:
    """A watcher that delivers from the vault into a folder, at the present time."""

    def __init__(self, vault: Vault, folder: Path) -> None:
        self.handover = FileHandover(ResourceFiles(str(folder)), no_envoy)
        self.secrets = secrets_of(teller(), self.handover)
        self.source = SecretSource(vault, time.time)

    def fetch(self, wanted: WantedSecret) -> SecretContent:
        """The current version."""
        return self.source.fetch(wanted)

    def install(self, wanted: WantedSecret) -> EnvoyResource:
        """Put the current version in its file."""
        content = self.fetch(wanted)
        self.secrets[wanted.name].put(content)
        return content.envoy

    def in_file(self, wanted: WantedSecret) -> EnvoyResource | None:
        """The secret in the file."""
        return self.handover.earlier([wanted.name]).get(wanted.name)


@pytest.fixture
def vault(hierarchy: Hierarchy, material: Material) -> Vault:
    """The secrets that the teller needs."""
    vault = Vault()
    vault.current = {
        TELLER_SECRET: SecretVersion(material.version_id, write_material(material, {"SerialNumber": "0a"})),
        GATEWAY_TRUST: SecretVersion("trust-1", write_trust_bundle(hierarchy.trust_bundle)),
    }
    return vault


@pytest.fixture
def watcher(vault: Vault, tmp_path: Path) -> Watcher:
    """A watcher that delivers from the vault into a folder, at the present time."""
    return Watcher(vault, tmp_path / "secrets")


def test_trust_bundles_are_fetched_before_identities() -> None:
    """This is the order in which they are published."""
    assert [wanted.name for wanted in (TRUST, IDENTITY)] == ["trust/colorgateway", "identity/colorteller"]


def test_an_installed_secret_is_one_private_file_with_its_version(
    watcher: Watcher, material: Material, tmp_path: Path
) -> None:
    """0600 in a 0700 folder; nothing else is left there."""
    watcher.install(IDENTITY)

    (file,) = (tmp_path / "secrets").iterdir()
    assert file.name == "identity-colorteller.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert json.loads(file.read_text())["version_info"] == material.version_id


def test_a_restarted_watcher_knows_what_is_served(
    watcher: Watcher, vault: Vault, hierarchy: Hierarchy, material: Material, tmp_path: Path
) -> None:
    """Version, validity, serial number and roots are read back from the file, once."""
    assert watcher.in_file(IDENTITY) is None
    installed = {wanted.name: watcher.install(wanted) for wanted in (TRUST, IDENTITY)}

    second = Watcher(vault, tmp_path / "secrets")
    lines: list[bytes] = []
    resume(second.secrets, second.handover, second.source, Log("debug", lines.append), time.sleep)

    assert {name: secret.content and secret.content.envoy for name, secret in second.secrets.items()} == installed
    served, trust = second.secrets[IDENTITY.name], second.secrets[TRUST.name]
    assert served.content
    assert served.content.leaf == watcher.fetch(IDENTITY).leaf == certificate_fields(material.certificate)
    assert served.version == served.version_id == material.version_id
    assert hierarchy.root_pem.strip() in trust.roots
    assert (served.roots, trust.content and trust.content.leaf, lines) == ("", None, [])


def test_a_file_that_is_not_ours_counts_as_none(watcher: Watcher, tmp_path: Path) -> None:
    """It is replaced by the next version."""
    watcher.install(IDENTITY)
    for text in ("", "[]", "{}", '{"version_info": "v", "resources": []}', '{"version_info": "v", "resources": 7}'):
        (tmp_path / "secrets/identity-colorteller.json").write_text(text)

        assert watcher.in_file(IDENTITY) is None


def test_a_write_that_fails_leaves_the_old_file_and_no_remains(watcher: Watcher, tmp_path: Path) -> None:
    """The new content gets its name only when it is complete."""
    served = watcher.install(IDENTITY)
    hidden = tmp_path / "secrets/.identity-colorteller.json.new"
    hidden.mkdir()

    with pytest.raises(OSError, match="identity-colorteller"):
        watcher.install(IDENTITY)

    assert watcher.in_file(IDENTITY) == served


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (PLACEHOLDER, SecretNotPublished),
        ("not json", SecretMalformed),
        ("[]", SecretMalformed),
        ('{"Schema": 1}', SecretMalformed),
        ('{"Schema": 1, "Certificate": "tempcert", "CertificateChain": "x", "PrivateKey": "y", "Passphrase": "z"}',
         SecretMalformed),
    ],
    ids=["placeholder", "not JSON", "no object", "empty", "not PEM"],
)  # fmt: skip
def test_a_secret_that_cannot_be_read_is_never_installed(
    watcher: Watcher, vault: Vault, text: str, kind: type[Exception]
) -> None:
    """The error names the secret and never its content."""
    vault.current[TELLER_SECRET] = SecretVersion("v", text)

    with pytest.raises(kind, match=TELLER_SECRET):
        watcher.fetch(IDENTITY)


def test_material_of_another_identity_is_refused(watcher: Watcher, vault: Vault, hierarchy: Hierarchy) -> None:
    """The names are those of the settings."""
    other = hierarchy.issue(["ledger.mtls.svc.cluster.local"])
    vault.current[TELLER_SECRET] = SecretVersion("v", write_material(other, {}))

    with pytest.raises(MaterialRejected, match="ledger"):
        watcher.fetch(IDENTITY)


def test_a_running_proxy_never_goes_back_to_an_older_certificate(
    watcher: Watcher, vault: Vault, hierarchy: Hierarchy
) -> None:
    """A certificate of the same age is not refused."""
    watcher.install(IDENTITY)
    served = watcher.secrets[IDENTITY.name]
    refuse_older(served, watcher.fetch(IDENTITY), time.time())
    older = hierarchy.issue([TELLER_NAME], not_before=dt.datetime.now(dt.UTC) - dt.timedelta(days=30))
    vault.current[TELLER_SECRET] = SecretVersion(older.version_id, write_material(older, {}))

    with pytest.raises(MaterialRejected, match="redeploy"):
        refuse_older(served, watcher.fetch(IDENTITY), time.time())


def test_a_running_proxy_does_not_stay_with_what_ends_before_an_older_certificate(
    watcher: Watcher, vault: Vault, hierarchy: Hierarchy
) -> None:
    """At 95 % of the served one's life; an older one that ends earlier is refused even then."""
    watcher.install(IDENTITY)
    served = watcher.secrets[IDENTITY.name]
    assert served.content
    assert served.content.leaf
    leaf, day = served.content.leaf, dt.timedelta(days=1)
    late = leaf.not_before + 0.95 * (leaf.not_after - leaf.not_before)
    ends = dt.datetime.fromtimestamp(leaf.not_after, dt.UTC)
    longer, shorter = (
        hierarchy.issue([TELLER_NAME], not_before=ends - 400 * day, not_after=end) for end in (ends + day, ends - day)
    )

    for older, now, refused in ((longer, late - 60, True), (longer, late + 60, False), (shorter, late + 60, True)):
        vault.current[TELLER_SECRET] = SecretVersion(older.version_id, write_material(older, {}))
        with pytest.raises(MaterialRejected) if refused else nullcontext():
            refuse_older(served, watcher.fetch(IDENTITY), now)


@pytest.mark.parametrize(
    ("field", "change", "told"),
    [
        ("Passphrase", lambda text: text + "x" * 1500, "Passphrase is longer than 128 characters"),
        ("Passphrase", lambda text: text + "\ud800", "it is not Unicode text"),
        ("PrivateKey", lambda text: "\ud800" + text, "it is not Unicode text"),
        ("CertificateChain", lambda text: text + "\udfff", "it is not Unicode text"),
        ("TrustBundle", lambda text: text + "\ud800", "it is not Unicode text"),
        (
            "TrustBundle",
            lambda text: text.replace("MII", "é", 1),
            "TrustBundle: a PEM block BEGIN CERTIFICATE is not base64",
        ),
    ],
)
def test_a_value_no_check_foresaw_is_malformed_and_not_quoted(
    watcher: Watcher, vault: Vault, field: str, change: Callable[[str], str], told: str
) -> None:
    """The error is of its type, names the secret, and has no cause that would hold the value."""
    wanted = TRUST if field == "TrustBundle" else IDENTITY
    secret = wanted.reference.secret
    value = json.loads(vault.current[secret].text)
    value[field] = change(value[field])
    vault.current[secret] = SecretVersion("v", json.dumps(value))

    with pytest.raises(SecretMalformed, match=told) as refusal:
        watcher.fetch(wanted)

    assert str(refusal.value).startswith(secret)
    assert refusal.value.__suppress_context__ or refusal.value.__context__ is None
    assert value[field] not in str(refusal.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[" * 60_000, "nested more than 64 levels"),
        ('{"Schema":' + "1" * 5000 + "}", "an integer of more than 64 bits"),
    ],
    ids=["nested", "number"],
)
def test_json_no_parser_takes_is_malformed(watcher: Watcher, vault: Vault, text: str, told: str) -> None:
    """Nested too deeply, or a number too long."""
    for wanted in (TRUST, IDENTITY):
        vault.current[wanted.reference.secret] = SecretVersion("v", text)

        with pytest.raises(SecretMalformed, match=told):
            watcher.fetch(wanted)


def test_nothing_secret_shows_in_a_representation(watcher: Watcher, material: Material) -> None:
    """If one is logged by mistake, only a name and a version appear."""
    shown = f"{watcher.install(IDENTITY)!r} {watcher.secrets[IDENTITY.name].content!r}"

    assert material.passphrase.reveal() not in shown
    assert "PRIVATE KEY" not in shown
