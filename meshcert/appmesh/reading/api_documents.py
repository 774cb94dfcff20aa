"""
What the AWS CLI takes and gives: ``create-*`` and ``update-*`` inputs, ``describe-*`` outputs, and bare specifications.

Files often hold the specification alone: names come by flags of a script. Then the specification shows its kind, and
the file's name stands for the resource's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshcert.appmesh.fields.kinds import FIELDS
from meshcert.appmesh.report import Fate
from meshcert.appmesh.resources import PARENTS, MeshResource, ResourceKind

if TYPE_CHECKING:
    from meshcert.appmesh.report import ImportReport

_ROUTES = ("httproute", "http2route", "grpcroute", "tcproute")
_NAMES = {
    "gatewayroutename": ResourceKind.GATEWAY_ROUTE,
    "routename": ResourceKind.ROUTE,
    "virtualnodename": ResourceKind.VIRTUAL_NODE,
    "virtualservicename": ResourceKind.VIRTUAL_SERVICE,
    "virtualroutername": ResourceKind.VIRTUAL_ROUTER,
    "virtualgatewayname": ResourceKind.VIRTUAL_GATEWAY,
}
"""The names in a document, those of children first: a route has its router's too."""
_WITHOUT_SPEC = {"spec", "meshname", "meshowner", "clienttoken", "tags", "metadata", "status", *_NAMES}
_OF_A_MESH = {"meshname", "tags", "clienttoken"}
"""All that `create-mesh` may have without a specification."""
_LISTS = {f"{kind.value.lower()}s": kind for kind in ResourceKind} | {"meshes": ResourceKind.MESH}
_GATEWAY_HINTS = ("-vg", "gateway", "ingress")
_ROUTER_HINTS = ("-vr", "router")


def api_resources(document: Any, stem: str, place: str, report: ImportReport) -> list[MeshResource]:
    """
    The resources in a document.

    Args:
        document: Its value.
        stem: Name of its file without extension, for resources that have none.
        place: Where it is, for people.
        report: Gets what could not be told.

    Returns:
        The resources; none for what is not App Mesh's.
    """
    if isinstance(document, list):
        return [found for each in document[:5000] for found in api_resources(each, stem, place, report)]
    if not isinstance(document, dict):
        return []
    keys = {str(key).lower(): value for key, value in document.items()}
    found: list[MeshResource] = []
    for kind in ResourceKind:
        if isinstance(inner := keys.get(kind.value.lower()), dict) and "spec" in {str(key).lower() for key in inner}:
            found += _one(inner, kind, stem, place, report)
    for name, kind in _LISTS.items():
        for item in keys[name][:5000] if isinstance(keys.get(name), list) else []:
            if isinstance(item, dict) and "spec" in {str(key).lower() for key in item}:
                found += _one(item, kind, stem, place, report)
            elif isinstance(item, dict) and "arn" in {str(key).lower() for key in item}:
                why = "the output of a list command has no specifications: bring that of describe"
                report.tell(Fate.LOST, name, why, place)
    return found or _one(document, None, stem, place, report)


def _one(
    document: dict[str, Any], kind: ResourceKind | None, stem: str, place: str, report: ImportReport
) -> list[MeshResource]:
    keys = {str(key).lower(): value for key, value in document.items()}
    names = {known: keys[name] for name, known in _NAMES.items() if isinstance(keys.get(name), str) and keys[name]}
    spec = keys.get("spec")
    is_bare = "spec" not in keys
    if is_bare and "meshname" in keys and keys.keys() <= _OF_A_MESH:
        spec, is_bare = {}, False
    elif is_bare:
        spec = document
    if not isinstance(spec, dict):
        return []
    shown = _kind_of_spec(spec, stem, place, None if is_bare or names else report)
    # A service's own name is among a node's names in no document, but a router's is in a route's.
    named = next((known for known in names if known is shown), next(iter(names), None))
    kind = kind or (shown if shown in names or named is None else named)
    if shown and kind is ResourceKind.VIRTUAL_ROUTER and shown is ResourceKind.ROUTE:
        kind = ResourceKind.ROUTE
    if shown and kind is ResourceKind.VIRTUAL_GATEWAY and shown is ResourceKind.GATEWAY_ROUTE:
        kind = ResourceKind.GATEWAY_ROUTE
    if kind is None and not is_bare and "meshname" in keys:
        kind = ResourceKind.MESH
    if kind is None or (is_bare and not names and not _known(kind) >= keys.keys()):
        return []
    for key in document if not is_bare else ():
        if str(key).lower() not in _WITHOUT_SPEC:
            report.tell(Fate.LOST, str(key)[:80], "App Mesh has no such field there", place)
    _tell_owner(keys, place, report)
    mesh = keys.get("meshname")
    mesh = mesh if isinstance(mesh, str) else ""
    name = mesh if kind is ResourceKind.MESH else names.get(kind, "")
    parent = names.get(PARENTS[kind], "") if kind in PARENTS else ""
    return [MeshResource(kind, name or stem, place, spec, parent, mesh, name_is_guessed=not name)]


def _known(kind: ResourceKind) -> set[str]:
    """What a specification of a kind has at its top, in lower case: any file may have a key called listeners."""
    return {field.path.partition(".")[0].removesuffix("[]").lower() for field in FIELDS[kind]}


def _tell_owner(keys: dict[str, Any], place: str, report: ImportReport) -> None:
    if keys.get("tags"):
        report.tell(
            Fate.LOST, "tags", "everything carries the tag meshcert:mesh; others are set by a CDK app of yours", place
        )
    if keys.get("meshowner"):
        report.tell(Fate.LOST, "meshOwner", "a mesh belongs to one account and region", place)


def _kind_of_spec(spec: dict[str, Any], stem: str, place: str, report: ImportReport | None) -> ResourceKind | None:
    """The kind of resource that a specification is of; None if it shows none."""
    keys = {str(key).lower(): value for key, value in spec.items()}
    for route in _ROUTES:
        if isinstance(keys.get(route), dict):
            action = {str(key).lower(): value for key, value in keys[route].items()}.get("action")
            inner = {str(key).lower() for key in action} if isinstance(action, dict) else set()
            return ResourceKind.GATEWAY_ROUTE if inner & {"target", "rewrite"} else ResourceKind.ROUTE
    discovery = keys.get("servicediscovery")
    if "provider" in keys:
        return ResourceKind.VIRTUAL_SERVICE
    if "egressfilter" in keys or (
        isinstance(discovery, dict) and {str(key).lower() for key in discovery} == {"ippreference"}
    ):
        return ResourceKind.MESH
    if "backends" in keys or "servicediscovery" in keys:
        return ResourceKind.VIRTUAL_NODE
    listeners = keys.get("listeners")
    if not isinstance(listeners, list):
        return ResourceKind.VIRTUAL_NODE if "backenddefaults" in keys else None
    return _kind_of_listeners(keys, listeners, stem.lower(), place, report)


def _kind_of_listeners(
    keys: dict[str, Any], listeners: list[Any], stem: str, place: str, report: ImportReport | None
) -> ResourceKind:
    """A specification with listeners and no discovery is a gateway's or a router's; a node's needs discovery."""
    inner = {str(key).lower() for listener in listeners if isinstance(listener, dict) for key in listener}
    if inner - {"portmapping"} or {"backenddefaults", "logging"} & set(keys):
        return ResourceKind.VIRTUAL_GATEWAY
    if any(hint in stem for hint in _ROUTER_HINTS):
        return ResourceKind.VIRTUAL_ROUTER
    if any(hint in stem for hint in _GATEWAY_HINTS):
        return ResourceKind.VIRTUAL_GATEWAY
    if report:
        report.ask(
            "kind",
            f"{stem} has listeners and nothing else: a virtual router, or a virtual gateway? It is taken for a router",
            place,
            "Write virtualRouterName or virtualGatewayName beside spec, and import it again",
        )
    return ResourceKind.VIRTUAL_ROUTER
