"""What one account has, no other account sees; a reset is a new beginning for all of them."""

from __future__ import annotations

import ast
import json
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from local.running_aws import ROOT, LocalAws
from tests.local.aws.hierarchies import root
from tests.local.aws.refusals import is_allowed
from tests.local.aws.roles import new_role
from tests.local.aws.shared_authorities import OTHER, InAccount
from tests.local.aws.triggers import new_queue

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.local.aws.roles import Clients

ONCE = Config(retries={"total_max_attempts": 1})


# How the process is put together, once, when it starts; the same for every account and unharmed by a reset.
WIRING = {"control._routes", "control._at_reset", "control._at_stop", "operations._guards", "resource_type._slow"}
WIRING |= {"fargate.containers.inside._covered"}  # of a process that is one container


def of_another(aws: LocalAws, service: str) -> Any:
    """A client of another account's administrator."""
    return aws.client(service, ONCE, account=OTHER)


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


def test_schedules_and_rules_of_an_account_are_its_own(fresh_aws: LocalAws) -> None:
    """The clock ticks in every account; an event of one account is heard by the rules of that account alone."""
    heard: dict[str, list[str]] = {}
    accounts: dict[str, Clients] = {"own": fresh_aws, "other": InAccount(fresh_aws)}
    queues = {name: new_queue(account, "heard") for name, account in accounts.items()}
    for name, account in accounts.items():
        pattern = {"source": ["mesh"], "account": [queues[name].arn.split(":")[4]]}
        events, scheduler = account.client("events"), account.client("scheduler")
        events.put_rule(Name="all", EventPattern=json.dumps(pattern))
        events.put_targets(Rule="all", Targets=[{"Id": "queue", "Arn": queues[name].arn, "InputPath": "$.detail.of"}])
        rights = [{"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": queues[name].arn}]
        target = {"Arn": queues[name].arn, "RoleArn": new_role(account, "tick", rights, "scheduler.amazonaws.com")}
        scheduler.create_schedule(
            Name="tick",
            ScheduleExpression="rate(1 minute)",
            FlexibleTimeWindow={"Mode": "OFF"},
            Target={**target, "Input": f"tick of {name}"},
        )

    event = {"Source": "mesh", "DetailType": "test", "Detail": json.dumps({"of": "other"})}
    accounts["other"].client("events").put_events(Entries=[event])
    fresh_aws.control("POST", "/_local/scheduler/advance", {"seconds": 62})

    for name, expected in (("own", 1), ("other", 2)):
        heard[name] = sorted(message["Body"] for message in queues[name].take(expected))
    assert heard == {"own": ["tick of own"], "other": ['"other"', "tick of other"]}


def test_a_role_of_another_account_is_assumed_if_both_accounts_allow_it(fresh_aws: LocalAws) -> None:
    """Identity policy and trust; the session sees the other account, and what the role may there."""
    there = InAccount(fresh_aws)
    discovery = [{"Effect": "Allow", "Action": "servicediscovery:ListNamespaces", "Resource": "*"}]
    role = new_role(there, "discovery", discovery)
    assume = [{"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": role}]
    allowed, bare = new_role(fresh_aws, "caller", assume), new_role(fresh_aws, "bare", discovery)
    trust = {"Effect": "Allow", "Principal": {"AWS": allowed}, "Action": "sts:AssumeRole"}

    def assumed(caller: str) -> dict[str, str]:
        sts = fresh_aws.client_as(caller, "sts")
        found: dict[str, str] = sts.assume_role(RoleArn=role, RoleSessionName="envoy")["Credentials"]
        return found

    with pytest.raises(ClientError, match="AccessDenied"):
        assumed(allowed)
    there.client("iam").update_assume_role_policy(
        RoleName="discovery", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    )
    with pytest.raises(ClientError, match="AccessDenied"):
        assumed(bare)
    given = assumed(allowed)

    there.client("servicediscovery").create_http_namespace(Name="theirs")
    session = session_client(fresh_aws, "servicediscovery", given)
    assert [each["Name"] for each in session.list_namespaces()["Namespaces"]] == ["theirs"]
    assert not is_allowed(session_client(fresh_aws, "secretsmanager", given).list_secrets)


def session_client(aws: LocalAws, service: str, session: dict[str, str]) -> Any:
    """A client with a session's credentials."""
    return boto3.client(
        service,
        endpoint_url=aws.endpoint,
        region_name=aws.region,
        config=Config(inject_host_prefix=False),
        aws_access_key_id=session["AccessKeyId"],
        aws_secret_access_key=session["SecretAccessKey"],
        aws_session_token=session["SessionToken"],
    )


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
