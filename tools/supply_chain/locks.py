"""The lock files: which there are, what each is made of, and what stands in it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NPM_LOCKS = tuple(ROOT / "local" / folder / "package-lock.json" for folder in ("", "browser", "load"))
"""Every lock of npm's own."""
_PIN = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^\s;\\]+)(?:\s*;[^\\]*)?\s*\\?$")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


class LockMalformed(Exception):
    """
    A line of a lock file is neither a pin nor a hash.

    Args:
        lock: The file.
        line: The line.
    """

    def __init__(self, lock: Path, line: str) -> None:
        self.lock = lock
        self.line = line
        super().__init__(f"{lock}: {line.strip()!r} is neither NAME==VERSION nor a SHA-256. Make it again: make lock")


@dataclass(frozen=True)
class Lock:
    """
    A file from which pip installs with ``--require-hashes``.

    Args:
        path: The file.
        requirements: The files that name what is wanted.
        constraints: The file with the version of each.
    """

    path: Path
    requirements: tuple[Path, ...]
    constraints: Path


@dataclass(frozen=True)
class Pin:
    """
    One package of a lock.

    Args:
        name: Normalised (PEP 503).
        hashes: SHA-256 of every file of this version, for all processors and versions of Python.
    """

    name: str
    version: str
    hashes: tuple[str, ...]


_PRODUCT = ROOT / "constraints.txt"
TOOLS = Lock(ROOT / "requirements.lock", (ROOT / "requirements.txt", ROOT / "requirements-dev.txt"), _PRODUCT)
FUNCTIONS = Lock(ROOT / "lambdas" / "requirements.lock", (ROOT / "lambdas" / "requirements.txt",), _PRODUCT)
IMAGE = Lock(ROOT / "envoy-image" / "requirements.lock", (ROOT / "envoy-image" / "requirements.txt",), _PRODUCT)
LOCAL_AWS = Lock(
    ROOT / "local" / "requirements.lock", (ROOT / "local" / "requirements.txt",), ROOT / "local" / "constraints.txt"
)
LOCAL_FUNCTIONS = Lock(ROOT / "local" / "functions.lock", (ROOT / "local" / "functions.txt",), _PRODUCT)
_OWN = ROOT / "tools" / "supply_chain"
LOCKING = Lock(_OWN / "requirements.lock", (_OWN / "requirements.txt",), _OWN / "constraints.txt")
EXAMPLES = tuple(
    Lock(folder / "requirements.lock", (folder / "requirements.txt",), folder / "requirements.txt")
    for folder in (
        ROOT / "examples" / name for name in ("company/service", "yelb/appserver", "yelb/postgres", "yelb/redis")
    )
)
LOCKS = (TOOLS, FUNCTIONS, IMAGE, LOCAL_AWS, LOCAL_FUNCTIONS, LOCKING, *EXAMPLES)
"""Every lock for pip."""


def normalised(name: str) -> str:
    """A package's name as indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def read_lock(path: Path) -> tuple[Pin, ...]:
    """
    What stands in a lock file, in its order.

    Raises:
        LockMalformed: If a line is neither a pin nor a hash.
    """
    pins: list[Pin] = []
    for line in path.read_text().splitlines():
        if found := _PIN.match(line):
            pins.append(Pin(normalised(found["name"]), found["version"], ()))
        elif (hashes := _HASH.findall(line)) and pins:
            last = pins[-1]
            pins[-1] = Pin(last.name, last.version, (*last.hashes, *hashes))
        elif line.strip() and not line.startswith("#"):
            raise LockMalformed(path, line)
    return tuple(pins)


def read_npm_lock(path: Path) -> tuple[Pin, ...]:
    """What stands in a lock of npm; its integrity (SHA-512) takes the place of hashes."""
    packages = json.loads(path.read_text())["packages"]
    return tuple(
        Pin(place.removeprefix("node_modules/"), package["version"], (package["integrity"],))
        for place, package in packages.items()
        if place
    )
