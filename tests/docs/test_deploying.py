"""``docs/deploying.md`` says which services a deploy needs, what a mesh costs, and which alarms wake somebody."""

from __future__ import annotations

import json
import re
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from local.aws.replacing_properties import REPLACING
from meshcert.cli.costs.offline import OfflinePlan, offline_plan
from meshcert.mesh import read_mesh
from stacks.runbook import alarms
from tests.docs.pages import PAGES, ROOT, rows
from tests.stacks.synthesis import assemble
from tests.stacks.test_sizes import mesh_of

if TYPE_CHECKING:
    from pathlib import Path

    from meshcert.mesh import Mesh

PAGE = "docs/deploying.md"
MOST_WITHOUT_SHARDS = 77
PREFIXES = {
    "ACMPCA": "acm-pca",
    "CertificateManager": "acm",
    "ElasticLoadBalancingV2": "elasticloadbalancing",
    "ServiceDiscovery": "servicediscovery",
}
"""Services whose actions are called otherwise than their resources."""


def test_the_deployers_policy_covers_every_type_of_the_stacks() -> None:
    """A type of a service that is not in it would be refused in the middle of a deploy."""
    covered = set(re.findall(r'"([a-z0-9-]+):\*"', PAGES[PAGE]))
    names = {kind.split("::")[1] for kind in REPLACING if kind.startswith("AWS::") and kind != "AWS::CDK::Metadata"}

    assert {PREFIXES.get(name, name.lower()) for name in names} <= covered


def _policies(service: str) -> list[str]:
    """The resources that the page's policies allow all actions of a service on."""
    documents = [json.loads(each) for each in re.findall(r"```json\n(.+?)```", PAGES[PAGE], re.DOTALL)]
    allowed: list[str] = []
    for statement in (each for document in documents for each in document["Statement"]):
        if f"{service}:*" in statement["Action"]:
            resources = statement["Resource"]
            allowed += [resources] if isinstance(resources, str) else resources
    return allowed


def _name(value: Any) -> str:
    """A name in a template, with the words of the page for what only a deploy knows."""
    if isinstance(value, dict):
        (kind, inner), *_ = value.items()
        if kind == "Ref":
            return {"AWS::Region": "REGION", "AWS::AccountId": "ACCOUNT"}[inner]
        return "".join(map(_name, inner[1]))
    return str(value)


@pytest.mark.parametrize("file", ["mesh.yaml", "examples/own-cdk-app/mesh.yaml", "examples/federation/shop.yaml"])
def test_cloudformation_may_make_every_role_and_policy_of_the_stacks(file: str, tmp_path: Path) -> None:
    """By its name: what has none gets one that begins with its stack's."""
    kinds = {"AWS::IAM::Role": ("role", "RoleName"), "AWS::IAM::ManagedPolicy": ("policy", "ManagedPolicyName")}
    mesh = str(yaml.safe_load((ROOT / file).read_text())["mesh"]["name"])
    made = {
        f"arn:aws:iam::ACCOUNT:{kinds[each['Type']][0]}/"
        + _name(each.get("Properties", {}).get(kinds[each["Type"]][1], f"{stack.stack_name}-any"))
        for stack in assemble(tmp_path, mesh=str(ROOT / file))
        for each in stack.template.get("Resources", {}).values()
        if each["Type"] in kinds
    }
    allowed = [each.replace("NAME", mesh) for each in _policies("iam")]

    assert made
    assert {each for each in made if not any(fnmatchcase(each, pattern) for pattern in allowed)} == set()


def test_whoever_bootstraps_may_make_what_the_cdk_makes() -> None:
    """By the names in the CDK's own template, its default qualifier in them; a key of its own is an option."""
    folder = ROOT / "build" / "node" / "node_modules" / "aws-cdk" / "lib" / "api" / "bootstrap"
    text = (folder / "bootstrap-template.yaml").read_text().partition("\nResources:")[2]
    kinds = set(re.findall(r"Type: '?AWS::(\w+)::(?:\w+)'?$", text, re.MULTILINE)) - {"KMS"}
    words = {"${Qualifier}": "hnb659fds", "${AWS::AccountId}": "ACCOUNT", "${AWS::Region}": "REGION"}
    for old, new in words.items():
        text = text.replace(old, new)
    roles = re.findall(r"RoleName:\s+Fn::Sub: '?([\w-]+)", text)
    (parameter,) = re.findall(r"Type: AWS::SSM::Parameter\n.*?Name:\s+Fn::Sub: '/?([^']+)'", text, re.DOTALL)
    allowed = _policies("ecr")

    assert {"ECR", "IAM", "S3", "SSM"} == kinds
    assert all(set(allowed) <= set(_policies(kind.lower())) for kind in kinds)
    assert len(roles) == 5
    assert all(any(fnmatchcase(f"arn:aws:iam::ACCOUNT:role/{role}", each) for each in allowed) for role in roles)
    assert f"arn:aws:ssm:REGION:ACCOUNT:parameter/{parameter}" in allowed
    for name, arn in (("assets", "arn:aws:s3:::"), ("container-assets", "arn:aws:ecr:REGION:ACCOUNT:repository/")):
        assert f"cdk-hnb659fds-{name}-ACCOUNT-REGION" in text
        assert f"{arn}cdk-hnb659fds-{name}-ACCOUNT-REGION" in allowed


@pytest.mark.parametrize("services", [12, 50, 100])
def test_the_costs_are_those_that_the_plan_says(services: int) -> None:
    """One gateway and its nodes, two tasks each, by issuer and life."""
    heading = (
        "| services | with ACM, meshcert adds a month | `acm-pca`, short-lived, 7 days | the same, 24 hours "
        "| tasks, network and load balancer a month |"
    )
    (told,) = (cells[1:] for cells in rows(PAGE, heading) if cells[0].split(",")[0] == str(services))
    planned = [_planned(services, life) for life in ("", "7d", "24h")]

    dollars = [plan.month.dollars for plan in planned] + [planned[0].workload_dollars]
    assert told == [f"${each:,.0f}" for each in dollars]


def test_alarms_that_wake_somebody_exist() -> None:
    """By their names, which a rule elsewhere repeats."""
    (sentence,) = re.findall(r"Worth waking somebody are (.+?);", PAGES[PAGE])

    told = set(re.findall(r"`(\w+)`", sentence))
    assert told
    assert told <= {alarm.name for alarm in alarms("NAME")}


def _planned(services: int, life: str) -> OfflinePlan:
    """The plan of a mesh whose certificates a short-lived CA issues for a life, or ACM if there is none."""
    names = [f"service-{number}" for number in range(services)]
    values = mesh_of(names)
    if services > MOST_WITHOUT_SHARDS:
        values["shards"] = {"others": names[2::2]}
    if life:
        values["hierarchies"]["only"]["usage"] = "short_lived"
        for identity in values["identities"].values():
            identity |= {"issuer": "acm-pca", "validity": life}
    mesh: Mesh | None = read_mesh(yaml.safe_dump(values).encode()).mesh
    assert mesh is not None
    return offline_plan(mesh)
