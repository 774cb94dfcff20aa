"""Cloud Map's answers, read safely: who registers instances is not always Amazon ECS."""

from __future__ import annotations

import json
from typing import Any

import pytest

from entrypoint.aws.cloud_map import MOST_INSTANCES, CloudMapReader
from entrypoint.aws.json_api import FRESH_ROLE_CODES
from meshcert.envoy.endpoints import TaskAddress
from meshcert.errors import AwsRefused, AwsUnavailable


class _Wire:
    def __init__(self, status: int, answer: Any) -> None:
        self._answer = (status, json.dumps(answer).encode())
        self.sent: tuple[list[tuple[str, str]], Any] = ([], None)
        self.refused = 0

    def post(self, headers: list[tuple[str, str]], body: bytes, timeout_s: float) -> tuple[int, bytes]:
        """One answer to everything."""
        assert timeout_s > 0
        self.sent = (headers, json.loads(body))
        return self._answer

    def credentials_refused(self) -> None:
        """Once more."""
        self.refused += 1


def _instance(**attributes: Any) -> dict[str, Any]:
    return {"InstanceId": "1", "HealthStatus": "UNHEALTHY", "Attributes": attributes}


def test_all_tasks_are_asked_for_whatever_their_health() -> None:
    """Custom health is 30 seconds late, and the default of MaxResults would hide tasks."""
    wire = _Wire(200, {"Instances": [_instance(AWS_INSTANCE_IPV4="10.0.0.1", AVAILABILITY_ZONE="eu-west-1a")]})

    assert CloudMapReader(wire, "mesh.local").tasks("teller") == (TaskAddress("10.0.0.1", "eu-west-1a"),)

    headers, question = wire.sent
    assert ("X-Amz-Target", "Route53AutoNaming_v20170314.DiscoverInstances") in headers
    assert question == {
        "NamespaceName": "mesh.local",
        "ServiceName": "teller",
        "MaxResults": MOST_INSTANCES,
        "HealthStatus": "ALL",
    }


def test_a_namespace_of_another_account_is_asked_for_with_its_owner() -> None:
    """Both questions; else Cloud Map looks for it in the caller's account."""
    wire = _Wire(200, {"Instances": [], "InstancesRevision": 7})
    reader = CloudMapReader(wire, "mesh.local", "111122223333")

    owners = []
    for _ in range(2):
        reader.tasks("teller")
        owners.append((wire.sent[0][0][1], wire.sent[1]["OwnerAccount"]))

    assert [owner for _, owner in owners] == ["111122223333"] * 2


@pytest.mark.parametrize(
    "instance",
    [
        _instance(),
        _instance(AWS_INSTANCE_IPV6="::1"),
        _instance(AWS_INSTANCE_IPV4="10.0.0.256"),
        _instance(AWS_INSTANCE_IPV4="10.0.0.1\n10.0.0.2"),
        _instance(AWS_INSTANCE_IPV4="somewhere.else"),
        _instance(AWS_INSTANCE_IPV4=["10.0.0.1"]),
        {"InstanceId": "1", "Attributes": None},
        {},
        "instance",
    ],
)
def test_what_is_no_task_is_left_out(instance: Any) -> None:
    """One odd registration takes no good task out of Envoy: it would refuse the whole answer."""
    wire = _Wire(200, {"Instances": [instance, _instance(AWS_INSTANCE_IPV4="10.0.0.1", AVAILABILITY_ZONE="\x1b[2J")]})

    assert CloudMapReader(wire, "mesh.local").tasks("teller") == (TaskAddress("10.0.0.1"),)


def test_an_answer_is_sorted_and_bounded() -> None:
    """Cloud Map answers in any order: Envoy is not told of changes that are none."""
    many = [_instance(AWS_INSTANCE_IPV4=f"10.0.{n // 250}.{n % 250}") for n in range(2 * MOST_INSTANCES, 0, -1)]

    found = CloudMapReader(_Wire(200, {"Instances": many}), "mesh.local").tasks("teller")

    assert len(found) == MOST_INSTANCES
    assert list(found) == sorted(found)


@pytest.mark.parametrize(
    ("status", "answer", "error"),
    [
        (400, {"__type": "RequestLimitExceeded"}, AwsUnavailable),
        (500, {"__type": "InternalServiceError"}, AwsUnavailable),
        (200, {"InstancesRevision": 7}, AwsUnavailable),
        (200, [], AwsUnavailable),
        (400, {"__type": "com.amazonaws.servicediscovery#NamespaceNotFound"}, AwsRefused),
        (400, {"__type": "ServiceNotFound"}, AwsRefused),
        (400, {"__type": "AccessDeniedException"}, AwsRefused),
    ],
)
def test_what_is_no_answer_is_told_from_an_empty_one(status: int, answer: Any, error: type[Exception]) -> None:
    """Only an empty list means that there is no task."""
    with pytest.raises(error):
        CloudMapReader(_Wire(status, answer), "mesh.local").tasks("teller")

    assert CloudMapReader(_Wire(200, {"Instances": []}), "mesh.local").tasks("teller") == ()


class _CloudMap:
    """One service whose instances and revision the test changes."""

    def __init__(self) -> None:
        self.address, self.revision = "10.0.0.1", 7
        self.asked: list[str] = []

    def post(self, headers: list[tuple[str, str]], body: bytes, timeout_s: float) -> tuple[int, bytes]:
        """The answer to either question."""
        assert body
        assert timeout_s > 0
        self.asked.append(dict(headers)["X-Amz-Target"].rpartition(".")[2])
        instances = [_instance(AWS_INSTANCE_IPV4=self.address)]
        more = {"Instances": instances} if self.asked[-1] == "DiscoverInstances" else {}
        return 200, json.dumps({"InstancesRevision": self.revision, **more}).encode()

    def credentials_refused(self) -> None:
        """Not here."""
        raise AssertionError


def test_instances_are_asked_for_only_after_a_change() -> None:
    """Quotas: 1,000 questions a second for instances, 3,000 for revisions, over all tasks of the account."""
    cloud_map = _CloudMap()
    reader = CloudMapReader(cloud_map, "mesh.local")
    seen = [reader.tasks("teller"), reader.tasks("teller")]
    cloud_map.address, cloud_map.revision = "10.0.0.2", 8
    seen += [reader.tasks("teller"), reader.tasks("teller")]

    assert [task.address for (task,) in seen] == ["10.0.0.1", "10.0.0.1", "10.0.0.2", "10.0.0.2"]
    revision, instances = "DiscoverInstancesRevision", "DiscoverInstances"
    assert cloud_map.asked == [instances, revision, revision, instances, revision]


@pytest.mark.parametrize(
    ("code", "void"),
    [
        *((code, True) for code in sorted(FRESH_ROLE_CODES)),
        ("ExpiredTokenException", True),
        ("ExpiredToken", True),
        ("NamespaceNotFound", False),
        ("ThrottlingException", False),
        ("InternalFailure", False),
    ],
)
def test_a_refusal_of_credentials_has_others_fetched(code: str, void: bool) -> None:  # noqa: FBT001 - a parameter
    """Those of a revoked session or of a role that was made anew would be refused until they end."""
    wire = _Wire(400, {"__type": code})

    with pytest.raises((AwsRefused, AwsUnavailable)):
        CloudMapReader(wire, "mesh.local").tasks("teller")
    assert wire.refused == void
