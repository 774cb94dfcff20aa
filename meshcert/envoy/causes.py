"""
Why a TLS handshake failed, as one word of a small closed set.

BoringSSL's own words hold names that the peer has chosen (``certificate_SANs_are_[...]``): good to read, but a metric
has a price for every value of a dimension. So Envoy adds the cause to the line it writes, by a CEL expression.
"""

from __future__ import annotations

CAUSES: dict[str, tuple[str, ...]] = {
    # First: what follows these words is the peer's own, and must not look like another cause.
    "wrong-name": ("SAN matcher",),
    "no-certificate": ("PEER_DID_NOT_RETURN_A_CERTIFICATE",),
    "expired": ("certificate has expired",),
    "not-yet-valid": ("certificate is not yet valid",),
    "revoked": ("certificate revoked",),
    "revocation-unknown": ("CRL",),
    "wrong-purpose": ("unsupported certificate purpose",),
    "issuer-no-ca": ("invalid CA certificate",),
    "path-too-long": ("path length constraint exceeded",),
    "bad-signature": ("certificate signature failure",),
    # Before "self-signed", whose words are a part of these.
    "unknown-issuer": ("unable to get local issuer certificate", "in certificate chain"),
    "self-signed": ("self signed certificate", "self-signed certificate"),
    "malformed": ("DECODE_ERROR",),
    "tls-version": ("UNSUPPORTED_PROTOCOL", "ALERT_PROTOCOL_VERSION"),
    "nothing-in-common": ("NO_SHARED", "WRONG_CURVE", "UNSUPPORTED_ALGORITHM", "HANDSHAKE_FAILURE_ON_CLIENT_HELLO"),
    "plain-text": ("HTTP_REQUEST", "WRONG_VERSION_NUMBER"),
    "refused-by-peer": ("_ALERT_",),
    "unreadable": ("BAD_RECORD_MAC",),
}
"""Cause to texts of which Envoy's reason has one; the first cause that fits is taken."""
OTHER = "other"
"""The cause of what fits none."""


def cause_expression(reason: str) -> str:
    """
    A CEL expression that gives the cause.

    The attribute has spaces where the access log's command operators write underscores.

    Args:
        reason: The attribute with Envoy's reason, for example ``connection.transport_failure_reason``.
    """
    expression = f"'{OTHER}'"
    for cause, texts in reversed(CAUSES.items()):
        fits = " || ".join(f"{reason}.contains('{text}')" for text in texts)
        expression = f"({fits}) ? '{cause}' : {expression}"
    return expression
