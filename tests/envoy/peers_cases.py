"""
Every kind of bad peer, and what Envoy makes of it in either role: the one table of tests and docs/proxy.md.

Whatever is said here of Envoy is seen in ``test_bad_peers.py``, with TLS 1.2 and with TLS 1.3.
"""

from __future__ import annotations

from collections.abc import Callable  # noqa: TC003 -- the table's annotation is evaluated
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from tests.envoy.peers_certificates import DAY, Credential, Issued, revocation_list
from tests.envoy.peers_pki import (
    INTRUDER,
    KEY_USAGE_CRITICAL,
    VERSION_3,
    VERSION_8,
    PeerPki,
    alone,
    changed,
    not_before,
    other_root,
    rsa_key,
    same_name_and_key_identifier,
    self_signed,
    sha1,
    signed_by_a_leaf,
    third_authority,
    under,
    under_sha1,
)


class Refused(NamedTuple):
    """
    Envoy refuses the peer.

    Args:
        cause: Of :data:`meshcert.envoy.causes.CAUSES`.
        words: What its reason says, as it stands in the log.
    """

    cause: str
    words: str


class Silent(Enum):
    """There is no line in Envoy's log."""

    ACCEPTED = "the peer gets its answer"
    UNTOLD = "the connection fails all the same"


Verdict = Refused | Silent
ACCEPTED = Silent.ACCEPTED
TLS_1_2, TLS_1_3 = "TLSv1_2", "TLSv1_3"
PLAIN = ""


@dataclass(frozen=True)
class Case:
    """
    One kind of peer.

    Args:
        make: Gives what it presents; None: nothing.
        client: Envoy's verdict on such a client, one for each version.
        server: Envoy's verdict on such a server, one for each version.
        versions: Names of :class:`ssl.TLSVersion` that it speaks, one at a time; empty: plain text.
        trusts_us: Whether it trusts the hierarchy of Envoy's own certificate.
        groups: The only key exchange group that it knows; empty: all.
    """

    make: Callable[[PeerPki], Credential | None]
    client: tuple[Verdict, ...]
    server: tuple[Verdict, ...]
    versions: tuple[str, ...] = (TLS_1_2, TLS_1_3)
    trusts_us: bool = True
    groups: str = ""


def _both(make: Callable[[PeerPki], Credential | None], verdict: Verdict) -> Case:
    """A case that goes the same way in both roles and both versions."""
    return Case(make, (verdict, verdict), (verdict, verdict))


_NO_CERTIFICATE = Refused("no-certificate", "PEER_DID_NOT_RETURN_A_CERTIFICATE")
_NO_ISSUER = Refused("unknown-issuer", "unable_to_get_local_issuer_certificate")
_PURPOSE = Refused("wrong-purpose", "unsupported_certificate_purpose")
_NO_CA = Refused("issuer-no-ca", "invalid_CA_certificate")
_SIGNATURE = Refused("bad-signature", "certificate_signature_failure")
_NAME = Refused("wrong-name", "SAN_matcher,_certificate_SANs_are_[")
_EXPIRED = Refused("expired", "certificate_has_expired")
_MALFORMED = Refused("malformed", "DECODE_ERROR")
_UNSUPPORTED = Refused("nothing-in-common", "UNSUPPORTED_ALGORITHM")
_NO_HELLO = Refused("nothing-in-common", "HANDSHAKE_FAILURE_ON_CLIENT_HELLO")
_ALERT_VERSION = Refused("tls-version", "TLSV1_ALERT_PROTOCOL_VERSION")
_ALERT_CA = Refused("refused-by-peer", "TLSV1_ALERT_UNKNOWN_CA")

CASES: dict[str, Case] = {
    "no certificate": Case(lambda _: None, (_NO_CERTIFICATE,) * 2, (_NO_HELLO, _ALERT_VERSION)),
    "self-signed": _both(self_signed, Refused("self-signed", "self_signed_certificate")),
    "wrong CA": _both(other_root, Refused("unknown-issuer", "self_signed_certificate_in_certificate_chain")),
    "wrong CA, root not sent": _both(lambda pki: alone(other_root(pki)), _NO_ISSUER),
    "CA of the same name": _both(lambda pki: PeerPki(pki.name).leaf(), _NO_ISSUER),
    "CA of the same name and key identifier": _both(same_name_and_key_identifier, _SIGNATURE),
    "expired": _both(lambda pki: pki.leaf(starts=-9 * DAY, ends=-DAY), _EXPIRED),
    "issuing CA expired": _both(under(starts=-9 * DAY, ends=-DAY), _EXPIRED),
    "not yet valid": _both(
        lambda pki: pki.leaf(starts=DAY), Refused("not-yet-valid", "certificate_is_not_yet_valid")
    ),
    "wrong SAN": _both(lambda pki: pki.leaf(names=(INTRUDER,)), _NAME),
    "CN without SAN": _both(lambda pki: pki.leaf(names=(), subject=pki.name), _NAME),
    "serverAuth only": Case(
        lambda pki: pki.leaf(usages=("serverAuth",)), (_PURPOSE,) * 2, (ACCEPTED,) * 2
    ),
    "clientAuth only": Case(
        lambda pki: pki.leaf(usages=("clientAuth",)), (ACCEPTED,) * 2, (_PURPOSE,) * 2
    ),
    "intermediate missing": _both(lambda pki: alone(pki.leaf()), _NO_ISSUER),
    "intermediate without CA flag": _both(under(ca=False), _NO_CA),
    "intermediate without basic constraints": _both(under(ca=None), _NO_CA),
    "intermediate without keyCertSign": _both(under(signs=False), _NO_ISSUER),
    "signed by a leaf": _both(signed_by_a_leaf, _NO_ISSUER),
    "path length exceeded": _both(third_authority, Refused("path-too-long", "path_length_constraint_exceeded")),
    "corrupted DER": _both(
        changed(not_before, lambda time: time[:2] + b"99" + time[4:]), _MALFORMED
    ),
    "unknown version of X.509": _both(changed(lambda _: VERSION_3, lambda _: VERSION_8), _MALFORMED),
    "plain text": Case(
        lambda _: None,
        (Refused("plain-text", "HTTP_REQUEST"),),
        (Refused("plain-text", "WRONG_VERSION_NUMBER"),),
        versions=(PLAIN,),
    ),
    "TLS 1.0 or 1.1": Case(
        lambda pki: pki.leaf(),
        (Refused("tls-version", "UNSUPPORTED_PROTOCOL"),) * 2,
        (_ALERT_VERSION,) * 2,
        versions=("TLSv1", "TLSv1_1"),
    ),
    "no common group": Case(
        lambda pki: pki.leaf(),
        (Refused("nothing-in-common", "WRONG_CURVE"), Refused("nothing-in-common", "NO_SHARED_GROUP")),
        (_NO_HELLO, _NO_HELLO),
        groups="secp521r1",
    ),
    "it does not trust us": Case(
        lambda pki: pki.leaf(),
        (_ALERT_CA, Refused("unreadable", "DECRYPTION_FAILED_OR_BAD_RECORD_MAC")),
        (_ALERT_CA, Silent.UNTOLD),
        trusts_us=False,
    ),
    "RSA-1024": _both(lambda pki: pki.leaf(key=rsa_key(1024)), ACCEPTED),
    "intermediate with RSA-1024": _both(under(key=rsa_key(1024)), ACCEPTED),
    "SHA-1 signature": _both(sha1, ACCEPTED),
    "intermediate with SHA-1 signature": _both(under_sha1, ACCEPTED),
    "P-384": Case(
        lambda pki: pki.leaf(key=ec.generate_private_key(ec.SECP384R1())), (ACCEPTED,) * 2, (_NO_HELLO, ACCEPTED)
    ),
    "P-521": Case(
        lambda pki: pki.leaf(key=ec.generate_private_key(ec.SECP521R1())),
        (ACCEPTED, _NO_CERTIFICATE),
        (_NO_HELLO, _NO_HELLO),
    ),
    "secp256k1": Case(
        lambda pki: pki.leaf(key=ec.generate_private_key(ec.SECP256K1())),
        (_UNSUPPORTED, _NO_CERTIFICATE),
        (_NO_HELLO, _ALERT_VERSION),
    ),
    "Ed25519": Case(
        lambda pki: pki.leaf(key=ed25519.Ed25519PrivateKey.generate()),
        (_NO_CERTIFICATE,) * 2,
        (_NO_HELLO, _NO_HELLO),
    ),
    "CA certificate as leaf": _both(
        lambda pki: pki.leaf(issuer=pki.root, ca=True, path_length=0, signs=True), ACCEPTED
    ),
    "keyCertSign on a leaf": _both(lambda pki: pki.leaf(signs=True), ACCEPTED),
    "no extended key usage": _both(lambda pki: pki.leaf(usages=()), ACCEPTED),
    "wildcard name": _both(
        lambda pki: pki.leaf(names=(f"*.{pki.name.partition('.')[2]}",)), ACCEPTED
    ),
    "BER instead of DER": _both(
        changed(lambda _: KEY_USAGE_CRITICAL, lambda found: found[:-1] + b"\x01"), ACCEPTED
    ),
}  # fmt: skip


REVOKED: dict[str, tuple[Callable[[PeerPki, Issued], tuple[str, ...]], Refused]] = {
    "revoked": (
        lambda pki, leaf: (revocation_list(pki.root), revocation_list(pki.issuing, leaf)),
        Refused("revoked", "certificate_revoked"),
    ),
    "intermediate revoked": (
        lambda pki, _: (revocation_list(pki.root, pki.issuing), revocation_list(pki.issuing)),
        Refused("revoked", "certificate_revoked"),
    ),
    "list of its CA missing": (
        lambda pki, _: (revocation_list(pki.root),),
        Refused("revocation-unknown", "unable_to_get_certificate_CRL"),
    ),
    "list of its CA ended": (
        lambda pki, _: (revocation_list(pki.root), revocation_list(pki.issuing, ends=-DAY)),
        Refused("revocation-unknown", "CRL_has_expired"),
    ),
}
"""What a good peer meets under these lists, in both roles and versions (``test_bad_peers_revoked.py``)."""


def refusals() -> set[Refused]:
    """Every way of being refused that the tests have seen."""
    seen = {verdict for case in CASES.values() for verdict in (*case.client, *case.server)}
    return {verdict for verdict in seen if isinstance(verdict, Refused)} | {refused for _, refused in REVOKED.values()}


def accepted() -> set[str]:
    """The cases that Envoy accepts in one of its roles at least."""
    return {name for name, case in CASES.items() if ACCEPTED in {*case.client, *case.server}}
