"""Settings that are too long for a task definition, deployed: each task reads its own object, and no other."""

from __future__ import annotations

import os
from bisect import bisect_right
from typing import TYPE_CHECKING

import pytest
from aws_cdk import App, CfnOutput, Stack
from aws_cdk import aws_iam as iam

from entrypoint.aws.signed_connection import Session
from entrypoint.stored_settings import fetch_settings
from evidence.fixtures.many_backends import gateway_with_backends
from meshcert.contract.environment import PROXY, PROXY_FROM
from meshcert.documents.stored_settings import LONGEST_IN_ENVIRONMENT, SettingsObject
from meshcert.errors import AwsRefused
from stacks.constructs.containers.proxy_environment import ProxyEnvironment
from stacks.constructs.rights import ecs_tasks
from tests.local.aws.refusals import denial_of, is_allowed

if TYPE_CHECKING:
    from pathlib import Path

    from local.running_aws import LocalAws
    from meshcert.proxy import ProxySettings

ROLE = "tasks"


def _assemble(folder: Path, *proxies: ProxySettings) -> None:
    """Each of them with a role of its own; the stack's outputs are their variables."""
    app = App(outdir=str(folder))
    stack = Stack(app, "services")
    for number, proxy in enumerate(proxies):
        scope = iam.Role(stack, f"Role{number}", role_name=f"{ROLE}-{number}", assumed_by=ecs_tasks())
        variables = ProxyEnvironment(scope, proxy, scope).variables
        assert list(variables) == [PROXY_FROM]
        CfnOutput(stack, f"From{number}", value=variables[PROXY_FROM])
    app.synth()


def _deployed(aws: LocalAws, folder: Path, *proxies: ProxySettings) -> list[str]:
    _assemble(folder, *proxies)
    aws.deploy(folder)
    (stack,) = aws.client("cloudformation").describe_stacks(StackName="services")["Stacks"]
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
    return [outputs[f"From{number}"] for number in range(len(proxies))]


def test_a_task_reads_the_object_that_its_task_definition_names_and_no_other(
    fresh_aws: LocalAws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the proxy's own client, with IAM enforced; after a change the right to the old one is gone."""
    settings = gateway_with_backends(300)
    other = settings._replace(service="other")
    mine, others = _deployed(fresh_aws, tmp_path / "first", settings, other)
    arn = f"arn:aws:iam::{fresh_aws.account}:role/{ROLE}-0"
    environ = fresh_aws.environment() | fresh_aws.control("POST", "/_local/iam/session", {"role": arn})
    for name, value in environ.items():
        monkeypatch.setenv(name, value)  # awscrt looks there itself
    session = Session.begin(os.environ, lambda: None)
    (tmp_path / "task").mkdir()
    environ["MESHCERT_MATERIAL_DIR"] = str(tmp_path / "task")
    assert fetch_settings(environ | {PROXY_FROM: mine}, 0.0, session) == settings.to_json()
    with pytest.raises(AwsRefused, match="AccessDenied"):
        fetch_settings(environ | {PROXY_FROM: others}, 0.0, session)

    changed, unchanged = _deployed(fresh_aws, tmp_path / "second", settings._replace(metrics_port=9100), other)

    assert unchanged == others
    s3 = fresh_aws.client_as(arn, "s3")
    old, new = SettingsObject.from_uri(mine), SettingsObject.from_uri(changed)
    assert is_allowed(s3.get_object, Bucket=new.bucket, Key=new.key)
    assert denial_of(s3.get_object, Bucket=old.bucket, Key=old.key)
    assert denial_of(s3.list_objects_v2, Bucket=new.bucket)
    kept = fresh_aws.client("s3").get_object(Bucket=old.bucket, Key=old.key)["Body"].read()
    assert old.open(kept) == settings.to_json()


def test_settings_that_are_short_enough_stay_in_the_task_definition(tmp_path: Path) -> None:
    """To the byte as they were, and without another right: a mesh of before gets no new tasks."""
    app = App(outdir=str(tmp_path))
    role = iam.Role(Stack(app, "services"), "Role", assumed_by=ecs_tasks())
    more = bisect_right(range(131), LONGEST_IN_ENVIRONMENT, 2, key=lambda count: len(_written(count)))
    small = gateway_with_backends(more - 1)
    environment = ProxyEnvironment(role, small, role)

    assert environment.variables == {PROXY: small.to_json()}
    assert environment.rights == ()
    assert LONGEST_IN_ENVIRONMENT * 0.9 < len(small.to_json()) <= LONGEST_IN_ENVIRONMENT < len(_written(more))


def _written(backends: int) -> str:
    return gateway_with_backends(backends).to_json()
