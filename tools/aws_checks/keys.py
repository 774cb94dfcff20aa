"""Checks of a KMS key of yours for the secrets: asked before a deploy makes anything, and at any time later."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from tools.aws_checks.verdicts import Check, Judgement, confirmed, contradicted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tools.aws_checks.deployment import Deployment


class YourKeySeen(NamedTuple):
    """
    A key of the mesh file.

    Args:
        declared: Its ARN.
        place: The account and region of the mesh, as they stand in a key's ARN.
        key: AWS's description; empty if it is of another account or region, where nobody asks.
    """

    declared: str
    place: str
    key: Mapping[str, Any]


def _keys(deployment: Deployment) -> Iterable[str]:
    return [deployment.mesh.about.secrets_key] if deployment.mesh.about.secrets_key else []


def _key(deployment: Deployment, arn: str) -> YourKeySeen:
    place = deployment.arn("kms", "key/")
    key = deployment.account.read("kms:DescribeKey", KeyId=arn)["KeyMetadata"] if arn.startswith(place) else {}
    return YourKeySeen(arn, place, key)


def judge_key(seen: YourKeySeen) -> Judgement:
    """Judge whether Secrets Manager can encrypt with the key."""
    if not seen.key:
        return contradicted(seen.declared, f"Name a key of this account and region: {seen.place}...")
    state, spec, usage = (str(seen.key.get(name, "")) for name in ("KeyState", "KeySpec", "KeyUsage"))
    text = f"it is {state}, {spec}, {usage}"
    if (spec, usage) != ("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT"):
        return contradicted(text, "Name a symmetric key for encryption: Secrets Manager takes no other")
    if state != "Enabled":
        return contradicted(text, "Have its owner enable it, or name another: secrets under it cannot be read")
    return confirmed(text)


CHECKS: tuple[Check[Any], ...] = (
    Check(
        "key-yours",
        "The KMS key of yours encrypts secrets",
        _keys,
        _key,
        judge_key,
        "Name a key of this account and region: mesh.secrets_key",
    ),
)
