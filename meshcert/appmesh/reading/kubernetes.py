"""
Objects of the App Mesh controller for Kubernetes, ``appmesh.k8s.aws/v1beta2``.

They refer to each other by name and namespace; App Mesh knew them by ``awsName``, whose default is ``name_namespace``,
of a virtual service ``name.namespace`` and of a mesh its name alone (the controller's webhooks).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from meshcert.appmesh.reading.images import application_image
from meshcert.appmesh.report import Fate
from meshcert.appmesh.resources import MeshResource, ResourceKind, derived

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from meshcert.appmesh.report import ImportReport

GROUP = "appmesh.k8s.aws/"
_VERSION = f"{GROUP}v1beta2"
_KINDS = {
    "Mesh": ResourceKind.MESH,
    "VirtualNode": ResourceKind.VIRTUAL_NODE,
    "VirtualService": ResourceKind.VIRTUAL_SERVICE,
    "VirtualRouter": ResourceKind.VIRTUAL_ROUTER,
    "VirtualGateway": ResourceKind.VIRTUAL_GATEWAY,
    "GatewayRoute": ResourceKind.GATEWAY_ROUTE,
}
_GROUPS = "BackendGroup"
_REFERENCES = {
    "virtualserviceref": (ResourceKind.VIRTUAL_SERVICE, "virtualServiceName"),
    "virtualservicearn": (ResourceKind.VIRTUAL_SERVICE, "virtualServiceName"),
    "virtualrouterref": (ResourceKind.VIRTUAL_ROUTER, "virtualRouterName"),
    "virtualrouterarn": (ResourceKind.VIRTUAL_ROUTER, "virtualRouterName"),
    "virtualnoderef": (ResourceKind.VIRTUAL_NODE, "virtualNodeName"),
    "virtualnodearn": (ResourceKind.VIRTUAL_NODE, "virtualNodeName"),
}
_OWN = (
    "awsname",
    "meshref",
    "podselector",
    "namespaceselector",
    "gatewayrouteselector",
    "virtualgatewayref",
    "meshowner",
    "backendgroups",
)
"""Fields of a specification that the controller has and the API has not."""
WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "Pod")
"""Kinds of Kubernetes' own that have pods."""
_DEEPEST = 48


class KubernetesObject(NamedTuple):
    """
    An object, and where it is written.

    Args:
        value: Its manifest.
        place: For people.
    """

    value: dict[str, Any]
    place: str

    @property
    def kind(self) -> str:
        """Its kind, as Kubernetes spells it."""
        return str(self.value.get("kind") or "")

    @property
    def name(self) -> str:
        """Its name; empty if it has none."""
        return _text(_part(self.value, "metadata"), "name")

    @property
    def namespace(self) -> str:
        """Its namespace."""
        return _text(_part(self.value, "metadata"), "namespace") or "default"

    @property
    def spec(self) -> dict[str, Any]:
        """Its specification, keys in lower case."""
        return {str(key).lower(): value for key, value in _part(self.value, "spec").items()}


def kubernetes_resources(
    objects: Sequence[KubernetesObject], workloads: Sequence[KubernetesObject], report: ImportReport
) -> list[MeshResource]:
    """
    The resources of App Mesh among some objects, references resolved as far as their objects are there.

    Args:
        objects: Of App Mesh's controller.
        workloads: Whatever has pods: they say which image runs behind a virtual node.
        report: Gets what cannot be read.
    """
    return list(_Manifests(objects, workloads, report).resources())


class _Manifests:
    def __init__(
        self, objects: Sequence[KubernetesObject], workloads: Sequence[KubernetesObject], report: ImportReport
    ) -> None:
        self._report = report
        self._pods = [(each.namespace, *_pod(each)) for each in workloads]
        self._objects = [each for each in objects if self._is_current(each)]
        self._known = {(each.kind, each.namespace, each.name): each for each in self._objects}
        kinds = {kind: name for name, kind in _KINDS.items()}
        self._kind_names = kinds
        meshes = [each for each in self._objects if each.kind == "Mesh"]
        self._mesh = _aws_name(meshes[0]) if meshes else ""

    def resources(self) -> Iterator[MeshResource]:
        for each in self._objects:
            kind = _KINDS.get(each.kind)
            if kind is None:
                continue
            spec = self._spec(each, kind)
            comment = self._comment(each)
            mesh = "" if kind is ResourceKind.MESH else self._mesh
            parent = self._gateway_of(each) if kind is ResourceKind.GATEWAY_ROUTE else ""
            yield MeshResource(
                kind, _aws_name(each), each.place, spec, parent, mesh, comment=comment, image=self._image(each)
            )
            if kind is ResourceKind.VIRTUAL_ROUTER:
                yield from self._routes(each)

    def _is_current(self, each: KubernetesObject) -> bool:
        version = str(each.value.get("apiVersion"))
        if version == _VERSION and each.name and isinstance(each.value.get("spec") or {}, dict):
            if each.kind in _KINDS or each.kind == _GROUPS:
                return True
            self._report.tell(Fate.LOST, f"kind {each.kind[:40]}", "App Mesh's controller has no such kind", each.place)
        elif version.startswith(GROUP) and version != _VERSION:
            self._report.ask(
                version[:60],
                f"{each.kind[:40]} {each.name}: this version nests its resources otherwise and is not read",
                each.place,
                "Convert it to appmesh.k8s.aws/v1beta2, or bring what `aws appmesh describe-...` gave",
            )
        elif version == _VERSION:
            self._report.tell(Fate.LOST, f"kind {each.kind[:40]}", "it has no name or no specification", each.place)
        return False

    def _spec(self, each: KubernetesObject, kind: ResourceKind) -> dict[str, Any]:
        spec = {key: value for key, value in each.spec.items() if key not in _OWN}
        if kind is ResourceKind.MESH and "meshservicediscovery" in spec:
            spec["servicediscovery"] = spec.pop("meshservicediscovery")
        if kind is ResourceKind.VIRTUAL_ROUTER:
            spec.pop("routes", None)
        if each.spec.get("meshowner"):
            self._report.tell(Fate.LOST, "meshOwner", "a mesh belongs to one account and region", each.place)
        spec = dict(self._resolved(spec, each, 0))
        if kind is ResourceKind.VIRTUAL_NODE and isinstance(groups := each.spec.get("backendgroups"), list):
            backends = spec.get("backends")
            spec["backends"] = [*(backends if isinstance(backends, list) else []), *self._of_groups(groups, each)]
        return spec

    def _resolved(self, value: Any, each: KubernetesObject, level: int) -> Any:
        """A part of a specification with its references as names."""
        if level > _DEEPEST:
            return None
        if isinstance(value, list):
            return [self._resolved(item, each, level + 1) for item in value]
        if not isinstance(value, dict):
            return value
        made: dict[str, Any] = {}
        for key, inner in value.items():
            reference = _REFERENCES.get(str(key).lower())
            if reference is None:
                made[key] = self._resolved(inner, each, level + 1)
                continue
            kind, name = reference
            # A weighted target names its node `virtualNode` in the API, and is the only place with a weight.
            name = "virtualNode" if "weight" in {str(one).lower() for one in value} else name
            made[name] = self._name(kind, inner, each)
        return made

    def _name(self, kind: ResourceKind, reference: Any, each: KubernetesObject) -> Any:
        if not isinstance(reference, dict):
            return reference
        keys = {str(key).lower(): value for key, value in reference.items()}
        name, namespace = _text(keys, "name"), _text(keys, "namespace") or each.namespace
        found = self._known.get((self._kind_names[kind], namespace, name))
        return _aws_name(found) if found else _default_name(kind, name, namespace)

    def _of_groups(self, groups: list[Any], each: KubernetesObject) -> Iterator[dict[str, Any]]:
        """The backends of a node's backend groups; the name ``*`` is every virtual service of a namespace."""
        for group in groups:
            keys = {str(key).lower(): value for key, value in group.items()} if isinstance(group, dict) else {}
            name, namespace = _text(keys, "name"), _text(keys, "namespace") or each.namespace
            if name == "*":
                members: list[Any] = [
                    {"name": one.name, "namespace": one.namespace}
                    for one in self._objects
                    if one.kind == "VirtualService" and one.namespace == namespace
                ]
            elif found := self._known.get((_GROUPS, namespace, name)):
                listed = found.spec.get("virtualservices")
                members = listed if isinstance(listed, list) else []
                each = found
            else:
                self._report.ask(
                    f"backend group {name}",
                    "it is not in these files: what is in it?",
                    each.place,
                    "Import its file too",
                )
                members = []
            for member in members:
                yield {"virtualService": {"virtualServiceName": self._name(ResourceKind.VIRTUAL_SERVICE, member, each)}}

    def _routes(self, router: KubernetesObject) -> Iterator[MeshResource]:
        routes = router.spec.get("routes")
        for number, route in enumerate(routes if isinstance(routes, list) else []):
            if not isinstance(route, dict):
                self._report.ask(
                    "routes",
                    f"{route} stands for a route: what does it hold?",
                    router.place,
                    "Fill the template in, and import the result",
                )
                continue
            keys = {str(key).lower(): value for key, value in route.items()}
            name = _text(keys, "name") or f"{router.name}-{number + 1}"
            spec = {key: value for key, value in keys.items() if key != "name"}
            resolved = self._resolved(spec, router, 0)
            yield MeshResource(ResourceKind.ROUTE, name, router.place, resolved, _aws_name(router), self._mesh)

    def _gateway_of(self, route: KubernetesObject) -> str:
        """The gateway that selects a gateway route by labels; of several, the only one of its namespace."""
        gateways = [each for each in self._objects if each.kind == "VirtualGateway"]
        labels = _part(route.value, "metadata", "labels")
        selecting = []
        for gateway in gateways:
            wanted = _part(_part(gateway.value, "spec", "gatewayRouteSelector"), "matchLabels")
            if all(labels.get(key) == value for key, value in wanted.items()):
                selecting.append(gateway)
        near = [each for each in selecting if each.namespace == route.namespace]
        chosen = near if len(near) == 1 else selecting
        return _aws_name(chosen[0]) if len(chosen) == 1 else ""

    def _image(self, each: KubernetesObject) -> str:
        """The image of the pods that a virtual node selects; empty if no workload here has such pods."""
        wanted = _part(each.value, "spec", "podSelector", "matchLabels")
        for namespace, labels, image in self._pods if wanted else ():
            if namespace == each.namespace and all(labels.get(key) == value for key, value in wanted.items()):
                return image
        return ""

    def _comment(self, each: KubernetesObject) -> str:
        selector = _part(each.value, "spec", "podSelector")
        labels = _part(selector, "matchLabels")
        if labels:
            return "ran in the pods " + ", ".join(f"{key}: {value}" for key, value in list(labels.items())[:8])
        return ""


def _pod(workload: KubernetesObject) -> tuple[dict[str, Any], str]:
    """Labels of a workload's pods, and the image of their application; the pods of a Pod are itself."""
    pod = _part(workload.value, "spec", "template") or workload.value
    containers = _part(pod, "spec").get("containers")
    images = (
        [_text(each, "image") for each in containers if isinstance(each, dict)] if isinstance(containers, list) else []
    )
    return _part(pod, "metadata", "labels"), application_image(images)


def _aws_name(each: KubernetesObject) -> str:
    said = each.spec.get("awsname")
    if isinstance(said, str) and said:
        return said
    return _default_name(_KINDS[each.kind], each.name, each.namespace)


def _default_name(kind: ResourceKind, name: str, namespace: str) -> str:
    if kind is ResourceKind.MESH:
        return name
    between = "." if kind is ResourceKind.VIRTUAL_SERVICE else "_"
    return derived(f"{name}{between}{namespace}", name, namespace)


def _part(of: Any, *keys: str) -> dict[str, Any]:
    inner: Any = of
    for key in keys:
        inner = inner.get(key) if isinstance(inner, dict) else None
    found: dict[str, Any] = inner if isinstance(inner, dict) else {}
    return found


def _text(of: dict[str, Any], key: str) -> str:
    value = of.get(key)
    return value if isinstance(value, str) else ""
