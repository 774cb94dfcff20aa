"""The identities of an experiment: how each one's service rotates, and how AWS treats it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from meshcert import naming
from meshcert.identity import IssuerName
from meshcert.proxy import DeliveryMode, RotationMode

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

NAMESPACE = "mtls.svc.cluster.local"
SHARED_HIERARCHY = "common"
_TRUST_DOMAIN = "mtls.test"
_BACKEND = "backend"
_PORT = 8443


class Trouble(StrEnum):
    """How AWS treats an identity."""

    NONE = "none"
    EVENTS_LOST = "events lost"
    EVENTS_MIXED = "events doubled and shuffled"
    NO_PERMISSION = "no permission on the CA"
    NO_SECRETS_MANAGER = "Secrets Manager fails"
    NO_ACM = "ACM fails"
    NO_ECS = "ECS fails"
    NO_AWS = "nothing of AWS answers"

    @property
    def lasts(self) -> tuple[float, float] | None:
        """From when to when in each lifetime, as parts of it; None if it is always there, or never."""
        return _LASTS.get(self)


_WORST_TENTH = (0.80, 0.90)
"""ACM renews in it, and after it there is a tenth left."""
_LASTS = {
    Trouble.NO_PERMISSION: _WORST_TENTH,
    Trouble.NO_SECRETS_MANAGER: _WORST_TENTH,
    Trouble.NO_ACM: _WORST_TENTH,
    Trouble.NO_ECS: _WORST_TENTH,
    Trouble.NO_AWS: (0.10, 0.90),
}
_SERVICES = {
    Trouble.NO_SECRETS_MANAGER: "secretsmanager",
    Trouble.NO_ACM: "acm",
    Trouble.NO_ECS: "ecs",
    Trouble.NO_AWS: "*",
}


@dataclass(frozen=True)
class Subject:
    """
    One identity of the experiment; its one service has the same name.

    Args:
        name: Its name; no other subject's name contains it, so that a fault rule means nobody else.
        trouble: How AWS treats it.
        rotation: How its service takes new versions over.
        delivery: How its Envoys get them.
        served: Whether it has a service at all.
        issuer: Who issues its certificates; those of Private CA live for a week.
    """

    name: str
    trouble: Trouble = Trouble.NONE
    rotation: RotationMode = RotationMode.RELOAD
    delivery: DeliveryMode = DeliveryMode.FILE
    served: bool = True
    issuer: IssuerName = IssuerName.ACM

    @property
    def hierarchy(self) -> str:
        """Its hierarchy: one of its own if its CA's permission is taken away, or its CA counts what it issues."""
        alone = self.trouble is Trouble.NO_PERMISSION or self.issuer is IssuerName.PRIVATE_CA
        return self.name if alone else SHARED_HIERARCHY

    @property
    def dns_name(self) -> str:
        """The name that it proves."""
        return f"{self.name}.{NAMESPACE}"


ALL = (
    Subject("healthy", rotation=RotationMode.REDEPLOY),
    Subject("lost", Trouble.EVENTS_LOST),
    Subject("unheard", Trouble.EVENTS_LOST, RotationMode.REDEPLOY),
    Subject("mixed", Trouble.EVENTS_MIXED, RotationMode.REDEPLOY),
    Subject("denied", Trouble.NO_PERMISSION),
    Subject("vaultless", Trouble.NO_SECRETS_MANAGER),
    Subject("acmless", Trouble.NO_ACM),
    Subject("ecsless", Trouble.NO_ECS, RotationMode.REDEPLOY),
)
"""Every trouble that one identity may have while others have none, and both ways of rotating."""
CUT_OFF = (
    Subject("filed", Trouble.NO_AWS),
    Subject("streamed", Trouble.NO_AWS, delivery=DeliveryMode.SDS),
)
"""A mesh that nothing of AWS answers for most of each lifetime, with both deliveries."""


def mesh_file(name: str, subjects: Sequence[Subject]) -> dict[str, Any]:
    """
    A mesh file, as a mapping for YAML.

    Each service is a virtual gateway, one Envoy and nothing else; they share a backend that has no tasks.

    Args:
        name: Name of the mesh.
        subjects: Who lives in it.
    """
    served = [subject for subject in subjects if subject.served]
    spiffe = any(subject.issuer is IssuerName.PRIVATE_CA for subject in subjects)
    return {
        "schema": 1,
        "mesh": {"name": name, "namespace": NAMESPACE} | ({"trust_domain": _TRUST_DOMAIN} if spiffe else {}),
        "hierarchies": {subject.hierarchy: _hierarchy(subject) for subject in subjects},
        "identities": {subject.name: _identity(subject) for subject in subjects},
        "virtual_gateways": {subject.name: _gateway(subject) for subject in served},
        "virtual_nodes": {_BACKEND: {"listeners": [{"port_mapping": {"port": 9080, "protocol": "http"}}]}}
        if served
        else {},
        "services": {subject.name: _service(subject) for subject in served}
        | (
            {
                _BACKEND: {
                    "virtual_node": _BACKEND,
                    "application": {"image": "examples/color/colorteller", "port": 8080},
                    "desired_count": 0,
                }
            }
            if served
            else {}
        ),
    }


def _hierarchy(subject: Subject) -> dict[str, Any]:
    usage = {"usage": "short_lived"} if subject.issuer is IssuerName.PRIVATE_CA else {}
    return {"tiers": 1, "key_algorithm": "EC_prime256v1"} | usage


def _identity(subject: Subject) -> dict[str, Any]:
    identity = {
        "hierarchy": subject.hierarchy,
        "dns_names": [subject.dns_name],
        "key_algorithm": "EC_prime256v1",
    }
    if subject.issuer is IssuerName.PRIVATE_CA:
        spiffe_id = f"spiffe://{_TRUST_DOMAIN}/{subject.name}"
        identity |= {"issuer": str(subject.issuer), "validity": "7d", "spiffe_id": spiffe_id}
    return identity


def _gateway(subject: Subject) -> dict[str, Any]:
    tls = {"mode": "STRICT", "certificate": {"identity": subject.name}}
    return {
        "listeners": [{"port_mapping": {"port": _PORT, "protocol": "http"}, "tls": tls}],
        "backends": [{"virtual_node": _BACKEND}],
        "routes": [{"match": {"prefix": "/"}, "virtual_node": _BACKEND}],
    }


def _service(subject: Subject) -> dict[str, Any]:
    return {
        "virtual_gateway": subject.name,
        "rotation": str(subject.rotation),
        "delivery": str(subject.delivery),
        "poll_interval_s": 1,
        "desired_count": 1,
    }


def event_modes(subjects: Sequence[Subject], arns: Mapping[str, tuple[str, ...]]) -> list[dict[str, Any]]:
    """
    What is put in force for good: events about some identities get lost, or come twice and out of order.

    Args:
        subjects: Who lives.
        arns: Of each of them, the certificate's and the service's ARN.
    """
    modes = {Trouble.EVENTS_LOST: "lost", Trouble.EVENTS_MIXED: "mixed"}
    return [
        {"mode": modes[subject.trouble], "resource": resource}
        for subject in subjects
        if subject.trouble in modes
        # A task's event names its service in its detail.
        for resource in (*arns[subject.name], f"service:{subject.name}")
    ]


def fault_rules(mesh: str, region: str, subject: Subject, certificate_arn: str) -> Iterator[dict[str, Any]]:
    """
    The fault rules that make an AWS service fail for one identity, whichever of the product's roles asks.

    The monitor and CloudFormation go on seeing what is. Amazon ECS fails for what names the service; ListTasks does, so
    tasks cannot be described either.

    Args:
        mesh: Name of the mesh.
        region: AWS region, part of the roles' names.
        subject: Whom it meets.
        certificate_arn: Its certificate.
    """
    service = _SERVICES.get(subject.trouble)
    named = {
        "secretsmanager": naming.identity_secret(mesh, subject.name),
        "acm": certificate_arn,
        "ecs": subject.name,
        "*": "",
    }
    for owner in (naming.RENEWAL_ROLE, naming.EXPORT_ROLE, naming.DISPATCH_ROLE, subject.name):
        if service:
            role = naming.role(mesh, region, owner)
            yield {"kind": "503", "service": service, "role": role, "resource": named[service]}
