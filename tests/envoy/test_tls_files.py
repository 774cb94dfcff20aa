"""Certificates and roots in files of the user's, served and believed by real Envoys."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from evidence.fixtures.cloud_map import CloudMap
from evidence.fixtures.container import eventually, request
from evidence.fixtures.key_files import KeyFiles, plain_key
from evidence.fixtures.pki import Hierarchy
from evidence.fixtures.proxies import GATEWAY_NAME, PORT, TELLER_NAME, gateway, teller
from meshcert.contract.exit_codes import SETTINGS
from meshcert.proxy import BackendTls, ListenerTls, ProxySettings, SecretReference, TlsMode
from meshcert.san import Dns
from tests.envoy.conftest import both_deliveries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from evidence.fixtures.container import Container
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


def write_both(files: dict[str, KeyFiles]) -> tuple[Hierarchy, Hierarchy]:
    """Certificates and roots of both ends; returns the gateways' hierarchy and the tellers'."""
    gateways, tellers = Hierarchy(2, name="colorgateway"), Hierarchy(2, name="colorteller")
    files["gateway"].write(gateways.issue([GATEWAY_NAME]))
    files["gateway"].write_roots(tellers)
    files["teller"].write(tellers.issue([TELLER_NAME]))
    files["teller"].write_roots(gateways)
    return gateways, tellers


@contextmanager
def both_ends(
    start: Start, new_address: Callable[[], str], files: dict[str, KeyFiles]
) -> Iterator[tuple[Container, Container]]:
    """The teller and the gateway of these files, once the gateway has answered."""
    of_gateway, of_teller = of_files(files)
    with CloudMap(new_address()) as cloud_map:
        node = start(of_teller)
        start.application(node)
        cloud_map.records[TELLER_NAME] = [node.address]
        edge = start(of_gateway, MESHCERT_DNS_RESOLVER=cloud_map.resolver)
        for container in (node, edge):
            container.wait_until_healthy()
        eventually(lambda: request(edge.address, PORT)[0] == 200, "a first answer")
        yield node, edge


@both_deliveries
def test_both_ends_take_certificate_and_trust_from_files(
    start: Start, new_address: Callable[[], str], files: dict[str, KeyFiles]
) -> None:
    """Mutual TLS without one secret; new pairs are served, and a client's is tried with its backend before."""
    gateways, tellers = write_both(files)
    with both_ends(start, new_address, files) as (node, edge):
        assert f"DNS={GATEWAY_NAME}" in request(edge.address, PORT)[1]

        files["teller"].write(tellers.issue([TELLER_NAME]))
        told = node.told("secret-rotated")
        files["gateway"].write(gateways.issue([GATEWAY_NAME]))
        tried = edge.told("certificate-tried")
        edge.told("secret-rotated")

    assert tried[0]["secret"] == f"certificate_file{files['gateway'].certificate.certificate_chain}"
    assert tried[0]["undecided"] == {}
    assert told[0]["secret"] == f"certificate_file{files['teller'].certificate.certificate_chain}"


@both_deliveries
def test_a_bad_pair_changes_nothing_and_is_told_once_until_it_is_good(
    start: Start, new_address: Callable[[], str], files: dict[str, KeyFiles]
) -> None:
    """As long as the new certificate has the old key, and while files are missing, the last good pair is served."""
    _, tellers = write_both(files)
    with both_ends(start, new_address, files) as (node, edge):
        pair, renewed = files["teller"].certificate, tellers.issue([TELLER_NAME])
        Path(pair.certificate_chain).write_text(renewed.presented_chain)
        (waits,) = node.told("rotation-waits")
        assert request(edge.address, PORT)[0] == 200
        Path(pair.private_key).unlink()
        missing = node.told("rotation-waits", 2)[1]
        Path(pair.private_key).write_text(plain_key(renewed))
        (rotated,) = node.told("secret-rotated")

    assert (waits["stage"], waits["secret"]) == ("preflight", f"certificate_file{pair.certificate_chain}")
    assert f"it is not the key of {pair.certificate_chain}" in waits["reason"]
    assert (missing["stage"], "No such file" in missing["reason"]) == ("fetch", True)
    assert rotated["secret"] == waits["secret"]
    assert "PRIVATE KEY" not in node.log + edge.log
    assert not any(line in node.log for line in plain_key(renewed).splitlines()[1:-1])


def test_a_start_waits_for_files_and_says_what_is_wrong_with_them(start: Start, files: dict[str, KeyFiles]) -> None:
    """What a container of the same task writes late is taken; what is bad ends the start, and blames no secret."""
    _, settings = of_files(files)
    late = start(settings)
    eventually(lambda: late.process.poll() is None and (late.material_dir / "envoy.json").exists(), "it has started")
    write_both(files)
    late.wait_until_healthy()

    Path(files["teller"].certificate.private_key).write_text("")
    bad = start(settings)

    assert bad.exit_code() == SETTINGS
    assert [event["error"] for event in bad.told("secret-refused")] == ["FilesRejected"]
    assert "0 private keys" in bad.log
