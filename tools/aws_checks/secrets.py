"""Checks of what is published: versions, labels, and who may write. No value is ever read."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from meshcert import naming
from meshcert.contract.staging_labels import CURRENT, PENDING
from meshcert.material import certificate_version
from meshcert.publishing.publication import version_labelled
from tools.aws_checks.verdicts import Check, Judgement, confirmed, contradicted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tools.aws_checks.deployment import Deployment

VERSION = re.compile(r"[0-9a-f]{64}")
MOST_VERSIONS = 100
"""Secrets Manager's quota."""
_PUBLISH = "`meshcert plan` says what is to come, the export function's log what went wrong; a deploy publishes too"


@dataclass(frozen=True)
class VersionSeen:
    """
    The published version and the expected one.

    Args:
        expected: The version that is named after what ACM or Private CA holds now.
        labels: Staging labels by version id.
    """

    expected: str
    labels: Mapping[str, frozenset[str]]


@dataclass(frozen=True)
class PolicySeen:
    """
    The rights to write to a secret.

    Args:
        document: Its resource policy as JSON; empty if it has none.
        writers: Action → the roles (patterns) that it must not be denied to.
    """

    document: str
    writers: Mapping[str, frozenset[str]]


@dataclass(frozen=True)
class KeySeen:
    """
    The key that encrypts a secret.

    Args:
        key_id: The key that the secret names; empty for AWS's own.
        key: ``KeyMetadata`` of the mesh's key.
        rotates: True if AWS rotates that key's material.
    """

    key_id: str
    key: Mapping[str, Any]
    rotates: bool


def _published(deployment: Deployment) -> Iterable[str]:
    return deployment.secrets()


def _version(deployment: Deployment, subject: str) -> VersionSeen:
    if subject in deployment.mesh.identities:
        expected = certificate_version(deployment.issued(subject)["Certificate"])
    else:
        hierarchy = next(name for name in deployment.mesh.hierarchies if subject == f"trust in {name}")
        expected = deployment.trust_bundle(hierarchy).version_id
    return VersionSeen(expected, _labels(deployment, subject))


def _labels(deployment: Deployment, subject: str) -> Mapping[str, frozenset[str]]:
    return deployment.labels(deployment.secrets()[subject])


def _stored(deployment: Deployment, subject: str) -> int:
    answer = deployment.account.read(
        "secretsmanager:ListSecretVersionIds",
        SecretId=deployment.secrets()[subject],
        IncludeDeprecated=True,
        MaxResults=MOST_VERSIONS,
    )
    return len(answer["Versions"])


def _policy(deployment: Deployment, subject: str) -> PolicySeen:
    export = deployment.role_arn(naming.EXPORT_ROLE)
    movers = {export}
    if subject in deployment.mesh.identities:
        # A rollback moves the labels of an identity's secret; a trust bundle is never rolled back.
        movers.add(deployment.role_arn(naming.RENEWAL_ROLE))
    deploy = naming.deploy_role(naming.BOOTSTRAP_QUALIFIER, deployment.account_id, deployment.region)
    answer = deployment.account.read("secretsmanager:GetResourcePolicy", SecretId=deployment.secrets()[subject])
    return PolicySeen(
        document=answer.get("ResourcePolicy", ""),
        writers={
            "secretsmanager:PutSecretValue": frozenset({export}),
            "secretsmanager:UpdateSecretVersionStage": frozenset(movers),
            "secretsmanager:UpdateSecret": frozenset({deployment.arn("iam", f"role/{deploy}")}),
        },
    )


def _key(deployment: Deployment, subject: str) -> KeySeen:
    secret = deployment.account.read("secretsmanager:DescribeSecret", SecretId=deployment.secrets()[subject])
    alias = naming.key_alias(deployment.name)
    key = deployment.account.read("kms:DescribeKey", KeyId=alias)["KeyMetadata"]
    rotation = deployment.account.read("kms:GetKeyRotationStatus", KeyId=key["KeyId"])
    # Whether a key of yours is rotated is its owner's to say.
    rotates = bool(rotation["KeyRotationEnabled"] or deployment.mesh.about.secrets_key)
    return KeySeen(secret.get("KmsKeyId", ""), key, rotates)


def judge_version(seen: VersionSeen) -> Judgement:
    """Judge whether the current version is the one that is named after what is issued."""
    current = version_labelled(seen.labels, CURRENT) or "none"
    if current == seen.expected:
        return confirmed(f"{CURRENT} is {_short(current)}, {len(current)} characters, the SHA-256 of what is issued")
    if VERSION.fullmatch(current):
        return contradicted(f"{CURRENT} is {_short(current)}, but {_short(seen.expected)} is issued", _PUBLISH)
    return contradicted(f"{CURRENT} is {current}: the template's placeholder, nothing is published", _PUBLISH)


def judge_pending(labels: Mapping[str, frozenset[str]]) -> Judgement:
    """Judge whether a publication hangs: it removes its own label when it ends."""
    pending = version_labelled(labels, PENDING)
    if pending is None:
        return confirmed("; ".join(f"{_short(version)}: {', '.join(sorted(own))}" for version, own in labels.items()))
    return contradicted(
        f"{_short(pending)} has {', '.join(sorted(labels[pending]))}",
        "Run this again in a minute; if it stays, the export stopped half way: deploy again, it goes on from there",
    )


def judge_stored(stored: int) -> Judgement:
    """Judge the number of versions: AWS removes the ones without labels, once they are a day old."""
    text = f"{stored} of {MOST_VERSIONS}"
    if stored < MOST_VERSIONS // 2:
        return confirmed(text)
    return contradicted(
        text, "Something publishes too often: see the export function's log. None can be written at 100"
    )


def judge_policy(seen: PolicySeen) -> Judgement:
    """Judge whether the policy has the template's three denials and nothing else."""
    expected = set(seen.writers.items())
    statements = json.loads(seen.document)["Statement"] if seen.document else []
    found = {denial for statement in statements if (denial := _denial(statement))}
    others = [statement.get("Sid") or statement["Effect"] for statement in statements if not _denial(statement)]
    others += [f"{action} only for {_told(roles)}" for action, roles in found - expected]
    faults = [f"no denial of {action} to all but {_told(roles)}" for action, roles in expected - found]
    faults += [f"not ours: {other}" for other in others]
    faults.sort()
    if not faults:
        return confirmed("denies " + ", ".join(f"{action.partition(':')[2]}" for action in seen.writers) + " to others")
    return contradicted(
        "; ".join(faults), "Find out who changed it (CloudTrail: PutResourcePolicy), and deploy it again"
    )


def judge_key(seen: KeySeen) -> Judgement:
    """Judge whether the secret uses the mesh's own key, enabled and rotated."""
    alias, state = seen.key["KeyId"], seen.key["KeyState"]
    text = f"{seen.key_id.rsplit('/', 1)[-1] or 'aws/secretsmanager'}; the mesh's key {alias} is {state}"
    if not seen.key_id.endswith(alias):
        return contradicted(text, "Tasks decrypt with the mesh's key only: deploy the identities stack again")
    if state != "Enabled" or not seen.rotates:
        return contradicted(f"{text}, rotation {'on' if seen.rotates else 'off'}", "Enable the key and its rotation")
    return confirmed(f"{text}, rotation on")


def _denial(statement: Mapping[str, Any]) -> tuple[str, frozenset[str]] | None:
    """Action and exempted roles of a statement that denies one action to everyone else; otherwise None."""
    action, principal = statement.get("Action"), statement.get("Principal")
    # AWS keeps a list of one as it came, or unpacks it. "*" and {"AWS": "*"} mean the same.
    (action,) = action if isinstance(action, list) and len(action) == 1 else (action,)
    everybody = principal in ("*", {"AWS": "*"}, {"AWS": ["*"]})
    exempt = statement.get("Condition", {}).get("ArnNotLike", {}).get("aws:PrincipalArn")
    roles = frozenset(exempt if isinstance(exempt, list) else [exempt])
    whole = statement.get("Effect") == "Deny" and everybody and len(statement.get("Condition", {})) == 1
    return (action, roles) if whole and isinstance(action, str) and None not in roles else None


def _told(roles: frozenset[str]) -> str:
    return " and ".join(sorted(roles))


def _short(version: str) -> str:
    return f"{version[:12]}…" if len(version) > 12 else version  # noqa: PLR2004 -- enough to tell versions apart


CHECKS: tuple[Check[Any], ...] = (
    Check(
        "secret-version",
        "A secret's current version is named after what is issued, with 64 characters",
        _published,
        _version,
        judge_version,
    ),
    Check("secret-pending", f"No publication left {PENDING} behind", _published, _labels, judge_pending),
    Check(
        "secret-versions", "A secret's old versions go away before the quota is near", _published, _stored, judge_stored
    ),
    Check(
        "secret-policy",
        "Only the export role writes a secret, only it and the renewal role move labels, only a deploy updates it",
        _published,
        _policy,
        judge_policy,
    ),
    Check("secret-key", "The mesh's own KMS key encrypts a secret", _published, _key, judge_key),
)
