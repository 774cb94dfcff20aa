"""Files of the user's: how they are read, which pairs and roots may be handed to Envoy, and which never are."""

from __future__ import annotations

import datetime as dt
import os
import threading
import time
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from entrypoint.judging.file_reading import LONGEST_FILE, FileReader
from entrypoint.judging.files import certificate_of_files, roots_of_file
from evidence.fixtures.key_files import plain_key
from evidence.fixtures.pki import Hierarchy
from meshcert.errors import FilesRejected, FilesUnreadable
from meshcert.tls_sources import CertificateFile

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NAME = "orders.example.com"
PATHS = CertificateFile("/keys/chain.pem", "/keys/key.pem")
SERVER, BOTH = {"serverAuth"}, {"serverAuth", "clientAuth"}
DAY = dt.timedelta(days=1)
NOW = dt.datetime.now(dt.UTC)


def faults_of(chain: str, key: str, roles: set[str] | None = None) -> list[str]:
    """What is said about a pair; empty if it may be served."""
    try:
        certificate_of_files(chain.encode(), key.encode(), PATHS, roles or BOTH, time.time())
    except FilesRejected as refusal:
        return [str(fault) for fault in refusal.faults]
    return []


def as_written(key: str, form: PrivateFormat, *, passphrase: bytes = b"") -> str:
    """A key in another of PEM's forms."""
    encryption = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    return load_pem_private_key(key.encode(), None).private_bytes(Encoding.PEM, form, encryption).decode()


@pytest.mark.parametrize("tiers", [1, 2])
@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
@pytest.mark.parametrize("algorithm", ["EC_prime256v1", "EC_secp384r1", "RSA_2048"])
def test_what_people_keep_in_files_passes(tiers: int, form: PrivateFormat, algorithm: str) -> None:
    """With the issuers or without, with the root or without, whatever the key's form; text around it does not hurt."""
    hierarchy = Hierarchy(1 if tiers == 1 else 2)
    material = hierarchy.issue([NAME], key_algorithm=algorithm)  # type: ignore[arg-type]
    key = as_written(plain_key(material), form)

    for chain in (material.presented_chain, material.certificate + material.certificate_chain, material.certificate):
        assert faults_of(f"# of the CA\n{chain}", f"\n{key}") == []


def test_a_certificate_is_judged_by_what_it_is_used_for() -> None:
    """One for servers answers and does not call; one that names no use is for every one (RFC 5280, 4.2.1.12)."""
    hierarchy = Hierarchy(1)
    for_servers = hierarchy.issue([NAME], extended_key_usages=["serverAuth"])
    for_anything = hierarchy.issue([NAME], extended_key_usages=[])

    assert faults_of(for_servers.presented_chain, plain_key(for_servers), SERVER) == []
    assert any("clientAuth" in fault for fault in faults_of(for_servers.presented_chain, plain_key(for_servers)))
    assert faults_of(for_anything.presented_chain, plain_key(for_anything)) == []


def _of_another(hierarchy: Hierarchy) -> tuple[str, str]:
    return hierarchy.issue([NAME]).presented_chain, plain_key(hierarchy.issue([NAME]))


def _pair(hierarchy: Hierarchy, **fault: object) -> tuple[str, str]:
    material = hierarchy.issue([NAME], **fault)  # type: ignore[arg-type]
    return material.presented_chain, plain_key(material)


def _encrypted(hierarchy: Hierarchy, form: PrivateFormat) -> tuple[str, str]:
    chain, key = _pair(hierarchy)
    return chain, as_written(key, form, passphrase=b"opens")


def _with_wrong_issuer(hierarchy: Hierarchy) -> tuple[str, str]:
    material = hierarchy.issue([NAME])
    return material.certificate + Hierarchy(2).issuing_pem, plain_key(material)


BAD: list[tuple[Callable[[Hierarchy], tuple[str, str]], str, str]] = [
    (_of_another, "/keys/key.pem", "it is not the key of /keys/chain.pem"),
    (lambda it: (_pair(it)[0], ""), "/keys/key.pem", "0 private keys"),
    (lambda it: (_pair(it)[0], _pair(it)[1] * 2), "/keys/key.pem", "2 private keys"),
    (lambda it: _encrypted(it, PrivateFormat.PKCS8), "/keys/key.pem", "the key is encrypted"),
    (lambda it: _encrypted(it, PrivateFormat.TraditionalOpenSSL), "/keys/key.pem", "the key is encrypted"),
    (lambda it: ("", _pair(it)[1]), "/keys/chain.pem", "0 certificates"),
    (lambda it: (_pair(it)[0].replace("MII", "MIX", 1), _pair(it)[1]), "/keys/chain.pem[0]", "no X.509"),
    (lambda it: (_pair(it)[0] * 20, _pair(it)[1]), "/keys/chain.pem", "40 certificates"),
    (lambda it: _pair(it, not_after=NOW - DAY, not_before=NOW - 2 * DAY), "/keys/chain.pem[0]", "it expired on"),
    (lambda it: _pair(it, not_before=NOW + DAY), "/keys/chain.pem[0]", "not valid before"),
    (lambda it: _pair(it, usages=[x509.BasicConstraints(ca=True, path_length=None)]), "/keys/chain.pem[0]", "a CA's"),
    (_with_wrong_issuer, "/keys/chain.pem", "it is no chain"),
]


@pytest.mark.parametrize(("make", "place", "problem"), BAD, ids=[problem for _, _, problem in BAD])
def test_a_bad_pair_is_refused_with_place_and_remedy(
    make: Callable[[Hierarchy], tuple[str, str]], place: str, problem: str
) -> None:
    """And nothing of the key is told."""
    chain, key = make(Hierarchy(2))

    told = faults_of(chain, key)

    assert any(fault.startswith(f"{place}: ") and problem in fault for fault in told), told
    assert not any(line in "".join(told) for line in key.splitlines()[1:-1] if len(line) > 20)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", "0 certificates"),
        (Hierarchy(1).issue([NAME]).certificate, "no CA certificate"),
        (Hierarchy(2).issuing_pem, "no self-signed root"),
        (Hierarchy(1, not_before=NOW - 9 * DAY, not_after=NOW - DAY).root_pem, "has expired"),
    ],
    ids=["empty", "a leaf", "no root", "ended"],
)
def test_roots_that_would_have_every_peer_refused_are_not_taken(content: str, problem: str) -> None:
    """Each with its path."""
    with pytest.raises(FilesRejected, match=problem) as refusal:
        roots_of_file(content.encode(), "/keys/ca.pem", time.time())

    assert refusal.value.faults[0].place.startswith("/keys/ca.pem")


def test_roots_may_stand_beside_others_that_have_ended_and_beside_issuing_cas() -> None:
    """As while a root is replaced."""
    old, new = Hierarchy(1, not_before=NOW - 9 * DAY, not_after=NOW - DAY), Hierarchy(2)

    taken = roots_of_file((old.root_pem + new.root_pem + new.issuing_pem).encode(), "/keys/ca.pem", time.time())

    assert taken.count("BEGIN CERTIFICATE") == 3


def test_what_cannot_be_read_is_told_with_its_path(tmp_path: Path) -> None:
    """Missing, a folder, a pipe that nobody writes to, or longer than any certificate."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "long").write_bytes(b"x" * (LONGEST_FILE + 1))
    for name, why in {".": "Is a directory", "none": "No such file", "pipe": "no regular", "long": "longer"}.items():
        path = str(tmp_path / name)
        with pytest.raises(FilesUnreadable, match=why) as unreadable:
            FileReader().read(path)
        assert unreadable.value.path == path


def test_a_file_system_that_never_answers_holds_up_one_thread_and_no_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every look ends in time, and what comes late is taken at the next one."""
    (tmp_path / "file").write_text("late")
    answers, opening = threading.Event(), os.open

    def open_late(path: str, *arguments: int) -> int:
        answers.wait()
        return opening(path, *arguments)

    monkeypatch.setattr("entrypoint.judging.file_reading.os.open", open_late)
    reader, path = FileReader(within_s=0.01), str(tmp_path / "file")
    before = threading.active_count()
    for _ in range(3):
        with pytest.raises(FilesUnreadable, match="no answer"):
            reader.read(path)
    assert threading.active_count() == before + 1

    answers.set()
    patient = FileReader(within_s=30)
    patient._unfinished = reader._unfinished
    assert patient.read(path) == (b"late",)
