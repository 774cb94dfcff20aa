"""Yelb over three accounts, as ``make demo`` proves it; then what each account may ask, and may not reach."""

from __future__ import annotations

import json
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from evidence.fixtures.other_cells import new_administrator, ways_into
from local.demo.cells import CellsProof
from local.demo.stage import Stage
from local.running_aws import ROOT, LocalAws
from meshcert import naming
from tools import deploy_diff, verify_aws

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FRONTEND, BACKEND = "frontend", "backend"
REFUSED_SINCE_THE_SHARES_ENDED = {"certificate-renewal", "ca-existing"}
LEAST = {"secretsmanager": 3, "dynamodb": 4, "sqs": 7, "kms": 1, "sts": 7}
"""Of what is tried from another account."""


@pytest.mark.timeout(1800)
def test_a_mesh_over_three_accounts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Everything the demo claims; a diff and verify-aws of each cell; nothing of one cell is another cell's."""
    file = ROOT / "examples" / "yelb-accounts.yaml"
    with LocalAws(tmp_path / "aws", certificates=CellsProof.TIMES) as aws:
        proof = CellsProof(Stage(started=time.time()), aws, tmp_path, file)
        result = proof.play()
        assert {claim: figures for claim, (seen, figures) in result.claims.items() if not seen} == {}
        figures = json.loads(result.to_json())
        assert (figures["cells"], figures["refused_without_share"]) == (3, True)

        assembly = ["--assembly", str(tmp_path / "assembly")]
        for cell, other in ((FRONTEND, BACKEND), (BACKEND, FRONTEND)):
            account = proof.mesh.cells[cell].account
            for name, value in aws.environment(account).items():
                monkeypatch.setenv(name, value)
            capsys.readouterr()
            assert deploy_diff.main([*assembly, "--cell", cell]) == 0
            assert "Nothing would change." in capsys.readouterr().out
            assert deploy_diff.main([*assembly, "--cell", other]) == deploy_diff.UNUSABLE
            assert f"these credentials are account {account}'s" in capsys.readouterr().err

            assert set(_contradicted(proof, cell, capsys)) <= REFUSED_SINCE_THE_SHARES_ENDED

            administrator, tried = new_administrator(aws, account), Counter[str]()
            for service, call, arguments in ways_into(aws, proof.mesh.cells[other].account):
                tried[service] += 1
                with pytest.raises(ClientError, match="AccessDenied"):
                    getattr(aws.client_as(administrator, service), call)(**arguments)
            # As many as there are at least: identities and trust bundles, tables, queues, the mesh's key, roles.
            assert all(tried[service] >= least for service, least in LEAST.items()), tried
        _finds_the_callee_alone(aws, proof)


def _finds_the_callee_alone(aws: LocalAws, proof: CellsProof) -> None:
    """The page's tasks may assume the backend's one open role; it tells where what they call is, and no more."""
    places, mesh = proof.mesh.cells, proof.mesh
    region, account = places[BACKEND].region, places[BACKEND].account
    caller = naming.role_arn(region, places[FRONTEND].account, naming.role(mesh.name, region, "ui"))
    found = naming.role_arn(region, account, naming.discovery_role(mesh.name, region))
    keys = aws.client_as(caller, "sts").assume_role(RoleArn=found, RoleSessionName="meshcert-ui")["Credentials"]
    client = boto3.client(
        "servicediscovery",
        endpoint_url=aws.endpoint,
        region_name=region,
        config=Config(inject_host_prefix=False),
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys["SessionToken"],
    )
    namespace = mesh.namespace_of(BACKEND)

    assert len(client.discover_instances(NamespaceName=namespace, ServiceName="appserver")["Instances"]) == 2
    for operation, arguments in (
        ("discover_instances", {"NamespaceName": namespace, "ServiceName": "redis"}),
        ("list_services", {}),
    ):
        with pytest.raises(ClientError, match="AccessDenied"):
            getattr(client, operation)(**arguments)
    with pytest.raises(LookupError):
        aws.resolve(mesh.host("appserver"), places[FRONTEND].account)


def _contradicted(proof: CellsProof, cell: str, capsys: pytest.CaptureFixture[str]) -> Iterator[str]:
    verify_aws.main(["--mesh", str(proof.path), "--cell", cell, "--json"])
    said: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert said["verdicts"]["confirmed"]
    return (finding["check"] for finding in said["findings"] if finding["verdict"] == "contradicted")
