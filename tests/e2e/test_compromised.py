"""Keys that have leaked, on a local AWS of their own: under load another key, and whoever has the old one stays out."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from evidence.fixtures.audit import actions, audit
from evidence.fixtures.terminal import OperatorTerminal
from local.demo.scene import ANSWER, GATEWAY, MUTUAL, TELLER
from local.gateway_client import Gateway, SteadyClient
from local.policy import act_on
from local.running_aws import LocalAws
from local.running_mesh import RunningMesh, wait_until
from local.ticking import Ticking
from local.tls_client import attempt
from meshcert.contract.staging_labels import CURRENT
from meshcert.lifecycle.policy import Policy
from meshcert.mesh import load_mesh
from tests.e2e.assemblies import synthesise

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshcert.material import Material

IN_HASTE = Policy(look_again_s=1.0, shortest_between_renewals_s=0.0)
ENOUGH = 100
"""Requests after a key was replaced."""


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningMesh]:
    """The example mesh with revocation lists: the gateway's certificates are AWS Private CA's, the teller's ACM's."""
    folder = tmp_path_factory.mktemp("leaked")
    file = folder / "mesh.yaml"
    file.write_text(yaml.safe_dump(_with_lists()))
    assembly = synthesise(file, folder / "assembly")
    with LocalAws(folder / "aws") as aws:
        aws.deploy(assembly)
        running = RunningMesh(aws, load_mesh(file).name, aws.resolve)
        running.wait_until_steady([GATEWAY, TELLER], within_s=180)
        act_on(running, IN_HASTE)
        with Ticking(aws, running.name):
            wait_until(lambda: all(map(running.proven_version, (GATEWAY, TELLER))), "both proven", within_s=120)
            wait_until(lambda: _answers(running), "a teller that the gateway reaches", within_s=60)
            yield running


def _with_lists() -> dict[str, Any]:
    values: dict[str, Any] = yaml.safe_load(MUTUAL.read_text())
    for hierarchy in values["hierarchies"].values():
        hierarchy["revocation"] = "crl"
    values["identities"][GATEWAY] |= {"issuer": "acm-pca", "validity": "24h"}
    return values


@pytest.mark.timeout(600)
def test_a_leaked_key_is_replaced_under_load_and_its_certificate_revoked(mesh: RunningMesh) -> None:
    """
    One of ACM's, which new tasks serve; the next test has one of Private CA's, which running tasks take over.

    No request fails; every task serves another key before the old certificate is revoked, and the log has it all.
    """
    identity = TELLER
    old, serial = mesh.material(identity), mesh.serial_of(identity, mesh.version_labelled(identity, CURRENT))
    before, revoked = len(audit(mesh, identity)), _revoked(mesh)
    with SteadyClient(_gateway(mesh), ANSWER, mesh.aws.requests_seen) as client:
        ended = OperatorTerminal(mesh.aws, mesh.name, **IN_HASTE.to_environ()).run(
            "compromised", identity, "--reason", "it was in a log", "--wait", "240", "--json"
        )
        asked = client.requests
        wait_until(lambda: client.requests >= asked + ENOUGH, "requests with the new key", within_s=120)
    new, told = mesh.material(identity), audit(mesh, identity)[before:]

    assert ended.code == 0, ended.err
    assert "in its CA's revocation list about 30 minutes" in ended.err
    assert (client.failures, ended.document["revocation_list"]) == ([], True)
    assert new.private_key.reveal() != old.private_key.reveal()
    assert new.certificate != old.certificate
    assert serial not in mesh.served_by_all(identity)
    assert [entry["serial_number"].lstrip("0") for entry in ended.document["after"]["compromised"]] == [serial]
    assert actions(told) == ["compromised", "renew", "export", "redeploy", "prove", "revoke"]
    assert re.fullmatch(f"done: to be revoked: 0*{serial}", told[0]["outcome"])
    assert {entry["outcome"] for entry in told[1:]} == {"done"}
    assert _revoked(mesh) == revoked + 1


@pytest.mark.timeout(600)
def test_who_has_the_old_key_stays_out_once_the_list_is_there(mesh: RunningMesh) -> None:
    """The old certificate is good for a day; whoever shows it is let in until it is revoked, and then never again."""
    stolen = mesh.material(GATEWAY)
    operator = OperatorTerminal(mesh.aws, mesh.name, **IN_HASTE.to_environ())
    assert _is_let_in(mesh, stolen)

    with SteadyClient(_gateway(mesh), ANSWER, mesh.aws.requests_seen) as client:
        ended = operator.run("compromised", GATEWAY, "--wait", "240")
        wait_until(lambda: not _is_let_in(mesh, stolen), "the old key refused", within_s=60)
        asked = client.requests
        wait_until(lambda: client.requests >= asked + ENOUGH, "requests with the new key", within_s=120)
    refused = operator.run("rollback", GATEWAY)

    assert ended.code == 0, ended.out
    assert client.failures == []
    assert _is_let_in(mesh, mesh.material(GATEWAY))
    assert refused.code == 4
    assert "no good version to go back to" in refused.err


def _answers(mesh: RunningMesh) -> bool:
    gateway = _gateway(mesh)
    with gateway.client() as client:
        return gateway.said(gateway.ask(client)) == ANSWER


def _gateway(mesh: RunningMesh) -> Gateway:
    return Gateway(
        mesh.gateway_address(GATEWAY), 8443, "colorgateway.mtls.svc.cluster.local", mesh.trust_bundle(GATEWAY)
    )


def _is_let_in(mesh: RunningMesh, material: Material) -> bool:
    address = mesh.task(TELLER).address
    return attempt(address, 9443, "colorteller.mtls.svc.cluster.local", material).admitted


def _revoked(mesh: RunningMesh) -> int:
    """How many certificates all CAs have revoked."""
    return sum(counted["revoked"] for counted in mesh.aws.control("GET", "/_local/acm-pca/issued").values())
