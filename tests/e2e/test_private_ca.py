"""Identities of AWS Private CA: a whole life of short certificates, under load."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from local.demo.proof import PairsCounted
from meshcert import naming
from tests.e2e.lived_mesh import LIFE_S

if TYPE_CHECKING:
    from tests.e2e.lived_mesh import LivedMesh


@pytest.mark.timeout(900)
def test_identities_of_private_ca_live_a_whole_life_and_are_paid_for_once(lived: LivedMesh) -> None:
    """
    Gateway and two nodes with SPIFFE IDs: who is declared talks, who is not is refused, no request fails.

    Every certificate that Private CA has issued was published.
    """
    result, identities = lived.result, lived.declared.identities
    published = sum(_versions(lived, name) for name in identities)

    assert result.proven, lived.printed
    assert result.pairs == PairsCounted(declared=2, talk=2, undeclared=2, refused=2, trusted_undeclared=0)
    assert (result.failed, result.renewed, result.lifetimes) == (0, 3, 1)
    assert f"makes {LIFE_S:g} seconds of 24 hours of life" in lived.printed
    assert published <= lived.issued() <= published + len(identities)


def test_nobody_but_cloudformation_says_what_may_be_issued(lived: LivedMesh) -> None:
    """Somebody has written another name into an identity's row: the export function refuses, and nothing is billed."""
    row, before = lived.row("ui"), lived.issued()
    names = row["names"]["L"]

    _write_names(lived, [*names, {"S": "spiffe://yelb.example/bank"}])
    try:
        event = {"identity": "ui", "replaces": row["certificate_arn"]["S"]}
        answer = lived.running.client("lambda").invoke(
            FunctionName=naming.function("yelb", "export"), Payload=json.dumps(event).encode()
        )
    finally:
        _write_names(lived, names)

    assert json.loads(answer["Payload"].read())["errorType"] == "DeployUnderWay"
    assert lived.issued() == before


def _write_names(lived: LivedMesh, names: list[dict[str, str]]) -> None:
    lived.running.client("dynamodb").update_item(
        TableName=naming.identities_table("yelb"),
        Key={"name": {"S": "ui"}},
        UpdateExpression="SET #names = :names",
        ExpressionAttributeNames={"#names": "names"},
        ExpressionAttributeValues={":names": {"L": names}},
    )


def _versions(lived: LivedMesh, identity: str) -> int:
    """How many certificates were published for an identity: versions that are named after one."""
    secrets, name = lived.running.client("secretsmanager"), naming.identity_secret("yelb", identity)
    listed = secrets.list_secret_version_ids(SecretId=name, IncludeDeprecated=True)["Versions"]
    return sum(len(version["VersionId"]) == len("a" * 64) for version in listed)
