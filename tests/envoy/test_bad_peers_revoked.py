"""Revoked peers, in both roles, with TLS 1.2 and 1.3: what Envoy makes of the lists in a trust resource."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import pytest

from entrypoint.envoy.install import ResourceFiles
from evidence.fixtures.container import eventually
from evidence.fixtures.proxies import GATEWAY_NAME, TELLER_NAME
from meshcert.envoy import trust_resource
from tests.envoy.peers_cases import REVOKED
from tests.envoy.peers_certificates import issue, revocation_list
from tests.envoy.peers_pki import PeerPki, present
from tests.envoy.peers_stage import caller, listener

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from evidence.fixtures.secrets_api import SecretsApi
    from tests.envoy.conftest import Start
    from tests.envoy.peers_stage import Stage

VERSIONS = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)
ROLES = {"client": PeerPki(GATEWAY_NAME), "server": PeerPki(TELLER_NAME)}


@pytest.fixture(scope="module")
def stages(begin: tuple[Start, SecretsApi], new_address: Callable[[], str]) -> Iterator[dict[str, Stage]]:
    """One Envoy for each role of the peer."""
    with listener(*begin, ROLES["client"]) as clients, caller(*begin, ROLES["server"], new_address) as servers:
        yield {"client": clients, "server": servers}


def _install(stage: Stage, pki: PeerPki, lists: tuple[str, ...], version: str) -> None:
    """Hand Envoy the trust bundle with these lists, and wait until it has it."""
    files = ResourceFiles(str(stage.envoy.material_dir / "secrets"))
    files.install(stage.trust, trust_resource(stage.trust, pki.trust_bundle, "".join(lists)), version)
    counter = f"sds.{stage.trust}.version_text"
    eventually(lambda: stage.envoy.stats(counter).get(counter) == version, "the lists taken over")


@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: version.name)
@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("case", REVOKED)
def test_a_peer_is_refused_by_the_lists(
    stages: dict[str, Stage], case: str, role: str, version: ssl.TLSVersion
) -> None:
    """The same peer is answered before, under lists that it is not in, and after."""
    stage, pki = stages[role], ROLES[role]
    make_lists, (cause, words) = REVOKED[case]
    leaf = issue(pki.good, pki.issuing)
    peer = stage.peer(present(leaf, pki.issuing), version)
    clean = (revocation_list(pki.root), revocation_list(pki.issuing))
    label = f"{case} {version.name}"

    _install(stage, pki, clean, f"{label}: before")
    before = stage.attempt(peer)
    _install(stage, pki, make_lists(pki, leaf), f"{label}: then")
    refused = stage.attempt(peer)
    _install(stage, pki, clean, f"{label}: after")
    after = stage.attempt(peer)

    assert (before.answered, refused.answered, after.answered) == (True, False, True)
    line = eventually(lambda: stage.lines().get(refused.port), "the line")
    assert (line["cause"], words in line["reason"]) == (cause, True), line
