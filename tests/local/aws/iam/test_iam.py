"""IAM is enforced with the condition keys that the product's policies use, and every decision is on record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import boto3
import pytest

from tests.local.aws.hierarchies import TEMPLATE, end_entity_request, root
from tests.local.aws.refusals import ClientError, code_of, denial_of, is_allowed
from tests.local.aws.roles import new_role

if TYPE_CHECKING:
    from local.running_aws import LocalAws


def allow(actions: str | list[str], resource: str, **condition: Any) -> dict[str, Any]:
    """An Allow statement."""
    statement = {"Effect": "Allow", "Action": actions, "Resource": resource}
    return {**statement, "Condition": condition} if condition else statement


def request_certificate(aws: LocalAws, authority: str, mesh: str) -> str:
    """A certificate tagged with a mesh; its ARN."""
    call = {"CertificateAuthorityArn": authority, "KeyAlgorithm": "EC_prime256v1"}
    tags = [{"Key": "meshcert:mesh", "Value": mesh}]
    answer = aws.client("acm").request_certificate(DomainName="teller.color.local", Tags=tags, **call)
    return str(answer["CertificateArn"])


def new_service(aws: LocalAws, name: str, **more: Any) -> str:
    """An ECS service without tasks in the cluster ``mesh``; its ARN."""
    ecs = aws.client("ecs")
    ecs.create_cluster(clusterName="mesh")
    ecs.register_task_definition(family="empty", containerDefinitions=[{"name": "app", "image": "none"}])
    call = {"cluster": "mesh", "taskDefinition": "empty", "desiredCount": 0, **more}
    return str(ecs.create_service(serviceName=name, **call)["service"]["serviceArn"])


def test_a_role_is_limited_to_certificates_of_its_mesh_by_tag(fresh_aws: LocalAws) -> None:
    """aws:ResourceTag of ACM certificates: the own mesh's may be exported, another's not."""
    authority = root(fresh_aws.client("acm-pca"))
    own, foreign = (request_certificate(fresh_aws, authority, mesh) for mesh in ("color", "other"))
    condition = {"aws:ResourceTag/meshcert:mesh": "color"}
    role = new_role(fresh_aws, "export", [allow("acm:ExportCertificate", "*", StringEquals=condition)])
    acm = fresh_aws.client_as(role, "acm")

    messages = [
        denial_of(acm.export_certificate, CertificateArn=arn, Passphrase=b"correct horse") for arn in (own, foreign)
    ]

    assert messages[0] == ""
    assert "acm:ExportCertificate" in messages[1]


def test_a_role_is_limited_to_cas_and_secrets_of_its_mesh_by_tag(fresh_aws: LocalAws) -> None:
    """aws:ResourceTag of Private CA and of secrets."""
    pca, secrets = fresh_aws.client("acm-pca"), fresh_aws.client("secretsmanager")
    own, foreign = root(pca), root(pca)
    pca.untag_certificate_authority(CertificateAuthorityArn=foreign, Tags=[{"Key": "meshcert:mesh"}])
    secrets.create_secret(Name="own", SecretString="x", Tags=[{"Key": "meshcert:mesh", "Value": "color"}])
    secrets.create_secret(Name="foreign", SecretString="x")
    condition = {"aws:ResourceTag/meshcert:mesh": "color"}
    actions = ["acm-pca:GetCertificateAuthorityCertificate", "secretsmanager:GetSecretValue"]
    role = new_role(fresh_aws, "reader", [allow(actions, "*", StringEquals=condition)])
    pca, secrets = fresh_aws.client_as(role, "acm-pca"), fresh_aws.client_as(role, "secretsmanager")

    seen = [
        *(is_allowed(pca.get_certificate_authority_certificate, CertificateAuthorityArn=arn) for arn in (own, foreign)),
        *(is_allowed(secrets.get_secret_value, SecretId=name) for name in ("own", "foreign")),
    ]

    assert seen == [True, False, True, False]


@pytest.mark.parametrize(
    "condition",
    [
        {"StringEquals": {"acm-pca:TemplateArn": TEMPLATE.format("EndEntityCertificate")}},
        {"ArnLike": {"acm-pca:TemplateArn": "arn:aws:acm-pca:*:*:template/EndEntityCertificate/V1"}},
    ],
    ids=lambda condition: next(iter(condition)),
)
def test_a_role_may_issue_from_one_ca_and_with_one_template_only(
    fresh_aws: LocalAws, condition: dict[str, Any]
) -> None:
    """The resource is the CA's ARN; acm-pca:TemplateArn is the template, also the default one."""
    pca = fresh_aws.client("acm-pca")
    own, foreign = root(pca), root(pca)
    role = new_role(fresh_aws, "issuer", [allow("acm-pca:IssueCertificate", own, **condition)])
    issuer = fresh_aws.client_as(role, "acm-pca")
    request = end_entity_request("teller.color.local", "spiffe://color/teller")

    def may_issue(authority: str, **more: Any) -> bool:
        call = {"Csr": request, "SigningAlgorithm": "SHA256WITHECDSA", "Validity": {"Type": "DAYS", "Value": 1}}
        return is_allowed(issuer.issue_certificate, CertificateAuthorityArn=authority, **call, **more)

    others = ("RootCACertificate", "EndEntityCertificate_APIPassthrough", "EndEntityClientAuthCertificate")
    assert [may_issue(own), may_issue(foreign)] == [True, False]
    assert not any(may_issue(own, TemplateArn=TEMPLATE.format(name)) for name in others)


def test_a_role_requests_certificates_only_from_its_ca(fresh_aws: LocalAws) -> None:
    """acm:CertificateAuthority and acm:DomainNames fence RequestCertificate."""
    pca = fresh_aws.client("acm-pca")
    own, foreign = root(pca), root(pca)
    condition = {"StringEquals": {"acm:CertificateAuthority": own}}
    names = {"ForAllValues:StringLike": {"acm:DomainNames": "*.color.local"}}
    statement = {**allow("acm:RequestCertificate", "*"), "Condition": {**condition, **names}}
    acm = fresh_aws.client_as(new_role(fresh_aws, "requester", [statement]), "acm")

    def request(authority: str, name: str) -> bool:
        call = {"DomainName": name, "KeyAlgorithm": "EC_prime256v1", "CertificateAuthorityArn": authority}
        return is_allowed(acm.request_certificate, **call)

    seen = [
        request(own, "teller.color.local"),
        request(foreign, "teller.color.local"),
        request(own, "teller.example.com"),
    ]
    assert seen == [True, False, False]


def test_a_role_rolls_one_service_and_no_other(fresh_aws: LocalAws) -> None:
    """ECS requests are checked on the service, task or tagged resource they name, each one of several."""
    own, foreign = (new_service(fresh_aws, name) for name in ("teller", "gateway"))
    actions = ["ecs:UpdateService", "ecs:DescribeServices", "ecs:ListServiceDeployments", "ecs:ListTagsForResource"]
    ecs = fresh_aws.client_as(new_role(fresh_aws, "renewal", [allow(actions, own)]), "ecs")

    def may(call: Any, **arguments: Any) -> bool:
        return is_allowed(call, cluster="mesh", **arguments)

    seen = [
        *(may(ecs.update_service, service=name, forceNewDeployment=True) for name in (own, "teller", foreign)),
        *(may(ecs.list_service_deployments, service=name) for name in ("teller", "gateway")),
        *(may(ecs.describe_services, services=names) for names in (["teller"], ["teller", "gateway"])),
        *(is_allowed(ecs.list_tags_for_resource, resourceArn=arn) for arn in (own, foreign)),
    ]

    assert seen == [True, True, False, True, False, True, False, True, False]


def test_a_role_lists_tasks_of_its_cluster_and_its_services_by_tag(fresh_aws: LocalAws) -> None:
    """ecs:cluster narrows ListTasks, which has no resource; aws:ResourceTag knows the tags of services."""
    new_service(fresh_aws, "teller", tags=[{"key": "meshcert:mesh", "value": "color"}])
    new_service(fresh_aws, "gateway")
    cluster = f"arn:aws:ecs:{fresh_aws.region}:{fresh_aws.account}:cluster/mesh"
    by_cluster = allow("ecs:ListTasks", "*", ArnEquals={"ecs:cluster": cluster})
    by_tag = allow("ecs:UpdateService", "*", StringEquals={"aws:ResourceTag/meshcert:mesh": "color"})
    ecs = fresh_aws.client_as(new_role(fresh_aws, "renewal", [by_cluster, by_tag]), "ecs")
    fresh_aws.client("ecs").create_cluster(clusterName="other")

    seen = [
        *(is_allowed(ecs.list_tasks, cluster=name) for name in ("mesh", cluster, "other")),
        *(is_allowed(ecs.update_service, cluster="mesh", service=name) for name in ("teller", "gateway")),
    ]

    assert seen == [True, True, False, True, False]


def test_every_decision_is_on_record(fresh_aws: LocalAws) -> None:
    """Role, action, resource and outcome, once each: what a test of granted = used reads."""
    secret = fresh_aws.client("secretsmanager").create_secret(Name="own", SecretString="x")["ARN"]
    role = new_role(fresh_aws, "reader", [allow("secretsmanager:GetSecretValue", secret)])
    secrets = fresh_aws.client_as(role, "secretsmanager")

    for _ in range(2):
        secrets.get_secret_value(SecretId="own")
    assert not is_allowed(secrets.delete_secret, SecretId="own")

    log = [entry for entry in fresh_aws.control("GET", "/_local/iam/log") if entry["role"] == "reader"]
    assert log == [
        {"role": "reader", "action": "secretsmanager:GetSecretValue", "resource": secret, "allowed": True},
        {"role": "reader", "action": "secretsmanager:DeleteSecret", "resource": secret, "allowed": False},
    ]
    created = {"role": "root", "action": "secretsmanager:CreateSecret", "allowed": True}
    assert any(created.items() <= entry.items() for entry in fresh_aws.control("GET", "/_local/iam/log"))


def test_who_may_not_list_a_bucket_does_not_learn_that_an_object_is_missing(fresh_aws: LocalAws) -> None:
    """S3 says "denied" to those (API reference, GetObject); of an object that is there nothing changes."""
    fresh_aws.client("s3").create_bucket(Bucket="lists", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    fresh_aws.client("s3").put_object(Bucket="lists", Key="there", Body=b"")
    reads = allow("s3:GetObject", "arn:aws:s3:::lists/*")
    roles = {"reader": [reads], "lister": [reads, allow("s3:ListBucket", "arn:aws:s3:::lists")]}

    codes = {}
    for name, rights in roles.items():
        client = fresh_aws.client_as(new_role(fresh_aws, name, rights), "s3")
        assert client.get_object(Bucket="lists", Key="there")["ContentLength"] == 0
        with pytest.raises(ClientError) as refused:
            client.get_object(Bucket="lists", Key="missing")
        codes[name] = code_of(refused)

    assert codes == {"reader": "AccessDenied", "lister": "NoSuchKey"}


@pytest.mark.parametrize("key", ["AKIAUNKNOWNUNKNOWN00", "ASIAUNKNOWNUNKNOWN00"])
def test_unknown_keys_are_refused(aws: LocalAws, key: str) -> None:
    """Neither users nor sessions that nobody issued get in."""
    client = boto3.client(
        "secretsmanager",
        endpoint_url=aws.endpoint,
        region_name=aws.region,
        aws_access_key_id=key,
        aws_secret_access_key="secret",
        aws_session_token="token" if key.startswith("ASIA") else None,
    )

    with pytest.raises(ClientError) as error:
        client.list_secrets()

    assert code_of(error) == "UnrecognizedClientException"
