"""Checks: something we assume about AWS, what AWS says about it in this account, and what follows."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Generic, TypeVar

from meshcert.errors import AccessDenied, AwsRefused, AwsUnavailable, IdentityMissing, MeshcertError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tools.aws_checks.deployment import Deployment

Facts = TypeVar("Facts")

# Codes that meshcert.aws need not distinguish: only this command asks for roles, keys, clusters and queues.
_NOT_THERE = {
    "ClusterNotFoundException",
    "InvalidSubnetID.NotFound",
    "InvalidVpcID.NotFound",
    "NamespaceNotFound",
    "NoSuchEntity",
    "NotFoundException",
    "QueueDoesNotExist",
    "ServiceNotFound",
    "TargetGroupNotFound",
}


_OF_A_DEPLOY = "Deploy the stacks again, and look at their events if it stays missing"
# Amazon SNS's code for a denied call.
_DENIED = {"AuthorizationError"}


class Verdict(StrEnum):
    """The outcome for an assumption."""

    CONFIRMED = "confirmed"
    CONTRADICTED = "contradicted"
    UNDECIDED = "cannot tell"


@dataclass(frozen=True)
class Judgement:
    """
    The judgement of one subject.

    Args:
        verdict: Whether the assumption holds.
        seen: What AWS says, in words.
        remedy: What to do; empty if nothing has to be done.
    """

    verdict: Verdict
    seen: str
    remedy: str = ""


@dataclass(frozen=True)
class Finding:
    """
    The judgement of one check on one subject.

    Args:
        subject: Name of what was checked: an identity, a hierarchy, a service, a role.
        seen: What AWS says here.
        verdict: Whether the assumption holds here.
        remedy: What to do; empty if nothing has to be done.
    """

    check: str
    assumption: str
    subject: str
    seen: str
    verdict: Verdict
    remedy: str

    def as_document(self) -> dict[str, str]:
        """Its fields as JSON has them."""
        return asdict(self)


@dataclass(frozen=True)
class Check(Generic[Facts]):
    """
    An assumption and how to check it.

    Args:
        name: Its name in JSON.
        assumption: What we assume, as a sentence.
        subjects: Names of everything it is about.
        look: Asks AWS about one subject; raises :class:`~meshcert.errors.MeshcertError` if there is no answer.
        judge: Judges the answer; calls nothing.
        if_missing: What to do if AWS has nothing of that name; by default it is something that a deploy creates.
    """

    name: str
    assumption: str
    subjects: Callable[[Deployment], Iterable[str]]
    look: Callable[[Deployment, str], Facts]
    judge: Callable[[Facts], Judgement]
    if_missing: str = _OF_A_DEPLOY

    def findings(self, deployment: Deployment) -> Iterator[Finding]:
        """One finding for each subject; whatever AWS answers, the check goes on."""
        try:
            subjects = list(self.subjects(deployment))
        except MeshcertError as error:
            yield self._finding(deployment.name, no_answer(error))
            return
        for subject in subjects:
            yield self._finding(subject, self._judgement(deployment, subject))

    def _judgement(self, deployment: Deployment, subject: str) -> Judgement:
        try:
            return self.judge(self.look(deployment, subject))
        except MeshcertError as error:
            return no_answer(error, self.if_missing)
        except (LookupError, TypeError, ValueError, StopIteration) as error:
            # The point is to learn how AWS differs from what we think, so no answer may stop the other checks.
            return undecided(f"the answer is not of the form we expect: {error!r}", "Please report it")

    def _finding(self, subject: str, judgement: Judgement) -> Finding:
        return Finding(self.name, self.assumption, subject, judgement.seen, judgement.verdict, judgement.remedy)


def confirmed(seen: str) -> Judgement:
    """The judgement that the assumption holds."""
    return Judgement(Verdict.CONFIRMED, seen)


def contradicted(seen: str, remedy: str) -> Judgement:
    """The judgement that the assumption does not hold."""
    return Judgement(Verdict.CONTRADICTED, seen, remedy)


def undecided(seen: str, remedy: str = "") -> Judgement:
    """The judgement that AWS's answer does not decide the question, or not yet."""
    return Judgement(Verdict.UNDECIDED, seen, remedy)


def no_answer(error: MeshcertError, if_missing: str = _OF_A_DEPLOY) -> Judgement:
    """
    The judgement when AWS gave no answer.

    If something that has to be there is missing, that is a contradiction; any other error leaves the question open.

    Args:
        if_missing: What to do then.
    """
    if isinstance(error, IdentityMissing) or (isinstance(error, AwsRefused) and error.code in _NOT_THERE):
        seen = str(error) if if_missing == _OF_A_DEPLOY else f"{error.resource} does not exist here"
        return contradicted(seen, if_missing)
    if isinstance(error, AccessDenied) or (isinstance(error, AwsRefused) and error.code in _DENIED):
        return undecided(str(error), f"Run this with credentials that may {error.operation}; it only reads")
    if isinstance(error, AwsUnavailable):
        return undecided(str(error), "Run this again")
    return undecided(str(error))
