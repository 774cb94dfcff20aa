"""
What a CA could forge is tried on our listeners and by our clients, with the real Envoy.

Both validators have exact matchers for one workload of each domain. Each forgery comes between two good peers.
"""

from __future__ import annotations

import ssl
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple

import pytest

from evidence.fixtures.container import eventually
from evidence.fixtures.proxies import GATEWAY_TRUST, PORT, TELLER_NAME, TELLER_SECRET, gateway, teller
from meshcert.material.foreign_bundle import ForeignBundle
from meshcert.proxy import BackendTls, Listener, ListenerTls, SecretReference, TlsMode
from meshcert.san import Uri
from meshcert.tls_sources import FederatedTrust
from tests.envoy import peers_stage
from tests.envoy.forged_cases import FOREIGN, FORGERIES, OURS, OWN, THEIRS, Authorities
from tests.envoy.peers_cases import Refused
from tests.envoy.peers_pki import PeerPki
from tests.envoy.peers_stage import LEFT_ALONE_S, Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from evidence.fixtures.secrets_api import SecretsApi
    from meshcert.tls_sources import TlsTrust
    from tests.envoy.conftest import Start
    from tests.envoy.peers_cases import Verdict
    from tests.envoy.peers_stage import Attempt

FOREIGN_SECRET = f"meshcert/color/federation/{FOREIGN}"
FEDERATED = {FOREIGN: SecretReference(FOREIGN_SECRET)}
LINES_WITHIN_S = 5.0
WHERE = ("one", "federated", "server")


class Tried(NamedTuple):
    """
    What one forgery met.

    Args:
        attempt: How it ended.
        controls: Whether the good peer before it and the good peer after it were answered.
    """

    attempt: Attempt
    controls: tuple[bool, bool]


@contextmanager
def _listening(start: Start, trust: TlsTrust, *names: str) -> Iterator[Stage]:
    """A STRICT listener that admits these names."""
    tls = ListenerTls(TlsMode.STRICT, "colorteller", trust, tuple(map(Uri, names)))
    listeners = (Listener(PORT, "http", tls),)
    with peers_stage.listening(
        start, teller(poll_interval_s=LEFT_ALONE_S, listeners=listeners, foreign_bundles=FEDERATED)
    ) as stage:
        yield stage


@pytest.fixture(scope="module")
def tried(
    begin: tuple[Start, SecretsApi], new_address: Callable[[], str]
) -> Iterator[dict[str, tuple[Stage, dict[str, Tried]]]]:
    """What every forgery met, in each place."""
    start, api = begin
    who = Authorities(PeerPki(OURS), PeerPki(THEIRS), PeerPki(OURS))
    api.publish(TELLER_SECRET, peers_stage.OURS.issue([TELLER_NAME]))
    api.publish_trust_bundle(GATEWAY_TRUST, who.own.trust_bundle)
    api.put(FOREIGN_SECRET, "v1", ForeignBundle(FOREIGN, who.foreign.trust_bundle.certificates, 1).dumps())
    (behind,) = gateway().backends
    tls = BackendTls(FederatedTrust("colorteller", OWN, (FOREIGN,)), "colorgateway", (Uri(OURS), Uri(THEIRS)))
    caller = gateway(poll_interval_s=LEFT_ALONE_S, backends=(behind._replace(tls=tls),), foreign_bundles=FEDERATED)
    with (
        _listening(start, "colorgateway", OURS) as one,
        _listening(start, FederatedTrust("colorgateway", OWN, (FOREIGN,)), OURS, THEIRS) as federated,
        peers_stage.caller(start, api, who.own, new_address, caller) as server,
    ):
        yield {where: (stage, _tried(stage, who)) for where, stage in zip(WHERE, (one, federated, server), strict=True)}


def _tried(stage: Stage, who: Authorities) -> dict[str, Tried]:
    good = stage.peer(who.own.leaf(), ssl.TLSVersion.TLSv1_3)
    met = {}
    for name, forgery in FORGERIES.items():
        before = stage.attempt(good)
        forged = stage.attempt(stage.peer(forgery.make(who), ssl.TLSVersion.TLSv1_3))
        met[name] = Tried(forged, (before.answered, stage.attempt(good).answered))
    refused = {each.attempt.port for each in met.values() if not each.attempt.answered}
    with suppress(AssertionError):  # which of them is missing, its own test says
        eventually(lambda: refused <= stage.lines().keys(), "every line", LINES_WITHIN_S)
    return met


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("name", FORGERIES)
def test_a_forgery_meets_what_the_table_says(
    tried: dict[str, tuple[Stage, dict[str, Tried]]], name: str, where: str
) -> None:
    """As a client where one hierarchy is trusted, as one where a foreign domain is too, and there as a server."""
    stage, met = tried[where]
    attempt, controls = met[name]
    forgery = FORGERIES[name]
    verdicts: dict[str, Verdict | None] = {"one": forgery.one, "federated": forgery.federated, "server": forgery.server}
    expected = verdicts[where] or forgery.federated

    line = stage.lines().get(attempt.port)

    assert controls == (True, True)
    assert attempt.answered is not isinstance(expected, Refused)
    if isinstance(expected, Refused):
        assert line is not None
        assert (line["cause"], expected.words in line["reason"]) == (expected.cause, True), line
    else:
        assert line is None


def test_the_line_about_two_ids_has_both_and_the_issuer(tried: dict[str, tuple[Stage, dict[str, Tried]]]) -> None:
    """Who signed it is found by it."""
    stage, met = tried["federated"]

    line = stage.lines()[met["two IDs, one of B and then one of A, signed by B"].attempt.port]

    assert line["peer_uris"] == f"spiffe://{FOREIGN}/other,{OURS}"
    assert line["peer_issuer"] == "CN=peer issuing"
    assert line["event"] == "connection-refused"


@pytest.mark.parametrize("protocol", ["tcp", "http2"])
@pytest.mark.parametrize("mode", [TlsMode.STRICT, TlsMode.PERMISSIVE])
def test_two_ids_are_refused_whatever_a_listener_speaks(
    begin: tuple[Start, SecretsApi], tried: object, protocol: str, mode: TlsMode
) -> None:
    """One of them alone is admitted."""
    del tried  # it has published everything
    start, api = begin
    who = Authorities(PeerPki(OURS), PeerPki(THEIRS), PeerPki(OURS))
    api.publish_trust_bundle(GATEWAY_TRUST, who.own.trust_bundle)
    api.put(FOREIGN_SECRET, "v2", ForeignBundle(FOREIGN, who.foreign.trust_bundle.certificates, 2).dumps())
    trust = FederatedTrust("colorgateway", OWN, (FOREIGN,))
    tls = ListenerTls(mode, "colorteller", trust, (Uri(OURS), Uri(THEIRS)))
    listeners = (Listener(PORT, protocol, tls),)
    settings = teller(poll_interval_s=LEFT_ALONE_S, listeners=listeners, foreign_bundles=FEDERATED)
    with peers_stage.listening(start, settings) as stage:
        version = ssl.TLSVersion.TLSv1_3
        both = stage.attempt(stage.peer(who.foreign.leaf(names=(THEIRS, OURS)), version))

        line = eventually(lambda: stage.lines().get(both.port), "the line")
        assert not both.answered
        assert line["cause"] == "several-ids"
        if protocol == "tcp":
            assert stage.attempt(stage.peer(who.foreign.leaf(), version)).answered
