"""The runbook's rows about federation; a mesh that neither asks for bundles nor publishes one has none."""

from __future__ import annotations

from meshcert import naming
from meshcert.federation import own_publication
from meshcert.federation.refreshing import EVERY_S
from stacks.runbook import NAMESPACE, Alarm, MissingData, errors_alarm

HINTS = 3
"""Refresh hints without a bundle: a trust domain publishes a new root at least three of them before it is used
(SPIFFE_Federation section 5.2)."""
_LOOK = "The federate function's log names the trust domain and the error"


def federation_alarms(mesh: str) -> tuple[Alarm, ...]:
    """The alarms of a mesh that asks bundle endpoints."""
    return (
        Alarm(
            name="BundleOverdue",
            means=f"For {HINTS} refresh hints a bundle endpoint gave no bundle that is believed, or nobody asked it",
            remedy=f"{_LOOK}; its last good bundle is believed on. Ask the partner before a root of it ends",
            metric="BundleHintsMissed",
            threshold=HINTS,
            namespace=NAMESPACE,
            dimensions=(("mesh", mesh),),
            statistic="Maximum",
            period_s=EVERY_S,
            periods=3,
            to_alarm=3,
            missing=MissingData.BAD,
        ),
        Alarm(
            name="BundleNotBelieved",
            means="A bundle endpoint lies: not its host, no SPIFFE bundle, an older one, or two under one number",
            remedy=f"{_LOOK} (docs/federation.md); its last good bundle is believed on. Ask the partner",
            metric="BundlesRefused",
            threshold=1,
            namespace=NAMESPACE,
            dimensions=(("mesh", mesh),),
            statistic="Maximum",
            period_s=EVERY_S,
            missing=MissingData.UNCHANGED,
        ),
        errors_alarm(mesh, "federate"),
    )


def own_bundle_alarms(mesh: str) -> tuple[Alarm, ...]:
    """The alarm of a mesh that publishes its own bundle."""
    return (
        Alarm(
            name="OwnBundleNotPublished",
            means="Partners may find no SPIFFE bundle of this mesh, or an older one",
            remedy=f"Read the publisher function's log, {naming.log_group(mesh, naming.PUBLISHER_ROLE)}; partners "
            "believe what they have fetched before",
            metric="OwnBundleInPlace",
            threshold=1,
            namespace=NAMESPACE,
            dimensions=(("mesh", mesh),),
            below=True,
            period_s=own_publication.EVERY_S,
            periods=3,
            to_alarm=3,
            missing=MissingData.BAD,
        ),
    )
