"""Object identifiers in encrypted private keys (PKCS#8), and the encryptions that Envoy can open."""

from __future__ import annotations

PBES2 = "1.2.840.113549.1.5.13"
PBKDF2 = "1.2.840.113549.1.5.12"
HMAC_SHA1 = "1.2.840.113549.2.7"
"""PBKDF2's default: DER leaves it out (RFC 8018 appendix A.2)."""

NAMES = {
    "1.2.840.113549.1.5.3": "PBES1 MD5-DES",
    "1.2.840.113549.1.5.10": "PBES1 SHA1-DES",
    "1.2.840.113549.1.12.1.3": "PBES1 SHA1-3DES",
    "1.2.840.113549.3.7": "3DES-CBC",
    "2.16.840.1.101.3.4.1.2": "AES-128-CBC",
    "2.16.840.1.101.3.4.1.22": "AES-192-CBC",
    "2.16.840.1.101.3.4.1.42": "AES-256-CBC",
    "1.3.6.1.4.1.11591.4.11": "scrypt",
    HMAC_SHA1: "HMAC-SHA1",
    "1.2.840.113549.2.8": "HMAC-SHA224",
    "1.2.840.113549.2.9": "HMAC-SHA256",
    "1.2.840.113549.2.10": "HMAC-SHA384",
    "1.2.840.113549.2.11": "HMAC-SHA512",
}
"""Object identifier to name."""

OPENED_BY_ENVOY = frozenset(
    f"PBES2 with AES-{bits}-CBC and PBKDF2 {prf}" for bits in (128, 192, 256) for prf in ("HMAC-SHA1", "HMAC-SHA256")
)
"""
The encryptions that a published key may have.

BoringSSL refuses every other HMAC (``UNSUPPORTED_PRF``) and scrypt (``UNSUPPORTED_KEY_DERIVATION_FUNCTION``).
Envoy 1.40 opens PBES2 with 3DES too, and PBES1 SHA1 with 3DES, RC2-40 and RC4; they are left out: no issuer uses them.
"""

MOST_ITERATIONS = 100_000
"""Rounds of a key derivation; ACM takes 2,048. A key of 2^31 rounds would keep a start waiting for an hour."""
TOO_MANY_ITERATIONS = f"a key derivation of more than {MOST_ITERATIONS:,} rounds"
"""Named in the place of an encryption: it is not among those that are opened."""
