"""
The cause of a failed TLS handshake, as one word of a small closed set.

BoringSSL's own texts contain names that the peer has chosen (``certificate_SANs_are_[...]``). They are good to read,
but every value of a metric's dimension costs money. So a CEL expression in Envoy adds the cause to the line it logs.
"""

from __future__ import annotations

REFUSED_BY_RBAC = "rbac_access_denied"
"""How Envoy's details begin of a connection that an RBAC filter has ended."""
CAUSES: dict[str, tuple[str, ...]] = {
    # First, because the peer chooses the text after these words, which must not look like another cause.
    "wrong-name": ("SAN match",),
    "no-certificate": ("PEER_DID_NOT_RETURN_A_CERTIFICATE",),
    "expired": ("certificate has expired",),
    "not-yet-valid": ("certificate is not yet valid",),
    "revoked": ("certificate revoked",),
    "revocation-unknown": ("CRL",),
    "wrong-purpose": ("unsupported certificate purpose",),
    "issuer-no-ca": ("invalid CA certificate",),
    "path-too-long": ("path length constraint exceeded",),
    "bad-signature": ("certificate signature failure",),
    # Before "self-signed", whose text is a part of this one.
    "unknown-issuer": ("unable to get local issuer certificate", "in certificate chain"),
    "self-signed": ("self signed certificate", "self-signed certificate"),
    # Of Envoy's SPIFFE validator, as is the short form of "wrong-name".
    "other-trust-domain": ("no trust bundle store",),
    "no-svid": ("cert precheck",),
    "several-ids": (REFUSED_BY_RBAC,),
    "malformed": ("DECODE_ERROR",),
    "tls-version": ("UNSUPPORTED_PROTOCOL", "ALERT_PROTOCOL_VERSION"),
    "nothing-in-common": ("NO_SHARED", "WRONG_CURVE", "UNSUPPORTED_ALGORITHM", "HANDSHAKE_FAILURE_ON_CLIENT_HELLO"),
    "plain-text": ("HTTP_REQUEST", "WRONG_VERSION_NUMBER"),
    "refused-by-peer": ("_ALERT_",),
    "unreadable": ("BAD_RECORD_MAC",),
}
"""The texts in Envoy's reason that show each cause; the first cause that fits is taken."""
OTHER = "other"
"""The cause of a reason that fits none of these."""

NOT_ALLOWED = "not-allowed"
"""The cause of a request that no allow rule of its listener lets this caller make; the handshake was good."""


def cause_expression(reason: str) -> str:
    """
    A CEL expression whose value is the cause.

    Unlike the access log's command operators, the attribute keeps spaces and does not replace them with underscores.

    Args:
        reason: The attribute that holds Envoy's reason, for example ``connection.transport_failure_reason``.
    """
    expression = f"'{OTHER}'"
    for cause, texts in reversed(CAUSES.items()):
        fits = " || ".join(f"{reason}.contains('{text}')" for text in texts)
        expression = f"({fits}) ? '{cause}' : {expression}"
    return expression
