"""Promises of the templates to people who read policies."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
import yaml

from meshcert.identity import IDENTITY_SCHEMA
from meshcert.material.document import PLACEHOLDER
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
)


@pytest.mark.parametrize("kind", KEPT)
def test_what_cannot_be_made_again_outlives_its_stack_but_not_a_failed_create(templates: Templates, kind: str) -> None:
    """CAs, their certificates, secrets and the key are retained on update and delete; a failed create removes them."""
    for resource in templates.resources(kind):
        assert resource.definition["DeletionPolicy"] == "RetainExceptOnCreate", resource.logical_id
        assert resource.definition["UpdateReplacePolicy"] == "Retain", resource.logical_id


def test_the_secrets_key_and_the_audit_outlive_their_stacks(templates: Templates) -> None:
    """Without the key the secrets cannot be opened; who did what must not go with the stack that did it."""
    kept = [key for key in templates.resources("AWS::KMS::Key") if key.stack == "identities"]
    kept += [
        group
        for group in templates.resources("AWS::Logs::LogGroup")
        if group.properties["LogGroupName"] == "/meshcert/color/audit"
    ]

    assert len(kept) == 2
    for resource in kept:
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


def test_secrets_are_seeded_with_one_constant_placeholder(templates: Templates) -> None:
    """
    Another text in a later deploy would be published over the material of every identity at once.

    CloudFormation writes a new version when the property changes. So this text is the one that was deployed first, and
    a new schema of secrets does not change it.
    """
    values = {secret.properties["SecretString"] for secret in templates.resources("AWS::SecretsManager::Secret")}

    assert values == {PLACEHOLDER}
    assert PLACEHOLDER == '{"Schema": 1, "Placeholder": "Written by the template; the export function replaces it."}'


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
        if policy.logical_id.startswith("ExportRole") and "Rights" in policy.logical_id
    }

    assert bundles
    assert rights
    for identity in templates.resources("Custom::MeshcertIdentity"):
        assert bundles | rights <= set(identity.definition["DependsOn"])


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


def test_envoys_container_has_no_capabilities(templates: Templates) -> None:
    """Whoever breaks into it cannot even get those that Docker leaves to every container."""
    for task in templates.resources("AWS::ECS::TaskDefinition"):
        envoy = next(c for c in task.properties["ContainerDefinitions"] if c["Name"] == "envoy")
        assert envoy["LinuxParameters"]["Capabilities"] == {"Drop": ["ALL"]}


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
    """The functions' rights are limited by this tag."""
    for kind in (
        "AWS::CertificateManager::Certificate",
        "AWS::ACMPCA::CertificateAuthority",
        "AWS::SecretsManager::Secret",
    ):
        for resource in templates.resources(kind):
            assert {"Key": "meshcert:mesh", "Value": "color"} in resource.properties["Tags"], resource.logical_id


def test_an_ecs_event_can_be_traced_to_its_identities(templates: Templates) -> None:
    """Each service carries a tag for every identity that its proxy holds, and passes none on from elsewhere."""
    tagged = {
        service.properties["ServiceName"]: [
            tag["Key"] for tag in service.properties["Tags"] if tag["Key"].startswith("meshcert:identity/")
        ]
        for service in templates.resources("AWS::ECS::Service")
    }

    assert tagged == {
        "colorgateway": ["meshcert:identity/colorgateway"],
        "colorteller": ["meshcert:identity/colorteller"],
    }


def test_the_identities_row_says_who_serves_it_and_which_cas_sign_it(templates: Templates) -> None:
    """A rollout takes the services in the mesh file's order; the CA that signs comes first, the root last."""
    identities = {
        resource.properties["Identity"]: resource.properties
        for resource in templates.resources("Custom::MeshcertIdentity")
    }

    assert identities["colorgateway"]["Services"] == [
        {"Name": "colorgateway", "Rotation": "reload", "PollIntervalS": "60"}
    ]
    assert identities["colorteller"]["Services"] == [
        {"Name": "colorteller", "Rotation": "redeploy", "PollIntervalS": "60"}
    ]
    (single,) = identities["colorgateway"]["CertificateAuthorityArns"]
    issuing, root = identities["colorteller"]["CertificateAuthorityArns"]
    assert "colorgatewayRoot" in single["Fn::ImportValue"]
    assert "colortellerIssuing" in issuing["Fn::ImportValue"]
    assert "colortellerRoot" in root["Fn::ImportValue"]


def test_a_new_schema_of_rows_has_every_identity_written_anew(templates: Templates) -> None:
    """CloudFormation runs a custom resource again only if a property changes: rows of before are read by nobody."""
    for identity in templates.resources("Custom::MeshcertIdentity"):
        assert identity.properties["Schema"] == str(IDENTITY_SCHEMA)


def test_cloudformation_has_a_door_of_its_own_with_a_queue_for_what_failed(templates: Templates) -> None:
    """Custom resources call the deploy function; it alone is called without waiting, so it alone tries again."""
    functions = {
        function.logical_id: function.properties["FunctionName"]
        for function in templates.resources("AWS::Lambda::Function")
    }
    for custom in templates.resources("Custom::MeshcertIdentity", "Custom::MeshcertTrustBundle"):
        assert functions[custom.properties["ServiceToken"]["Fn::GetAtt"][0]] == "meshcert-color-deploy"
    (retried,) = templates.resources("AWS::Lambda::EventInvokeConfig")
    with_dead_letters = {
        function.properties["FunctionName"]
        for function in templates.resources("AWS::Lambda::Function")
        if "DeadLetterConfig" in function.properties
    }

    assert functions[retried.properties["FunctionName"]["Ref"]] == "meshcert-color-deploy"
    assert with_dead_letters == {"meshcert-color-deploy"}


def test_tables_hold_what_the_lifecycle_looks_up(templates: Templates) -> None:
    """Unsettled identities by the time of their next look; acknowledgements by service, and not for ever."""
    tables = {table.properties["TableName"]: table.properties for table in templates.resources("AWS::DynamoDB::Table")}

    names = ("identities", "lifecycle", "acknowledgements", "routes")
    assert set(tables) == {f"meshcert-color-{name}" for name in names}
    (unsettled,) = tables["meshcert-color-lifecycle"]["GlobalSecondaryIndexes"]
    assert unsettled["KeySchema"] == [
        {"AttributeName": "unsettled", "KeyType": "HASH"},
        {"AttributeName": "look_at", "KeyType": "RANGE"},
    ]
    assert unsettled["Projection"] == {"ProjectionType": "KEYS_ONLY"}
    acknowledgements = tables["meshcert-color-acknowledgements"]
    assert [key["AttributeName"] for key in acknowledgements["KeySchema"]] == ["service", "task"]
    assert acknowledgements["TimeToLiveSpecification"] == {"AttributeName": "expires", "Enabled": True}


def test_architecture_and_python_change_nothing_but_where_code_runs(templates: Templates, tmp_path: Path) -> None:
    """The local deploy differs from the one on AWS in runtime, architecture and asset names only."""
    other = synthesise(tmp_path, architecture="x86_64", python="3.12")

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
    for service in ("secretsmanager", "logs", "ecr.api", "ecr.dkr", "s3", "dynamodb", "data-servicediscovery"):
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
    assert len(policies) == 1
    for service in templates.resources("AWS::ECS::Service"):
        assert routes | policies <= set(service.definition["DependsOn"]), service.logical_id


def test_a_denied_name_is_asked_again_after_a_second(templates: Templates) -> None:
    """A service that had no task for a moment is not denied for minutes: the namespace says so to every resolver."""
    [namespace] = templates.resources("AWS::ServiceDiscovery::PrivateDnsNamespace")

    assert namespace.properties["Properties"] == {"DnsProperties": {"SOA": {"TTL": 1}}}
