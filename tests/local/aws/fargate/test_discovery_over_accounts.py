"""
Addresses in another account: by a role there, by a shared namespace, by a zone that a VPC is associated with.

Sources: Cloud Map API reference, "DiscoverInstances" (``OwnerAccount``), and developer guide, "Shared AWS Cloud Map
namespaces"; Route 53 developer guide, "Associating an Amazon VPC and a private hosted zone that you created with
different AWS accounts".
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from aws_cdk import App, Stack
from aws_cdk.assertions import Template
from botocore.config import Config

from entrypoint.aws.assumed_role import AssumedRoleCredentials
from entrypoint.aws.cloud_map import CloudMapReader
from entrypoint.aws.endpoint import cloud_map_endpoint, sts_endpoint
from entrypoint.aws.signature import Credentials
from entrypoint.aws.signed_connection import Session, SignedConnection
from meshcert import naming
from meshcert.errors import AwsRefused, AwsUnavailable
from meshcert.mesh.cells.slices import RemoteCallers
from stacks.constructs.crossings import discovery_role
from tests.local.aws.refusals import ClientError, is_allowed
from tests.local.aws.roles import new_role
from tests.local.aws.shared_authorities import OTHER, OWNER, InAccount, organize, share
from tests.local.aws.stacks import deploy
from tests.meshcert.mesh.cells.yelb import mesh

if TYPE_CHECKING:
    from local.running_aws import LocalAws

PERMISSION = "arn:aws:ram::aws:permission/AWSRAMPermissionCloudMapECSFullPermission"
ADDRESS = "10.0.0.7"
SECRET = "meshcert/yelb/identity/redis"


def namespace(aws: LocalAws) -> dict[str, Any]:
    """A private namespace of the local AWS's own account, with one instance behind ``redis``."""
    client = aws.client("servicediscovery")
    vpc = aws.client("ec2").create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    client.create_private_dns_namespace(Name="backend.local", Vpc=vpc)
    made: dict[str, Any] = client.list_namespaces()["Namespaces"][-1]
    records = {"DnsRecords": [{"Type": "A", "TTL": 5}]}
    service = client.create_service(Name="redis", NamespaceId=made["Id"], DnsConfig=records)["Service"]["Id"]
    client.register_instance(ServiceId=service, InstanceId="i", Attributes={"AWS_INSTANCE_IPV4": ADDRESS})
    return made


def discovered(aws: LocalAws, **more: Any) -> list[str]:
    """What the other account gets."""
    call = {"NamespaceName": "backend.local", "ServiceName": "redis", **more}
    answer = aws.client("servicediscovery", account=OTHER).discover_instances(**call)
    return [each["Attributes"]["AWS_INSTANCE_IPV4"] for each in answer["Instances"]]


def test_a_shared_namespace_is_asked_with_its_owner(fresh_aws: LocalAws) -> None:
    """Not without the share, not without the owner's account, and inside an organization only."""
    made = namespace(fresh_aws)
    with pytest.raises(ClientError, match="NamespaceNotFound"):
        discovered(fresh_aws, OwnerAccount=OWNER)
    outside = {"resourceArns": [made["Arn"]], "principals": ["777788889999"], "permissionArns": [PERMISSION]}
    with pytest.raises(ClientError, match="inside an organization only"):
        fresh_aws.client("ram").create_resource_share(name="redis", **outside)

    share(fresh_aws, [made["Arn"]], PERMISSION)

    assert discovered(fresh_aws, OwnerAccount=OWNER) == [ADDRESS]
    with pytest.raises(ClientError, match="NamespaceNotFound"):
        discovered(fresh_aws)


def test_a_private_zone_is_resolved_where_a_vpc_is_associated(fresh_aws: LocalAws) -> None:
    """The zone's owner authorizes the VPC, the VPC's owner associates it; a share alone resolves no name."""
    made = namespace(fresh_aws)
    organize(fresh_aws)
    share(fresh_aws, [made["Arn"]], PERMISSION)
    zone = made["Properties"]["DnsProperties"]["HostedZoneId"]
    vpc = fresh_aws.client("ec2", account=OTHER).create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
    call = {"HostedZoneId": zone, "VPC": {"VPCRegion": fresh_aws.region, "VPCId": vpc}}
    theirs = fresh_aws.client("route53", account=OTHER)

    assert fresh_aws.resolve("redis.backend.local") == ADDRESS
    with pytest.raises(LookupError):
        fresh_aws.resolve("redis.backend.local", OTHER)
    with pytest.raises(ClientError, match="NotAuthorized"):
        theirs.associate_vpc_with_hosted_zone(**call)
    fresh_aws.client("route53").create_vpc_association_authorization(**call)
    theirs.associate_vpc_with_hosted_zone(**call)

    assert fresh_aws.resolve("redis.backend.local", OTHER) == ADDRESS
    with pytest.raises(LookupError):
        fresh_aws.resolve("redis.backend.local", "777788889999")


class Caller:
    """A task in the other account, whose role may assume one role of the local AWS's own account."""

    def __init__(self, aws: LocalAws, owner: str, role: str) -> None:
        self._aws = aws
        self._role = role
        right = {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": role}
        task_role = new_role(InAccount(aws), naming.role("yelb", aws.region, owner), [right])
        keys = aws.control("POST", "/_local/iam/session", {"role": task_role})
        self._own = Credentials(keys["AWS_ACCESS_KEY_ID"], keys["AWS_SECRET_ACCESS_KEY"], keys["AWS_SESSION_TOKEN"])
        self.credentials = AssumedRoleCredentials(self._sts, role, "meshcert-ui")

    def current(self, timeout_s: float) -> Credentials:
        """The credentials of the task."""
        assert timeout_s > 0
        return self._own

    def _sts(self) -> SignedConnection:
        own: Any = Session(self)  # type: ignore[arg-type]
        return SignedConnection(sts_endpoint(self._aws.region, self._environ), self._aws.region, "sts", own)

    @property
    def _environ(self) -> dict[str, str]:
        return {"AWS_ENDPOINT_URL": self._aws.endpoint}

    def reader(self, namespace: str = "backend.local") -> CloudMapReader:
        """The container's reader of another account's namespace."""
        endpoint = cloud_map_endpoint(self._aws.region, self._environ)
        session = Session(self.credentials)
        return CloudMapReader(SignedConnection(endpoint, self._aws.region, "servicediscovery", session), namespace)

    def client(self, service: str) -> Any:
        """An AWS client with the session's credentials."""
        key, secret, token = self.credentials.current(3.0)
        return boto3.client(
            service,
            endpoint_url=self._aws.endpoint,
            region_name=self._aws.region,
            config=Config(inject_host_prefix=False, s3={"addressing_style": "path"}),
            aws_access_key_id=key,
            aws_secret_access_key=secret,
            aws_session_token=token,
        )


ELSE: list[tuple[str, str, dict[str, Any]]] = [
    (
        "acm",
        "export_certificate",
        {"CertificateArn": f"arn:aws:acm:eu-west-1:{OWNER}:certificate/a", "Passphrase": b"a"},
    ),
    ("acm", "list_certificates", {}),
    ("acm-pca", "list_certificate_authorities", {}),
    ("cloudformation", "describe_stacks", {"StackName": "a"}),
    ("dynamodb", "get_item", {"TableName": "meshcert-yelb-lifecycle", "Key": {"name": {"S": "a"}}}),
    ("dynamodb", "put_item", {"TableName": "meshcert-yelb-acknowledgements", "Item": {"service": {"S": "a"}}}),
    ("ecs", "list_tasks", {"cluster": "meshcert-yelb"}),
    ("ecs", "update_service", {"cluster": "meshcert-yelb", "service": "redis"}),
    ("events", "put_events", {"Entries": [{"Source": "a", "DetailType": "a", "Detail": "{}"}]}),
    ("iam", "get_role", {"RoleName": "meshcert-yelb-eu-west-1-renewal"}),
    ("lambda", "invoke", {"FunctionName": "meshcert-yelb-export"}),
    ("logs", "filter_log_events", {"logGroupName": "/meshcert/yelb"}),
    ("secretsmanager", "get_secret_value", {"SecretId": SECRET}),
    ("secretsmanager", "list_secrets", {}),
    ("servicediscovery", "deregister_instance", {"ServiceId": "a", "InstanceId": "i"}),
    ("servicediscovery", "discover_instances", {"NamespaceName": "backend.local", "ServiceName": "postgres"}),
    ("servicediscovery", "discover_instances", {"NamespaceName": "other.local", "ServiceName": "redis"}),
    ("servicediscovery", "list_namespaces", {}),
    ("servicediscovery", "list_services", {}),
    ("sqs", "list_queues", {}),
    ("ssm", "get_parameter", {"Name": "/meshcert/yelb/issuance/redis"}),
    (
        "sts",
        "assume_role",
        {"RoleArn": f"arn:aws:iam::{OWNER}:role/meshcert-yelb-eu-west-1-renewal", "RoleSessionName": "a-b"},
    ),
]


def _secret_for_everybody_in_the_account(aws: LocalAws) -> None:
    vault = aws.client("secretsmanager")
    secret = vault.create_secret(Name=SECRET, SecretString="material")["Name"]
    every = {"Effect": "Allow", "Principal": "*", "Action": "secretsmanager:GetSecretValue", "Resource": "*"}
    vault.put_resource_policy(
        SecretId=secret, ResourcePolicy=json.dumps({"Version": "2012-10-17", "Statement": [every]})
    )
    assert aws.client_as(
        new_role(aws, "bare", [{"Effect": "Allow", "Action": "sns:ListTopics", "Resource": "*"}]), "secretsmanager"
    ).get_secret_value(SecretId=secret)


def test_the_role_of_a_cell_finds_what_is_called_and_does_nothing_else(fresh_aws: LocalAws) -> None:
    """Only the callers' roles may assume it, once it is there; by the product's template and the container's code."""
    made = namespace(fresh_aws)
    role = naming.role_arn(fresh_aws.region, OWNER, naming.discovery_role("yelb", fresh_aws.region))
    caller, stranger = Caller(fresh_aws, "ui", role), Caller(fresh_aws, "gateway", role)
    reader = caller.reader()
    with pytest.raises(AwsUnavailable, match=f"no credentials of {role}: sts:AssumeRole: AccessDenied"):
        reader.tasks("redis")

    stack = Stack(App(), "roles")
    callers = naming.role_arn(fresh_aws.region, OTHER, naming.role("yelb", fresh_aws.region, "ui"))
    called = mesh(("mesh.namespace", made["Name"]))
    discovery_role(stack, called, RemoteCallers((OTHER,), (callers,), (callers,), ("redis",)))
    status = deploy(fresh_aws, "roles", dict(Template.from_stack(stack).find_resources("AWS::IAM::Role")))
    assert status == "CREATE_COMPLETE"
    _secret_for_everybody_in_the_account(fresh_aws)

    assert [task.address for task in reader.tasks("redis")] == [ADDRESS]
    assert [task.address for task in reader.tasks("redis")] == [ADDRESS]
    with pytest.raises(AwsRefused, match="AccessDenied"):
        reader.tasks("postgres")
    with pytest.raises(AwsUnavailable, match="sts:AssumeRole: AccessDenied"):
        stranger.reader().tasks("redis")
    allowed = [
        (service, operation)
        for service, operation, arguments in ELSE
        if is_allowed(getattr(caller.client(service), operation), **arguments)
    ]
    assert allowed == []
