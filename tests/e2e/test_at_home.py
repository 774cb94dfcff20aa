"""One mesh in a VPC of 172.16/12, a namespace, behind a load balancer and under CAs that were there before it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import yaml
from aws_cdk import App

from app import build
from evidence.fixtures.account_at_home import make_edge, make_home, make_issuing_ca, make_root_ca
from evidence.fixtures.moving_mesh import DNS, IN_HASTE, SERVICES
from local.cdk import app_context
from local.demo.scene import ANSWER, GATEWAY, MUTUAL, TELLER
from local.gateway_client import Gateway
from local.policy import act_on
from local.running_aws import LocalAws
from local.running_mesh import RunningMesh, wait_until
from local.ticking import Ticking
from tests.e2e.assemblies import AS_THE_CLI_SAYS
from tests.stacks.synthesis import CONTEXT
from tools import verify_aws

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_a_mesh_at_home_is_deployed_and_renewed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    The gateway's CA is a root of one tier, the teller's an issuing CA whose root is in no account.

    Nothing is made of what was there but ACM's permission, on the CA for which the file says so.
    """
    monkeypatch.setattr("stacks.identities.ROOT", tmp_path)
    monkeypatch.setattr("tools.aws_checks.existing_authorities.ROOT", tmp_path)
    with LocalAws(tmp_path / "aws") as aws:
        for name, value in aws.environment().items():
            monkeypatch.setenv(name, value)
        home, cas = make_home(aws, "mtls.svc.cluster.local"), {GATEWAY: make_root_ca(aws), TELLER: make_issuing_ca(aws)}
        values = yaml.safe_load(MUTUAL.read_text())
        values["network"], values["mesh"]["namespace_id"] = home.network(), home.namespace
        edge = make_edge(aws, home, 8443)
        values["services"][GATEWAY]["load_balancer"] = {"target_groups": {8443: edge.target_group}}
        for name, ca in cas.items():
            (tmp_path / f"{name}.pem").write_text(ca.root)
            existing = {"arn": ca.arn, "root": f"{name}.pem", "permit_acm": name == TELLER}
            key = values["identities"][name]["key_algorithm"]
            values["hierarchies"][name] = {"existing": existing, "key_algorithm": key}
        file = tmp_path / "mesh.yaml"
        file.write_text(yaml.safe_dump(values, sort_keys=False))
        assert verify_aws.main(["--before", "--mesh", str(file)]) == 0
        build(App(outdir=str(tmp_path / "assembly"), context=CONTEXT | AS_THE_CLI_SAYS | app_context(file))).synth()
        aws.deploy(tmp_path / "assembly")
        mesh = RunningMesh(aws, "color", aws.resolve)
        mesh.wait_until_steady(SERVICES)
        act_on(mesh, IN_HASTE)
        gateway = Gateway(aws.resolve(edge.address), 8443, DNS[GATEWAY], mesh.trust_bundle(GATEWAY))
        with gateway.client() as client, Ticking(aws, mesh.name):
            wait_until(lambda: gateway.said(gateway.ask(client)) == ANSWER, "a teller the gateway knows", within_s=60)
            before = mesh.serial(TELLER)
            mesh.client("acm").renew_certificate(CertificateArn=mesh.certificate(TELLER)["CertificateArn"])
            wait_until(
                lambda: mesh.served_by_all(TELLER) == {mesh.serial(TELLER)} != {before}, "the renewed one", within_s=90
            )
            assert gateway.said(gateway.ask(client)) == ANSWER
        made = mesh.client("cloudformation").list_stack_resources(StackName="color-pki")["StackResourceSummaries"]
        permitted = aws.client("acm-pca").list_permissions(CertificateAuthorityArn=cas[TELLER].arn)["Permissions"]
        ranges = mesh.client("ec2").describe_vpcs()["Vpcs"]

    assert {each["ResourceType"] for each in made} <= {
        "AWS::ACMPCA::Permission",
        "AWS::CDK::Metadata",
        "AWS::CloudFormation::WaitConditionHandle",
    }
    assert [each["Principal"] for each in permitted] == ["acm.amazonaws.com"]
    assert "10.0.0.0/16" not in {each["CidrBlock"] for each in ranges}
