"""A deployed mesh seen from outside: its tasks, the addresses of its gateways, the certificates its Envoys serve."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

import httpx

from local.tls_client import NO_TLS
from meshcert import naming
from meshcert.contract.container import ADMIN_PORT
from meshcert.contract.staging_labels import CURRENT, LAST_GOOD
from meshcert.material.certificate_facts import certificate_facts
from meshcert.material.document import read_material, read_trust_bundle

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from local.running_aws import LocalAws
    from meshcert.material import Material, TrustBundle

LOOK_EVERY_S = 0.25
"""Between two looks, seconds: each asks the local AWS two or three things, on the cores of those who are waited for."""
SERVICES_DESCRIBED = 10
"""At most so many in one question (ecs:DescribeServices)."""
_VERSION_LENGTH = 64
_Seen = TypeVar("_Seen")


class NotSettled(Exception):
    """A condition was not met in time; the message names it."""


def wait_until(look: Callable[[], _Seen], what: str, *, within_s: float, every_s: float = LOOK_EVERY_S) -> _Seen:
    """
    Look again and again until there is something to see.

    Args:
        look: Returns something true when it is there.
        what: What is waited for, for the error.
        within_s: Longest wait, seconds.
        every_s: Pause between two looks, seconds.

    Returns:
        What ``look`` returned.

    Raises:
        NotSettled: If the time is over.
    """
    deadline = time.monotonic() + within_s
    while True:
        if seen := look():
            return seen
        if time.monotonic() > deadline:
            raise NotSettled(f"{what}: not within {within_s:.0f} s")
        time.sleep(every_s)


@dataclass(frozen=True)
class TlsCounters:
    """
    What Envoy counts of a listener's TLS (``listener.NAME.ssl.*``).

    Args:
        handshake: Completed handshakes.
        no_certificate: Handshakes in which the client presented no certificate.
    """

    handshake: int
    no_certificate: int

    def since(self, earlier: TlsCounters) -> TlsCounters:
        """The handshakes since an earlier look."""
        return TlsCounters(self.handshake - earlier.handshake, self.no_certificate - earlier.no_certificate)


@dataclass(frozen=True)
class Task:
    """
    A running task of a service.

    Args:
        arn: Its ARN.
        address: Its IP address.
    """

    arn: str
    address: str

    def admin(self, path: str) -> httpx.Response:
        """Ask its Envoy's admin interface."""
        url = f"http://{self.address}:{ADMIN_PORT}{path}"
        return httpx.get(url, timeout=5, verify=NO_TLS, trust_env=False).raise_for_status()

    def counters(self, pattern: str) -> dict[str, int]:
        """
        The counters of its Envoy whose whole names match a regular expression.

        Args:
            pattern: As RE2 has it, which is Envoy's.
        """
        stats = self.admin(f"/stats?format=json&filter={quote(f'^({pattern})$')}").json()["stats"]
        return {stat["name"]: stat["value"] for stat in stats if "name" in stat}

    def tls_counters(self) -> TlsCounters:
        """The TLS counters of its listeners, added up."""
        totals = {"handshake": 0, "no_certificate": 0}
        for name, value in self.counters(r"listener\..*ssl\.(handshake|no_certificate)").items():
            if not name.startswith("listener.admin."):
                totals[name.rsplit(".", 1)[-1]] += value
        return TlsCounters(**totals)

    def served_serials(self) -> set[str]:
        """Serial numbers of the leaf certificates its Envoy serves, lower-case hex without leading zeros."""
        return self._serials("cert_chain", 1)

    def trusted_serials(self) -> set[str]:
        """Serial numbers of the roots its Envoy checks peers against, lower-case hex without leading zeros."""
        return self._serials("ca_cert", None)

    def _serials(self, part: str, most: int | None) -> set[str]:
        certificates = self.admin("/certs").json()["certificates"]
        links = (link for certificate in certificates for link in certificate.get(part, [])[:most])
        return {link["serial_number"].lower().lstrip("0") for link in links}


@dataclass(frozen=True)
class RunningMesh:
    """
    A deployed mesh.

    Args:
        aws: The local AWS it runs on.
        resolve: Asks the local AWS's DNS for an address.
        places: ``CLUSTER/SERVICE`` of services that are not in the mesh's own cluster, by their names in the mesh file.
        cell: The cell that is looked at, of a mesh with cells.
        account: Its account; by default the local AWS's own.
    """

    aws: LocalAws
    name: str
    resolve: Callable[[str], str]
    places: Mapping[str, str] = field(default_factory=dict)
    cell: str = ""
    account: str = ""
    _clients: dict[str, Any] = field(default_factory=dict, repr=False)

    def client(self, service: str) -> Any:
        """A boto3 client with an operator's rights, made once."""
        if service not in self._clients:
            self._clients[service] = self.aws.client(service, account=self.account)
        return self._clients[service]

    def again(self) -> RunningMesh:
        """The same mesh with clients of its own: threads share boto3's only after reading the small print."""
        return replace(self, _clients={})

    def ready_tasks(self) -> dict[str, list[Task]]:
        """The healthy tasks of every service, by its name; those that are told to stop are not among them."""
        ecs, cluster = self.client("ecs"), naming.cluster(self.name)
        ready: dict[str, list[Task]] = {}
        for page in ecs.get_paginator("list_tasks").paginate(cluster=cluster, desiredStatus="RUNNING"):
            arns = page["taskArns"]
            for task in ecs.describe_tasks(cluster=cluster, tasks=arns)["tasks"] if arns else ():
                if task["lastStatus"] == "RUNNING" and task.get("healthStatus") == "HEALTHY":
                    service = task["group"].removeprefix("service:")
                    ready.setdefault(service, []).append(Task(task["taskArn"], task_address(task)))
        return ready

    def tasks(self, service: str) -> list[Task]:
        """The running tasks of a service."""
        described = self.described(service, "RUNNING")
        return [Task(task["taskArn"], task_address(task)) for task in described if task["lastStatus"] == "RUNNING"]

    def task(self, service: str) -> Task:
        """The one running task of a service with a desired count of 1."""
        (task,) = self.tasks(service)
        return task

    def wait_until_steady(self, services: list[str], *, within_s: float = 90) -> None:
        """
        Wait until every service has finished its deployment and all of its tasks are healthy.

        Raises:
            NotSettled: If that takes longer than ``within_s`` seconds.
        """
        wait_until(lambda: self.is_steady(services), f"services {', '.join(services)} steady", within_s=within_s)

    def is_steady(self, services: list[str]) -> bool:
        """True if every service has one deployment, which is completed, and all of its tasks."""
        clusters: dict[str, list[str]] = {}
        for cluster, name in map(self._place, services):
            clusters.setdefault(cluster, []).append(name)
        ecs = self.client("ecs")
        described = [
            ecs.describe_services(cluster=cluster, services=names[at : at + SERVICES_DESCRIBED])
            for cluster, names in clusters.items()
            for at in range(0, len(names), SERVICES_DESCRIBED)
        ]
        for service in (service for answer in described for service in answer["services"]):
            deployments = service["deployments"]
            completed = len(deployments) == 1 and deployments[0].get("rolloutState") == "COMPLETED"
            if not completed or service["runningCount"] != service["desiredCount"]:
                return False
        return True

    def output(self, stack: str, name: str) -> str:
        """
        An output of one of its stacks.

        Args:
            stack: ``pki``, ``identities`` or ``services``; those of its shards are looked through as well.
            name: The output, without the letters that CloudFormation does not allow.
        """
        home = "-".join(filter(None, (self.name, self.cell, stack)))
        for page in self.client("cloudformation").get_paginator("describe_stacks").paginate():
            for described in page["Stacks"]:
                if described["StackName"] == home or described["StackName"].startswith(f"{home}-"):
                    for output in described.get("Outputs", ()):
                        if output["OutputKey"] == name:
                            return str(output["OutputValue"])
        raise LookupError(name)

    def gateway_address(self, service: str) -> str:
        """The IP address of a gateway's load balancer."""
        return self.resolve(self.output("services", f"{service}Address"))

    def trust_bundle(self, hierarchy: str) -> TrustBundle:
        """The roots a client of this hierarchy's servers needs."""
        secret = naming.trust_bundle_secret(self.name, hierarchy)
        value = self.client("secretsmanager").get_secret_value(SecretId=secret)
        return read_trust_bundle(value["SecretString"], secret)

    def material(self, identity: str, version: str = "") -> Material:
        """The material of an identity: current, as one of its tasks or an outside client reads it, or of a version."""
        secret, wanted = naming.identity_secret(self.name, identity), {"VersionId": version} if version else {}
        value = self.client("secretsmanager").get_secret_value(SecretId=secret, **wanted)
        return read_material(value["SecretString"], secret)

    def counters(self, service: str, pattern: str) -> dict[str, int]:
        """The counters that :meth:`Task.counters` reads, added up over a service's running tasks."""
        totals: dict[str, int] = {}
        for task in self.tasks(service):
            for name, value in task.counters(pattern).items():
                totals[name] = totals.get(name, 0) + value
        return totals

    def none_is_stopping(self, service: str) -> bool:
        """True if every task that a service has given up has ended."""
        return all(task["lastStatus"] == "STOPPED" for task in self.described(service, "STOPPED"))

    def served_by_all(self, service: str) -> set[str]:
        """Serial numbers that a service's running tasks serve, altogether; empty while one cannot be asked."""
        try:
            return {serial for task in self.tasks(service) for serial in task.served_serials()}
        except httpx.HTTPError:
            return set()

    def all_serve(self, service: str, serial: str, instead_of: str) -> bool:
        """True if each of a service's running tasks serves one certificate and none the other; False if none runs."""
        try:
            served = [task.served_serials() for task in self.tasks(service)]
        except httpx.HTTPError:
            return False
        return bool(served) and all(serial in each and instead_of not in each for each in served)

    def version_labelled(self, identity: str, label: str) -> str:
        """The version of an identity's secret that has a staging label; empty if none has."""
        described = self.client("secretsmanager").describe_secret(SecretId=naming.identity_secret(self.name, identity))
        labels: dict[str, list[str]] = described["VersionIdsToStages"]
        return next((version for version, stages in labels.items() if label in stages), "")

    def current_version(self, identity: str) -> str:
        """The secret version that is current for an identity."""
        return self.version_labelled(identity, CURRENT)

    def published(self, identity: str) -> list[str]:
        """Every version that an identity's secret has ever held, the template's placeholder left out."""
        vault, found = self.client("secretsmanager"), list[str]()
        question = {"SecretId": naming.identity_secret(self.name, identity), "IncludeDeprecated": True}
        while True:
            answer = vault.list_secret_version_ids(**question)
            found += [version["VersionId"] for version in answer["Versions"]]
            if not answer.get("NextToken"):
                return [version for version in found if len(version) == _VERSION_LENGTH]
            question["NextToken"] = answer["NextToken"]

    def is_settled(self, identity: str) -> bool:
        """True if the renewal function has nothing more to do for an identity, as its table says."""
        key, table = {"name": {"S": identity}}, naming.lifecycle_table(self.name)
        row = self.client("dynamodb").get_item(TableName=table, Key=key, ConsistentRead=True).get("Item")
        return row is not None and row.get("unsettled") != {"S": "yes"}

    def proven_version(self, identity: str) -> str:
        """The current version, once it is the one to go back to and nothing is left to do; empty before."""
        current = self.current_version(identity)
        good = current == self.version_labelled(identity, LAST_GOOD)
        return current if good and self.is_settled(identity) else ""

    def certificate(self, identity: str) -> dict[str, Any]:
        """ACM's description of an identity's certificate."""
        key, table = {"name": {"S": identity}}, naming.identities_table(self.name)
        row = self.client("dynamodb").get_item(TableName=table, Key=key)["Item"]
        described = self.client("acm").describe_certificate(CertificateArn=row["certificate_arn"]["S"])
        return dict(described["Certificate"])

    def serial(self, identity: str) -> str:
        """The serial number of the certificate ACM holds for an identity: lower-case hex without leading zeros."""
        return str(self.certificate(identity)["Serial"]).replace(":", "").lower().lstrip("0")

    def serial_of(self, identity: str, version: str) -> str:
        """The serial number of the certificate in a version of an identity's secret, as :meth:`serial` writes it."""
        return certificate_facts(self.material(identity, version).certificate).serial_number.lstrip("0")

    def queued(self, queue: str) -> int:
        """The number of messages in one of its queues: waiting, delayed, or being worked on."""
        sqs, number = self.client("sqs"), "ApproximateNumberOfMessages"
        counted = [number, f"{number}NotVisible", f"{number}Delayed"]
        url = sqs.get_queue_url(QueueName=naming.queue(self.name, queue))["QueueUrl"]
        found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=counted)["Attributes"]
        return sum(int(found[attribute]) for attribute in counted)

    def log_lines(self, service: str) -> list[dict[str, Any]]:
        """The JSON lines that a service's containers have logged."""
        group, streams = naming.tasks_log_group(self.name), naming.log_stream_prefix(service)
        pages = self.client("logs").get_paginator("filter_log_events")
        lines = []
        for page in pages.paginate(logGroupName=group, logStreamNamePrefix=streams):
            for event in page["events"]:
                try:
                    lines.append(json.loads(event["message"]))
                except ValueError:
                    continue
        return lines

    def described(self, service: str, desired: str) -> list[dict[str, Any]]:
        """A service's tasks of a desired status, as ECS describes them."""
        ecs, (cluster, name) = self.client("ecs"), self._place(service)
        arns = ecs.list_tasks(cluster=cluster, serviceName=name, desiredStatus=desired)["taskArns"]
        return list(ecs.describe_tasks(cluster=cluster, tasks=arns)["tasks"]) if arns else []

    def _place(self, service: str) -> tuple[str, str]:
        """Cluster and name of a service on ECS."""
        cluster, _, name = self.places.get(service, f"{naming.cluster(self.name)}/{service}").partition("/")
        return cluster, name


def task_address(task: dict[str, Any]) -> str:
    """The IP address of a task, as ECS describes it."""
    details = (detail for attachment in task["attachments"] for detail in attachment["details"])
    return next(str(detail["value"]) for detail in details if detail["name"] == "privateIPv4Address")
