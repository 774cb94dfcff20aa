"""
The custom resource ``Custom::MeshcertTrustBundle``: what is asked and refused before a bundle is published.

Only what is new is asked of others: a CA that a hierarchy begins with, lists that the bundle did not name. What is
published already has been answered for, and a deploy or its way back does not depend on its owner any more.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from meshcert.contract.staging_labels import PREVIOUS
from meshcert.deploying.existing_authorities import (
    begins_with,
    read_existing,
    refuse_exchanged_root,
    refuse_unshared,
    require_fit,
    still_fit,
)
from meshcert.deploying.named_lists import newly_named, refuse_unreadable, require_readable
from meshcert.deploying.properties import read_trust_bundle
from meshcert.deploying.published_authorities import FallbackAuthorities
from meshcert.deploying.refused_changes import refuse_dropped_root
from meshcert.errors import AccessDenied, IdentityMissing, MeshcertError, SecretMalformed, SecretNotPublished
from meshcert.issuing.own_material import owner_in
from meshcert.material import split_certificates
from meshcert.material.document import read_material
from meshcert.publishing.trust_bundles import export_trust_bundle, has_been_current

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshcert.deploying.deployment import Deployment
    from meshcert.identity import Identity
    from meshcert.issuing.existing_authority import WantedAuthority
    from meshcert.publishing.export import ExportResult
    from meshcert.publishing.trust_bundles import TrustBundleRequest


def deploy_bundle(event: Mapping[str, Any], deployment: Deployment) -> ExportResult:
    """
    Publish the trust bundle that a request declares, unless it is published already.

    Raises:
        AuthorityUnfit: If a hierarchy begins with a CA that cannot sign for it, or that is not shared.
        RevocationListsUnusable: If it names lists that this account may not read.
        RootInUse: If it drops a root that running tasks need.
        MeshcertError: If AWS does not answer, or refuses.
    """
    properties = event.get("ResourceProperties", {})
    deployment = deployment.with_remote_roots(properties.get("RemoteRoots", {}))
    order = read_trust_bundle(properties, deployment.mesh, deployment.bundles)
    refuse_dropped_root(order, event, deployment.table)
    refuse_exchanged_root(order.hierarchy, event, deployment.table)
    if wanted := read_existing(properties):
        asked = (wanted, order.secret_id, deployment.authorities, deployment.sources.clock)
        published, had_of_acm = partial(_was_published, order, deployment), partial(_had_of_acm, wanted, deployment)
        if begins_with(wanted, event, deployment.table, published, had_of_acm):
            try:
                deployment.retry(lambda: require_fit(*asked))
            except AccessDenied as denied:
                refuse_unshared(f"hierarchies.{order.hierarchy}", wanted.arn, order.secret_id, denied)
        else:
            deployment.told.extend(still_fit(*asked))
    lists = newly_named(order, event)
    if lists and not _was_published(order, deployment):
        try:
            deployment.retry(lambda: require_readable(order, lists, deployment.lists))
        except AccessDenied as denied:
            refuse_unreadable(order, lists, denied)
    return deployment.retry(lambda: export_trust_bundle(order, deployment.sources))


def _was_published(order: TrustBundleRequest, deployment: Deployment) -> bool:
    """Whether a bundle is current, or was before the current one: what a deploy that is undone goes back to."""
    sources = deployment.sources
    known = FallbackAuthorities(deployment.published_authorities, sources.authorities, _untold)
    try:
        return has_been_current(order, replace(sources, authorities=known))
    except MeshcertError:
        # It has a CA of which nothing is published, and which does not answer either: what asks it next says so.
        return False


def _had_of_acm(wanted: WantedAuthority, deployment: Deployment, row: Identity) -> bool:
    """Whether the version before an identity's current one was ACM's, under a CA of the user's."""
    try:
        material = read_material(deployment.labelled_values.labelled_value(row.secret_id, PREVIOUS), row.secret_id)
    except (IdentityMissing, SecretMalformed, SecretNotPublished):
        return False
    *_, root = split_certificates(material.certificate_chain)
    return deployment.roots.is_root_of(wanted.arn, root) and not owner_in(material.certificate, deployment.mesh)


def _untold(_unpublished: str) -> None:
    """That no bundle holds a CA is nothing to tell anybody."""
