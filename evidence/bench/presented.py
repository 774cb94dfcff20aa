"""From the moment a new file is in place to a handshake that shows its certificate, as seen from outside."""

from __future__ import annotations

import socket
import ssl
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING

from evidence.fixtures.every_protocol import HTTP_PORT
from evidence.fixtures.rotated_mesh import Kind

if TYPE_CHECKING:
    from pathlib import Path

    from evidence.fixtures.rotated_mesh import RotatedMesh

_LOOK_EVERY_S = 0.0003
_LONGEST_S = 10.0


def presented_after_ms(mesh: RotatedMesh, file: Path, rounds: int) -> list[float]:
    """
    Change leaves and shake hands with the node until it shows the new one.

    A handshake takes some milliseconds itself, and the one that began just before Envoy took the file over is in vain.

    Args:
        mesh: Whose leaves to change.
        file: The node's identity.
        rounds: How often.

    Returns:
        Milliseconds, one for each round.
    """
    return [_one(mesh, file) for _ in range(rounds)]


def _one(mesh: RotatedMesh, file: Path) -> float:
    address = mesh.node.container.address
    with ThreadPoolExecutor(1) as changing:
        old, inode = _certificate(address), file.stat().st_ino
        change = changing.submit(mesh.change, Kind.LEAF, int)
        deadline = time.perf_counter() + _LONGEST_S
        while file.stat().st_ino == inode and time.perf_counter() < deadline:
            time.sleep(_LOOK_EVERY_S)
        began = time.perf_counter()
        while _certificate(address) == old and time.perf_counter() < deadline:
            pass
        took = time.perf_counter() - began
        change.result()
    return took * 1000


def _certificate(address: str) -> bytes | None:
    """What the node shows; it has not looked at the client's, of which there is none, when the client has seen it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with socket.create_connection((address, HTTP_PORT), timeout=_LONGEST_S) as plain:
        connection = context.wrap_socket(plain)
        with suppress(OSError), connection:
            return connection.getpeercert(binary_form=True)
    return None
