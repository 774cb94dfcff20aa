"""
The custom resources ``Custom::MeshcertIdentity``, ``…TrustBundle``, ``…ForeignBundle``, ``…Routes`` and ``…Settings``.

CloudFormation waits up to an hour for an answer and rolls back on ``FAILED``, so every request is answered, and every
reason says what to do next. In a fresh deploy, rights and certificates may take up to a minute to arrive; only these
requests wait for them.

A request that Lambda repeats after CloudFormation has moved on is carried out again, because requests do not show their
order. It may restore an outdated state; the next deploy corrects that.
"""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

from meshcert.deploying.existing_authorities import refuse_unshared
from meshcert.deploying.foreign_bundles import FOREIGN_BUNDLE_TYPE, publish_foreign_bundle, read_foreign_bundle
from meshcert.deploying.properties import read_identity
from meshcert.deploying.published_certificates import keep_published
from meshcert.deploying.published_roots import refuse_unpublished_root
from meshcert.deploying.refused_changes import (
    known_row,
    refuse_replaced_lists,
    refuse_replaced_names,
    refuse_replaced_root,
)
from meshcert.deploying.routes import ROUTES_TYPE, forget_routes, read_routes, routes_id
from meshcert.deploying.settings import SETTINGS_TYPE, read_settings, settings_id
from meshcert.deploying.trust_bundles import deploy_bundle
from meshcert.errors import (
    AccessDenied,
    Fault,
    MeshcertError,
    NotReady,
    RequestInvalid,
)
from meshcert.identity import IssuerName
from meshcert.publishing.export import ExportResult, export_identity
from meshcert.publishing.replacement import certificate_declared

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from meshcert.deploying.deployment import Deployment
    from meshcert.identity import Identity

    Event = Mapping[str, Any]

logger = logging.getLogger(__name__)

IDENTITY_TYPE = "Custom::MeshcertIdentity"
TRUST_BUNDLE_TYPE = "Custom::MeshcertTrustBundle"

_ANSWER_BYTES = 4096
_NOTHING_CREATED = "nothing-created"


def answer(event: Event, build: Callable[[], Deployment], log: str) -> dict[str, Any]:
    """
    Carry out a request of CloudFormation, and return the answer to send.

    Create and Update bring it up to date, and write the row of an identity or of a service's routes. Delete removes the
    row and leaves CA, certificate and secret to CloudFormation.

    Args:
        build: Makes the ports that the request needs. If it fails, the answer says so.
        log: Where a person finds the log of this call: the log group and the request's id.

    Returns:
        The answer's fields, at most 4,096 bytes as JSON. That of a success has a ``Reason`` if something needs a
        person all the same. Never raises.
    """
    try:
        deployment = build().for_one_request()
        physical_id, published = _carry_out(event, deployment)
    except NotReady as error:
        return _failed(event, f"{error}. It did not heal in time: deploy again. Log: {log}")
    except MeshcertError as error:
        return _failed(event, f"{error}. Log: {log}")
    except Exception as error:
        logger.exception("a custom resource's request failed unexpectedly")
        return _failed(event, f"Unexpected {type(error).__name__}. Read the log, {log}, then deploy again")
    data = {"VersionId": published.version_id} if published else {}
    body = _body(event, "SUCCESS", physical_id) | {"Data": data}
    if not deployment.told:
        return body
    told = "; ".join(dict.fromkeys(deployment.told))
    logger.warning("what is published of a CA stays: %s", told)
    return _with_reason(body, f"What is published of a CA stays: {told}. Log: {log}")


def _carry_out(event: Event, deployment: Deployment) -> tuple[str, ExportResult | None]:
    if event["RequestType"] == "Delete":
        return _forget(event, deployment), None
    properties = event.get("ResourceProperties", {})
    if event.get("ResourceType") == TRUST_BUNDLE_TYPE:
        published = deploy_bundle(event, deployment)
        return published.subject, published
    if event.get("ResourceType") == FOREIGN_BUNDLE_TYPE:
        foreign = read_foreign_bundle(properties, deployment.mesh, deployment.foreign_bundles)
        published = deployment.retry(lambda: publish_foreign_bundle(foreign, deployment.sources.vault))
        return published.subject, published
    if event.get("ResourceType") == IDENTITY_TYPE:
        identity = read_identity(properties, deployment.mesh, _owner(event))
        try:
            return identity.name, deployment.retry(lambda: _deploy(identity, event, deployment))
        except AccessDenied as denied:
            if not denied.operation.startswith("acm-pca:"):
                raise
            place, authority = f"identities.{identity.name}", identity.certificate_authority_arns[0]
            refuse_unshared(place, authority, identity.secret_id, denied)
    if event.get("ResourceType") == ROUTES_TYPE:
        routes = read_routes(properties, deployment.mesh, _owner(event))
        deployment.retry(lambda: deployment.routes.publish(routes))
        return routes_id(routes.service), None
    if event.get("ResourceType") == SETTINGS_TYPE:
        settings = read_settings(properties, deployment.mesh, _owner(event))
        deployment.retry(lambda: deployment.routes.publish(settings))
        for identity in properties["Identities"]:
            # Tasks that run have the settings of before: the lifecycle sees to them.
            _have_looked_at(identity, deployment)
        return settings.service, None
    fault = Fault("ResourceType", f"{event.get('ResourceType')} is not ours", f"Use {IDENTITY_TYPE}")
    raise RequestInvalid("custom resource", (fault,))


def _deploy(identity: Identity, event: Event, deployment: Deployment) -> ExportResult:
    row = known_row(identity.name, deployment.table)
    refuse_replaced_names(identity, event, row)
    refuse_replaced_lists(identity, event, row)
    refuse_replaced_root(identity, event, row)
    refuse_unpublished_root(identity, row, deployment.published_roots, deployment.bundles, deployment.sources)
    if identity.issuer is IssuerName.PRIVATE_CA:
        published = _issue(identity, row, deployment)
    else:
        published = _export(identity, row, deployment)
    _have_looked_at(identity.name, deployment)
    return published


def _export(identity: Identity, row: Identity | None, deployment: Deployment) -> ExportResult:
    # A way back leads to another certificate. The same one that looks older than what is published is an answer of
    # ACM's that lags behind a renewal: it is asked again.
    leaves = row is None or row.certificate_arn != identity.certificate_arn
    published = export_identity(identity, deployment.sources, deployment.values, may_go_back=leaves)
    # An identity that leaves Private CA may be renewed there at this moment, and what comes of it published over this.
    before = row.certificate_arn if row and row.issuer is IssuerName.PRIVATE_CA else None
    # Only now, so that the row always shows what is published; the check of names above relies on that.
    deployment.table.remember(identity, before)
    return published


def _issue(identity: Identity, row: Identity | None, deployment: Deployment) -> ExportResult:
    sources = deployment.sources
    try:
        declared = certificate_declared(identity, row, deployment.issuing, sources)
        # A renewal may have come between: what it has published is newer, and stays.
        published = export_identity(declared, sources, deployment.values)
    except MeshcertError as unanswered:
        declared, published = keep_published(identity, row, unanswered, deployment)
    deployment.table.remember(declared, row.certificate_arn if row else "")
    return published


def _have_looked_at(identity: str, deployment: Deployment) -> None:
    """Request a look from the renewal function. A failure does not fail the deploy: a sweep looks within the hour."""
    try:
        deployment.marks.want(identity, deployment.sources.clock.now())
    except MeshcertError as error:
        logger.warning("the next sweep looks at %s, no tick does: %s", identity, error)


def _forget(event: Event, deployment: Deployment) -> str:
    """Delete the row of an identity or of a service's routes, if it is one; return the physical id."""
    physical_id = _physical_id(event)
    if event.get("ResourceType") in (ROUTES_TYPE, SETTINGS_TYPE):
        forget_routes(physical_id, _owner(event), deployment.routes)
    if event.get("ResourceType") == IDENTITY_TYPE and physical_id != _NOTHING_CREATED:
        deployment.retry(lambda: deployment.table.forget(physical_id, _owner(event)))
        # A look at an identity that is no longer declared deletes what was remembered of it.
        _have_looked_at(physical_id, deployment)
    return physical_id


def _physical_id(event: Event) -> str:
    """
    The physical id in the answer to a failed request.

    For a failed create, it is the id that the resource would have had: CloudFormation then sends a delete with this id.
    """
    properties = event.get("ResourceProperties", {})
    declared = properties.get("Identity") if event.get("ResourceType") == IDENTITY_TYPE else None
    if event.get("ResourceType") == ROUTES_TYPE and properties.get("Service"):
        declared = routes_id(str(properties["Service"]))
    if event.get("ResourceType") == SETTINGS_TYPE and properties.get("Service"):
        declared = settings_id(str(properties["Service"]))
    name = event.get("PhysicalResourceId") or declared
    return name if isinstance(name, str) and name else _NOTHING_CREATED


def _owner(event: Event) -> str:
    return f"{event.get('StackId', '')}/{event.get('LogicalResourceId', '')}"


def _failed(event: Event, reason: str) -> dict[str, Any]:
    logger.warning("answering FAILED: %s", reason)
    return _with_reason(_body(event, "FAILED", _physical_id(event)), reason)


def _with_reason(body: dict[str, Any], reason: str) -> dict[str, Any]:
    room = _ANSWER_BYTES - len(json.dumps(body | {"Reason": ""}))
    if len(json.dumps(reason)) > room:
        while len(json.dumps(reason)) > room - len(" ..."):
            reason = reason[: len(reason) - max(1, len(reason) // 20)]
        reason += " ..."
    return body | {"Reason": reason}


def _body(event: Event, status: str, physical_id: str) -> dict[str, Any]:
    return {
        "Status": status,
        "PhysicalResourceId": physical_id,
        "StackId": event.get("StackId", ""),
        "RequestId": event.get("RequestId", ""),
        "LogicalResourceId": event.get("LogicalResourceId", ""),
    }
