"""Identities of AWS Private CA on a local AWS of their own: a whole life of short certificates, under load."""

from __future__ import annotations

import io
import json
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import yaml
from rich.console import Console

from local.cdk import ROOT
from local.demo.proof import PairsCounted, Proof
from local.demo.stage import Stage
from local.gateway_client import Gateway
from local.running_aws import LocalAws
from local.running_mesh import wait_until
from meshcert import naming
from tests.e2e.deploying import ThroughTheApi

if TYPE_CHECKING:
    from pathlib import Path


LIFE_S = 120.0
"""Long enough that a busy machine issues, publishes and serves the next one within the last third."""


@pytest.mark.timeout(900)
def test_identities_of_private_ca_live_a_whole_life_and_are_paid_for_once(tmp_path: Path) -> None:
    """
    Gateway and two nodes with SPIFFE IDs: who is declared talks, who is not is refused, no request fails.

    Every certificate that Private CA has issued was published; nobody but CloudFormation says what may be issued. The
    short-lived CA writes revocation lists, and a revoked certificate is refused before it ends.
    """
    file = tmp_path / "spiffe.yaml"
    file.write_text(yaml.safe_dump(_without_stores()))
    folder = tmp_path / "folder"
    folder.mkdir()
    printed = io.StringIO()
    stage = Stage(started=time.time(), console=Console(file=printed, width=160))

    with LocalAws(tmp_path / "aws", certificates=Proof.TIMES) as aws:
        proof = Proof(stage, aws, folder, file, lives=1, life_s=LIFE_S)
        proof.cdk = ThroughTheApi(aws.environment(), aws=aws)
        result = proof.play()
        issued = aws.control("GET", "/_local/acm-pca/issued")
        published = sum(_versions(proof, name) for name in proof.mesh.identities)
        forged = _forged(proof)
        after = aws.control("GET", "/_local/acm-pca/issued")
        refused = _refused_once_revoked(proof)

    assert result.proven, printed.getvalue()
    assert result.pairs == PairsCounted(declared=2, talk=2, undeclared=2, refused=2, trusted_undeclared=0)
    assert (result.failed, result.renewed, result.lifetimes) == (0, 3, 1)
    assert f"makes {LIFE_S:g} seconds of 24 hours of life" in printed.getvalue()
    (counted,) = issued.values()
    assert published <= counted["issued"] <= published + len(proof.mesh.identities)
    assert forged["errorType"] == "DeployUnderWay"
    assert after == issued
    assert "revoked" in refused


def _without_stores() -> dict[str, Any]:
    """examples/spiffe.yaml with its services of HTTP alone, whose applications are stand-ins."""
    values: dict[str, Any] = yaml.safe_load((ROOT / "examples" / "spiffe.yaml").read_text())
    for name in ("redis", "postgres"):
        for part in ("identities", "virtual_nodes", "services"):
            del values[part][name]
    del values["virtual_nodes"]["appserver"]["backends"]
    values["hierarchies"]["yelb"] |= {"revocation": "crl", "stale_lists": "fail_closed"}
    for name in ("ui", "appserver"):
        values["services"][name]["application"]["image"] = f"registry.example.com/{name}:1"
    values["services"]["appserver"]["desired_count"] = 1
    return values


def _versions(proof: Proof, identity: str) -> int:
    """How many certificates were published for an identity: versions that are named after one."""
    secrets, name = proof.running.client("secretsmanager"), f"meshcert/yelb/identity/{identity}"
    listed = secrets.list_secret_version_ids(SecretId=name, IncludeDeprecated=True)["Versions"]
    return sum(len(version["VersionId"]) == len("a" * 64) for version in listed)


def _forged(proof: Proof) -> dict[str, Any]:
    """What the export function answers when somebody has written another name into an identity's row."""
    rows, key = proof.running.client("dynamodb"), {"name": {"S": "ui"}}
    table = "meshcert-yelb-identities"
    row = rows.get_item(TableName=table, Key=key)["Item"]
    names = [*row["names"]["L"], {"S": "spiffe://yelb.example/bank"}]
    rows.put_item(TableName=table, Item=row | {"names": {"L": names}})
    event = {"identity": "ui", "replaces": row["certificate_arn"]["S"]}
    answer = proof.running.client("lambda").invoke(FunctionName="meshcert-yelb-export", Payload=json.dumps(event))
    return dict(json.loads(answer["Payload"].read()))


def _refused_once_revoked(proof: Proof) -> str:
    """What the gateway's log says of the certificate of ui, once that is revoked; it answered until then."""
    mesh = proof.running
    gateway = Gateway(mesh.gateway_address("gateway"), 8443, "gateway.yelb.internal", mesh.trust_bundle("yelb"))

    def answers() -> bool:
        with gateway.client() as client:
            return gateway.ask(client).status_code == httpx.codes.OK

    wait_until(answers, "the gateway leads to ui", within_s=30)
    table, key = naming.identities_table(mesh.name), {"name": {"S": "ui"}}
    row = mesh.client("dynamodb").get_item(TableName=table, Key=key)["Item"]
    mesh.client("acm-pca").revoke_certificate(
        CertificateAuthorityArn=row["certificate_authority_arns"]["L"][0]["S"],
        CertificateSerial=mesh.serial_of("ui", mesh.current_version("ui")),
        RevocationReason="KEY_COMPROMISE",
    )

    def reason() -> str:
        answers()
        lines = [line for line in mesh.log_lines("gateway") if "revoked" in str(line.get("reason", "")).lower()]
        return str(lines[0]["reason"]).lower() if lines else ""

    return wait_until(reason, "ui is refused", within_s=60, every_s=0.5)
