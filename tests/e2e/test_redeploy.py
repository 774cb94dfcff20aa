"""A deploy over a running mesh: names added, an identity removed, CA certificates reissued, and nobody notices."""

from __future__ import annotations

import copy
import re
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from cryptography import x509

from evidence.fixtures.audit import actions
from evidence.fixtures.canary import search_texts, secrets_of
from local.cdk import CdkCli, CdkFailed
from local.demo.scene import ANSWER, GATEWAY, MUTUAL, TELLER
from local.gateway_client import Gateway, SteadyClient
from local.running_mesh import wait_until
from local.ticking import Ticking
from meshcert import naming
from tests.e2e.assemblies import synthesise

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.e2e.conftest import PlayedDemo

SERVICES = [GATEWAY, TELLER]
ADDED_NAME = "teller.mtls.svc.cluster.local"
PAUSE_S = 0.03
"""Between two requests: without it, asking alone takes a core."""


@pytest.fixture(scope="module")
def assemblies(demo: PlayedDemo) -> dict[str, Path]:
    """The cloud assemblies of one mesh file after another."""
    meshes: dict[str, dict[str, Any]] = {"renamed": yaml.safe_load(MUTUAL.read_text())}
    meshes["renamed"]["identities"][TELLER]["dns_names"] = ["other.mtls.svc.cluster.local"]
    backend = meshes["renamed"]["virtual_gateways"][GATEWAY]["backends"][0]["client_policy"]["tls"]
    backend["validation"]["subject_alternative_names"]["match"]["exact"] = ["other.mtls.svc.cluster.local"]

    meshes["added"] = yaml.safe_load(MUTUAL.read_text())
    identities = meshes["added"]["identities"]
    identities[TELLER]["dns_names"].append(ADDED_NAME)
    identities["spare"] = {**identities[GATEWAY], "dns_names": ["spare.mtls.svc.cluster.local"]}

    meshes["removed"] = copy.deepcopy(meshes["added"])
    del meshes["removed"]["identities"]["spare"]
    for hierarchy in meshes["removed"]["hierarchies"].values():
        hierarchy["reissue"] += 1

    files = {name: demo.folder / f"{name}.yaml" for name in meshes}
    for name, file in files.items():
        file.write_text(yaml.safe_dump(meshes[name], sort_keys=False))
    return {name: synthesise(file, demo.folder / name) for name, file in files.items()}


@pytest.fixture
def asking(demo: PlayedDemo) -> Iterator[SteadyClient]:
    """A client that asks all through the test, while the clock ticks; it must not have seen a failure at the end."""
    gateway = Gateway(
        demo.mesh.gateway_address(GATEWAY), 8443, f"{GATEWAY}.mtls.svc.cluster.local", demo.mesh.trust_bundle(GATEWAY)
    )
    with SteadyClient(gateway, ANSWER, demo.aws.requests_seen, PAUSE_S) as client, Ticking(demo.aws, "color"):
        yield client
    assert client.requests > 100
    assert client.counted > 100
    assert client.failures == []


@pytest.mark.usefixtures("asking")
def test_names_added_and_removed_at_once_are_refused_and_nothing_changes(
    demo: PlayedDemo, assemblies: dict[str, Path]
) -> None:
    """The deploy fails and spells out the two steps; the certificate, the secret and the Envoys stay as they were."""
    served, version = demo.mesh.serial(TELLER), demo.mesh.current_version(TELLER)

    with pytest.raises(CdkFailed) as failed:
        demo.cdk.deploy(assemblies["renamed"])

    said = re.sub(r"\s+", " ", " ".join(failed.value.output))
    assert "first deploy with the old names and the new ones" in said
    assert demo.mesh.current_version(TELLER) == version
    assert demo.mesh.served_by_all(TELLER) == {served}


@pytest.mark.usefixtures("asking")
def test_an_added_name_reaches_every_task_by_a_new_deployment(demo: PlayedDemo, assemblies: dict[str, Path]) -> None:
    """A new ACM certificate replaces the old one, the renewal function redeploys the teller; no request fails."""
    old, task = demo.mesh.certificate(TELLER)["CertificateArn"], demo.mesh.task(TELLER).arn

    demo.cdk.deploy(assemblies["added"])
    wait_until(lambda: demo.is_proven(TELLER), "the new certificate served and proven", within_s=60)

    certificate = demo.mesh.certificate(TELLER)
    assert ADDED_NAME in certificate["SubjectAlternativeNames"]
    assert certificate["CertificateArn"] != old
    assert demo.mesh.served_by_all(TELLER) == {demo.mesh.serial(TELLER)}
    assert demo.mesh.task(TELLER).arn != task
    assert actions(demo.audit(TELLER))[-2:] == ["redeploy", "prove"]


@pytest.mark.usefixtures("asking")
def test_an_identity_is_removed_and_ca_certificates_are_reissued_on_the_same_keys(
    demo: PlayedDemo, assemblies: dict[str, Path]
) -> None:
    """
    In one deploy; no request fails.

    The identity's rows and its certificate are gone, its secret stays for whoever may still read it. The new CA
    certificates have the old keys; bundles are published, and the running gateway's task reloads them.
    """
    secret = naming.identity_secret("color", "spare")
    remembered = {"TableName": naming.lifecycle_table("color"), "Key": {"name": {"S": "spare"}}}
    database = demo.mesh.client("dynamodb")
    assert "Item" in database.get_item(**remembered)
    before = {name: _root(demo, name) for name in SERVICES}
    gateway = demo.mesh.task(GATEWAY)

    demo.cdk.deploy(assemblies["removed"])
    wait_until(lambda: "Item" not in database.get_item(**remembered), "what was remembered forgotten", within_s=30)

    rows = database.scan(TableName=naming.identities_table("color"))["Items"]
    arns = [item["CertificateArn"] for item in _certificates(demo)]
    assert sorted(row["name"]["S"] for row in rows) == SERVICES
    assert sorted(row["certificate_arn"]["S"] for row in rows) == sorted(arns)
    assert "DeletedDate" not in demo.mesh.client("secretsmanager").describe_secret(SecretId=secret)

    for name, old in before.items():
        new = _root(demo, name)
        assert new.serial_number != old.serial_number
        assert new.public_key() == old.public_key()
    trusted = format(_root(demo, TELLER).serial_number, "x")
    wait_until(lambda: trusted in gateway.trusted_serials(), "the new root trusted by the gateway", within_s=15)
    assert demo.mesh.task(GATEWAY).arn == gateway.arn


def _root(demo: PlayedDemo, hierarchy: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(demo.mesh.trust_bundle(hierarchy).certificates.encode())


def _certificates(demo: PlayedDemo) -> list[dict[str, Any]]:
    # Without the filter ACM leaves out every certificate that is not RSA (acm:ListCertificates, Includes.keyTypes).
    listed = demo.mesh.client("acm").list_certificates(Includes={"keyTypes": ["RSA_2048", "EC_prime256v1"]})
    certificates: list[dict[str, Any]] = listed["CertificateSummaryList"]
    return certificates


def test_the_cdk_cli_prints_no_secret(demo: PlayedDemo) -> None:
    """After three deploys: nothing of what the identities' secrets hold now."""
    found, _ = search_texts(secrets_of(demo.mesh, *SERVICES), [("CDK CLI", "\n".join(demo.lines))])

    assert found == []
    assert len(demo.lines) > 100


def test_the_cdk_cli_was_the_real_one(demo: PlayedDemo) -> None:
    """Guards the tests above: what they ran is the CLI that users run, not a shortcut through the API."""
    assert isinstance(demo.cdk, CdkCli)
    assert any("Deployment time" in line for line in demo.lines)
