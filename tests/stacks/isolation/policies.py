"""Policies as AWS would read them, with every doubt against us: a right that may be there is there."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

EVERYTHING = ("*",)
# Operators whose condition surely fails if the request's value is known and none of theirs matches it.
_POSITIVE = {"stringequals", "stringequalsignorecase", "stringlike", "arnequals", "arnlike"}
# Actions that know no resource (Service Authorization Reference): whoever has them, has them in their own account.
WITHOUT_RESOURCE = {
    "ecr:GetAuthorizationToken",
    "ecs:ListTasks",
    "servicediscovery:DiscoverInstances",
    "servicediscovery:DiscoverInstancesRevision",
}


@lru_cache(maxsize=1 << 18)
def overlap(one: str, other: str) -> bool:
    """Whether two patterns of IAM's, of ``*`` and ``?``, have a text in common."""
    if one == other or "*" in {one, other}:
        return True
    if "*" in {one[:1], other[:1]}:
        starred, plain = (one, other) if one.startswith("*") else (other, one)
        return overlap(starred[1:], plain) or (bool(plain) and overlap(starred, plain[1:]))
    if not one or not other:
        return one == other
    return (one[0] == other[0] or "?" in {one[0], other[0]}) and overlap(one[1:], other[1:])


def any_overlap(some: Iterable[str], others: Iterable[str]) -> bool:
    """Whether a pattern of these and one of those have a text in common."""
    others = tuple(others)
    return any(overlap(one, other) for one in some for other in others)


@dataclass(frozen=True)
class Allowance:
    """
    What one statement may allow. There is none for a Deny, which counts only where :func:`left_by` reads it.

    Args:
        actions: Patterns of actions; in lower case, as IAM compares them.
        resources: Patterns of ARNs.
        principals: Whom a resource's policy names: kind (``AWS``, ``Service``, …) and pattern. Empty for a policy of
            the caller's.
        conditions: Values by operator and key.
    """

    actions: tuple[str, ...]
    resources: tuple[str, ...] = EVERYTHING
    principals: tuple[tuple[str, str], ...] = ()
    conditions: tuple[tuple[str, str, tuple[str, ...]], ...] = ()

    def may_hold(self, request: Mapping[str, tuple[str, ...]]) -> bool:
        """Whether no condition surely fails, where ``request`` has the values of the keys that are known."""
        return all(
            operator.removesuffix("ifexists") not in _POSITIVE
            or key not in request
            or any_overlap(expected, request[key])
            for operator, key, expected in self.conditions
        )


@dataclass(frozen=True)
class Caller:
    """
    Somebody who asks.

    Args:
        name: A role's name, or in words who it is.
        cell: Where.
        account: Whose.
        arn: Of a role; of somebody else a pattern of all they may be.
        rights: What their own policies allow.
        only: Patterns of the actions that their own policies leave them, whatever any policy allows.
        service: Whether it is a service of AWS that acts for this account; it needs no policy of its own.
    """

    name: str
    cell: str
    account: str
    arn: str
    rights: tuple[Allowance, ...]
    only: tuple[str, ...] = EVERYTHING
    service: bool = False

    def is_named(self, principals: Iterable[tuple[str, str]]) -> bool:
        """Whether a resource's policy may mean this caller, or all of the caller's account."""
        account = {self.account, f"arn:aws:iam::{self.account}:root"}
        return any(pattern in account and not self.service for _, pattern in principals) or self.is_meant(principals)

    def is_meant(self, principals: Iterable[tuple[str, str]]) -> bool:
        """Whether a resource's policy may mean this caller, not only all of an account."""
        return any(self._is(kind, pattern) for kind, pattern in principals)

    def _is(self, kind: str, pattern: str) -> bool:
        if pattern == "*" or kind not in {"AWS", "Service"}:
            return True
        if self.service or kind == "Service":
            return self.service and kind == "Service"
        sessions = f"{self.arn.replace(':iam:', ':sts:').replace(':role/', ':assumed-role/')}/*"
        return any_overlap([pattern], [self.arn, sessions])


@dataclass(frozen=True)
class Target:
    """
    Something that is asked for.

    Args:
        kind: Its CloudFormation type.
        name: Its logical id.
        cell: Where.
        account: Whose.
        arns: Patterns of what policies call it, and what is in it.
        policy: What its own policy allows: a role's trust and a share are such policies, too.
        runs_as: ARN of the role that whatever it runs is in.
    """

    kind: str
    name: str
    cell: str
    account: str
    arns: tuple[str, ...]
    policy: tuple[Allowance, ...] = ()
    runs_as: str = ""

    @property
    def actions(self) -> tuple[str, ...]:
        """Patterns of all that can be done to it."""
        service = self.arns[0].split(":")[2]
        return ("iam:*", "sts:*") if service == "iam" else (f"{service}:*",)


def granted(caller: Caller, target: Target) -> set[str]:
    """The actions that a caller's own policies may allow on a target."""
    if caller.service:
        return set(target.actions)
    return _left(caller, _allowed(caller.rights, caller, target))


def admitted(caller: Caller, target: Target) -> set[str]:
    """The actions that a target's own policy may allow to a caller."""
    return _allowed((one for one in target.policy if caller.is_named(one.principals)), caller, target)


def reached(caller: Caller, target: Target) -> set[str]:
    """
    What a caller may do to a target.

    In another account both sides have to allow it. In one's own the caller's policy does, but for assuming a role; and
    the target's does, if it means the caller and not only the account (IAM user guide, "Policy evaluation logic").
    """
    return _left(caller, _reached(caller, target))


def _reached(caller: Caller, target: Target) -> set[str]:
    theirs = admitted(caller, target)
    if caller.account != target.account and not theirs:
        return set()
    own = granted(caller, target)
    both = {_narrower(one, other) for one in own for other in theirs if overlap(one, other)}
    if caller.account != target.account:
        return both
    meant = _allowed((one for one in target.policy if caller.is_meant(one.principals)), caller, target)
    return both | meant | {action for action in own if not action.startswith("sts:")}


def statements_of(document: Mapping[str, Any]) -> Iterator[Allowance]:
    """
    What a policy document may allow.

    Args:
        document: Without functions of CloudFormation.
    """
    for statement in _listed(document["Statement"]):
        if statement["Effect"] == "Deny":
            continue
        yield Allowance(
            # What is allowed but for some is taken to be allowed whole.
            actions=tuple(each.lower() for each in _listed(statement.get("Action", "*"))),
            resources=tuple(_listed(statement.get("Resource", "*"))),
            principals=tuple(_principals(statement)),
            conditions=tuple(
                (operator.lower(), key.lower(), tuple(_listed(values)))
                for operator, of in statement.get("Condition", {}).items()
                for key, values in of.items()
            ),
        )


def _left(caller: Caller, actions: set[str]) -> set[str]:
    return {action for action in actions if any_overlap([action], caller.only)}


def left_by(document: Mapping[str, Any]) -> tuple[str, ...]:
    """Patterns of the actions that are left to whoever has a policy: all, unless it denies all but some, always."""
    for statement in _listed(document["Statement"]):
        everywhere = statement.get("Resource") == "*" and "Condition" not in statement
        if statement["Effect"] == "Deny" and "NotAction" in statement and everywhere:
            return tuple(each.lower() for each in _listed(statement["NotAction"]))
    return EVERYTHING


def _principals(statement: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    named = statement.get("Principal", "*" if "NotPrincipal" in statement else {})
    for kind, patterns in (named if isinstance(named, dict) else {"AWS": named}).items():
        yield from ((kind, pattern) for pattern in _listed(patterns))


def _allowed(allowances: Iterable[Allowance], caller: Caller, target: Target) -> set[str]:
    request = _request(caller, target)
    return {
        action
        for one in allowances
        for action in one.actions
        if any_overlap([action], target.actions) and not (one.resources == EVERYTHING and action in _WITHOUT_RESOURCE)
        if any_overlap(one.resources, target.arns) and one.may_hold(request)
    }


def _request(caller: Caller, target: Target) -> dict[str, tuple[str, ...]]:
    """The condition keys that cannot be another's: who asks, for whom, and whose it is that is asked for."""
    account = (caller.account,)
    return {
        "aws:principalarn": (caller.arn,),
        "aws:principalaccount": account,
        "kms:calleraccount": account,
        "aws:sourceaccount": account,
        "aws:sourcearn": (f"arn:aws:*:*:{caller.account}:*", "arn:aws:s3:::*"),
        "aws:resourceaccount": (target.account,),
    }


def _narrower(one: str, other: str) -> str:
    return other if "*" in one else one


_WITHOUT_RESOURCE = {action.lower() for action in WITHOUT_RESOURCE}


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]
