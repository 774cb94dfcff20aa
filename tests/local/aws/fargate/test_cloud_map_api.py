"""Cloud Map's data API as callers meet it: names, limits, health, rights and quotas."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from botocore.config import Config

from entrypoint.aws.cloud_map import CloudMapReader
from entrypoint.aws.endpoint import cloud_map_endpoint
from entrypoint.aws.signed_connection import Session, SignedConnection
from meshcert.errors import AwsRefused
from tests.local.aws.refusals import ClientError, is_allowed
from tests.local.aws.roles import new_role

if TYPE_CHECKING:
    from local.running_aws import LocalAws

ONCE = Config(retries={"total_max_attempts": 1})


class Teller:
    """A service with instances in a namespace, and a client."""

    def __init__(self, aws: LocalAws, instances: int = 0) -> None:
        self.client = aws.client("servicediscovery", ONCE)
        self.client.create_private_dns_namespace(Name="mesh.local", Vpc="vpc-1")
        self.namespace = self.client.list_namespaces()["Namespaces"][-1]
        self.id = self.client.create_service(
            Name="teller",
            NamespaceId=self.namespace["Id"],
            DnsConfig={"DnsRecords": [{"Type": "A", "TTL": 5}]},
            HealthCheckCustomConfig={"FailureThreshold": 1},
        )["Service"]["Id"]
        for number in range(instances):
            self.register(number)

    def register(self, number: int) -> None:
        """Register an instance."""
        attributes = {"AWS_INSTANCE_IPV4": f"10.0.{number // 250}.{number % 250}"}
        self.client.register_instance(ServiceId=self.id, InstanceId=f"i{number}", Attributes=attributes)

    def discover(self, **more: Any) -> list[str]:
        """The addresses in one answer."""
        call = {"NamespaceName": "mesh.local", "ServiceName": "teller", **more}
        return [each["Attributes"]["AWS_INSTANCE_IPV4"] for each in self.client.discover_instances(**call)["Instances"]]


def test_an_answer_holds_a_hundred_instances_unless_more_are_asked_for(fresh_aws: LocalAws) -> None:
    """Up to a thousand, in any order, all of them different."""
    teller = Teller(fresh_aws, instances=150)

    assert len(set(teller.discover())) == 100
    assert len(set(teller.discover(MaxResults=1000))) == 150
    assert teller.discover(MaxResults=1000) != teller.discover(MaxResults=1000)
    with pytest.raises(ClientError, match="InvalidInput"):
        teller.discover(MaxResults=1001)


def test_health_decides_who_is_in_an_answer(fresh_aws: LocalAws) -> None:
    """Unless all are asked for."""
    teller = Teller(fresh_aws, instances=2)
    teller.client.update_instance_custom_health_status(ServiceId=teller.id, InstanceId="i0", Status="UNHEALTHY")

    seen = {health: teller.discover(HealthStatus=health) for health in ("HEALTHY", "UNHEALTHY", "HEALTHY_OR_ELSE_ALL")}

    assert seen == {"HEALTHY": ["10.0.0.1"], "UNHEALTHY": ["10.0.0.0"], "HEALTHY_OR_ELSE_ALL": ["10.0.0.1"]}
    assert len(teller.discover(HealthStatus="ALL")) == 2


def test_the_revision_grows_with_every_change(fresh_aws: LocalAws) -> None:
    """It is in both answers."""
    teller = Teller(fresh_aws, instances=1)
    call = {"NamespaceName": "mesh.local", "ServiceName": "teller"}
    before = teller.client.discover_instances_revision(**call)["InstancesRevision"]
    teller.register(7)

    after = teller.client.discover_instances_revision(**call)["InstancesRevision"]

    assert after > before
    assert teller.client.discover_instances(**call)["InstancesRevision"] == after


@pytest.mark.parametrize(
    ("names", "code"),
    [
        ({"NamespaceName": "other.local"}, "NamespaceNotFound"),
        ({"ServiceName": "other"}, "ServiceNotFound"),
    ],
)
def test_what_is_not_there_is_told_from_what_is_empty(fresh_aws: LocalAws, names: dict[str, str], code: str) -> None:
    """A service without instances answers with none."""
    teller = Teller(fresh_aws)

    assert teller.discover() == []
    with pytest.raises(ClientError, match=code):
        teller.discover(**names)


def test_a_namespace_for_dns_has_an_http_name(fresh_aws: LocalAws) -> None:
    """It is the one that the data API takes."""
    teller = Teller(fresh_aws, instances=1)
    namespace = teller.client.get_namespace(Id=teller.namespace["Id"])["Namespace"]

    assert teller.discover(NamespaceName=namespace["Properties"]["HttpProperties"]["HttpName"]) == ["10.0.0.0"]


def test_a_role_is_limited_to_services_of_a_namespace(fresh_aws: LocalAws) -> None:
    """By condition keys: the actions have no resource."""
    Teller(fresh_aws)
    condition = {"servicediscovery:NamespaceName": "mesh.local", "servicediscovery:ServiceName": ["teller", "ledger"]}
    actions = ["servicediscovery:DiscoverInstances", "servicediscovery:DiscoverInstancesRevision"]
    statement = {"Effect": "Allow", "Action": actions, "Resource": "*", "Condition": {"StringEquals": condition}}
    role = new_role(fresh_aws, "caller", [statement])
    client = fresh_aws.client_as(role, "servicediscovery")

    seen = [
        is_allowed(client.discover_instances_revision, NamespaceName=namespace, ServiceName=service)
        for namespace, service in (("mesh.local", "teller"), ("mesh.local", "vault"), ("other.local", "teller"))
    ]

    assert seen == [True, False, False]


def test_a_container_finds_its_backend_with_the_rights_that_its_role_has(
    fresh_aws: LocalAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The entrypoint's own reader and signature; instances first, then revisions, then instances after a change."""
    teller = Teller(fresh_aws, instances=1)
    condition = {"servicediscovery:NamespaceName": "mesh.local", "servicediscovery:ServiceName": ["teller"]}
    actions = ["servicediscovery:DiscoverInstances", "servicediscovery:DiscoverInstancesRevision"]
    statement = {"Effect": "Allow", "Action": actions, "Resource": "*", "Condition": {"StringEquals": condition}}
    role = new_role(fresh_aws, "container", [statement])
    keys = fresh_aws.client("sts").assume_role(RoleArn=role, RoleSessionName="task")["Credentials"]
    environ = {
        "AWS_ENDPOINT_URL": fresh_aws.endpoint,
        "AWS_ACCESS_KEY_ID": keys["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": keys["SecretAccessKey"],
        "AWS_SESSION_TOKEN": keys["SessionToken"],
    }
    for name, value in environ.items():
        monkeypatch.setenv(name, value)  # awscrt's chain reads the process's own
    session = Session.begin(environ, lambda: None)
    endpoint = cloud_map_endpoint(fresh_aws.region, environ)
    reader = CloudMapReader(SignedConnection(endpoint, fresh_aws.region, "servicediscovery", session), "mesh.local")

    seen = [reader.tasks("teller"), reader.tasks("teller")]
    teller.register(1)
    seen.append(reader.tasks("teller"))

    assert [len(tasks) for tasks in seen] == [1, 1, 2]
    with pytest.raises(AwsRefused, match="AccessDenied"):
        reader.tasks("vault")


def test_the_quota_is_what_cloud_map_says(fresh_aws: LocalAws) -> None:
    """A thousand a second in the long run, two thousand at once; the excess has Cloud Map's own code."""
    teller = Teller(fresh_aws)
    rates = {"servicediscovery:DiscoverInstances": {"rate": 0.001, "burst": 1}}
    fresh_aws.control("PUT", "/_local/quotas", {"on": True, "rates": rates})
    try:
        assert teller.discover() == []
        with pytest.raises(ClientError, match="RequestLimitExceeded"):
            teller.discover()
    finally:
        fresh_aws.control("PUT", "/_local/quotas", {"on": False})
