"""Certificates and roots in files of the user's, served and believed by real Envoys."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from evidence.fixtures.cloud_map import CloudMap
from evidence.fixtures.container import eventually, request
from evidence.fixtures.key_files import KeyFiles
from evidence.fixtures.pki import Hierarchy
from evidence.fixtures.proxies import GATEWAY_NAME, PORT, TELLER_NAME, gateway, teller
from meshcert.proxy import BackendTls, ListenerTls, ProxySettings, SecretReference, TlsMode
from meshcert.san import Dns
from tests.envoy.conftest import both_deliveries

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.envoy.conftest import Start


@pytest.fixture
def files(tmp_path: Path) -> dict[str, KeyFiles]:
    """A volume for each end."""
    found = {}
    for end in ("gateway", "teller"):
        (tmp_path / "volumes" / end).mkdir(parents=True)
        found[end] = KeyFiles(tmp_path / "volumes" / end)
    return found


def of_files(files: dict[str, KeyFiles]) -> tuple[ProxySettings, ProxySettings]:
    """A gateway and a teller to which no secret of the mesh's gives anything."""
    server = ListenerTls(TlsMode.STRICT, files["teller"].certificate, files["teller"].trust, (Dns(GATEWAY_NAME),))
    client = BackendTls(files["gateway"].trust, files["gateway"].certificate)
    (listener,), (backend,) = teller().listeners, gateway().backends
    nothing: dict[str, dict[str, SecretReference]] = {"identities": {}, "trust_bundles": {}}
    return (
        gateway(backends=(backend._replace(tls=client),), **nothing),
        teller(listeners=(listener._replace(tls=server),), **nothing),
    )


@both_deliveries
def test_both_ends_take_certificate_and_trust_from_files(
    start: Start, new_address: Callable[[], str], files: dict[str, KeyFiles]
) -> None:
    """Mutual TLS without one secret; a new pair written over the old one is served, and nothing of AWS was asked."""
    gateways, tellers = Hierarchy(2, name="colorgateway"), Hierarchy(2, name="colorteller")
    files["gateway"].write(gateways.issue([GATEWAY_NAME]))
    files["gateway"].write_roots(tellers)
    files["teller"].write(tellers.issue([TELLER_NAME]))
    files["teller"].write_roots(gateways)
    of_gateway, of_teller = of_files(files)
    with CloudMap(new_address()) as cloud_map:
        node = start(of_teller)
        start.application(node)
        cloud_map.records[TELLER_NAME] = [node.address]
        edge = start(of_gateway, MESHCERT_DNS_RESOLVER=cloud_map.resolver)
        for container in (node, edge):
            container.wait_until_healthy()
        eventually(lambda: request(edge.address, PORT)[0] == 200, "a first answer")
        assert f"DNS={GATEWAY_NAME}" in request(edge.address, PORT)[1]

        files["teller"].write(tellers.issue([TELLER_NAME]))
        told = node.told("secret-rotated")

    assert told[0]["secret"] == f"certificate_file{files['teller'].certificate.certificate_chain}"
