"""What a role was granted against what was asked for in its name, as the local AWS has recorded it."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, NamedTuple

from meshcert import naming

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from local.running_aws import LocalAws


class Grant(NamedTuple):
    """
    One action on one resource of one statement.

    Args:
        action: For example ``acm:RenewCertificate``.
        resource: As the policy names it, wildcards and all.
    """

    action: str
    resource: str

    def covers(self, decision: Decision) -> bool:
        """Whether a request is one that this grants."""
        return self.action == decision.action and fnmatchcase(decision.resource, self.resource)


@dataclass(frozen=True)
class Decision:
    """
    One kind of request that the local AWS has evaluated.

    Args:
        action: What was asked for.
        resource: On what.
        allowed: What the answer was.
    """

    action: str
    resource: str
    allowed: bool


@dataclass(frozen=True)
class Role:
    """
    A role of a mesh.

    Args:
        aws: The local AWS.
        mesh: Name of the mesh.
        owner: The function, service or person it belongs to.
    """

    aws: LocalAws
    mesh: str
    owner: str

    @property
    def name(self) -> str:
        """Its name in IAM."""
        return naming.role(self.mesh, self.aws.region, self.owner)

    @property
    def arn(self) -> str:
        """Its ARN."""
        return f"arn:aws:iam::{self.aws.account}:role/{self.name}"

    def grants(self) -> set[Grant]:
        """All that its policies allow; they deny nothing, and there are no others than its own."""
        iam = self.aws.client("iam")
        assert iam.list_attached_role_policies(RoleName=self.name)["AttachedPolicies"] == []
        granted: set[Grant] = set()
        for policy in iam.list_role_policies(RoleName=self.name)["PolicyNames"]:
            document = iam.get_role_policy(RoleName=self.name, PolicyName=policy)["PolicyDocument"]
            for statement in document["Statement"]:
                assert statement["Effect"] == "Allow"
                granted |= {
                    Grant(action, resource)
                    for action in _listed(statement["Action"])
                    for resource in _listed(statement["Resource"])
                }
        return granted

    def decisions(self) -> list[Decision]:
        """Every kind of request in its name since the start, in the order first seen."""
        log = self.aws.control("GET", "/_local/iam/log")
        return [Decision(one["action"], one["resource"], one["allowed"]) for one in log if one["role"] == self.name]

    def denied(self) -> list[Decision]:
        """Requests that were refused."""
        return [decision for decision in self.decisions() if not decision.allowed]


def unused(grants: Iterable[Grant], decisions: Iterable[Decision]) -> Iterator[Grant]:
    """Those of the grants that no allowed request has needed."""
    allowed = [decision for decision in decisions if decision.allowed]
    return (grant for grant in grants if not any(grant.covers(decision) for decision in allowed))


def used_by_lambda(role: Role) -> set[Grant]:
    """
    What Lambda itself does in a function's role, on the local AWS without asking IAM: its use cannot be seen here.

    It writes the function's log, and it gives an asynchronous call that failed three times to the dead-letter queue.
    """
    place, mesh = f"{role.aws.region}:{role.aws.account}", role.mesh
    functions = {name: (name,) for name in ("verify", "renewal", "dispatch")} | {"export": ("export", "deploy")}
    logs = {
        Grant(action, f"arn:aws:logs:{place}:log-group:{naming.log_group(mesh, function)}:*")
        for function in functions.get(role.owner, ())
        for action in ("logs:CreateLogStream", "logs:PutLogEvents")
    }
    dead_letters = Grant("sqs:SendMessage", f"arn:aws:sqs:{place}:{naming.queue(mesh, 'deploy-dead-letters')}")
    return logs | ({dead_letters} if role.owner == "export" else set())


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value
