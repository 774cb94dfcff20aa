"""``meshcert credentials``: what a client outside the mesh finds in its folder, when, and what is said of it."""

from __future__ import annotations

import errno
import fcntl
import os
import ssl
import stat
import sys
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key, pkcs12

from evidence.fixtures.canary import search_bytes, search_processes, secrets_in
from evidence.fixtures.pki import Hierarchy
from meshcert import naming
from meshcert.cli.credentials.folder import CredentialFolder
from meshcert.cli.exit_codes import NEEDS_A_PERSON, REFUSED, SETTLED, UNAVAILABLE, USAGE
from meshcert.contract.staging_labels import CURRENT
from meshcert.errors import AccessDenied, AwsRefused, AwsUnavailable
from meshcert.material.certificate_facts import load_certificates
from meshcert.material.document import write_material, write_trust_bundle
from tests.meshcert.cli.cli_account import Broken, Ended, Terminal
from tests.meshcert.mesh.cells.yelb import BACKEND, FRONTEND, text

if TYPE_CHECKING:
    from pathlib import Path

    from meshcert.material import Material

SECRET = naming.identity_secret("color", "partner")
ROOTS = naming.trust_bundle_secret("color", "edge")
COLOR = ("mesh.name", "color")
PASSPHRASE = "correct-horse-battery-staple"


class Client(Terminal):
    """A client's machine: a folder, and a mesh that has published an identity for it."""

    def __init__(self, capsys: pytest.CaptureFixture[str], folder: Path) -> None:
        super().__init__(capsys)
        self.world.clock.sleep((datetime.now(UTC) - self.world.clock.now()).total_seconds())
        self.hierarchy, self.folder = Hierarchy(), folder
        self.current = folder / "current"
        self.material = self.hierarchy.issue(["partner.example.com"])
        self.publish(self.material)
        self.world.vault.seed(ROOTS)
        self.world.vault.secrets[ROOTS].values["roots"] = write_trust_bundle(self.hierarchy.trust_bundle)
        self.world.vault.secrets[ROOTS].holders[CURRENT] = "roots"

    def publish(self, material: Material, version: str = "") -> None:
        """A version that is current."""
        if SECRET not in self.world.vault.secrets:
            self.world.vault.seed(SECRET)
        secret, version = self.world.vault.secrets[SECRET], version or material.version_id
        secret.values[version] = write_material(material, {})
        secret.holders[CURRENT] = version

    def fetch(self, *options: str, passphrase: str = PASSPHRASE) -> Ended:
        """Run the command, which reads the passphrase from a pipe."""
        reading, writing = os.pipe()
        os.write(writing, f"{passphrase}\n".encode())
        os.close(writing)
        named = ["--passphrase-fd", str(reading)] if passphrase else []
        try:
            return self.run("credentials", "partner", "--folder", str(self.folder), *named, *options)
        finally:
            if not passphrase:
                os.close(reading)

    def read(self, name: str) -> bytes:
        """A file as readers open it."""
        return (self.current / name).read_bytes()


@pytest.fixture
def client(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Client:
    """Nothing is fetched yet."""
    return Client(capsys, tmp_path / "partner")


def test_files_are_what_a_tls_client_takes_and_for_their_owner_alone(client: Client) -> None:
    """Leaf and issuers without the root, and a key that opens with the passphrase that was given; 0600 each."""
    ended = client.fetch("--trust", "edge")

    assert ended.code == SETTLED, ended.err
    assert client.read("certificate_chain.pem").decode() == client.material.presented_chain
    assert client.read("trust_bundle.pem").decode() == client.hierarchy.trust_bundle.certificates
    context = ssl.create_default_context(cafile=str(client.current / "trust_bundle.pem"))
    context.load_cert_chain(client.current / "certificate_chain.pem", client.current / "private_key.pem", PASSPHRASE)
    assert {stat.S_IMODE(path.stat().st_mode) for path in client.current.iterdir()} == {0o600}
    assert {stat.S_IMODE(path.stat().st_mode) for path in (client.folder, client.current)} == {0o700}


def test_a_clear_key_is_asked_for_and_needs_no_passphrase(client: Client) -> None:
    """For a server that starts without anybody."""
    assert client.fetch("--clear-key", passphrase="").code == SETTLED

    assert client.read("private_key.pem").startswith(b"-----BEGIN PRIVATE KEY-----")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_cert_chain(client.current / "certificate_chain.pem", client.current / "private_key.pem")


def test_a_jvm_gets_a_key_store_and_a_trust_store(client: Client) -> None:
    """PKCS#12 under the passphrase: the chain without its root, and roots that Java takes for trusted."""
    assert client.fetch("--pkcs12", "--trust", "edge").code == SETTLED

    keys = pkcs12.load_pkcs12(client.read("keystore.p12"), PASSPHRASE.encode())
    trusted = pkcs12.load_pkcs12(client.read("truststore.p12"), PASSPHRASE.encode())
    presented = load_certificates(client.material.presented_chain)
    assert keys.cert
    assert (keys.cert.certificate, keys.cert.friendly_name) == (presented[0], b"partner")
    assert [issuer.certificate for issuer in keys.additional_certs] == presented[1:]
    roots = load_certificates(client.hierarchy.trust_bundle.certificates)
    assert [each.certificate for each in trusted.additional_certs] == roots
    assert trusted.key is None


def test_nothing_is_written_again_until_something_is_published(client: Client) -> None:
    """The second look finds it unchanged; a new version, or a label that has gone back, is written."""
    client.fetch()
    link = client.current.readlink()
    again = client.fetch()
    client.publish(client.hierarchy.issue(["partner.example.com"]))
    anew = client.fetch()

    assert "unchanged" in again.out
    assert "written to" in anew.out
    assert client.current.readlink() != link
    load_pem_private_key(client.read("private_key.pem"), PASSPHRASE.encode())


def test_the_version_before_stays_for_readers_and_older_ones_go(client: Client) -> None:
    """Keys do not gather on a disk."""
    for _ in range(4):
        client.publish(client.hierarchy.issue(["partner.example.com"]))
        client.fetch()

    assert len([path for path in client.folder.iterdir() if path.is_dir() and not path.is_symlink()]) == 2


def test_what_is_not_ours_in_the_folder_stays(client: Client) -> None:
    """Whoever names /etc/nginx, or a home, loses nothing."""
    kept = [client.folder / name for name in ("conf.d", ".ssh", "0123456789abcdef")]
    for folder in kept:
        folder.mkdir(parents=True)
        (folder / "file").write_text("theirs")
    for _ in range(3):
        client.publish(client.hierarchy.issue(["partner.example.com"]))
        client.fetch()

    assert [(folder / "file").read_text() for folder in kept] == ["theirs"] * 3


def test_a_write_that_was_ended_leaves_readers_what_they_had(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """The link moves last; the next run writes the version as a whole."""
    client.fetch()
    before = client.read("certificate_chain.pem")
    client.publish(client.hierarchy.issue(["partner.example.com"]))

    def end(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(type(client.current), "symlink_to", end)
        client.fetch()
    assert client.read("certificate_chain.pem") == before
    assert client.fetch().code == SETTLED
    assert client.read("certificate_chain.pem") != before


def test_material_that_does_not_belong_together_is_not_written(client: Client) -> None:
    """What was there stays; the fault is named, and nothing of a key is in it."""
    client.fetch()
    other = client.hierarchy.issue(["partner.example.com"])
    before = client.read("private_key.pem")
    client.publish(client.material._replace(private_key=other.private_key, passphrase=other.passphrase), "mixed")

    ended = client.fetch()

    assert ended.code == NEEDS_A_PERSON
    assert "key" in ended.err
    assert client.read("private_key.pem") == before


def test_a_certificate_that_has_ended_is_not_written(client: Client) -> None:
    """A client that starts with it would be refused everywhere."""
    end = datetime.now(UTC) - timedelta(minutes=5)
    client.publish(client.hierarchy.issue(["partner.example.com"], not_after=end))

    assert client.fetch().code == NEEDS_A_PERSON
    assert not client.current.exists()


def test_the_command_runs_as_a_list_after_something_new_and_not_otherwise(client: Client, tmp_path: Path) -> None:
    """No shell reads it; it finds the new files."""
    ran = tmp_path / "ran; touch not-me"
    program = f"import sys, os; open(sys.argv[1], 'a').write(os.readlink({str(client.current)!r}) + ' ')"
    hook = ("--", sys.executable, "-c", program, str(ran))

    assert client.fetch(*hook).code == SETTLED
    assert client.fetch(*hook).code == SETTLED

    assert ran.read_text().split() == [client.current.readlink().name]


def test_a_command_that_fails_is_told_and_runs_again_at_the_next_look(client: Client, tmp_path: Path) -> None:
    """Else a server would keep the old certificate until it ends."""
    flag = tmp_path / "flag"
    hook = ("--", sys.executable, "-c", f"import os, sys; sys.exit(0 if os.path.exists({str(flag)!r}) else 9)")

    failed = client.fetch(*hook)
    flag.touch()
    again = client.fetch(*hook)

    assert (failed.code, "ended with 9" in failed.err) == (NEEDS_A_PERSON, True)
    assert (again.code, "unchanged" in again.out) == (SETTLED, True)
    assert client.fetch("--json", *hook).document["command"] is None


def test_what_another_run_has_just_written_stays_for_its_readers(client: Client) -> None:
    """A timer's run and one by hand look at the same time; the second finds the first one's folder, and leaves it."""
    client.fetch()
    seen_by_readers = client.current.stat().st_ino

    CredentialFolder(client.folder).write(client.current.readlink().name, {"certificate_chain.pem": b"again"})

    assert client.current.stat().st_ino == seen_by_readers
    assert client.read("certificate_chain.pem").decode() == client.material.presented_chain


def test_runs_on_one_folder_write_one_after_the_other(client: Client) -> None:
    """The second waits for the first, which may be a process of its own."""
    client.fetch()
    descriptor = os.open(client.folder, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    other = threading.Thread(target=CredentialFolder(client.folder).write, args=("0" * 32, {"file": b"x"}))
    other.start()
    other.join(0.2)

    assert (other.is_alive(), client.current.readlink().name == "0" * 32) == (True, False)
    os.close(descriptor)
    other.join(5)
    assert client.read("file") == b"x"


def test_a_missing_command_is_named(client: Client) -> None:
    """Files are there all the same."""
    ended = client.fetch("--", "/no/such/program")

    assert (ended.code, "/no/such/program cannot be run" in ended.err) == (NEEDS_A_PERSON, True)
    assert client.current.exists()


def test_watching_goes_on_through_an_outage_and_tells_of_what_it_writes(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is there serves on; the time between two looks is the user's."""
    vault, waits = client.world.vault, []
    renewed = client.hierarchy.issue(["partner.example.com"])
    outage = AwsUnavailable("secretsmanager:GetSecretValue", SECRET, "ThrottlingException")

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        match len(waits):
            case 1:
                monkeypatch.setattr(vault, "current_value", Broken(outage).anything)
            case 2:
                monkeypatch.undo()
                client.publish(renewed)
            case _:
                raise KeyboardInterrupt

    client.sleep = sleep  # type: ignore[method-assign]
    ended = client.fetch("--watch", "--every", "30")

    assert waits == [30.0, 30.0, 30.0]
    assert ended.out.count("written to") == 2
    assert "AWS throttles" in ended.err
    assert client.read("certificate_chain.pem").decode() == renewed.presented_chain


def test_watching_goes_on_when_the_disk_is_full(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told, and what is there serves on; renewals come when there is room again."""
    waits = []

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "private_key.pem")

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) > 1:
            raise KeyboardInterrupt
        monkeypatch.undo()

    monkeypatch.setattr(os, "fsync", full)
    client.sleep = sleep  # type: ignore[method-assign]
    ended = client.fetch("--watch", "--every", "30")

    assert "private_key.pem: No space left on device" in ended.err
    assert client.read("certificate_chain.pem").decode() == client.material.presented_chain


@pytest.mark.parametrize("options", [(), ("--clear-key",), ("--pkcs12", "--trust", "edge"), ("--json",)])
def test_no_secret_is_in_what_is_said_nor_in_any_process(client: Client, options: tuple[str, ...]) -> None:
    """Neither the key nor a passphrase, in clear or encrypted."""
    wanted = secrets_in([client.material])
    ended = client.fetch(*options, "--", sys.executable, "-c", "import os; print(sorted(os.environ))")

    said = [("standard output", ended.out.encode()), ("standard error", ended.err.encode())]
    assert search_bytes(wanted, said)[0] == []
    assert search_processes(wanted)[0] == []
    assert PASSPHRASE not in ended.out + ended.err


def test_a_role_that_may_not_read_it_is_told_which_may(client: Client) -> None:
    """The operator's may not: it reaches no key."""
    denied = AccessDenied("secretsmanager:GetSecretValue", SECRET, "AccessDeniedException", "is not authorized")
    client.breaks(values=Broken(denied))

    ended = client.fetch()

    assert (ended.code, "identities.NAME.client" in ended.err) == (REFUSED, True)
    assert "OperatorRole" not in ended.err


@pytest.mark.parametrize("client_s", [{"principals": [f"arn:aws:iam::{FRONTEND}:role/batch"]}, None])
@pytest.mark.parametrize(("account", "region"), [(BACKEND, "eu-west-1"), (FRONTEND, "eu-west-2")])
def test_an_identity_of_another_cell_is_told_with_its_cell_and_whom_to_be(
    client: Client, tmp_path: Path, account: str, region: str, client_s: dict[str, Any] | None
) -> None:
    """There, no secret has its name: AWS says that it is missing, or denies it, and neither helps."""
    partner = {"cell": "frontend", "hierarchy": "edge", "dns_names": ["partner.example.com"], "client": client_s}
    file = tmp_path / "yelb.yaml"
    file.write_bytes(
        text(
            COLOR, ("identities.partner", {**{k: v for k, v in partner.items() if v}, "key_algorithm": "EC_prime256v1"})
        )
    )
    missing = AwsRefused("secretsmanager:GetSecretValue", SECRET, "ResourceNotFoundException")
    client.breaks(values=Broken(missing))
    client.account = replace(client.account, caller=lambda: account, region=region)

    ended = client.fetch("--mesh", str(file))

    role = f"one that assumes arn:aws:iam::{FRONTEND}:role/meshcert-color-eu-west-1-partner.cl"
    assert (ended.code, ended.out) == (REFUSED, "")
    assert ended.err == (
        f"meshcert: partner is in cell frontend (account {FRONTEND}, eu-west-1), and account {account} in {region} was "
        f"asked. Set AWS_PROFILE to {role if client_s else f'one of account {FRONTEND}'}, and AWS_REGION to eu-west-1\n"
    )


def test_without_the_mesh_file_it_is_told_which_account_and_region_were_asked(client: Client) -> None:
    """A client's machine has the mesh's name alone, and AWS says no more than that the secret is missing."""
    del client.world.vault.secrets[SECRET]
    client.account = replace(client.account, caller=lambda: BACKEND)

    ended = client.fetch()

    assert ended.code == USAGE
    assert f"{SECRET}, of account {BACKEND} in eu-west-1, does not exist" in ended.err
    assert "set AWS_PROFILE and AWS_REGION to its own" in ended.err


def test_an_identity_of_this_cell_is_told_as_it_is(client: Client, tmp_path: Path) -> None:
    """What is not published yet is no other cell's."""
    (tmp_path / "yelb.yaml").write_bytes(text(COLOR))
    client.world.vault.seed(naming.identity_secret("color", "gateway"))
    client.account = replace(client.account, caller=lambda: FRONTEND)

    ended = client.run(
        "credentials", "gateway", "--folder", str(tmp_path), "--clear-key", "--mesh", f"{tmp_path}/yelb.yaml"
    )

    assert ended.code == UNAVAILABLE, ended.err


def test_what_is_not_published_yet_is_asked_for_again(client: Client) -> None:
    """A unit that starts with the first deploy waits for it."""
    del client.world.vault.secrets[SECRET]
    client.world.vault.seed(SECRET)

    assert client.fetch().code == UNAVAILABLE


def test_a_folder_of_somebody_elses_is_refused(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its owner could put another folder in the place of the one that a key is being written to."""
    client.folder.mkdir()
    monkeypatch.setattr(os, "geteuid", lambda: client.folder.stat().st_uid + 1)

    ended = client.fetch()

    assert (ended.code, "somebody else's" in ended.err) == (USAGE, True), ended.err


@pytest.mark.parametrize(
    ("prepare", "told"),
    [
        (lambda folder: folder.mkdir(mode=0o777) or folder.chmod(0o777), "chmod go-w"),
        (lambda folder: (folder / "current").mkdir(parents=True), "no link of ours"),
        (lambda folder: folder.write_text("a file"), "is a file"),
    ],
    ids=["others may write", "current is a folder", "a file"],
)
def test_a_folder_that_is_not_ours_alone_is_refused(client: Client, prepare: Any, told: str) -> None:
    """Before anything is fetched."""
    prepare(client.folder)

    ended = client.fetch()

    assert (ended.code, told in ended.err) == (USAGE, True), ended.err


def test_the_longest_passphrase_opens_what_is_written(client: Client) -> None:
    """In both forms: OpenSSL takes a byte less for a PEM key than for PKCS#12."""
    longest = "x" * 1023

    assert client.fetch("--pkcs12", passphrase=longest).code == SETTLED

    load_pem_private_key(client.read("private_key.pem"), longest.encode())
    pkcs12.load_pkcs12(client.read("keystore.p12"), longest.encode())


@pytest.mark.parametrize("passphrase", ["\n", "x" * 1024, "x" * 2000])
def test_a_passphrase_is_one_line_that_is_not_empty(client: Client, passphrase: str) -> None:
    """A key under an empty one would only look encrypted."""
    ended = client.fetch(passphrase=passphrase)

    assert ended.code == USAGE
    assert "passphrase" in ended.err
