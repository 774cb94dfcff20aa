"""What the templates promise to people who read policies."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from meshcert.document import PLACEHOLDER
from tests.stacks.synthesis import ROOT, synthesise

if TYPE_CHECKING:
    from pathlib import Path

    from tests.stacks.synthesis import Templates

KEPT = (
    "AWS::ACMPCA::CertificateAuthority",
    "AWS::ACMPCA::Certificate",
    "AWS::ACMPCA::CertificateAuthorityActivation",
    "AWS::ACMPCA::Permission",
    "AWS::SecretsManager::Secret",
    "AWS::KMS::Key",
)
WRITES = {"secretsmanager:PutSecretValue", "acm:ExportCertificate", "acm-pca:IssueCertificate"}


@pytest.mark.parametrize("kind", KEPT)
def test_what_cannot_be_made_again_outlives_its_stack_but_not_a_failed_create(templates: Templates, kind: str) -> None:
    """CAs, their certificates, secrets and the key are retained on update and delete; a failed create removes them."""
    for resource in templates.resources(kind):
        assert resource.definition["DeletionPolicy"] == "RetainExceptOnCreate", resource.logical_id
        assert resource.definition["UpdateReplacePolicy"] == "Retain", resource.logical_id


def test_acm_may_renew_under_every_ca_that_issues(templates: Templates) -> None:
    """Each CA an ACM certificate names has a permission for acm.amazonaws.com: without it the first renewal fails."""
    permitted = {
        resource.properties["CertificateAuthorityArn"]["Fn::GetAtt"][0]: resource.properties
        for resource in templates.resources("AWS::ACMPCA::Permission")
    }
    issuers = {
        json.dumps(resource.properties["CertificateAuthorityArn"])
        for resource in templates.resources("AWS::CertificateManager::Certificate")
    }

    assert len(issuers) == len(permitted)
    for authority, permission in permitted.items():
        assert any(authority in issuer for issuer in issuers)
        assert permission["Principal"] == "acm.amazonaws.com"
        assert sorted(permission["Actions"]) == ["GetCertificate", "IssueCertificate", "ListPermissions"]


def test_every_certificate_names_a_private_ca(templates: Templates) -> None:
    """Without a CA, ACM would silently try to issue a public certificate."""
    certificates = templates.resources("AWS::CertificateManager::Certificate")

    assert all("CertificateAuthorityArn" in certificate.properties for certificate in certificates)


def test_only_the_export_role_may_export_issue_or_put(templates: Templates) -> None:
    """No other role of any stack is allowed to touch private keys' sources or to write secrets."""
    writers = {
        statement.role
        for statement in templates.statements()
        if statement.effect == "Allow" and WRITES & set(statement.actions)
    }

    assert len(writers) == 1
    assert all("Export" in writer for writer in writers)


def test_no_statement_allows_every_action_or_an_unfenced_star(templates: Templates) -> None:
    """Wildcard resources appear only under this mesh's tag; wildcard actions never."""
    fenced = 0
    for statement in templates.statements():
        assert not any("*" in action for action in statement.actions), statement
        if any(resource == "*" for resource in statement.resources):
            # ecr:GetAuthorizationToken has no resource (Amazon ECR, service authorization reference).
            assert set(statement.actions) == {"ecr:GetAuthorizationToken"}, statement
        if any(re.search(r":acm(-pca)?:", resource) and "*" in resource for resource in statement.resources):
            assert statement.conditions == {"StringEquals": {"aws:ResourceTag/meshcert:mesh": "color"}}, statement
            fenced += 1
    assert fenced == 2, "one statement for certificates, one for CAs"


@pytest.mark.parametrize(("service", "trusted"), [("colorgateway", "colorteller"), ("colorteller", "colorgateway")])
def test_a_task_reads_its_own_identity_and_its_peers_trust_bundles_only(
    templates: Templates, service: str, trusted: str
) -> None:
    """Six question marks end each ARN: what Secrets Manager appends, and nothing that another name could match."""
    statements = [
        statement
        for statement in templates.statements()
        if service in statement.role and "secretsmanager:GetSecretValue" in statement.actions
    ]

    (statement,) = statements
    named = sorted(re.findall(r"secret:(meshcert/[^\"]+)", " ".join(statement.resources)))
    assert named == [f"meshcert/color/identity/{service}-??????", f"meshcert/color/trust/{trusted}-??????"]


def test_tasks_decrypt_with_the_meshs_key_through_secrets_manager_only(templates: Templates) -> None:
    """kms:Decrypt is granted explicitly, for one key, on the way through Secrets Manager."""
    statements = [
        statement
        for statement in templates.statements()
        if "TaskRole" in statement.role and "kms:Decrypt" in statement.actions
    ]

    assert len(statements) == 2
    for statement in statements:
        assert len(statement.resources) == 1
        assert "kms:ViaService" in statement.conditions["StringEquals"]


def test_the_execution_role_can_read_no_secret(templates: Templates) -> None:
    """ECS's own role pulls images and writes logs: secrets never pass through it or the environment."""
    actions = {
        action
        for statement in templates.statements()
        if "ExecutionRole" in statement.role
        for action in statement.actions
    }

    assert actions
    assert not any(action.startswith(("secretsmanager:", "kms:", "ssm:")) for action in actions)


def test_every_secret_refuses_values_from_anyone_but_the_export_role(templates: Templates) -> None:
    """
    The resource policies deny putting, promoting and updating; never policy, describe or delete actions.

    An update is left to the role that CloudFormation deploys with, under the bootstrap's exact name.
    """
    secrets = {resource.logical_id for resource in templates.resources("AWS::SecretsManager::Secret")}
    policies = templates.resources("AWS::SecretsManager::ResourcePolicy")

    assert {policy.properties["SecretId"]["Ref"] for policy in policies} == secrets
    for policy in policies:
        allowed = {}
        for statement in policy.properties["ResourcePolicy"]["Statement"]:
            assert statement["Effect"] == "Deny"
            assert statement["Principal"] == {"AWS": "*"}
            assert statement["Resource"] == "*"
            (condition,) = statement["Condition"].items()
            assert condition[0] == "ArnNotLike"
            allowed[statement["Action"]] = _joined(condition[1]["aws:PrincipalArn"])
        role = "arn:{AWS::Partition}:iam::{AWS::AccountId}:role"
        export = f"{role}/meshcert-color-{{AWS::Region}}-export"
        assert allowed == {
            "secretsmanager:PutSecretValue": export,
            "secretsmanager:UpdateSecretVersionStage": export,
            "secretsmanager:UpdateSecret": f"{role}/cdk-hnb659fds-cfn-exec-role-{{AWS::AccountId}}-{{AWS::Region}}",
        }


def _joined(value: Any) -> str:
    """A name that CloudFormation puts together, with its parameters in braces."""
    parts = value["Fn::Join"][1]
    return "".join(part if isinstance(part, str) else f"{{{part['Ref']}}}" for part in parts)


def test_secrets_are_seeded_with_one_constant_placeholder(templates: Templates) -> None:
    """Another text in a later deploy would be published over the material."""
    values = {secret.properties["SecretString"] for secret in templates.resources("AWS::SecretsManager::Secret")}

    assert values == {PLACEHOLDER}


def test_stacks_share_ca_and_key_arns_only(templates: Templates) -> None:
    """An exported certificate, secret or PEM could never be replaced while another stack imports it."""
    exported = [
        json.dumps(output["Value"])
        for template in templates.by_stack.values()
        for output in template.get("Outputs", {}).values()
        if "Export" in output
    ]

    assert exported
    for value in exported:
        assert re.search(
            r'"(colorgateway|colorteller)(Root|Issuing)[0-9A-F]{8}", "Arn"|"Key[0-9A-F]{8}", "Arn"', value
        ), value


def test_leaves_are_published_after_every_trust_bundle_and_after_the_functions_rights(templates: Templates) -> None:
    """A peer must know a root before anybody presents what it signed; the function must be allowed to work."""
    bundles = {resource.logical_id for resource in templates.resources("Custom::MeshcertTrustBundle")}
    rights = {
        policy.logical_id
        for policy in templates.resources("AWS::IAM::Policy")
        if policy.stack == "identities" and "Rights" in policy.logical_id
    }

    assert bundles
    assert rights
    for identity in templates.resources("Custom::MeshcertIdentity"):
        assert bundles | rights <= set(identity.definition["DependsOn"])


def test_renewals_reach_the_export_function_whatever_the_certificate(templates: Templates) -> None:
    """One rule, for ACM's own event, without ARNs; with retries for a day and a dead-letter queue."""
    (rule,) = templates.resources("AWS::Events::Rule")

    assert rule.properties["EventPattern"] == {
        "source": ["aws.acm"],
        "detail-type": ["ACM Certificate Available"],
        "detail": {"Action": ["RENEWAL"]},
    }
    (target,) = rule.properties["Targets"]
    assert "DeadLetterConfig" in target
    assert target["RetryPolicy"] == {"MaximumEventAgeInSeconds": 86400, "MaximumRetryAttempts": 185}


def test_keys_live_in_memory_of_one_container_only(templates: Templates) -> None:
    """Envoy's root is read-only; its material lies on a tmpfs that nobody else may read; nothing secret is injected."""
    for task in templates.resources("AWS::ECS::TaskDefinition"):
        assert "Volumes" not in task.properties
        assert "resolve:secretsmanager" not in json.dumps(task.properties)
        envoy = next(c for c in task.properties["ContainerDefinitions"] if c["Name"] == "envoy")
        (tmpfs,) = envoy["LinuxParameters"]["Tmpfs"]

        assert envoy["ReadonlyRootFilesystem"] is True
        assert tmpfs["ContainerPath"] == "/run/meshcert"
        assert {"mode=0700", "uid=1337", "noexec"} <= set(tmpfs["MountOptions"])
        for container in task.properties["ContainerDefinitions"]:
            assert not {"Secrets", "VolumesFrom", "MountPoints"} & set(container), container["Name"]


def test_a_failed_deployment_stops_and_is_not_rolled_back_by_ecs(templates: Templates) -> None:
    """ECS's own rollback would start tasks that read the same secret version again."""
    for service in templates.resources("AWS::ECS::Service"):
        configuration = service.properties["DeploymentConfiguration"]
        assert configuration["DeploymentCircuitBreaker"] == {"Enable": True, "Rollback": False}
        assert configuration["MinimumHealthyPercent"] == 100


def test_cloud_map_forgets_a_task_within_ten_seconds(templates: Templates) -> None:
    """The records' TTL bounds how long a caller may ask a task that has gone."""
    for service in templates.resources("AWS::ServiceDiscovery::Service"):
        assert all(record["TTL"] <= 10 for record in service.properties["DnsConfig"]["DnsRecords"])


def test_every_resource_that_can_be_tagged_names_its_mesh(templates: Templates) -> None:
    """The functions' rights end at this tag."""
    for kind in (
        "AWS::CertificateManager::Certificate",
        "AWS::ACMPCA::CertificateAuthority",
        "AWS::SecretsManager::Secret",
    ):
        for resource in templates.resources(kind):
            assert {"Key": "meshcert:mesh", "Value": "color"} in resource.properties["Tags"], resource.logical_id


def test_architecture_and_python_change_nothing_but_where_code_runs(templates: Templates, tmp_path: Path) -> None:
    """The local deploy differs from the one on AWS in runtime, architecture and asset names only."""
    other = synthesise(tmp_path, architecture="x86_64", python="3.11")

    assert _without_platform(other) == _without_platform(templates)


def _without_platform(templates: Templates) -> str:
    text = json.dumps(templates.by_stack, sort_keys=True)
    return re.sub(r"[0-9a-f]{64}|python3\.\d+|x86_64|arm64|ARM64|X86_64", "", text)


def test_a_mesh_without_internet_reaches_aws_through_endpoints(tmp_path: Path) -> None:
    """``egress: endpoints``: no NAT gateway, and an endpoint for each API that ECS or a task calls."""
    mesh = yaml.safe_load((ROOT / "mesh.yaml").read_text())
    mesh["network"]["egress"] = "endpoints"
    file = tmp_path / "mesh.yaml"
    file.write_text(yaml.safe_dump(mesh))

    found = synthesise(tmp_path / "assembly", mesh=str(file))

    assert not found.resources_if_any("AWS::EC2::NatGateway")
    endpoints = json.dumps([endpoint.properties for endpoint in found.resources("AWS::EC2::VPCEndpoint")])
    for service in ("secretsmanager", "logs", "ecr.api", "ecr.dkr", "s3"):
        assert f".{service}" in endpoints, service


def test_a_gateway_is_open_to_its_own_network_and_a_node_to_its_callers(templates: Templates) -> None:
    """No security group admits the whole internet; the teller admits the gateway's group on its listener's port."""
    rules = [resource.properties for resource in templates.resources("AWS::EC2::SecurityGroupIngress")]
    for group in templates.resources("AWS::EC2::SecurityGroup"):
        rules += group.properties.get("SecurityGroupIngress", [])

    assert any(rule.get("FromPort") == 9443 and "SourceSecurityGroupId" in rule for rule in rules)
    assert all(rule.get("CidrIp") != "0.0.0.0/0" for rule in rules)


def test_an_application_image_in_ecr_can_be_pulled(tmp_path: Path) -> None:
    """ECS's execution role gets the right on the repository that the mesh file names."""
    mesh = yaml.safe_load((ROOT / "mesh.yaml").read_text())
    image = "111122223333.dkr.ecr.eu-west-1.amazonaws.com/shop/teller:1.4"
    mesh["services"]["colorteller"]["application"]["image"] = image
    file = tmp_path / "mesh.yaml"
    file.write_text(yaml.safe_dump(mesh))

    found = synthesise(tmp_path / "assembly", mesh=str(file))

    pulls = [statement for statement in found.statements() if "ecr:BatchGetImage" in statement.actions]
    assert any("repository/shop/teller" in resource for statement in pulls for resource in statement.resources)


def test_services_start_when_there_is_a_way_to_aws_and_a_right_to_pull(templates: Templates) -> None:
    """Otherwise the first tasks of a fresh deploy would fail and trip the circuit breaker."""
    routes = {
        route.logical_id for route in templates.resources("AWS::EC2::Route") if "ServicesSubnet" in route.logical_id
    }
    policies = {
        policy.logical_id for policy in templates.resources("AWS::IAM::Policy") if "ExecutionRole" in policy.logical_id
    }

    assert routes
    assert policies
    for service in templates.resources("AWS::ECS::Service"):
        assert routes | policies <= set(service.definition["DependsOn"]), service.logical_id
