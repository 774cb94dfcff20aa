"""A check: something we assume of AWS, what AWS says of it here, and what follows from that."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Generic, TypeVar

from meshcert.errors import AccessDenied, AwsRefused, AwsUnavailable, IdentityMissing, MeshcertError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tools.aws_checks.deployment import Deployment

Facts = TypeVar("Facts")

# Codes that meshcert.aws does not need to tell apart: only this command asks for roles, keys, clusters and queues.
_NOT_THERE = {
    "ClusterNotFoundException",
    "NamespaceNotFound",
    "NoSuchEntity",
    "NotFoundException",
    "QueueDoesNotExist",
    "ServiceNotFound",
    "TargetGroupNotFound",
}


# Amazon SNS's word for a denied call.
_DENIED = {"AuthorizationError"}


class Verdict(StrEnum):
    """What became of an assumption."""

    CONFIRMED = "confirmed"
    CONTRADICTED = "contradicted"
    UNDECIDED = "cannot tell"


@dataclass(frozen=True)
class Judgement:
    """
    What AWS says of one subject, weighed.

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
        check: Name of the check.
        assumption: What we assume.
        subject: What was looked at: an identity, a hierarchy, a service, a role.
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
    One assumption and how to find out.

    Args:
        name: Its name in JSON.
        assumption: What we assume, a sentence.
        subjects: Names of what it holds for.
        look: Asks AWS about one subject; raises :class:`~meshcert.errors.MeshcertError` if there is no answer.
        judge: Weighs the answer; asks nobody.
    """

    name: str
    assumption: str
    subjects: Callable[[Deployment], Iterable[str]]
    look: Callable[[Deployment, str], Facts]
    judge: Callable[[Facts], Judgement]

    def findings(self, deployment: Deployment) -> Iterator[Finding]:
        """One finding for each subject; no answer of AWS stops the check."""
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
            return no_answer(error)
        except (LookupError, TypeError, ValueError, StopIteration) as error:
            # The whole point is to learn how AWS differs from what we think: no answer may stop the other checks.
            return undecided(f"the answer is not of the form we expect: {error!r}", "Please report it")

    def _finding(self, subject: str, judgement: Judgement) -> Finding:
        return Finding(self.name, self.assumption, subject, judgement.seen, judgement.verdict, judgement.remedy)


def confirmed(seen: str) -> Judgement:
    """It is as we assume."""
    return Judgement(Verdict.CONFIRMED, seen)


def contradicted(seen: str, remedy: str) -> Judgement:
    """It is not as we assume."""
    return Judgement(Verdict.CONTRADICTED, seen, remedy)


def undecided(seen: str, remedy: str = "") -> Judgement:
    """What AWS says does not answer the question, or not yet."""
    return Judgement(Verdict.UNDECIDED, seen, remedy)


def no_answer(error: MeshcertError) -> Judgement:
    """
    The judgement when AWS did not tell.

    Something that a deploy creates and that is not there is a contradiction; everything else leaves the question open.
    """
    if isinstance(error, IdentityMissing) or (isinstance(error, AwsRefused) and error.code in _NOT_THERE):
        return contradicted(str(error), "Deploy the stacks again, and look at their events if it stays missing")
    if isinstance(error, AccessDenied) or (isinstance(error, AwsRefused) and error.code in _DENIED):
        return undecided(str(error), f"Run this with credentials that may {error.operation}; it only reads")
    if isinstance(error, AwsUnavailable):
        return undecided(str(error), "Run this again")
    return undecided(str(error))
