"""
What a CA can sign that says more than it may, and what Envoy makes of it: the one table of tests and docs/proxy.md.

Domain A is our own, B a foreign one. Whatever is said here is seen in ``test_forgeries.py``.
"""

from __future__ import annotations

from collections.abc import Callable  # noqa: TC003 -- the table's annotation is evaluated
from typing import NamedTuple

from tests.envoy.peers_cases import ACCEPTED, Refused, Verdict
from tests.envoy.peers_certificates import DAY, Credential
from tests.envoy.peers_pki import PeerPki, alone

OWN, FOREIGN = "a.example", "b.example"
OURS, THEIRS = f"spiffe://{OWN}/web", f"spiffe://{FOREIGN}/web"
"""The workloads that are let in."""


class Authorities(NamedTuple):
    """
    Who signs.

    Args:
        own: Domain A's hierarchy; its good leaf is :data:`OURS`.
        foreign: Domain B's; its good leaf is :data:`THEIRS`.
        stranger: Nobody's.
    """

    own: PeerPki
    foreign: PeerPki
    stranger: PeerPki


class Forgery(NamedTuple):
    """
    One kind of certificate.

    Args:
        make: Gives what is presented.
        one: Verdict on such a client where domain A's hierarchy alone is trusted (Envoy's default validator).
        federated: Verdict on such a client where domains A and B are trusted (Envoy's SPIFFE validator).
        server: Verdict on such a server where domains A and B are trusted; None: the same as on the client.
    """

    make: Callable[[Authorities], Credential]
    one: Verdict
    federated: Verdict
    server: Verdict | None = None


_ISSUER = Refused("unknown-issuer", "unable_to_get_local_issuer_certificate")
_NAME = Refused("wrong-name", "SAN_matcher,_certificate_SANs_are_[")
_FEDERATED_NAME = Refused("wrong-name", "SAN_match")
_DOMAIN = Refused("other-trust-domain", "no_trust_bundle_store")
_NO_SVID = Refused("no-svid", "cert_precheck")
_SEVERAL = Refused("several-ids", "rbac_access_denied_matched_policy[several-ids]")
_EXPIRED = Refused("expired", "certificate_has_expired")
_NOT_YET = Refused("not-yet-valid", "certificate_is_not_yet_valid")
_PURPOSE = Refused("wrong-purpose", "unsupported_certificate_purpose")


def _by_own(**changes: object) -> Callable[[Authorities], Credential]:
    return lambda who: who.own.leaf(**changes)  # type: ignore[arg-type]  # fields of Shape


def _by_foreign(**changes: object) -> Callable[[Authorities], Credential]:
    return lambda who: who.foreign.leaf(**changes)  # type: ignore[arg-type]  # fields of Shape


def _named(*names: str) -> Callable[[Authorities], Credential]:
    """A leaf of domain A with these names."""
    return _by_own(names=names)


FORGERIES: dict[str, Forgery] = {
    "the workload of A, signed by A": Forgery(_named(OURS), ACCEPTED, ACCEPTED),
    "the workload of B, signed by B": Forgery(_by_foreign(), _ISSUER, ACCEPTED),
    "the workload of A, signed by B": Forgery(_by_foreign(names=(OURS,)), _ISSUER, _ISSUER),
    "the workload of B, signed by A": Forgery(_named(THEIRS), _NAME, _ISSUER),
    "another workload of A": Forgery(_named(f"spiffe://{OWN}/other"), _NAME, _FEDERATED_NAME),
    "another workload of B": Forgery(_by_foreign(names=(f"spiffe://{FOREIGN}/other",)), _ISSUER, _FEDERATED_NAME),
    "a trust domain that nobody knows, signed by A": Forgery(_named("spiffe://c.example/web"), _NAME, _DOMAIN),
    "the workload of A, signed by a stranger": Forgery(lambda who: who.stranger.leaf(names=(OURS,)), _ISSUER, _ISSUER),
    "expired": Forgery(_by_own(starts=-9 * DAY, ends=-DAY), _EXPIRED, _EXPIRED),
    "expired, of B": Forgery(_by_foreign(starts=-9 * DAY, ends=-DAY), _ISSUER, _EXPIRED),
    "not yet valid": Forgery(_by_own(starts=DAY), _NOT_YET, _NOT_YET),
    "intermediate not sent": Forgery(lambda who: alone(who.own.leaf()), _ISSUER, _ISSUER),
    "no name": Forgery(_by_own(names=()), _NAME, _DOMAIN),
    "a DNS name alone": Forgery(_named("web.a.example"), _NAME, _DOMAIN),
    "a DNS name beside": Forgery(_named("web.a.example", OURS), ACCEPTED, ACCEPTED),
    "an ID without a path": Forgery(_named(f"spiffe://{OWN}"), _NAME, _DOMAIN),
    "path /": Forgery(_named(f"spiffe://{OWN}/"), _NAME, _FEDERATED_NAME),
    "a slash at the end": Forgery(_named(f"{OURS}/"), _NAME, _FEDERATED_NAME),
    "two slashes": Forgery(_named(f"spiffe://{OWN}//web"), _NAME, _FEDERATED_NAME),
    "path with ..": Forgery(_named(f"spiffe://{OWN}/x/../web"), _NAME, _FEDERATED_NAME),
    "a query": Forgery(_named(f"{OURS}?q=1"), _NAME, _FEDERATED_NAME),
    "a fragment": Forgery(_named(f"{OURS}#f"), _NAME, _FEDERATED_NAME),
    "percent-encoded": Forgery(_named(f"spiffe://{OWN}/we%62"), _NAME, _FEDERATED_NAME),
    "a longer path": Forgery(_named(f"{OURS}/x"), _NAME, _FEDERATED_NAME),
    "path in capitals": Forgery(_named(f"spiffe://{OWN}/WEB"), _NAME, _FEDERATED_NAME),
    "trust domain in capitals": Forgery(_named(f"spiffe://{OWN.upper()}/web"), _NAME, _DOMAIN),
    "a port": Forgery(_named(f"spiffe://{OWN}:443/web"), _NAME, _DOMAIN),
    "a user": Forgery(_named(f"spiffe://x@{OWN}/web"), _NAME, _DOMAIN),
    "another scheme": Forgery(_named(f"https://{OWN}/web"), _NAME, _DOMAIN),
    "two IDs, the right one first": Forgery(_named(OURS, f"spiffe://{OWN}/other"), ACCEPTED, _SEVERAL, ACCEPTED),
    "two IDs, the right one second": Forgery(_named(f"spiffe://{OWN}/other", OURS), ACCEPTED, _SEVERAL, ACCEPTED),
    "two IDs, one of B and then one of A, signed by B": Forgery(
        _by_foreign(names=(f"spiffe://{FOREIGN}/other", OURS)), _ISSUER, _SEVERAL, ACCEPTED
    ),
    "two IDs, one of A and then one of B, signed by B": Forgery(_by_foreign(names=(OURS, THEIRS)), _ISSUER, _ISSUER),
    "two IDs, both let in, signed by B": Forgery(_by_foreign(names=(THEIRS, OURS)), _ISSUER, _SEVERAL, ACCEPTED),
    "another URI beside": Forgery(_named(OURS, "https://a.example/web"), ACCEPTED, _SEVERAL, ACCEPTED),
    "CA certificate as leaf": Forgery(
        lambda who: who.own.leaf(issuer=who.own.root, ca=True, path_length=0, signs=True), ACCEPTED, _NO_SVID
    ),
    "CA certificate without keyCertSign": Forgery(_by_own(ca=True), ACCEPTED, _NO_SVID),
    "keyCertSign on a leaf": Forgery(_by_own(signs=True), ACCEPTED, _NO_SVID),
    "no basic constraints": Forgery(_by_own(ca=None), ACCEPTED, ACCEPTED),
    "serverAuth only": Forgery(_by_own(usages=("serverAuth",)), _PURPOSE, ACCEPTED),
    "clientAuth only": Forgery(_by_own(usages=("clientAuth",)), ACCEPTED, ACCEPTED),
    "no extended key usage": Forgery(_by_own(usages=()), ACCEPTED, ACCEPTED),
}


def forged_refusals() -> set[Refused]:
    """Every way of being refused that the tests have seen."""
    seen = {verdict for each in FORGERIES.values() for verdict in (each.one, each.federated, each.server)}
    return {verdict for verdict in seen if isinstance(verdict, Refused)}
