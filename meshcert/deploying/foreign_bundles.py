"""
The custom resource ``Custom::MeshcertForeignBundle``: the first bundle of one foreign trust domain, or its file's.

Its properties are ``Mesh``, ``TrustDomain`` and ``SecretId``; where the mesh file names a file, also ``Bundle`` (the
secret's value) and ``Declared``: ``TRUST_DOMAIN=SHA256`` of every such bundle of the mesh. Without ``Bundle`` the empty
one is published, by which nobody is let in, and only into a secret that has never held another: what the federate
function has fetched since stays.

IAM cannot say that only CloudFormation may invoke the function. So a bundle is believed only if the function's
environment, which CloudFormation alone writes, has the digest of ``Declared``.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from meshcert.contract.staging_labels import CURRENT
from meshcert.deploying.properties import REMEDY, mesh_faults, text_faults
from meshcert.errors import Fault, RequestInvalid, SecretMalformed, SecretNotPublished
from meshcert.material.foreign_bundle import ForeignBundle
from meshcert.publishing.export import ExportResult
from meshcert.publishing.ownership import is_foreign_bundle_secret
from meshcert.publishing.publication import Outcome, publish, version_labelled

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from meshcert.publishing.ports import SecretVault

FOREIGN_BUNDLE_TYPE = "Custom::MeshcertForeignBundle"
_OURS = re.compile("[0-9a-f]{64}")
"""Ids of versions that meshcert has published; CloudFormation's of the placeholder are UUIDs."""


class ForeignBundleRequest(NamedTuple):
    """
    What a deploy has to say of a foreign trust domain.

    Args:
        secret_id: ARN of its secret.
        bundle: The bundle of its file; None: the first one, by which nobody is let in.
    """

    trust_domain: str
    secret_id: str
    bundle: ForeignBundle | None


def declared_bundle(bundle: ForeignBundle) -> str:
    """The entry of a bundle in ``Declared``."""
    return f"{bundle.trust_domain}={bundle.version_id}"


def digest_of(declared: Iterable[str]) -> str:
    """SHA-256 of all entries, in any order, lower-case hex: the environment has room for no more."""
    return hashlib.sha256("\n".join(sorted(declared)).encode()).hexdigest()


def read_foreign_bundle(properties: Mapping[str, Any], mesh: str, digest: str) -> ForeignBundleRequest:
    """
    The bundle that a request declares.

    Args:
        properties: ``ResourceProperties``.
        mesh: The mesh that the function belongs to.
        digest: Of the bundles that the stacks declare; empty if they declare none.

    Raises:
        RequestInvalid: With every property that is missing or wrong.
    """
    faults = [*text_faults(properties, ("TrustDomain", "SecretId")), *mesh_faults(properties, mesh)]
    trust_domain, bundle = str(properties.get("TrustDomain")), None
    if not is_foreign_bundle_secret(str(properties.get("SecretId")), mesh, trust_domain):
        faults.append(Fault("SecretId", "it is not the secret of this trust domain", REMEDY))
    if "Bundle" in properties:
        try:
            bundle = ForeignBundle.loads(str(properties["Bundle"]), "Bundle")
        except (SecretMalformed, SecretNotPublished) as error:
            faults.append(Fault("Bundle", str(error), REMEDY))
        else:
            declared = properties.get("Declared")
            entries = [str(each) for each in declared] if isinstance(declared, list) else []
            if (
                bundle.trust_domain != trust_domain
                or declared_bundle(bundle) not in entries
                or digest_of(entries) != digest
            ):
                faults.append(Fault("Bundle", "it is not what the stacks declare for this trust domain", REMEDY))
    if faults:
        raise RequestInvalid(f"foreign bundle {properties.get('TrustDomain', '')}", tuple(faults))
    return ForeignBundleRequest(trust_domain, properties["SecretId"], bundle)


def publish_foreign_bundle(order: ForeignBundleRequest, vault: SecretVault) -> ExportResult:
    """
    Publish the bundle of a file, or the first one of an endpoint; see this module.

    Raises:
        PublicationRaced: If the federate function has published meanwhile.
        MeshcertError: If AWS is unavailable, denies a call, or there is no such secret.
    """
    subject, seen = f"foreign-bundle/{order.trust_domain}", vault.labels(order.secret_id)
    current = version_labelled(seen, CURRENT)
    if order.bundle is None and current and _OURS.fullmatch(current):
        return ExportResult(subject, Outcome.ALREADY_CURRENT, current)
    bundle = order.bundle or ForeignBundle(order.trust_domain)
    outcome = publish(vault, order.secret_id, bundle.version_id, bundle.dumps(), seen)
    return ExportResult(subject, outcome, bundle.version_id)
