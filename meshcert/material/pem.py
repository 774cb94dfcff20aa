"""
PEM blocks (RFC 7468), read strictly: of one kind, and where one is meant, exactly one with nothing around it.

Readers of PEM differ: some take the first block, some the last, some skip what they do not know. What one program has
checked, another would then read differently. So every program here reads a block alike, and passes on the block and not
the text in which it was found.
"""

from __future__ import annotations

import re
from base64 import b64decode

CERTIFICATE = "CERTIFICATE"
ENCRYPTED_PRIVATE_KEY = "ENCRYPTED PRIVATE KEY"
_LINE = 64
_BLOCK = re.compile(r"-----BEGIN ([A-Z0-9 ]{1,40})-----(\s[^-]*)-----END \1-----")


def sole_block(text: str, kind: str) -> str:
    """
    The one block of a text, in the form in which it is passed on: lines of 64 characters and a line break at the end.

    Args:
        kind: The label that it must have, for example :data:`CERTIFICATE`.

    Raises:
        ValueError: If it is another block or none, if there is anything around it but white space, or if it is not
            base64. The message quotes nothing.
    """
    found = _BLOCK.fullmatch(text.strip())
    if found is None or found[1] != kind:
        raise ValueError(f"it is not exactly one PEM block BEGIN {kind}, with nothing around it")
    return _written(kind, found[2])


def blocks(text: str, kind: str) -> list[str]:
    """
    The blocks of one kind in a text, in order, in the form of :func:`sole_block`; whatever else it holds is left out.

    Raises:
        ValueError: If one is not base64.
    """
    return [_written(label, body) for label, body in _BLOCK.findall(text) if label == kind]


def decoded(block: str) -> bytes:
    """The DER in a block of :func:`sole_block` or :func:`blocks`."""
    return b64decode("".join(block.splitlines()[1:-1]))


def _written(kind: str, body: str) -> str:
    plain = "".join(body.split())
    try:
        sound = bool(b64decode(plain, validate=True))
    except ValueError:
        sound = False
    if not sound:
        raise ValueError(f"a PEM block BEGIN {kind} is not base64")
    lines = (plain[at : at + _LINE] for at in range(0, len(plain), _LINE))
    return "\n".join([f"-----BEGIN {kind}-----", *lines, f"-----END {kind}-----", ""])
