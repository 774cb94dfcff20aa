"""One mesh in a VPC, a namespace and a cluster, behind a load balancer, under CAs and a key that were there before."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from aws_cdk import App

from app import build
from evidence.fixtures.account_at_home import (
    HomeCa,
    make_edge,
    make_home,
    make_issuing_ca,
    make_lower_ca,
    make_root_ca,
)
from evidence.fixtures.moving_mesh import DNS, PROVEN_WITHIN_S, SERVICES
from evidence.fixtures.terminal import OperatorTerminal
from local.cdk import app_context
from local.demo.scene import ANSWER, GATEWAY, TELLER
from local.gateway_client import Gateway
from local.policy import act_on
from local.running_aws import LocalAws
from local.running_mesh import RunningMesh, wait_until
from local.ticking import Ticking
from meshcert import naming
from meshcert.lifecycle.policy import Policy
from tests.e2e.assemblies import AS_THE_CLI_SAYS
from tests.stacks.synthesis import CONTEXT, ROOT
from tools import verify_aws

if TYPE_CHECKING:
    from pathlib import Path

APPLICATION = ROOT / "examples" / "color" / "application.yaml"
BATCH = "batch"
"""An identity that no service presents."""
LOGS = "/home/tasks"
CLUSTER = "home"
IN_HASTE = Policy(look_again_s=1.0, shortest_between_renewals_s=0.0)


def under(mesh: dict[str, Any], cas: dict[str, HomeCa], folder: Path) -> None:
    """Have a mesh file of two CAs name three of the account's, and one identity more."""
    mesh["identities"][GATEWAY] |= {"issuer": "acm-pca", "validity": "24h"}
    mesh["identities"][BATCH] = {
        "hierarchy": BATCH,
        "issuer": "acm-pca",
        "validity": "30d",
        "dns_names": ["batch.example"],
        "key_algorithm": "EC_prime256v1",
    }
    for name, ca in cas.items():
        (folder / f"{name}.pem").write_text(ca.root)
        mesh["hierarchies"][name] = {
            "existing": {"arn": ca.arn, "root": f"{name}.pem", "permit_acm": name == TELLER},
            "key_algorithm": mesh["identities"][name]["key_algorithm"],
            "usage": "short_lived" if name == GATEWAY else "general_purpose",
        }


def is_renewed(mesh: RunningMesh, name: str, before: str) -> bool:
    """Whether another version of an identity's secret is current."""
    return mesh.current_version(name) != before


def serves_newest(mesh: RunningMesh, name: str) -> bool:
    """Whether all tasks of a service serve the current version of the identity of its name, and no other."""
    return mesh.served_by_all(name) == {mesh.serial_of(name, mesh.current_version(name))}


def require_application_as_before(mesh: RunningMesh, token: str) -> None:
    """What the example says of the teller's container and of its service is what runs."""
    ecs = mesh.client("ecs")
    (service,) = ecs.describe_services(cluster=CLUSTER, services=[TELLER], include=["TAGS"])["services"]
    task = ecs.describe_task_definition(taskDefinition=service["taskDefinition"])["taskDefinition"]
    (application,) = (each for each in task["containerDefinitions"] if "secrets" in each)
    assert application["secrets"] == [{"name": "API_TOKEN", "valueFrom": token}]
    assert (application["command"], application["user"]) == (["-u", "app.py"], "10001:10001")
    assert (service["desiredCount"], service["deploymentConfiguration"]["maximumPercent"]) == (1, 300)
    assert {"key": "team", "value": "colors"} in service["tags"]


def tasks_at_home(aws: LocalAws) -> dict[str, Any]:
    """A cluster and a log group for tasks, as the mesh file names them."""
    aws.client("logs").create_log_group(logGroupName=LOGS)
    cluster = aws.client("ecs").create_cluster(clusterName=CLUSTER)["cluster"]["clusterArn"]
    return {"logs": {"existing": LOGS}, "cluster": {"existing": cluster}}


def require_tasks_at_home(aws: LocalAws) -> None:
    """Services run in the cluster and write to the group that were there, and no other was made for them."""
    ecs = aws.client("ecs")
    assert [arn.rpartition("/")[2] for arn in ecs.list_clusters()["clusterArns"]] == [CLUSTER]
    assert {arn.rpartition("/")[2] for arn in ecs.list_services(cluster=CLUSTER)["serviceArns"]} == set(SERVICES)
    logs, made = aws.client("logs"), naming.tasks_log_group("color")
    streams = logs.describe_log_streams(logGroupName=LOGS)["logStreams"]
    assert {each["logStreamName"].rpartition("/")[0] for each in streams} >= {f"{name}/envoy" for name in SERVICES}
    groups = logs.describe_log_groups(logGroupNamePrefix=made)["logGroups"]
    assert made not in {each["logGroupName"] for each in groups}


@pytest.mark.timeout(600)
def test_a_mesh_at_home_is_deployed_and_renewed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Three CAs: a short-lived root, an issuing CA whose root is in no account, and one below a root of this account.

    The first and the last sign for Private CA, the other for ACM. Nothing is made of what was there but ACM's
    permission, on the CA for which the file says so. The teller keeps its command, its secret, its policy, its scaler.
    """
    monkeypatch.setattr("stacks.identities.ROOT", tmp_path)
    monkeypatch.setattr("tools.aws_checks.existing_authorities.ROOT", tmp_path)
    with LocalAws(tmp_path / "aws") as aws:
        for name, value in aws.environment().items():
            monkeypatch.setenv(name, value)
        home = make_home(aws, "mtls.svc.cluster.local")
        cas = {
            GATEWAY: make_root_ca(aws, "SHORT_LIVED_CERTIFICATE"),
            TELLER: make_issuing_ca(aws),
            BATCH: make_lower_ca(aws),
        }
        values = yaml.safe_load(APPLICATION.read_text())
        token = aws.client("secretsmanager").create_secret(Name="color/token", SecretString="not told")["ARN"]
        values["services"][TELLER]["application"]["secrets"]["API_TOKEN"] = token
        values |= {"network": home.network(), **tasks_at_home(aws)}
        key = aws.client("kms").create_key()["KeyMetadata"]
        values["mesh"] |= {"secrets_key": key["Arn"], "namespace_id": home.namespace}
        edge = make_edge(aws, home, 8443)
        values["services"][GATEWAY]["load_balancer"] = {"target_groups": {8443: edge.target_group}}
        under(values, cas, tmp_path)
        file = tmp_path / "mesh.yaml"
        file.write_text(yaml.safe_dump(values, sort_keys=False))
        assert verify_aws.main(["--before", "--mesh", str(file)]) == 0
        build(App(outdir=str(tmp_path / "assembly"), context=CONTEXT | AS_THE_CLI_SAYS | app_context(file))).synth()
        aws.deploy(tmp_path / "assembly")
        mesh = RunningMesh(aws, "color", aws.resolve, places={name: f"{CLUSTER}/{name}" for name in SERVICES})
        mesh.wait_until_steady(SERVICES)
        act_on(mesh, IN_HASTE)
        gateway = Gateway(aws.resolve(edge.address), 8443, DNS[GATEWAY], mesh.trust_bundle(GATEWAY))
        operator = OperatorTerminal(aws, mesh.name, **IN_HASTE.to_environ())
        with gateway.client() as client, Ticking(aws, mesh.name):
            wait_until(lambda: gateway.said(gateway.ask(client)) == ANSWER, "a teller the gateway knows", within_s=60)
            wait_until(lambda: all(map(mesh.proven_version, SERVICES)), "both proven", within_s=PROVEN_WITHIN_S)
            before = {name: mesh.current_version(name) for name in cas}
            mesh.client("acm").renew_certificate(CertificateArn=mesh.certificate(TELLER)["CertificateArn"])
            ordered = [operator.run("renew", name).code for name in (GATEWAY, BATCH)]
            for name, version in before.items():
                wait_until(partial(is_renewed, mesh, name, version), f"another of {name}'s", within_s=120)
            for name in SERVICES:
                wait_until(partial(serves_newest, mesh, name), f"{name} with it", within_s=120)
            assert gateway.said(gateway.ask(client)) == ANSWER
        made = mesh.client("cloudformation").list_stack_resources(StackName="color-pki")["StackResourceSummaries"]
        permitted = aws.client("acm-pca").list_permissions(CertificateAuthorityArn=cas[TELLER].arn)["Permissions"]
        ranges = mesh.client("ec2").describe_vpcs()["Vpcs"]
        require_application_as_before(mesh, token)
        require_tasks_at_home(aws)
        secrets = mesh.client("secretsmanager")
        under_it = {secrets.describe_secret(SecretId=naming.identity_secret("color", name))["KmsKeyId"] for name in cas}
        issued = aws.control("GET", "/_local/acm-pca/issued")

    assert ordered == [0, 0]
    assert under_it == {key["Arn"]}
    assert {name: (issued[ca.arn]["issued"], issued[ca.arn]["for_acm"]) for name, ca in cas.items()} == {
        GATEWAY: (2, 0),
        TELLER: (0, 2),
        BATCH: (2, 0),
    }
    assert {each["ResourceType"] for each in made} <= {
        "AWS::ACMPCA::Permission",
        "AWS::CDK::Metadata",
        "AWS::CloudFormation::WaitConditionHandle",
    }
    assert [each["Principal"] for each in permitted] == ["acm.amazonaws.com"]
    assert "10.0.0.0/16" not in {each["CidrBlock"] for each in ranges}
