"""
The custom resources ``Custom::MeshcertIdentity``, ``…TrustBundle``, ``…ForeignBundle`` and ``…Routes``.

CloudFormation waits up to an hour for an answer and rolls back on ``FAILED``, so every request is answered, and every
reason says what to do next. In a fresh deploy, rights and certificates may take up to a minute to arrive; only this
module waits for them.

A request that Lambda repeats after CloudFormation has moved on is carried out again, because requests do not show their
order. It may restore an outdated state; the next deploy corrects that.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from meshcert.deploying.foreign_bundles import FOREIGN_BUNDLE_TYPE, publish_foreign_bundle, read_foreign_bundle
from meshcert.deploying.properties import read_identity, read_trust_bundle, trusted_by_peers, trusted_roots
from meshcert.deploying.routes import ROUTES_TYPE, forget_routes, read_routes, routes_id
from meshcert.errors import (
    AccessDenied,
    Fault,
    IdentityUnreadable,
    MeshcertError,
    NamesReplaced,
    NotReady,
    RequestInvalid,
    RootInUse,
    RootReplaced,
)
from meshcert.identity import IssuerName
from meshcert.publishing.export import ExportResult, Sources, TrustBundleRequest, export_identity, export_trust_bundle
from meshcert.publishing.replacement import certificate_declared
from meshcert.san import san_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from meshcert.clock import Clock
    from meshcert.deploying.routes import RouteRows
    from meshcert.identity import Identity, IdentityTable
    from meshcert.issuing.issuing_once import Issuing
    from meshcert.publishing.declared_bundles import DeclaredBundle
    from meshcert.publishing.ports import LookMarks, PublishedValues

    Event = Mapping[str, Any]

logger = logging.getLogger(__name__)

IDENTITY_TYPE = "Custom::MeshcertIdentity"
TRUST_BUNDLE_TYPE = "Custom::MeshcertTrustBundle"

_ANSWER_BYTES = 4096
_NOTHING_CREATED = "nothing-created"
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Deployment:
    """
    Everything needed to carry out a request.

    Args:
        mesh: Name of the mesh that this function belongs to.
        bundles: The CAs of each hierarchy's trust bundle, as the stacks declare them.
        routes: The table ``routes``; it exists if a service of the mesh has a route table.
        marks: The table ``lifecycle``, to request a look at an identity once its material is published.
        issuing: Has certificates issued, for identities of AWS Private CA.
        values: Reads current values, so that their older certificates do not replace newer ones.
        foreign_bundles: Digest of the foreign bundles that the stacks declare from files.
        patience_s: Longest wait for rights and certificates of a fresh deploy, seconds.
    """

    mesh: str
    sources: Sources
    table: IdentityTable
    marks: LookMarks
    routes: RouteRows
    bundles: Mapping[str, DeclaredBundle]
    issuing: Issuing
    values: PublishedValues
    patience_s: float = 60.0
    foreign_bundles: str = ""


def answer(event: Event, build: Callable[[], Deployment], log: str) -> dict[str, Any]:
    """
    Carry out a request of CloudFormation, and return the answer to send.

    Create and Update bring it up to date, and write the row of an identity or of a service's routes. Delete removes the
    row and leaves CA, certificate and secret to CloudFormation.

    Args:
        build: Makes the ports that the request needs. If it fails, the answer says so.
        log: Where a person finds the log of this call: the log group and the request's id.

    Returns:
        The answer's fields, at most 4,096 bytes as JSON. Never raises.
    """
    try:
        physical_id, published = _carry_out(event, build())
    except NotReady as error:
        return _failed(event, f"{error}. It did not heal in time: deploy again. Log: {log}")
    except MeshcertError as error:
        return _failed(event, f"{error}. Log: {log}")
    except Exception as error:
        logger.exception("a custom resource's request failed unexpectedly")
        return _failed(event, f"Unexpected {type(error).__name__}. Read the log, {log}, then deploy again")
    data = {"VersionId": published.version_id} if published else {}
    return _body(event, "SUCCESS", physical_id) | {"Data": data}


def _carry_out(event: Event, deployment: Deployment) -> tuple[str, ExportResult | None]:
    if event["RequestType"] == "Delete":
        return _forget(event, deployment), None
    properties = event.get("ResourceProperties", {})
    if event.get("ResourceType") == TRUST_BUNDLE_TYPE:
        order = read_trust_bundle(properties, deployment.mesh, deployment.bundles)
        _refuse_dropped_root(order, event, deployment.table)
        published = _retry(deployment, lambda: export_trust_bundle(order, deployment.sources))
        return published.subject, published
    if event.get("ResourceType") == FOREIGN_BUNDLE_TYPE:
        foreign = read_foreign_bundle(properties, deployment.mesh, deployment.foreign_bundles)
        published = _retry(deployment, lambda: publish_foreign_bundle(foreign, deployment.sources.vault))
        return published.subject, published
    if event.get("ResourceType") == IDENTITY_TYPE:
        identity = read_identity(properties, deployment.mesh, _owner(event))
        return identity.name, _retry(deployment, lambda: _deploy(identity, event, deployment))
    if event.get("ResourceType") == ROUTES_TYPE:
        routes = read_routes(properties, deployment.mesh, _owner(event))
        _retry(deployment, lambda: deployment.routes.publish(routes))
        return routes_id(routes.service), None
    fault = Fault("ResourceType", f"{event.get('ResourceType')} is not ours", f"Use {IDENTITY_TYPE}")
    raise RequestInvalid("custom resource", (fault,))


def _deploy(identity: Identity, event: Event, deployment: Deployment) -> ExportResult:
    _refuse_replaced_names(identity, event, deployment.table)
    _refuse_replaced_root(identity, event, deployment.table)
    if identity.issuer is IssuerName.PRIVATE_CA:
        published = _issue(identity, deployment)
    else:
        published = export_identity(identity, deployment.sources)
        # Only now, so that the row always shows what is published; the check of names above relies on that.
        deployment.table.remember(identity)
    _have_looked_at(identity.name, deployment)
    return published


def _issue(identity: Identity, deployment: Deployment) -> ExportResult:
    row = _row(identity.name, deployment.table)
    sources = deployment.sources
    declared = certificate_declared(identity, row, deployment.issuing, sources.certificates)
    # A renewal may have come between: what it has published is newer, and stays.
    published = export_identity(declared, sources, deployment.values)
    deployment.table.remember(declared, row.certificate_arn if row else "")
    return published


def _have_looked_at(identity: str, deployment: Deployment) -> None:
    """Request a look from the renewal function. A failure does not fail the deploy: a sweep looks within the hour."""
    try:
        deployment.marks.want(identity, deployment.sources.clock.now())
    except MeshcertError as error:
        logger.warning("the next sweep looks at %s, no tick does: %s", identity, error)


def _refuse_replaced_names(identity: Identity, event: Event, table: IdentityTable) -> None:
    """
    Refuse a one-step change of names, before anything is touched.

    The earlier names are read from the row and not from the request: after a refused update, CloudFormation rolls back
    with an update from the refused names to the published ones, and that must pass.
    """
    row = _row(identity.name, table)
    old = event.get("OldResourceProperties", {})
    if row:
        before = frozenset(row.names)
    elif old.get("Identity") == identity.name:
        before = frozenset(san_of(str(name)) for name in old.get("Names", ()))
    else:
        return
    added, removed = frozenset(identity.names) - before, before - frozenset(identity.names)
    if added and removed:
        raise NamesReplaced(identity.name, added, removed)


def _refuse_replaced_root(identity: Identity, event: Event, table: IdentityTable) -> None:
    """
    Refuse a move to another root CA that peers did not trust before this deploy, or that drops the old one with it.

    Bundles are published first, but a running task learns of a new root a poll interval later, or only when the
    services stack replaces the task. CloudFormation says which roots peers trusted before; the row says which root the
    identity had.
    """
    row, old = _row(identity.name, table), event.get("OldResourceProperties", {})
    if row is None or row.root_certificate_authority_arn == identity.root_certificate_authority_arn:
        return
    before, now = trusted_by_peers(old), trusted_by_peers(event.get("ResourceProperties", {}))
    for trusted in (before, now):
        for root in (identity.root_certificate_authority_arn, row.root_certificate_authority_arn):
            if trusted and root not in trusted:
                raise RootReplaced(identity.name, root)


def _refuse_dropped_root(order: TrustBundleRequest, event: Event, table: IdentityTable) -> None:
    """
    Refuse to remove a root from a bundle while running tasks need it to verify a certificate.

    CloudFormation says which identities were checked against the bundle before this deploy; their rows say which root
    their certificates lead to. The rollback of a refused move passes: its identity's row still names the old root.
    """
    before = event.get("OldResourceProperties", {})
    dropped = trusted_roots(before) - frozenset(order.root_certificate_authority_arns)
    for name in before.get("Identities", ()) if dropped else ():
        row = _row(str(name), table)
        if row and row.root_certificate_authority_arn in dropped:
            raise RootInUse(order.hierarchy, row.name, row.root_certificate_authority_arn)


def _row(name: str, table: IdentityTable) -> Identity | None:
    """An identity's row; None also for one that makes no sense: a deploy is what writes it again."""
    try:
        return table.find(name)
    except IdentityUnreadable as error:
        logger.warning("%s", error)
        return None


def _forget(event: Event, deployment: Deployment) -> str:
    """Delete the row of an identity or of a service's routes, if it is one; return the physical id."""
    physical_id = _physical_id(event)
    if event.get("ResourceType") == ROUTES_TYPE:
        forget_routes(physical_id, _owner(event), deployment.routes)
    if event.get("ResourceType") == IDENTITY_TYPE and physical_id != _NOTHING_CREATED:
        _retry(deployment, lambda: deployment.table.forget(physical_id, _owner(event)))
        # A look at an identity that is no longer declared deletes what was remembered of it.
        _have_looked_at(physical_id, deployment)
    return physical_id


def _retry(deployment: Deployment, step: Callable[[], _Result]) -> _Result:
    """Repeat a step as long as its error may heal, with pauses that double up to eight seconds."""
    clock: Clock = deployment.sources.clock
    start, pause_s = clock.now(), 1.0
    while True:
        try:
            return step()
        except (NotReady, AccessDenied) as error:
            waited_s = (clock.now() - start).total_seconds()
            if waited_s + pause_s > deployment.patience_s:
                raise
            logger.info("waiting %.0f s: %s", pause_s, error)
            clock.sleep(pause_s)
            pause_s = min(pause_s * 2, 8.0)


def _physical_id(event: Event) -> str:
    """
    The physical id in the answer to a failed request.

    For a failed create, it is the id that the resource would have had: CloudFormation then sends a delete with this id.
    """
    properties = event.get("ResourceProperties", {})
    declared = properties.get("Identity") if event.get("ResourceType") == IDENTITY_TYPE else None
    if event.get("ResourceType") == ROUTES_TYPE and properties.get("Service"):
        declared = routes_id(str(properties["Service"]))
    name = event.get("PhysicalResourceId") or declared
    return name if isinstance(name, str) and name else _NOTHING_CREATED


def _owner(event: Event) -> str:
    return f"{event.get('StackId', '')}/{event.get('LogicalResourceId', '')}"


def _failed(event: Event, reason: str) -> dict[str, Any]:
    logger.warning("answering FAILED: %s", reason)
    body = _body(event, "FAILED", _physical_id(event))
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
