"""What a role was granted against what was asked for in its name, as the local AWS has recorded it."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

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
        account: Whose; by default the local AWS's own.
    """

    aws: LocalAws
    mesh: str
    owner: str
    account: str = ""

    @property
    def name(self) -> str:
        """Its name in IAM."""
        return naming.role(self.mesh, self.aws.region, self.owner)

    @property
    def arn(self) -> str:
        """Its ARN."""
        return f"arn:aws:iam::{self.account or self.aws.account}:role/{self.name}"

    def grants(self) -> set[Grant]:
        """All that its policies allow; they deny nothing, and there are no others than its own."""
        iam = self.aws.client("iam", account=self.account)
        assert iam.list_attached_role_policies(RoleName=self.name)["AttachedPolicies"] == []
        policies = iam.list_role_policies(RoleName=self.name)["PolicyNames"]
        return grants_of(
            iam.get_role_policy(RoleName=self.name, PolicyName=policy)["PolicyDocument"] for policy in policies
        )

    def decisions(self) -> list[Decision]:
        """Every kind of request in its name since the start, in the order first seen."""
        log = self.aws.control("GET", f"/_local/iam/log?account={self.account or self.aws.account}")
        return [Decision(one["action"], one["resource"], one["allowed"]) for one in log if one["role"] == self.name]

    def denied(self) -> list[Decision]:
        """Requests that were refused."""
        return [decision for decision in self.decisions() if not decision.allowed]


@dataclass(frozen=True)
class SidecarRole(Role):
    """The task role of a service of somebody's own, which has the mesh's policy for its sidecar."""

    @cached_property
    def name(self) -> str:
        """See :attr:`Role.name`; as long as the service is attached."""
        holders = self.aws.client("iam").list_entities_for_policy(PolicyArn=self._policy)["PolicyRoles"]
        (name,) = (holder["RoleName"] for holder in holders)
        return str(name)

    @property
    def _policy(self) -> str:
        return f"arn:aws:iam::{self.aws.account}:policy/{naming.role(self.mesh, self.aws.region, self.owner)}"

    def grants(self) -> set[Grant]:
        """All that the mesh's policy allows."""
        iam = self.aws.client("iam")
        version = iam.get_policy(PolicyArn=self._policy)["Policy"]["DefaultVersionId"]
        found = iam.get_policy_version(PolicyArn=self._policy, VersionId=version)["PolicyVersion"]
        return grants_of([found["Document"]])


def grants_of(documents: Iterable[dict[str, Any]]) -> set[Grant]:
    """All that policy documents allow, which deny nothing."""
    granted: set[Grant] = set()
    for statement in (statement for document in documents for statement in document["Statement"]):
        assert statement["Effect"] == "Allow"
        granted |= {
            Grant(action, resource)
            for action in _listed(statement["Action"])
            for resource in _listed(statement["Resource"])
        }
    return granted


def unused(grants: Iterable[Grant], decisions: Iterable[Decision]) -> Iterator[Grant]:
    """Those of the grants that no allowed request has needed."""
    allowed = [decision for decision in decisions if decision.allowed]
    return (grant for grant in grants if not any(grant.covers(decision) for decision in allowed))


def used_by_lambda(role: Role) -> set[Grant]:
    """
    What Lambda itself does in a function's role, on the local AWS without asking IAM: its use cannot be seen here.

    It writes the function's log, and it gives an asynchronous call that failed three times to the dead-letter queue.
    """
    place, mesh = f"{role.aws.region}:{role.account or role.aws.account}", role.mesh
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
