"""A CA replaced in three deploys under a mesh that answers all the while; then a certificate is revoked."""

from __future__ import annotations

import copy
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import yaml

from local.assembly import DeploymentFailed
from local.cdk import CdkCli
from local.demo.scene import ANSWER, GATEWAY, MUTUAL, TELLER
from local.gateway_client import Gateway, SteadyClient
from local.running_aws import LocalAws
from local.running_mesh import RunningMesh, wait_until
from meshcert import naming
from meshcert.contract.discovery import CALLERS_LEARN_S

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NEW = "colorteller-2"
SERVICES = [GATEWAY, TELLER]


def _meshes() -> dict[str, Any]:
    """The mesh file after each deploy, with revocation lists everywhere."""
    before = yaml.safe_load(MUTUAL.read_text())
    for hierarchy in before["hierarchies"].values():
        hierarchy |= {"revocation": "crl", "stale_lists": "fail_closed"}
    # A deployment of its own for the moved certificate is test_redeploy.py's matter.
    before["services"][TELLER]["rotation"] = "reload"

    added = copy.deepcopy(before)
    added["hierarchies"][NEW] = copy.deepcopy(added["hierarchies"][TELLER])
    added["hierarchies"][TELLER]["also_trust"] = [NEW]

    moved = copy.deepcopy(added)
    moved["identities"][TELLER]["hierarchy"] = NEW

    dropped = copy.deepcopy(moved)
    (backend,) = dropped["virtual_gateways"][GATEWAY]["backends"]
    backend["client_policy"]["tls"]["validation"]["trust"]["hierarchy"] = NEW

    too_early = copy.deepcopy(dropped)
    del too_early["hierarchies"][TELLER]["also_trust"]
    return {"before": before, "added": added, "moved": moved, "too-early": too_early, "dropped": dropped}


@pytest.fixture
def aws(tmp_path: Path) -> Iterator[LocalAws]:
    """A local AWS of its own: no other test has the CAs that go here."""
    with LocalAws(tmp_path / "aws") as running:
        yield running


@pytest.fixture
def assemblies(aws: LocalAws, tmp_path: Path) -> dict[str, Path]:
    """The cloud assembly of each mesh file."""
    cdk = CdkCli(aws.environment())
    cdk.bootstrap()

    def synthesise(item: tuple[str, Any]) -> Path:
        name, mesh = item
        path = tmp_path / f"{name}.yaml"
        path.write_text(yaml.safe_dump(mesh, sort_keys=False))
        return cdk.synth(path, tmp_path / name)

    meshes = _meshes()
    with ThreadPoolExecutor(max_workers=2) as pool:
        return dict(zip(meshes, pool.map(synthesise, meshes.items()), strict=True))


def test_a_ca_is_replaced_in_three_deploys_and_then_a_certificate_revoked(
    aws: LocalAws, assemblies: dict[str, Path]
) -> None:
    """No request fails in the three steps; steps done too early are refused; a revoked gateway reaches nobody."""
    mesh = RunningMesh(aws, "color", aws.resolve)
    aws.deploy(assemblies["before"])
    mesh.wait_until_steady(SERVICES)
    gateway = Gateway(
        mesh.gateway_address(GATEWAY), 8443, f"{GATEWAY}.mtls.svc.cluster.local", mesh.trust_bundle(GATEWAY)
    )
    old_root, old_leaf = _roots(mesh, TELLER), mesh.serial(TELLER)
    # The gateway may have been there first: it learns of the teller's task when it asks Cloud Map the next time.
    wait_until(lambda: _answers(gateway), "the first answer", within_s=CALLERS_LEARN_S)

    with SteadyClient(gateway, ANSWER, aws.requests_seen) as client:
        with pytest.raises(DeploymentFailed, match="Do it in three"):
            aws.deploy(assemblies["moved"])
        assert mesh.served_by_all(TELLER) == {old_leaf}

        aws.deploy(assemblies["added"])
        mesh.wait_until_steady(SERVICES)
        # No waiting for a poll here: the deploy has replaced the tasks that trust the teller's hierarchy.
        trusted = mesh.task(GATEWAY).trusted_serials()
        assert trusted >= old_root | _roots(mesh, NEW)
        assert _roots(mesh, TELLER) == old_root | _roots(mesh, NEW)

        aws.deploy(assemblies["moved"])
        new_leaf = mesh.serial(TELLER)
        wait_until(lambda: mesh.served_by_all(TELLER) == {new_leaf}, "the moved certificate", within_s=30)

        with pytest.raises(DeploymentFailed, match="take it out in the next deploy"):
            aws.deploy(assemblies["too-early"])
        assert _roots(mesh, TELLER) == old_root | _roots(mesh, NEW)

        aws.deploy(assemblies["dropped"])
        mesh.wait_until_steady(SERVICES)
        assert not mesh.task(GATEWAY).trusted_serials() & old_root
        asked = client.requests
        wait_until(lambda: client.requests > asked + 20, "some more answers", within_s=30)

    assert client.failures == []
    assert new_leaf != old_leaf

    assert _answers(gateway)
    _revoke(mesh, GATEWAY)
    wait_until(lambda: not _answers(gateway), "the revoked gateway is refused", within_s=30)
    reasons = [line.get("reason", "") for line in mesh.log_lines(TELLER) if line.get("event") == "connection-refused"]
    assert any("revoked" in str(reason).lower() for reason in reasons)


def _roots(mesh: RunningMesh, hierarchy: str) -> set[str]:
    """Serial numbers of the roots in a hierarchy's bundle, as Envoy shows them."""
    from cryptography import x509  # noqa: PLC0415 -- of this function only

    certificates = x509.load_pem_x509_certificates(mesh.trust_bundle(hierarchy).certificates.encode())
    return {format(certificate.serial_number, "x") for certificate in certificates}


def _revoke(mesh: RunningMesh, identity: str) -> None:
    """Do what a person does whose key was stolen."""
    row = mesh.client("dynamodb").get_item(TableName=naming.identities_table(mesh.name), Key={"name": {"S": identity}})[
        "Item"
    ]
    mesh.client("acm-pca").revoke_certificate(
        CertificateAuthorityArn=row["certificate_authority_arns"]["L"][0]["S"],
        CertificateSerial=mesh.serial(identity),
        RevocationReason="KEY_COMPROMISE",
    )


def _answers(gateway: Gateway) -> bool:
    """True if a request gets through to the teller and back."""
    with gateway.client() as client:
        try:
            return gateway.ask(client).status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False
