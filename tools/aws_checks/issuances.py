"""Checks of what AWS Private CA issues to meshcert itself: extensions, dates, and how long it takes."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cryptography import x509

from meshcert.material.certificate_facts import extension_of
from tools.aws_checks.certificates import BACK_DATING, PURPOSES, LeafSeen, leaf_seen
from tools.aws_checks.deployment import PRIVATE_CA
from tools.aws_checks.verdicts import Check, Judgement, confirmed, contradicted, undecided

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tools.aws_checks.deployment import Deployment

LOOKS_BACK = dt.timedelta(days=14)
LONG = dt.timedelta(minutes=1)
"""What nobody expects a certificate to take; AWS publishes no time."""
_REFUSED = "Material like this is refused before use, and nothing is published. Please report it"


@dataclass(frozen=True)
class LifeSeen:
    """
    A certificate, and the life that the mesh file declares.

    Args:
        seen: The certificate.
        life: From its issue to its end.
    """

    seen: LeafSeen
    life: dt.timedelta


def _identities(deployment: Deployment) -> Iterable[str]:
    return deployment.identities(PRIVATE_CA)


def _hierarchies(deployment: Deployment) -> Iterable[str]:
    signed = [deployment.mesh.identities[name].hierarchy for name in _identities(deployment)]
    return list(dict.fromkeys(signed))


def _life(deployment: Deployment, identity: str) -> LifeSeen:
    return LifeSeen(leaf_seen(deployment, identity), deployment.mesh.identities[identity].life)


def _times(deployment: Deployment, hierarchy: str) -> Sequence[Mapping[str, Any]]:
    answer = deployment.account.read(
        "cloudwatch:GetMetricStatistics",
        Namespace="AWS/ACMPrivateCA",
        MetricName="Time",
        Dimensions=[{"Name": "PrivateCAArn", "Value": deployment.authority(hierarchy, "issuing")["Arn"]}],
        StartTime=deployment.now - LOOKS_BACK,
        EndTime=deployment.now,
        Period=86_400,
        Statistics=["Average", "Maximum", "SampleCount"],
    )
    points: Sequence[Mapping[str, Any]] = answer["Datapoints"]
    return points


def judge_extensions(seen: LeafSeen) -> Judgement:
    """Judge whether the leaf is what the template's table says: no CA, keys for signatures, both purposes."""
    constraints = extension_of(seen.leaf, x509.BasicConstraints)
    usage = extension_of(seen.leaf, x509.KeyUsage)
    purposes = {PURPOSES.get(oid, oid.dotted_string) for oid in extension_of(seen.leaf, x509.ExtendedKeyUsage) or ()}
    faults = [
        problem
        for problem, is_so in (
            ("it is a CA", constraints is None or constraints.ca),
            ("it is not for digital signatures", usage is None or not usage.digital_signature),
            ("it may sign certificates or lists", usage is not None and (usage.key_cert_sign or usage.crl_sign)),
            ("it is not for servers and clients both", not set(PURPOSES.values()) <= purposes),
        )
        if is_so
    ]
    text = f"the leaf has {', '.join(sorted(purposes)) or 'no extended key usage'}"
    return contradicted(f"{text}: {', '.join(faults)}", _REFUSED) if faults else confirmed(text)


def judge_life(seen: LifeSeen) -> Judgement:
    """Judge whether the certificate lives as long as was asked for, counted from its issue."""
    leaf = seen.seen.leaf
    whole = leaf.not_valid_after_utc - leaf.not_valid_before_utc
    text = f"{whole / dt.timedelta(hours=1):.2f} h from NotBefore to the end; {seen.life / dt.timedelta(hours=1):g} h "
    text += f"are declared, and it begins up to {BACK_DATING / dt.timedelta(minutes=1):g} min before its issue"
    if seen.life <= whole <= seen.life + BACK_DATING:
        return confirmed(text)
    if not seen.seen.published:
        return undecided(f"{text}; this certificate is not published", "See secret-version")
    return contradicted(
        text, "If the mesh file's validity was just changed, the next renewal brings it. Else please report it"
    )


def judge_time(points: Sequence[Mapping[str, Any]]) -> Judgement:
    """Judge how long Private CA takes: as long as a certificate is in progress, its identity is unsettled."""
    if not points:
        return undecided(f"Private CA has counted nothing in {LOOKS_BACK.days} days", "Run this again after a renewal")
    longest = dt.timedelta(milliseconds=max(float(point["Maximum"]) for point in points))
    number = int(sum(float(point["SampleCount"]) for point in points))
    mean = sum(float(point["Average"]) * float(point["SampleCount"]) for point in points) / max(number, 1)
    text = f"{number} certificates took {mean / 1000:.1f} s on average, {longest.total_seconds():.1f} s at most"
    if longest <= LONG:
        return confirmed(text)
    return contradicted(text, "Identities are unsettled for so long at each renewal. Please report it")


CHECKS: tuple[Check[Any], ...] = (
    Check(
        "issued-extensions",
        "A certificate from Private CA has the extensions of its template",
        _identities,
        leaf_seen,
        judge_extensions,
    ),
    Check("issued-life", "Private CA dates a certificate as it was asked to", _identities, _life, judge_life),
    Check("issuing-time", "Private CA makes a certificate within a minute", _hierarchies, _times, judge_time),
)
