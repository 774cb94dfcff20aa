"""What one account has, no other account sees; a reset is a new beginning for all of them."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from local.running_aws import ROOT, LocalAws
from tests.local.aws.hierarchies import root

if TYPE_CHECKING:
    from collections.abc import Iterator

OTHER = "444455556666"
ONCE = Config(retries={"total_max_attempts": 1})


# How the process is put together, once, when it starts; the same for every account and unharmed by a reset.
WIRING = {"control._routes", "control._at_reset", "control._at_stop", "operations._guards", "resource_type._slow"}
WIRING |= {"fargate.containers.inside._covered"}  # of a process that is one container


def of_another(aws: LocalAws, service: str) -> Any:
    """A client of another account's administrator: MiniStack takes an access key of twelve digits for the account."""
    return boto3.client(
        service,
        endpoint_url=aws.endpoint,
        region_name=aws.region,
        aws_access_key_id=OTHER,
        aws_secret_access_key="test",
        config=ONCE,
    )


def test_an_accounts_authorities_and_certificates_are_its_own(fresh_aws: LocalAws) -> None:
    """Lists are empty, ARNs name nothing."""
    acm, authority = fresh_aws.client("acm"), root(fresh_aws.client("acm-pca"))
    arn = acm.request_certificate(
        DomainName="teller.mesh.local", CertificateAuthorityArn=authority, KeyAlgorithm="EC_prime256v1"
    )["CertificateArn"]

    others = of_another(fresh_aws, "acm")

    assert of_another(fresh_aws, "acm-pca").list_certificate_authorities()["CertificateAuthorities"] == []
    assert others.list_certificates(Includes={"keyTypes": ["EC_prime256v1"]})["CertificateSummaryList"] == []
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        others.describe_certificate(CertificateArn=arn)
    assert acm.describe_certificate(CertificateArn=arn)["Certificate"]["Status"] == "ISSUED"


def test_a_reset_empties_every_account(fresh_aws: LocalAws) -> None:
    """Also those that were only once asked."""
    pca = of_another(fresh_aws, "acm-pca")
    assert f":{OTHER}:" in root(pca)
    assert len(pca.list_certificate_authorities()["CertificateAuthorities"]) == 1

    fresh_aws.reset()

    assert pca.list_certificate_authorities()["CertificateAuthorities"] == []


def test_faults_and_quotas_strike_the_account_they_are_set_in(fresh_aws: LocalAws) -> None:
    """The control endpoints speak for the local AWS's own account."""
    fresh_aws.control("PUT", "/_local/faults", [{"kind": "throttle", "service": "acm-pca"}])

    with pytest.raises(ClientError, match="ThrottlingException"):
        fresh_aws.client("acm-pca", ONCE).list_certificate_authorities()
    of_another(fresh_aws, "acm-pca").list_certificate_authorities()


def test_no_module_keeps_state() -> None:
    """What an account has is in its object: a second account would find another one's in a module."""
    assert set(containers_of_modules()) == WIRING


def containers_of_modules() -> Iterator[str]:
    """Every variable of a module that begins as an empty container."""
    folder = ROOT / "local" / "aws"
    for file in folder.rglob("*.py"):
        module = ".".join(file.relative_to(folder).with_suffix("").parts)
        for statement in ast.parse(file.read_text()).body:
            value = getattr(statement, "value", None)
            empty = isinstance(value, (ast.Dict, ast.List)) and not ast.unparse(value).strip("{}[]")
            if value is not None and (empty or ast.unparse(value) in {"set()", "dict()", "list()", "Counter()"}):
                target = statement.target if isinstance(statement, ast.AnnAssign) else statement.targets[0]  # type: ignore[attr-defined]
                yield f"{module}.{ast.unparse(target)}"
