"""
Reads of an installed secret while the entrypoint's own code installs one version after the other.

A reader judges by content: it parses what it read and looks the certificate and the key up among the pairs that belong
together. Bytes it has judged before it only compares, so that a million reads take seconds.
"""

from __future__ import annotations

import hashlib
import json
import os
import select
import subprocess
import sys
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from evidence.fixtures.pki import Hierarchy
from evidence.fixtures.proxies import TELLER_NAME
from meshcert.envoy import identity_name, identity_resource
from meshcert.envoy.secrets import file_name

if TYPE_CHECKING:
    from collections.abc import Collection

    from evidence.fixtures.pki import KeyAlgorithm

VERSIONS = 32
"""Versions that are installed in turn."""
_ALGORITHMS: tuple[KeyAlgorithm, ...] = ("EC_prime256v1", "RSA_2048")
_REPOSITORY = Path(__file__).resolve().parents[2]
_NAME = identity_name("colorteller")
_FILE = file_name(_NAME)
_LOOK_UP_EVERY = 64
_READ_BYTES = 65_536

Pair = tuple[str, str]
"""SHA-256 of a certificate chain and of the key that belongs to it."""


class Seen(NamedTuple):
    """
    What a reader found.

    Args:
        reads: How often it read the file.
        torn: How often that was no certificate with its key.
        versions_seen: How many versions it met.
        installed: How many were installed meanwhile.
    """

    reads: int
    torn: int
    versions_seen: int
    installed: int


def read_while_installing(folder: Path, reads: int) -> Seen:
    """
    Read an identity's file in a tight loop while another process installs versions of it as fast as it can.

    Args:
        folder: For the file; on a tmpfs, if it is to be as in a task.
        reads: How often.
    """
    python_path = f"{_REPOSITORY}:{_REPOSITORY / 'envoy-image'}"
    with subprocess.Popen(
        [sys.executable, "-m", "evidence.bench.torn_reads", str(folder)],
        cwd=_REPOSITORY,
        env={**os.environ, "PYTHONPATH": python_path},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as writer:
        assert writer.stdout is not None
        pairs = {(chain, key) for chain, key in json.loads(writer.stdout.readline())}
        torn, versions_seen = read(str(folder / _FILE), reads, pairs)
        installed = int(writer.communicate()[0])
    return Seen(reads, torn, versions_seen, installed)


def read(path: str, reads: int, pairs: Collection[Pair]) -> tuple[int, int]:
    """
    How many of these reads found a torn pair, and how many versions they met.

    Args:
        path: An identity's file.
        reads: How often to open and read it.
        pairs: What belongs together.
    """
    good: set[bytes] = set()
    torn = 0
    for _ in range(reads):
        descriptor = os.open(path, os.O_RDONLY)
        content = os.read(descriptor, _READ_BYTES)
        os.close(descriptor)
        if content in good:
            continue
        if pair_of(content) in pairs:
            good.add(content)
        else:
            torn += 1
    return torn, len(good)


def pair_of(content: bytes) -> Pair | None:
    """Which certificate and which key an identity's file holds; None if it holds no pair."""
    try:
        (resource,) = json.loads(content)["resources"]
        return _pair(resource)
    except (ValueError, KeyError, TypeError):
        return None


def _pair(resource: dict[str, Any]) -> Pair:
    parts = (resource["tls_certificate"][part]["inline_string"] for part in ("certificate_chain", "private_key"))
    chain, key = (hashlib.sha256(part.encode()).hexdigest() for part in parts)
    return chain, key


def _install_until_input_ends(folder: str) -> None:
    """The other process: says which pairs there are, installs them in turn, and says at the end how often."""
    from entrypoint.envoy.install import ResourceFiles  # noqa: PLC0415 -- only this process has it on its path

    hierarchy = Hierarchy(2)
    materials = [hierarchy.issue([TELLER_NAME], key_algorithm=_ALGORITHMS[number % 2]) for number in range(VERSIONS)]
    resources = [(identity_resource(_NAME, material), material.version_id) for material in materials]
    files = ResourceFiles(folder)
    files.install(_NAME, *resources[0])
    print(json.dumps([_pair(resource) for resource, _ in resources]), flush=True)
    for installed, (resource, version) in enumerate(cycle(resources), start=1):
        files.install(_NAME, resource, version)
        if installed % _LOOK_UP_EVERY == 0 and select.select([sys.stdin], [], [], 0)[0]:
            print(installed)
            return


if __name__ == "__main__":
    _install_until_input_ends(sys.argv[1])
