"""
The search for key and passphrase bytes where they must never be.

It knows the real secrets of a running mesh, in every form a leak would take: the passphrase as it is and in base64, the
encrypted key's lines, and the opened key's numbers and lines. It looks at every process's environment and arguments, at
all logs, and at every file that is not on a tmpfs.
"""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from meshcert import naming
from meshcert.document import read_material
from meshcert.publication import CURRENT, PREVIOUS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from local.running_mesh import RunningMesh
    from meshcert.material import Material

CHUNK = 1 << 20
TMPFS = "tmpfs"


@dataclass(frozen=True)
class Canary:
    """
    One form of one secret.

    Args:
        name: Whose it is and in which form; safe to print.
        needle: The bytes to look for.
    """

    name: str
    needle: bytes


@dataclass(frozen=True)
class Leak:
    """
    A secret found in the wrong place.

    Args:
        canary: Which one.
        place: File, process or log.
    """

    canary: str
    place: str


def canaries(owner: str, material: Material) -> Iterator[Canary]:
    """
    Every form in which this material's secrets could leak.

    Args:
        owner: Name of the identity and version, for reports.
        material: Certificate, encrypted key and passphrase.
    """
    passphrase = material.passphrase.reveal().encode()
    yield Canary(f"{owner}: passphrase", passphrase)
    # Without its last characters: they depend on what follows the passphrase in a longer encoded text.
    yield Canary(f"{owner}: passphrase in base64", base64.b64encode(passphrase)[:-4])
    pem = material.private_key.reveal()
    yield from _lines(f"{owner}: encrypted key", pem)
    try:
        key = serialization.load_pem_private_key(pem.encode(), passphrase)
    except ValueError:
        return  # the fault of a test; what nobody can open cannot leak opened
    opened = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    yield from _lines(f"{owner}: opened key", opened.decode())
    for number in _private_numbers(key):
        raw = number.to_bytes((number.bit_length() + 7) // 8, "big")
        yield Canary(f"{owner}: private number", raw)
        yield Canary(f"{owner}: private number in hex", raw.hex().encode())


def secrets_of(mesh: RunningMesh, *identities: str) -> list[Canary]:
    """Every secret of every version that is still there: the current one and the one before."""
    vault = mesh.client("secretsmanager")
    wanted: list[Canary] = []
    for identity in identities:
        secret = naming.identity_secret(mesh.name, identity)
        for label in (CURRENT, PREVIOUS):
            value = vault.get_secret_value(SecretId=secret, VersionStage=label)
            wanted += canaries(f"{identity} {label}", read_material(value["SecretString"], secret))
    return wanted


def secrets_in(materials: Iterable[Material]) -> list[Canary]:
    """Every secret of this material."""
    return [
        canary for number, material in enumerate(materials, 1) for canary in canaries(f"material {number}", material)
    ]


def _lines(name: str, pem: str) -> Iterator[Canary]:
    body = [line for line in pem.splitlines() if line and not line.startswith("-----")]
    # The first lines of a PKCS#8 are algorithm identifiers, the same for every key; the middle is its own.
    middle = body[len(body) // 2]
    yield Canary(name, middle[:60].encode())


def _private_numbers(key: object) -> list[int]:
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return [key.private_numbers().private_value]
    assert isinstance(key, rsa.RSAPrivateKey)
    numbers = key.private_numbers()
    return [numbers.d, numbers.p, numbers.q]


def search_processes(wanted: list[Canary]) -> tuple[list[Leak], int]:
    """Leaks in the environment and the arguments of every process on this machine, and how many were looked at."""
    leaks, seen = [], 0
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        for part in ("environ", "cmdline"):
            try:
                content = (process / part).read_bytes()
            except OSError:
                continue
            seen += 1
            leaks += [Leak(canary.name, f"{process}/{part}") for canary in wanted if canary.needle in content]
    return leaks, seen


def search_files(wanted: list[Canary], folders: Iterable[Path], *, since: float = 0) -> tuple[list[Leak], int]:
    """
    Leaks in every regular file below these folders that is not on a tmpfs.

    Args:
        wanted: What to look for.
        folders: Where.
        since: Only files written after this Unix time, seconds.

    Returns:
        The leaks, and how many files were looked at.
    """
    tmpfs = _tmpfs_devices()
    leaks, seen = [], 0
    for folder in folders:
        for path in _files(folder):
            try:
                found = path.stat()
                if found.st_dev in tmpfs or found.st_mtime < since:
                    continue
                leaks += [Leak(name, str(path)) for name in _in_file(wanted, path)]
            except OSError:
                continue
            seen += 1
    return leaks, seen


def search_texts(wanted: list[Canary], texts: Iterable[tuple[str, str]]) -> tuple[list[Leak], int]:
    """Leaks in named texts (log lines), and how many were looked at."""
    return search_bytes(wanted, ((place, text.encode()) for place, text in texts))


def search_bytes(wanted: list[Canary], contents: Iterable[tuple[str, bytes]]) -> tuple[list[Leak], int]:
    """Leaks in named contents, and how many were looked at."""
    leaks, seen = [], 0
    for place, content in contents:
        seen += 1
        leaks += [Leak(canary.name, place) for canary in wanted if canary.needle in content]
    return leaks, seen


def _files(folder: Path) -> Iterator[Path]:
    for parent, _, names in os.walk(folder):
        for name in names:
            path = Path(parent, name)
            if path.is_file() and not path.is_symlink():
                yield path


def _in_file(wanted: list[Canary], path: Path) -> set[str]:
    found, tail = set(), b""
    longest = max(len(canary.needle) for canary in wanted)
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            content = tail + chunk
            found |= {canary.name for canary in wanted if canary.needle in content}
            tail = content[-longest:]
    return found


def _tmpfs_devices() -> set[int]:
    devices = set()
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, mountpoint, kind, *_ = line.split()
        if kind == TMPFS:
            try:
                devices.add(Path(mountpoint).stat().st_dev)
            except OSError:
                continue
    return devices
