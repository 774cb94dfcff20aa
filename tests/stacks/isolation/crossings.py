"""What crosses between cells, and what must not: everything that anybody of one cell reaches in another."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from tests.stacks.isolation.deployed import ADMINISTRATOR
from tests.stacks.isolation.policies import admitted, any_overlap, granted, reached
from tests.stacks.isolation.shares import ISSUING, REGISTERED, REGISTERING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.stacks.isolation.deployed import DeployedCell
    from tests.stacks.isolation.policies import Caller, Target

AUTHORITY, ROLE, BUCKET = "AWS::ACMPCA::CertificateAuthority", "AWS::IAM::Role", "AWS::S3::Bucket"
STATE, ROOT, ACM_MAY = (
    f"acm-pca:{action}"
    for action in ("DescribeCertificateAuthority", "GetCertificateAuthorityCertificate", "ListPermissions")
)


@dataclass(frozen=True)
class Crossing:
    """
    Something that may cross.

    Args:
        why: In words.
        by: Patterns of the names of callers.
        of: CloudFormation type of what they reach.
        actions: What they may do to it.
        named: Pattern of its logical id.
    """

    why: str
    by: tuple[str, ...]
    of: str
    actions: tuple[str, ...]
    named: str = "*"

    def covers(self, caller: str, target: Target, action: str) -> bool:
        """Whether it is this that crosses."""
        meant = self.of == target.kind and fnmatchcase(target.name, self.named)
        return meant and action in map(str.lower, self.actions) and any(fnmatchcase(caller, each) for each in self.by)


CROSSINGS = (
    Crossing("a deploy asks whether a CA can sign, and may for ACM", ("*-export",), AUTHORITY, (STATE, ROOT, ACM_MAY)),
    Crossing(
        "certificates are verified against their root", ("*-verify", "*-renewal", "*-operator"), AUTHORITY, (ROOT,)
    ),
    Crossing(
        "ACM issues for whoever has a certificate requested, with any name in it", (ADMINISTRATOR,), AUTHORITY, ISSUING
    ),
    Crossing(
        "callers, and who administers their roles, find the tasks that they call",
        by=("meshcert-yelb-*-ui", ADMINISTRATOR),
        of=ROLE,
        actions=("sts:AssumeRole",),
        named="RemoteDiscovery*",
    ),
)
"""All that may cross in a mesh whose certificates are ACM's."""
OF_PRIVATE_CA = (
    Crossing("one function issues", ("*-export",), AUTHORITY, ("acm-pca:IssueCertificate",)),
    Crossing(
        "what it had issued is read again",
        ("*-export", "*-renewal", "*-operator"),
        AUTHORITY,
        ("acm-pca:GetCertificate",),
    ),
)
"""What crosses besides where meshcert has certificates issued itself."""
LISTS = (
    Crossing(
        "peers are looked up in lists, and a deploy tells one that is missing",
        ("*",),
        BUCKET,
        ("s3:GetObject", "s3:ListBucket"),
        "RevocationLists*",
    ),
)
"""What crosses besides where proxies read the revocation lists of another cell's CAs."""
IN_ONE_NAMESPACE = (
    Crossing(
        "RAM's permission names no service, and lets whoever administers an account do what it does with its own",
        by=(ADMINISTRATOR,),
        of=REGISTERED,
        actions=tuple(each for each in REGISTERING if "DiscoverInstances" not in each),
    ),
    Crossing(
        "operators see what the Cloud Map services of attached services are called, whose ids Cloud Map makes up",
        by=("*-operator",),
        of=REGISTERED,
        actions=("servicediscovery:GetService",),
    ),
)
"""What crosses besides where cells register in one namespace: no role of the mesh registers or takes out."""
_SHARE = "a share is with an account, and its roles need a policy of their own"
SHARED = (Crossing(_SHARE, ("*",), AUTHORITY, ISSUING), Crossing(_SHARE, ("*",), REGISTERED, REGISTERING))
"""What the owner's side alone may let in."""
MAY_BE_DONE_ACROSS = {"servicediscovery:discoverinstances", "servicediscovery:discoverinstancesrevision"}
"""All that a role may do that somebody of another cell may assume."""

# Whoever may do this to a role or a function acts as the role.
_BECOMES = {
    ROLE: ("sts:assumerole*", "iam:passrole", "iam:put*", "iam:attach*", "iam:update*"),
    "AWS::Lambda::Function": ("lambda:update*", "lambda:create*", "lambda:publish*", "lambda:add*"),
}


@dataclass(frozen=True)
class Reach:
    """
    Something that somebody reaches, in however many steps.

    Args:
        way: Who asks, then the roles that they become, one after the other.
        target: What the last of them asks for.
        actions: What they may do to it.
    """

    way: tuple[Caller, ...]
    target: Target
    actions: frozenset[str]

    @property
    def crosses(self) -> bool:
        """Whether it is another cell's than that of whoever asks first."""
        return self.way[0].cell != self.target.cell


def reaches(cells: Sequence[DeployedCell]) -> Iterator[Reach]:
    """All that anybody reaches: of other cells, and by a role's own policies in its own."""
    callers = [caller for cell in cells for caller in cell.callers]
    targets = [target for cell in cells for target in cell.targets]
    roles = {caller.arn: caller for caller in callers if ":role/" in caller.arn}
    for start in callers:
        seen = {start.arn}
        waiting: deque[tuple[Caller, ...]] = deque([(start,)])
        while waiting:
            way = waiting.popleft()
            for target in targets:
                # Whoever administers an account needs nobody's policy there.
                if target.account == way[-1].account and way[-1].arn not in roles:
                    continue
                if not (actions := reached(way[-1], target)):
                    continue
                yield Reach(way, target, frozenset(actions))
                role = roles.get(target.runs_as or target.arns[0])
                if role and role.arn not in seen and any_overlap(actions, _BECOMES.get(target.kind, ())):
                    seen.add(role.arn)
                    waiting.append((*way, role))


def findings(cells: Sequence[DeployedCell], allowed: Sequence[Crossing]) -> list[str]:
    """Everything that is not as it must be, in words; empty if cells are apart but for what is allowed."""
    found = dict.fromkeys(f"nobody here knows {each}" for cell in cells for each in sorted(cell.unread()))
    for reach in reaches(cells):
        if reach.crosses:
            found |= dict.fromkeys(_crossed(reach, allowed))
        elif len(reach.way) > 1:
            found[f"{reach.way[0].name} becomes {reach.way[1].name}"] = None
    return [*found, *_one_sided(cells, allowed)]


def _crossed(reach: Reach, allowed: Sequence[Crossing]) -> Iterator[str]:
    start, *roles = reach.way
    way = " > ".join([f"{start.name} of {start.cell}", *(role.name for role in roles)])
    for action in sorted(reach.actions):
        if not any(each.covers(reach.way[-1].name, reach.target, action) for each in allowed):
            yield _told(way, reach.target, action)
    for role in roles:
        for action in sorted({action for one in role.rights for action in one.actions} - MAY_BE_DONE_ACROSS):
            if role.cell != start.cell:
                yield f"{way}: {role.name} of {role.cell} may {action}"


def _one_sided(cells: Sequence[DeployedCell], allowed: Sequence[Crossing]) -> Iterator[str]:
    """What one side allows already, though the other does not: nothing is apart by one account's policies alone."""
    targets = [target for cell in cells for target in cell.targets]
    for caller in (caller for cell in cells for caller in cell.callers):
        for target in (target for target in targets if target.cell != caller.cell):
            own = granted(caller, target) if ":role/" in caller.arn else set()
            for side, actions, of in (
                ("its own policy", own, allowed),
                (f"the policy of {target.name}", admitted(caller, target), (*allowed, *SHARED)),
            ):
                for action in sorted(actions):
                    if not any(each.covers(caller.name, target, action) for each in of):
                        yield f"{_told(f'{caller.name} of {caller.cell}', target, action)}, says {side}"


def _told(way: str, target: Target, action: str) -> str:
    return f"{way} reaches {target.name} of {target.cell}: {action}"
