"""
Yelb over three accounts, as ``make demo`` proves it, with revocation lists; then what each account may not reach.

Every role of each account is held against what it did, as tests/e2e/test_rights.py does for one account; and a
certificate that its CA's account revokes is refused in another.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from evidence.fixtures.grants import roles_of, unused, used_by_lambda, used_with_routes
from evidence.fixtures.operated_cells import BACKEND, FRONTEND, SHARED, OperatedCells, with_lists
from evidence.fixtures.other_cells import new_administrator, ways_into
from local.demo.stage import Stage
from local.running_aws import ROOT, LocalAws
from meshcert import naming
from tools import deploy_diff, verify_aws

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

REFUSED_SINCE_THE_SHARES_ENDED = {"certificate-renewal", "ca-existing"}
ELSEWHERE = {
    # For an identity that leaves the mesh file, as in tests/e2e/test_rights.py.
    (naming.EXPORT_ROLE, "dynamodb:DeleteItem"): (FRONTEND, BACKEND),
    (naming.RENEWAL_ROLE, "dynamodb:DeleteItem"): (FRONTEND, BACKEND),
    # For a list that its CA has not written yet: else a missing one looks denied (tests/local/aws/iam/test_iam.py).
    (naming.EXPORT_ROLE, "s3:ListBucket"): (FRONTEND, BACKEND),
    # Services of the called cell take new certificates without a deployment; one of the page's is deployed.
    (naming.RENEWAL_ROLE, "ecs:UpdateService"): (BACKEND,),
    (naming.RENEWAL_ROLE, "ecs:ListServiceDeployments"): (BACKEND,),
    (naming.RENEWAL_ROLE, "ecs:ListTagsForResource"): (BACKEND,),
    # For looks during a deployment, or between ACM's renewal and its export, as in tests/e2e/test_rights.py.
    (naming.OPERATOR_ROLE, "ecs:ListServiceDeployments"): (FRONTEND, BACKEND),
    (naming.OPERATOR_ROLE, "acm:GetCertificate"): (FRONTEND, BACKEND),
}
"""Rights that may be left unused here, by role and action: in which cells, and what uses them."""
DISCOVERY = naming.discovery_role("yelb", "eu-west-1").removeprefix(naming.role("yelb", "eu-west-1", ""))
OF_ECS = naming.EXECUTION_ROLE
"""ECS pulls images and writes logs in it, on the local AWS without asking IAM."""
REFUSED = {(BACKEND, naming.EXPORT_ROLE, "s3:GetObject")}
"""All that any role was refused, by cell, role and action: before the lists' owner let its account in."""
LEAST = {"secretsmanager": 3, "dynamodb": 4, "sqs": 7, "kms": 1, "sts": 7}
"""Of what is tried from another account."""


@pytest.mark.timeout(1800)
def test_a_mesh_over_three_accounts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Everything the demo claims; a diff and verify-aws of each cell; nothing of one cell is another cell's."""
    file = with_lists(ROOT / "examples" / "yelb-accounts.yaml", tmp_path / "with-lists")
    with LocalAws(tmp_path / "aws", certificates=OperatedCells.TIMES) as aws:
        proof = OperatedCells(Stage(started=time.time()), aws, tmp_path, file)
        result = proof.play()
        assert {claim: figures for claim, (seen, figures) in result.claims.items() if not seen} == {}
        figures = json.loads(result.to_json())
        assert (figures["cells"], figures["refused_without_share"]) == (3, True)

        assert [(cell, *what, end.err) for cell, what, end in proof.ended if end.code] == []
        _tells_a_list_that_a_cell_may_not_read(proof)
        _refuses_who_is_revoked(proof)
        _uses_every_right(aws, proof)

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


def _tells_a_list_that_a_cell_may_not_read(proof: OperatedCells) -> None:
    """The first deploy that names it ends before anything runs, with the line that its owner adds."""
    shared, backend = (proof.mesh.cells[cell].account for cell in (SHARED, BACKEND))
    bucket = naming.revocation_bucket(proof.mesh.name, shared, proof.mesh.cells[SHARED].region)
    told = proof.refused_without_list

    assert f"account {backend} may not read crl/" in told
    assert "Have its owner add to the bucket's policy" in told
    assert f"arn:aws:s3:::{bucket}" in told


def _refuses_who_is_revoked(proof: OperatedCells) -> None:
    """Good until the CA's account revokes it, whatever is served since; then the called account refuses it."""
    before, after_the_order, revoked, successor = proof.admitted

    assert (before, after_the_order, revoked, successor) == (True, True, False, True)
    proof.stage.say(f"refused {proof.refused_within_s:.1f} s after it was revoked in another account")


def _uses_every_right(aws: LocalAws, proof: OperatedCells) -> None:
    """Granted = used, role by role; and nothing was refused but what had to be."""
    left: set[tuple[str, str, str, str]] = set()
    refused: set[tuple[str, str, str]] = set()
    owners: dict[str, set[str]] = {}
    for cell, place in proof.mesh.cells.items():
        for role in roles_of(aws, proof.mesh.name, place.account):
            owners.setdefault(cell, set()).add(role.owner)
            refused |= {(cell, role.owner, each.action) for each in role.denied()}
            if role.owner == OF_ECS:
                assert role.decisions() == []
                continue
            elsewhere = used_by_lambda(role) | used_with_routes(role)
            left |= {
                (cell, role.owner, *grant)
                for grant in set(unused(role.grants(), role.decisions())) - elsewhere
                if cell not in ELSEWHERE.get((role.owner, grant.action), ())
            }

    assert left == set()
    assert refused == REFUSED
    functions = {naming.EXPORT_ROLE, naming.VERIFY_ROLE, naming.RENEWAL_ROLE, naming.DISPATCH_ROLE}
    everywhere = {*functions, naming.OPERATOR_ROLE, OF_ECS}
    assert owners == {
        FRONTEND: {*everywhere, "gateway", "ui"},
        BACKEND: {*everywhere, "appserver", "redis", "postgres", DISCOVERY},
    }


def _finds_the_callee_alone(aws: LocalAws, proof: OperatedCells) -> None:
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


def _contradicted(proof: OperatedCells, cell: str, capsys: pytest.CaptureFixture[str]) -> Iterator[str]:
    verify_aws.main(["--mesh", str(proof.path), "--cell", cell, "--json"])
    said: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert said["verdicts"]["confirmed"]
    return (finding["check"] for finding in said["findings"] if finding["verdict"] == "contradicted")
