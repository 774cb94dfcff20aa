"""
A few fields of keys and certificates, read from DER without an X.509 library.

``cryptography`` would read them all; its import costs a third of this container's start and 16 MB of its image.
Nothing here decides about trust: OpenSSL judges signatures, chains and names.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from meshcert.contract.key_encryption import HMAC_SHA1, MOST_ITERATIONS, NAMES, PBES2, PBKDF2, TOO_MANY_ITERATIONS
from meshcert.material.pem import ENCRYPTED_PRIVATE_KEY, decoded, sole_block
from meshcert.values.named_tuple import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

_SEQUENCE = 0x30
_OBJECT_IDENTIFIER = 0x06
_UTC_TIME = 0x17
_EXPLICIT_VERSION, _VERSION_3 = 0xA0, b"\x02\x01\x02"
_LONG_FORM = 0x80

_SERIAL_NUMBER = 0
_VALIDITY = 3
_SUBJECT = 4
_PUBLIC_KEY = 5
"""Positions in ``TBSCertificate`` (RFC 5280 section 4.1), after the version."""

_EXTENSIONS = 0xA3
_INTEGER = 0x02
_OCTET_STRING = 0x04
BOOLEAN, _TRUE = 0x01, b"\x01\x01\xff"
_MOST_ELEMENTS = 64
"""In one sequence: no sequence that is read here has half as many, and a hostile one has half a million."""
_LONGEST_IDENTIFIER = 64
"""Bytes of an object identifier; each more makes the number longer that it is put together from."""


class Element(NamedTuple):
    """
    A DER value.

    Args:
        tag: The type.
        content: The value without tag and length.
        encoding: The value with tag and length, over which signatures are made.
    """

    tag: int
    content: bytes
    encoding: bytes


class CertificateFields(NamedTuple):
    """
    The fields of a certificate that this container reads itself.

    Args:
        not_before: Start of validity, seconds since 1970, UTC.
        not_after: End of validity, seconds since 1970, UTC.
        subject: The subject's name, DER, without tag and length.
        public_key: The ``SubjectPublicKeyInfo``, DER.
    """

    serial: int
    not_before: int
    not_after: int
    subject: bytes
    public_key: bytes


def key_encryption(private_key: str) -> str:
    """
    A description of how an encrypted private key is encrypted, without anything of the key itself.

    Args:
        private_key: PKCS#8 PEM.

    Returns:
        For example ``PBES2 with AES-256-CBC and PBKDF2 HMAC-SHA1``.

    Raises:
        ValueError: If it is not an encrypted PKCS#8 key.
    """
    try:
        (info,) = elements(decoded(sole_block(private_key, ENCRYPTED_PRIVATE_KEY)))
        algorithm, _sealed = elements(info.content)
        return _scheme(algorithm.content)
    except (ValueError, IndexError, StopIteration):
        raise ValueError("it is no encrypted PKCS#8") from None


def read_certificate(certificate: bytes) -> CertificateFields:
    """
    Read a DER certificate; nothing in it is judged.

    Raises:
        ValueError: If it is not a certificate.
    """
    try:
        to_be_signed, *_ = elements(next(elements(certificate)).content)
        version, *fields = elements(to_be_signed.content)
        fields = fields if (version.tag, version.content) == (_EXPLICIT_VERSION, _VERSION_3) else []
        not_before, not_after = elements(fields[_VALIDITY].content)
        return CertificateFields(
            int.from_bytes(fields[_SERIAL_NUMBER].content, "big"),
            seconds(not_before),
            seconds(not_after),
            fields[_SUBJECT].content,
            fields[_PUBLIC_KEY].encoding,
        )
    except (ValueError, IndexError, StopIteration):
        raise ValueError("it is no certificate") from None


class Extension(NamedTuple):
    """
    An extension of a certificate.

    Args:
        value: What it holds, DER.
        critical: Whether who does not know it must refuse the certificate (RFC 5280 section 4.2).
    """

    value: bytes
    critical: bool


def extensions(certificate: bytes) -> dict[str, Extension]:
    """
    A DER certificate's extensions, by object identifier.

    Raises:
        ValueError: If they cannot be read, or one is there twice (RFC 5280 section 4.2).
    """
    found: dict[str, Extension] = {}
    try:
        to_be_signed, *_ = elements(next(elements(certificate)).content)
        wrapped = next((field for field in elements(to_be_signed.content) if field.tag == _EXTENSIONS), None)
        for extension in elements(next(elements(wrapped.content)).content) if wrapped else ():
            identifier, *critical, value = elements(extension.content)
            # DER has one encoding of TRUE, and leaves FALSE out, which is the default (X.690 sections 11.1 and 11.5).
            sound = value.tag == _OCTET_STRING and all(flag.encoding == _TRUE for flag in critical)
            name = dotted(identifier) if sound and dotted(identifier) not in found else ""
            found[name] = Extension(value.content, bool(critical))
    except (ValueError, IndexError, StopIteration):
        found = {"": Extension(b"", critical=False)}
    if "" in found:
        raise ValueError("its extensions cannot be read, or one is there twice")
    return found


def elements(data: bytes) -> Iterator[Element]:
    """
    The consecutive elements in ``data`` (X.690 section 8.1, definite lengths only).

    Raises:
        ValueError: If they are more than any sequence that is read here has, or one is truncated.
    """
    at = count = 0
    while at < len(data):
        count += 1
        if count > _MOST_ELEMENTS:
            raise ValueError("too many elements")
        begin, tag, length = at, data[at], data[at + 1]
        at += 2
        if length == _LONG_FORM:
            raise ValueError("no definite length")
        if length > _LONG_FORM:
            size = length - _LONG_FORM
            length = int.from_bytes(data[at : at + size], "big")
            if length < max(_LONG_FORM, 1 << 8 * (size - 1)):
                raise ValueError("a length that is longer than DER allows")
            at += size
        if at + length > len(data):
            raise ValueError("truncated")
        yield Element(tag, data[at : at + length], data[begin : at + length])
        at += length


def sequence(value: bytes) -> Iterator[Element]:
    """The elements of the one sequence in ``value``; raises as :func:`elements` does, and ValueError for more."""
    (whole,) = elements(value)
    return elements(whole.content)


def _scheme(algorithm: bytes) -> str:
    identifier, *rest = elements(algorithm)
    name = dotted(identifier)
    if name != PBES2:
        return NAMES.get(name, name)
    derivation, encryption = elements(rest[0].content)
    return f"PBES2 with {NAMES.get(_first(encryption), _first(encryption))} and {_derivation(derivation)}"


def _derivation(element: Element) -> str:
    identifier, *rest = elements(element.content)
    name = dotted(identifier)
    if name != PBKDF2:
        return NAMES.get(name, name)
    # PBKDF2's parameters: salt, iterations, length and pseudo-random function, which defaults to HMAC-SHA1.
    parameters = list(elements(rest[0].content))
    rounds = next(item.content for item in parameters if item.tag == _INTEGER)
    if not 0 < int.from_bytes(rounds, "big", signed=True) <= MOST_ITERATIONS:
        return TOO_MANY_ITERATIONS
    functions = [_first(item) for item in parameters if item.tag == _SEQUENCE]
    function = functions[0] if functions else HMAC_SHA1
    return f"PBKDF2 {NAMES.get(function, function)}"


def _first(sequence: Element) -> str:
    return dotted(next(elements(sequence.content)))


def dotted(element: Element) -> str:
    """An object identifier in dotted form; ValueError if the element is not one."""
    if element.tag != _OBJECT_IDENTIFIER or len(element.content) > _LONGEST_IDENTIFIER:
        raise ValueError("no object identifier")
    parts, value = [], 0
    for byte in element.content:
        value = value << 7 | byte & 0x7F
        if byte < _LONG_FORM:
            parts.append(value)
            value = 0
    first = min(parts[0] // 40, 2)
    return ".".join(str(part) for part in (first, parts[0] - 40 * first, *parts[1:]))


def seconds(element: Element) -> int:
    """A time of RFC 5280 in seconds since 1970, UTC; ValueError if the element is not one."""
    text = element.content.decode("ascii")
    if element.tag == _UTC_TIME:
        # RFC 5280 section 4.1.2.5.1: two-digit years below 50 belong to this century.
        text = ("20" if int(text[:2]) < 50 else "19") + text
    if len(text) != len("YYYYMMDDhhmmssZ") or text[-1] != "Z":
        raise ValueError("no time of RFC 5280")
    month, day, hour, minute, second = (int(text[at : at + 2]) for at in range(4, 14, 2))
    return int(datetime(int(text[:4]), month, day, hour, minute, second, tzinfo=UTC).timestamp())
