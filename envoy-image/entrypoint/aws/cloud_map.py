"""The two calls that this container makes to AWS Cloud Map: the instances of a service, and whether they changed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from entrypoint.aws.json_api import FRESH_ROLE_CODES, JsonService
from meshcert.contract.discovery import ANSWER_WITHIN_S, INSTANCE_ADDRESS, INSTANCE_ZONE
from meshcert.envoy.endpoints import TaskAddress
from meshcert.errors import AwsRefused, AwsUnavailable

if TYPE_CHECKING:
    from typing import Protocol

    from entrypoint.aws.json_api import JsonConnection

    class CloudMapConnection(JsonConnection, Protocol):
        """Carries a request; :class:`entrypoint.aws.signed_connection.SignedConnection` in the container."""

        def credentials_refused(self) -> None:
            """What it signs with may have become void: it fetches other credentials for the next request."""


MOST_INSTANCES = 1_000
"""Most instances that one answer holds (Cloud Map API, ``DiscoverInstances``, MaxResults); the default is 100."""

_SERVICE = JsonService("servicediscovery", "Route53AutoNaming_v20170314", "1.1")
_CREDENTIALS_VOID = FRESH_ROLE_CODES | {"ExpiredToken", "ExpiredTokenException"}
_ADDRESS = re.compile(r"(25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(\.(25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)){3}", re.ASCII)
_ZONE = re.compile(r"[A-Za-z0-9-]{1,64}")


class CloudMapReader:
    """
    Reads the tasks of services, without retries; for those see :mod:`entrypoint.aws.retrying`.

    After the first answer only the revision is asked for until it changes: its quota is three times as high (Cloud Map
    developer guide, "Service quotas"), and it has 30 bytes where a thousand instances have 300 KB.

    Args:
        connection: To Cloud Map's data endpoint in this region.
        namespace: HTTP name of the namespace.
        owner: Account that owns it, if Cloud Map has to be told: of one that another account shares; empty if not.
    """

    def __init__(self, connection: CloudMapConnection, namespace: str, owner: str = "") -> None:
        self._connection = connection
        self._place = {"NamespaceName": namespace, **({"OwnerAccount": owner} if owner else {})}
        self._known: dict[str, tuple[int, tuple[TaskAddress, ...]]] = {}

    def tasks(self, service: str, timeout_s: float = ANSWER_WITHIN_S) -> tuple[TaskAddress, ...]:
        """
        The tasks that are registered in a service, whatever Cloud Map says about their health.

        Its word about health is some 30 seconds old (``HealthCheckCustomConfig``), and Envoy judges them itself.

        Args:
            timeout_s: Longest wait for each of credentials, signature, connection and answer, seconds.

        Raises:
            AwsUnavailable: If AWS cannot answer now.
            AwsRefused: If AWS refuses, also because there is no such namespace or service.
        """
        if service in self._known:
            known, tasks = self._known[service]
            if self._ask("DiscoverInstancesRevision", service, timeout_s).get("InstancesRevision") == known:
                return tasks
        answer = self._ask("DiscoverInstances", service, timeout_s, MaxResults=MOST_INSTANCES, HealthStatus="ALL")
        instances, revision = answer.get("Instances"), answer.get("InstancesRevision")
        if not isinstance(instances, list):
            raise AwsUnavailable("servicediscovery:DiscoverInstances", service, "the answer has no Instances")
        found = (_task(instance) for instance in instances[:MOST_INSTANCES])
        tasks = tuple(sorted({task for task in found if task}))
        self._known.pop(service, None)
        if isinstance(revision, int):
            self._known[service] = revision, tasks
        return tasks

    def _ask(self, operation: str, service: str, timeout_s: float, **more: str | int) -> dict[str, Any]:
        question = {**self._place, "ServiceName": service, **more}
        try:
            return _SERVICE.call(self._connection, operation, service, question, timeout_s)
        except (AwsRefused, AwsUnavailable) as error:
            if (error.code if isinstance(error, AwsRefused) else error.reason) in _CREDENTIALS_VOID:
                self._connection.credentials_refused()
            raise


def _task(instance: Any) -> TaskAddress | None:
    """Where an instance listens; None if it is none of a task: it has no IPv4 address."""
    attributes = instance.get("Attributes") if isinstance(instance, dict) else None
    if not isinstance(attributes, dict):
        return None
    address, zone = str(attributes.get(INSTANCE_ADDRESS, "")), str(attributes.get(INSTANCE_ZONE, ""))
    if not _ADDRESS.fullmatch(address):
        return None
    return TaskAddress(address, zone if _ZONE.fullmatch(zone) else "")
