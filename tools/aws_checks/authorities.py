"""Checks of the private CAs: active, open to ACM, and valid for longer than what they sign."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from meshcert import naming
from tools.aws_checks.certificates import LONGEST_LIFE
from tools.aws_checks.deployment import ACM
from tools.aws_checks.verdicts import Check, Judgement, confirmed, contradicted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tools.aws_checks.deployment import Deployment

PRINCIPAL = "acm.amazonaws.com"
ACM_ACTIONS = {"IssueCertificate", "GetCertificate", "ListPermissions"}
GENERAL_PURPOSE, SHORT_LIVED = "GENERAL_PURPOSE", "SHORT_LIVED_CERTIFICATE"
SHORT = "short_lived"
"""A hierarchy's usage in the mesh file, if the CA that signs leaves is such a one."""


@dataclass(frozen=True)
class LivesSeen:
    """
    The ends of the lives of a hierarchy's CAs.

    Args:
        ends: When the certificate of each CA ends, root first.
        now: The time, UTC.
        longest: Of the lives of what the last of them signs.
    """

    ends: tuple[dt.datetime, ...]
    now: dt.datetime
    longest: dt.timedelta = LONGEST_LIFE


@dataclass(frozen=True)
class StatesSeen:
    """
    The CAs of a hierarchy, and what the last of them is for.

    Args:
        authorities: ``CertificateAuthority`` of acm-pca:DescribeCertificateAuthority, root first.
        usage: The hierarchy's, in the mesh file.
    """

    authorities: Sequence[Mapping[str, Any]]
    usage: str = "general_purpose"


def _hierarchies(deployment: Deployment) -> Iterable[str]:
    """Those of which a deploy makes the CAs; of the others asks :mod:`tools.aws_checks.existing_authorities`."""
    return [name for name, hierarchy in deployment.mesh.hierarchies.items() if hierarchy.made]


def _for_acm(deployment: Deployment) -> Iterable[str]:
    """A short-lived CA signs nothing for ACM."""
    return [name for name in _hierarchies(deployment) if deployment.mesh.hierarchies[name].usage != SHORT]


def _authorities(deployment: Deployment, hierarchy: str) -> StatesSeen:
    return StatesSeen(deployment.authorities(hierarchy), deployment.mesh.hierarchies[hierarchy].usage)


def _lives(deployment: Deployment, hierarchy: str) -> LivesSeen:
    # A CA without a certificate cannot sign anything, as if its life were over.
    ends = (authority.get("NotAfter", deployment.now) for authority in deployment.authorities(hierarchy))
    signed = [each for each in deployment.mesh.identities.values() if each.hierarchy == hierarchy]
    # ACM's lives differ by some days.
    lives = [LONGEST_LIFE if each.issuer == ACM else each.life for each in signed]
    return LivesSeen(tuple(end.astimezone(dt.UTC) for end in ends), deployment.now, max(lives, default=LONGEST_LIFE))


def _permissions(deployment: Deployment, hierarchy: str) -> Mapping[str, frozenset[str]]:
    arn = deployment.authority(hierarchy, "issuing")["Arn"]
    answer = deployment.account.read("acm-pca:ListPermissions", CertificateAuthorityArn=arn)
    return {each["Principal"]: frozenset(each["Actions"]) for each in answer["Permissions"]}


def _tags(deployment: Deployment, hierarchy: str) -> tuple[str, list[str]]:
    values = []
    for authority in deployment.authorities(hierarchy):
        answer = deployment.account.read("acm-pca:ListTags", CertificateAuthorityArn=authority["Arn"])
        tags = {tag["Key"]: tag.get("Value", "") for tag in answer["Tags"]}
        values.append(tags.get(naming.TAG, "absent"))
    return deployment.name, values


def judge_state(seen: StatesSeen) -> Judgement:
    """Judge whether every CA is active, and the one that signs leaves of the mode that the mesh file says."""
    states = [(each["Type"], each["Status"], each.get("UsageMode", GENERAL_PURPOSE)) for each in seen.authorities]
    text = "; ".join(f"{kind} is {status}, {mode}" for kind, status, mode in states)
    if any(status != "ACTIVE" for _, status, _ in states):
        return contradicted(
            text, "Make it ACTIVE again (acm-pca:UpdateCertificateAuthority, or RestoreCertificateAuthority)"
        )
    signing = SHORT_LIVED if seen.usage == SHORT else GENERAL_PURPOSE
    if [mode for *_, mode in states] == [*([GENERAL_PURPOSE] * (len(states) - 1)), signing]:
        return confirmed(text)
    return contradicted(f"{text}; the mesh file says {seen.usage}", "Deploy this mesh file, or check another")


def judge_life(seen: LivesSeen) -> Judgement:
    """Judge whether the CA that signs leaves outlives a leaf issued today, and a root its issuing CA."""
    *_, signing = seen.ends
    latest = signing - seen.longest
    text = f"it ends on {signing:%Y-%m-%d}; a new certificate fits below it until {latest:%Y-%m-%d}"
    remedy = "Raise the hierarchy's reissue in the mesh file and deploy: same CA, same key, a new certificate"
    if latest <= seen.now:
        return contradicted(text, remedy)
    if seen.ends[0] < signing:
        return contradicted(f"{text}; the root ends on {seen.ends[0]:%Y-%m-%d}, before it", remedy)
    return confirmed(text)


def judge_permission(permissions: Mapping[str, frozenset[str]]) -> Judgement:
    """Judge ACM's permission: requests work without it, the renewal eleven months later does not."""
    actions = permissions.get(PRINCIPAL, frozenset())
    text = f"{PRINCIPAL} may {', '.join(sorted(actions)) or 'nothing'}"
    if actions >= ACM_ACTIONS:
        return confirmed(text)
    return contradicted(
        text,
        "Renewals will hang with PCA_ACCESS_DENIED. CloudFormation believes the permission is there: "
        f"call acm-pca:CreatePermission for {PRINCIPAL} with {', '.join(sorted(ACM_ACTIONS))}",
    )


def judge_tags(seen: tuple[str, list[str]]) -> Judgement:
    """Judge the CAs' tag: the export function may read the certificates of CAs with this tag only."""
    mesh, values = seen
    text = f"{naming.TAG} is {', '.join(values)}"
    if all(value == mesh for value in values):
        return confirmed(text)
    return contradicted(text, f"The export function cannot read its certificate: deploy again, or tag it {mesh}")


CHECKS: tuple[Check[Any], ...] = (
    Check("ca-state", "A hierarchy's CAs are active, for their usage mode", _hierarchies, _authorities, judge_state),
    Check("ca-life", "A hierarchy's CAs outlive what they sign", _hierarchies, _lives, judge_life),
    Check("ca-permission", "ACM may renew under a hierarchy's issuing CA", _for_acm, _permissions, judge_permission),
    Check("ca-tag", "CloudFormation tags CAs with the mesh's name", _hierarchies, _tags, judge_tags),
)
