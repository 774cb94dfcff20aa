"""Promises of the policies: who may do what, on what, and nothing else."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.stacks.synthesis import Resource, Statement, Templates

WRITES = {"secretsmanager:PutSecretValue", "acm:ExportCertificate", "acm-pca:IssueCertificate"}
NARROW = (
    "acm-pca:RevokeCertificate",
    "acm:ExportCertificate",
    "acm:RenewCertificate",
    "ecs:UpdateService",
    "secretsmanager:PutSecretValue",
    "secretsmanager:UpdateSecretVersionStage",
)
WITHOUT_RESOURCE = (
    {"ecs:ListTasks"},
    {"servicediscovery:DiscoverInstances", "servicediscovery:DiscoverInstancesRevision"},
)
"""Actions that know no resource and are limited by their conditions alone."""
TAGGED = {"StringEquals": {"aws:ResourceTag/meshcert:mesh": "color"}}
SIGNS = {"StringEquals": TAGGED["StringEquals"] | {"aws:ResourceTag/meshcert:signs": "certificates"}}
# Services that hand out keys, values of secrets, or the rights to them, and the ways to change who does.
WAYS_TO_A_KEY = re.compile(
    r"acm:(Export|Request|Import)|acm-pca:Issue|iam:|kms:|sts:"
    r"|lambda:(?!InvokeFunction$)"
    r"|secretsmanager:(?!DescribeSecret$|UpdateSecretVersionStage$)"
)
LOGS = {"logs:CreateLogStream", "logs:PutLogEvents"}
RECEIVES = {"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"}


def _of(templates: Templates, role: str) -> list[Statement]:
    """The statements of the role whose logical id begins so."""
    statements = [statement for statement in templates.statements() if statement.role.startswith(role)]
    assert statements, role
    return statements


def _granted(templates: Templates, role: str) -> set[str]:
    return {action for statement in _of(templates, role) for action in statement.actions}


def _on(templates: Templates, role: str, action: str) -> list[str]:
    """The resources on which a role may do something, without region, account and partition."""
    resources = [
        resource
        for statement in _of(templates, role)
        if action in statement.actions
        for resource in statement.resources
    ]
    assert resources, action
    return sorted(re.sub(r'.*":?([^"]+)"\]\]\}', r"\1", resource).lstrip(":") for resource in resources)


def test_only_the_export_role_may_export_issue_or_put(templates: Templates) -> None:
    """No other role of any stack is allowed to touch private keys' sources or to write secrets."""
    writers = {
        statement.role
        for statement in templates.statements()
        if statement.effect == "Allow" and WRITES & set(statement.actions)
    }

    assert len(writers) == 1
    assert all("Export" in writer for writer in writers)


def test_the_functions_that_export_share_one_role_and_the_others_have_their_own(templates: Templates) -> None:
    """The two functions do the same work; every other role is named after its owner."""
    roles = {role.logical_id: role for role in templates.resources("AWS::IAM::Role")}
    used = {
        function.properties["FunctionName"]: roles[function.properties["Role"]["Fn::GetAtt"][0]]
        for function in templates.resources("AWS::Lambda::Function")
    }

    assert {name: _name(role) for name, role in used.items()} == {
        "meshcert-color-export": "meshcert-color-{AWS::Region}-export",
        "meshcert-color-deploy": "meshcert-color-{AWS::Region}-export",
        "meshcert-color-verify": "meshcert-color-{AWS::Region}-verify",
        "meshcert-color-renewal": "meshcert-color-{AWS::Region}-renewal",
        "meshcert-color-dispatch": "meshcert-color-{AWS::Region}-dispatch",
    }


def test_the_renewal_role_does_its_work_and_nothing_else(templates: Templates) -> None:
    """Action by action; the calls it makes are compared with these on the local AWS (tests/e2e/test_rights.py)."""
    assert _granted(templates, "RenewalRole") == LOGS | RECEIVES | {
        "acm-pca:GetCertificateAuthorityCertificate",
        "acm-pca:RevokeCertificate",
        "acm:DescribeCertificate",
        "acm:GetCertificate",
        "acm:RenewCertificate",
        "dynamodb:BatchGetItem",
        "dynamodb:DeleteItem",
        "dynamodb:GetItem",
        "dynamodb:Query",
        "dynamodb:UpdateItem",
        "ecs:DescribeServices",
        "ecs:DescribeTasks",
        "ecs:ListServiceDeployments",
        "ecs:ListTagsForResource",
        "ecs:ListTasks",
        "ecs:UpdateService",
        "lambda:InvokeFunction",
        "secretsmanager:DescribeSecret",
        "secretsmanager:UpdateSecretVersionStage",
    }


def test_the_renewal_role_alone_revokes_and_only_certificates_of_workloads(templates: Templates) -> None:
    """An operator orders it; nobody can take a CA of the mesh out of service by having its certificate revoked."""
    revoking = [statement for statement in templates.statements() if "acm-pca:RevokeCertificate" in statement.actions]

    assert [statement.role.startswith("RenewalRole") for statement in revoking] == [True]
    assert revoking[0].actions == ("acm-pca:RevokeCertificate",)
    assert revoking[0].conditions == SIGNS


def test_the_tag_that_lets_issue_and_revoke_is_on_the_cas_that_sign_for_workloads_alone(templates: Templates) -> None:
    """A root above an issuing CA has signed that one; a root that is alone signs for workloads itself."""
    tag = {"Key": "meshcert:signs", "Value": "certificates"}
    authorities = [each.properties for each in templates.resources("AWS::ACMPCA::CertificateAuthority")]
    names = {each["Subject"]["CommonName"] for each in authorities}
    signing = {each["Subject"]["CommonName"] for each in authorities if tag in each["Tags"]}

    assert names - signing == {name.replace("issuing", "root") for name in names if "issuing" in name} != set()


@pytest.mark.parametrize("role", ["RenewalRole", "DispatchRole", "Operator", "ClockRole"])
def test_no_role_of_the_renewal_stack_has_a_way_to_a_private_key(templates: Templates, role: str) -> None:
    """No export, no value of a secret, no decryption, no policy, no other code, no other role."""
    reaching = {action for action in _granted(templates, role) if WAYS_TO_A_KEY.match(action)}

    assert reaching == set()


@pytest.mark.parametrize("action", ["acm:ExportCertificate", "secretsmanager:GetSecretValue", "kms:Decrypt"])
def test_the_net_for_ways_to_a_key_catches_them(action: str) -> None:
    """The pattern above matches what it is for."""
    assert WAYS_TO_A_KEY.match(action)


@pytest.mark.parametrize(("role", "function"), [("RenewalRole", "export"), ("Operator", "verify")])
def test_each_caller_may_invoke_the_function_it_needs_alone(templates: Templates, role: str, function: str) -> None:
    """Operators have nothing exported; the deploy function obeys its request, so CloudFormation alone calls it."""
    assert _on(templates, role, "lambda:InvokeFunction") == [f"function:meshcert-color-{function}"]
    invoking = {statement.role for statement in templates.statements() if "lambda:InvokeFunction" in statement.actions}
    assert len(invoking) == 2


def test_the_verify_role_reads_identities_secrets_and_changes_nothing(templates: Templates) -> None:
    """Its own secrets' values, their key on the way through Secrets Manager, the row and the root: that is all."""
    assert _granted(templates, "VerifyRole") == LOGS | {
        "acm-pca:GetCertificateAuthorityCertificate",
        "dynamodb:GetItem",
        "kms:Decrypt",
        "secretsmanager:GetSecretValue",
    }
    assert _on(templates, "VerifyRole", "secretsmanager:GetSecretValue") == ["secret:meshcert/color/identity/*"]
    assert _on(templates, "VerifyRole", "dynamodb:GetItem") == ["table/meshcert-color-identities"]
    (decrypting,) = (each for each in _of(templates, "VerifyRole") if "kms:Decrypt" in each.actions)
    assert "kms:ViaService" in decrypting.conditions["StringEquals"]


def test_the_renewal_role_writes_no_table_but_its_own(templates: Templates) -> None:
    """The role may only read what is declared and what tasks acknowledge, so it cannot forge either."""
    assert _on(templates, "RenewalRole", "dynamodb:UpdateItem") == ["table/meshcert-color-lifecycle"]
    assert _on(templates, "RenewalRole", "dynamodb:DeleteItem") == ["table/meshcert-color-lifecycle"]
    assert _on(templates, "RenewalRole", "dynamodb:GetItem") == [
        "table/meshcert-color-identities",
        "table/meshcert-color-lifecycle",
    ]
    assert _on(templates, "RenewalRole", "dynamodb:Query") == ["table/meshcert-color-identities/index/by-certificate"]
    for role in ("RenewalRole", "Operator"):
        assert _on(templates, role, "dynamodb:BatchGetItem") == ["table/meshcert-color-acknowledgements"]


def test_the_renewal_role_moves_labels_of_identities_only(templates: Templates) -> None:
    """A trust bundle is never rolled back."""
    assert _on(templates, "RenewalRole", "secretsmanager:UpdateSecretVersionStage") == [
        "secret:meshcert/color/identity/*"
    ]


def test_the_renewal_role_deploys_in_the_meshs_cluster_only(templates: Templates) -> None:
    """Services by their cluster's name; listing tasks, which has no resource, by the same condition."""
    assert _on(templates, "RenewalRole", "ecs:UpdateService") == ["service/meshcert-color/*"]
    for role in ("RenewalRole", "Operator"):
        (listing,) = (statement for statement in _of(templates, role) if "ecs:ListTasks" in statement.actions)
        assert listing.actions == ("ecs:ListTasks",)
        (condition,) = listing.conditions.items()
        assert condition[0] == "ArnEquals"
        assert _joined(condition[1]["ecs:cluster"]).endswith(":cluster/meshcert-color")


def test_the_dispatch_role_pages_tables_and_sends_looks(templates: Templates) -> None:
    """It sees names, and can have them looked at."""
    granted = _granted(templates, "DispatchRole")

    assert granted == LOGS | RECEIVES | {"dynamodb:Query", "dynamodb:Scan", "sqs:SendMessage"}
    assert _on(templates, "DispatchRole", "dynamodb:Scan") == ["table/meshcert-color-identities"]
    assert _on(templates, "DispatchRole", "dynamodb:Query") == ["table/meshcert-color-lifecycle/index/unsettled"]
    assert _on(templates, "DispatchRole", "sqs:SendMessage") == ["meshcert-color-looks"]
    assert _on(templates, "DispatchRole", "sqs:ReceiveMessage") == ["meshcert-color-dispatch"]


def test_the_operator_reads_orders_and_has_keys_verified(templates: Templates) -> None:
    """The role has what the command meshcert needs; it changes nothing but the orders queue."""
    assert _granted(templates, "Operator") == {
        "acm-pca:DescribeCertificateAuthority",
        "acm-pca:GetCertificateAuthorityCertificate",
        "acm:DescribeCertificate",
        "acm:GetCertificate",
        "dynamodb:BatchGetItem",
        "dynamodb:GetItem",
        "dynamodb:Scan",
        "ecs:DescribeServices",
        "ecs:DescribeTasks",
        "ecs:ListServiceDeployments",
        "ecs:ListTasks",
        "lambda:InvokeFunction",
        "logs:FilterLogEvents",
        "secretsmanager:DescribeSecret",
        "sqs:GetQueueUrl",
        "sqs:SendMessage",
    }
    scanned = [f"table/meshcert-color-{table}" for table in ("identities", "lifecycle")]
    assert sorted(_on(templates, "Operator", "dynamodb:Scan")) == scanned
    assert _on(templates, "Operator", "sqs:SendMessage") == ["meshcert-color-orders"]
    assert _on(templates, "Operator", "logs:FilterLogEvents") == ["log-group:/meshcert/color/audit:*"]


def test_only_people_of_the_account_can_become_operator(templates: Templates) -> None:
    """The account's own policies decide which people."""
    (operator,) = (role for role in templates.resources("AWS::IAM::Role") if role.logical_id.startswith("Operator"))
    (statement,) = operator.properties["AssumeRolePolicyDocument"]["Statement"]

    assert statement["Action"] == "sts:AssumeRole"
    assert _joined(statement["Principal"]["AWS"]) == "arn:{AWS::Partition}:iam::{AWS::AccountId}:root"


def test_schedules_send_with_a_role_that_other_accounts_cannot_borrow(templates: Templates) -> None:
    """Scheduler assumes it for this account's schedules alone, and it sends to two queues."""
    (role,) = (role for role in templates.resources("AWS::IAM::Role") if role.logical_id.startswith("ClockRole"))
    (trust,) = role.properties["AssumeRolePolicyDocument"]["Statement"]

    assert trust["Principal"] == {"Service": "scheduler.amazonaws.com"}
    assert trust["Condition"] == {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}
    assert _granted(templates, "ClockRole") == {"sqs:SendMessage"}


@pytest.mark.parametrize("action", NARROW)
def test_what_changes_something_is_never_allowed_on_everything(templates: Templates, action: str) -> None:
    """Over all templates: by name, by this mesh's prefix, or by its tag."""
    statements = [statement for statement in templates.statements() if action in statement.actions]

    assert statements
    for statement in statements:
        for resource in statement.resources:
            assert resource != "*"
            named = re.search(r"meshcert[-/]color", resource)
            assert named or statement.conditions in (TAGGED, SIGNS), resource


def test_no_statement_allows_every_action_or_an_unfenced_star(templates: Templates) -> None:
    """Wildcard resources appear only under this mesh's tag, prefix or cluster; wildcard actions never."""
    fenced = set()
    for statement in templates.statements():
        assert not any("*" in action for action in statement.actions), statement
        if any(resource == "*" for resource in statement.resources):
            # These have no resource (service authorization references of Amazon ECR, Amazon ECS and AWS Cloud Map).
            unlimited = set(statement.actions) == {"ecr:GetAuthorizationToken"}
            assert unlimited or (set(statement.actions) in WITHOUT_RESOURCE and statement.conditions), statement
        if any(re.search(r":acm(-pca)?:", resource) and "*" in resource for resource in statement.resources):
            # One that is gone has no tag, and is to be seen to be gone.
            described = set(statement.actions) == {"acm:DescribeCertificate"}
            assert statement.conditions in (({},) if described else (TAGGED, SIGNS)), statement
            fenced.add(re.sub(r"[0-9A-F]{8}$", "", statement.role))
    assert fenced == {"ExportRole", "VerifyRole", "RenewalRole", "Operator"}


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


@pytest.mark.parametrize("service", ["colorgateway", "colorteller"])
def test_a_task_acknowledges_for_its_own_service_only(templates: Templates, service: str) -> None:
    """Rows under its own service's key; a request that names no key is refused, where "for all" would let it pass."""
    (statement,) = (
        statement for statement in _of(templates, f"{service}TaskRole") if "dynamodb:PutItem" in statement.actions
    )

    assert statement.actions == ("dynamodb:PutItem",)
    assert all(resource.endswith(':table/meshcert-color-acknowledgements"]]}') for resource in statement.resources)
    assert statement.conditions == {
        "ForAllValues:StringEquals": {"dynamodb:LeadingKeys": [service]},
        "Null": {"dynamodb:LeadingKeys": "false"},
    }


def test_a_caller_discovers_its_declared_backends_and_no_other_service(templates: Templates) -> None:
    """Both actions have no resource: only the names in the condition limit them. Who calls nobody may ask nothing."""
    statements = [statement for statement in templates.statements() if "servicediscovery" in str(statement.actions)]

    (statement,) = statements
    assert statement.role.startswith("colorgatewayTaskRole")
    assert sorted(statement.actions) == [
        "servicediscovery:DiscoverInstances",
        "servicediscovery:DiscoverInstancesRevision",
    ]
    assert statement.conditions == {
        "StringEquals": {
            "servicediscovery:NamespaceName": "mtls.svc.cluster.local",
            "servicediscovery:ServiceName": ["colorteller"],
        }
    }


@pytest.mark.parametrize("service", ["colorgateway", "colorteller"])
def test_tasks_decrypt_with_the_meshs_key_through_secrets_manager_only(templates: Templates, service: str) -> None:
    """kms:Decrypt is granted for one key, on the way through Secrets Manager: of keys its own alone, and any roots."""
    statements = [each for each in _of(templates, f"{service}TaskRole") if "kms:Decrypt" in each.actions]

    (statement,) = statements
    assert len(statement.resources) == 1
    assert "kms:ViaService" in statement.conditions["StringEquals"]
    assert [_joined(arn) for arn in statement.conditions["StringLike"]["kms:EncryptionContext:SecretARN"]] == [
        "arn:{AWS::Partition}:secretsmanager:{AWS::Region}:{AWS::AccountId}:secret:meshcert/color/" + name
        for name in (f"identity/{service}-??????", "trust/*")
    ]


def test_the_execution_role_can_read_no_secret(templates: Templates) -> None:
    """ECS's own role pulls images and writes logs: secrets never pass through it or the environment."""
    actions = _granted(templates, "ExecutionRole")

    assert actions
    assert not any(action.startswith(("secretsmanager:", "kms:", "ssm:")) for action in actions)


def test_every_secret_refuses_values_from_anyone_but_the_export_role(templates: Templates) -> None:
    """
    The resource policies deny putting, promoting and updating; never reading, policy, describe or delete actions.

    A rollback moves the labels of an identity's secret, so there the renewal role may too. An update is left to the
    role that CloudFormation deploys with, under the bootstrap's exact name.
    """
    secrets = {secret.logical_id: secret for secret in templates.resources("AWS::SecretsManager::Secret")}
    policies = templates.resources("AWS::SecretsManager::ResourcePolicy")
    role = "arn:{AWS::Partition}:iam::{AWS::AccountId}:role"
    export, renewal = (f"{role}/meshcert-color-{{AWS::Region}}-{owner}" for owner in ("export", "renewal"))

    assert {policy.properties["SecretId"]["Ref"] for policy in policies} == set(secrets)
    for policy in policies:
        name = secrets[policy.properties["SecretId"]["Ref"]].properties["Name"]
        allowed = {}
        for statement in policy.properties["ResourcePolicy"]["Statement"]:
            assert statement["Effect"] == "Deny"
            assert statement["Principal"] == {"AWS": "*"}
            assert statement["Resource"] == "*"
            (condition,) = statement["Condition"].items()
            assert condition[0] == "ArnNotLike"
            allowed[statement["Action"]] = [_joined(arn) for arn in condition[1]["aws:PrincipalArn"]]
        assert allowed == {
            "secretsmanager:PutSecretValue": [export],
            "secretsmanager:UpdateSecretVersionStage": [export, renewal] if "/identity/" in name else [export],
            "secretsmanager:UpdateSecret": [f"{role}/cdk-hnb659fds-cfn-exec-role-{{AWS::AccountId}}-{{AWS::Region}}"],
        }, name


def _name(role: Resource) -> str:
    return _joined(role.properties["RoleName"])


def _joined(value: Any) -> str:
    """A name that CloudFormation puts together, with its parameters in braces."""
    parts = value["Fn::Join"][1]
    return "".join(part if isinstance(part, str) else f"{{{part['Ref']}}}" for part in parts)
