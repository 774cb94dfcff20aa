"""Templates of CloudFormation with ``AWS::AppMesh::*`` resources; several together resolve each other's exports."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from meshcert.appmesh.reading.images import application_image
from meshcert.appmesh.reading.intrinsics import NO_VALUE, Intrinsics
from meshcert.appmesh.report import Fate
from meshcert.appmesh.resources import MeshResource, ResourceKind, Unset, derived

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from meshcert.appmesh.report import ImportReport

_TYPES = {f"AWS::AppMesh::{kind.value[0].upper()}{kind.value[1:]}": kind for kind in ResourceKind}
_NAME = {kind: f"{kind.value[0].upper()}{kind.value[1:]}Name" for kind in ResourceKind}
"""The property, and the attribute, with a resource's own name."""
_PARENTS = {ResourceKind.ROUTE: "VirtualRouterName", ResourceKind.GATEWAY_ROUTE: "VirtualGatewayName"}
_KNOWN = {"meshname", "meshowner", "spec", "tags", *(name.lower() for name in _NAME.values())}
_NODE_VARIABLES = ("APPMESH_RESOURCE_ARN", "APPMESH_VIRTUAL_NODE_NAME", "APPMESH_RESOURCE_NAME")
"""What told App Mesh's Envoy which virtual node it was."""
_BUSY = object()


class Template:
    """
    A template.

    Args:
        value: Its content.
        place: Where it is, for people.
        parameters: Values that a person gives, by the name of a parameter or an export.
        report: Gets conditions that nobody can decide.
        others: Every template of the import, this one included: their exports are known.
    """

    def __init__(
        self,
        value: dict[str, Any],
        place: str,
        parameters: Mapping[str, str],
        report: ImportReport,
        others: Sequence[Template],
    ) -> None:
        self._value, self._place, self._parameters, self._report = value, place, parameters, report
        self._others = others
        self._resources = {k: v for k, v in _section(value, "Resources").items() if isinstance(v, dict)}
        self._functions = Intrinsics(self._referent, self._attribute, self._imported, self._holds, self._mapped)
        self._properties: dict[tuple[str, str], Any] = {}
        self._conditions: dict[str, Any] = {}
        self._export_names: dict[str, Any] | None = None

    def resources(self) -> Iterator[MeshResource]:
        """Its resources of App Mesh, those left out whose condition does not hold."""
        for logical, resource in self._resources.items():
            kind = _TYPES.get(str(resource.get("Type")))
            if str(logical).startswith("Fn::"):
                self._report.tell(
                    Fate.LOST,
                    str(logical)[:60],
                    "loops of templates are not read: bring the template that they come to",
                    self._place,
                )
            if kind is None:
                if str(resource.get("Type")).startswith("AWS::AppMesh::"):
                    self._report.tell(
                        Fate.LOST, str(resource.get("Type"))[:80], "App Mesh has no such kind of resource", self._place
                    )
                continue
            condition = resource.get("Condition")
            if condition is not None and self._holds(str(condition)) is False:
                why = "its condition does not hold with these parameters, so it is left out"
                self._report.tell(Fate.CHANGED, f"condition {condition}"[:80], why, f"{self._place}: {logical}")
                continue
            yield self._resource(str(logical), kind)

    def images(self) -> Iterator[tuple[str, str]]:
        """Virtual nodes that its task definitions run, and the image of each one's application."""
        for logical, resource in self._resources.items():
            if resource.get("Type") != "AWS::ECS::TaskDefinition":
                continue
            written = self._property(str(logical), "ContainerDefinitions")
            containers = [each for each in written if isinstance(each, dict)] if isinstance(written, list) else []
            image = application_image(text for each in containers if isinstance(text := each.get("Image"), str))
            for container in containers:
                variables = container.get("Environment")
                for each in variables if isinstance(variables, list) else ():
                    if isinstance(each, dict) and each.get("Name") in _NODE_VARIABLES and image:
                        yield str(each.get("Value")).rpartition("/")[2], image

    def export(self, name: str) -> Any:
        """The value of one of its exports; None if it has no such export."""
        if self._export_names is None:
            self._export_names = {}
            for output in _section(self._value, "Outputs").values():
                if isinstance(output, dict) and isinstance(output.get("Export"), dict):
                    exported = self._functions.value(output["Export"].get("Name"))
                    if isinstance(exported, str):
                        self._export_names.setdefault(str(exported), output.get("Value"))
        if name not in self._export_names:
            return None
        made = self._once(("export", name), lambda: self._functions.value((self._export_names or {})[name]))
        return made if isinstance(made, str) else None

    def _resource(self, logical: str, kind: ResourceKind) -> MeshResource:
        for key in self._written(logical):
            if str(key).lower() not in _KNOWN:
                self._report.tell(
                    Fate.LOST, str(key)[:80], "App Mesh has no such field there", f"{self._place}: {logical}"
                )
        if self._property(logical, "Tags"):
            why = "everything carries the tag meshcert:mesh; others are set by a CDK app of yours"
            self._report.tell(Fate.LOST, "tags", why, self._place)
        if self._property(logical, "MeshOwner"):
            self._report.tell(Fate.LOST, "meshOwner", "a mesh belongs to one account and region", self._place)
        name = self._name(logical, kind)
        parent = self._property(logical, _PARENTS[kind]) if kind in _PARENTS else ""
        mesh = self._property(logical, "MeshName") if kind is not ResourceKind.MESH else ""
        spec = self._property(logical, "Spec")
        return MeshResource(
            kind,
            name,
            f"{self._place}: {logical}",
            spec if spec is not None else {},
            parent if isinstance(parent, str) else "",
            mesh if isinstance(mesh, str) else "",
        )

    def _name(self, logical: str, kind: ResourceKind) -> str:
        """Its own name; CloudFormation makes one of the logical id where none is written."""
        name = self._property(logical, _NAME[kind])
        return name if isinstance(name, str) and name else logical

    def _written(self, logical: str) -> dict[str, Any]:
        properties = self._resources.get(logical, {}).get("Properties")
        return properties if isinstance(properties, dict) else {}

    def _property(self, logical: str, name: str) -> Any:
        """A property's value, each evaluated once; None if it is not written."""
        written = next(
            (value for key, value in self._written(logical).items() if str(key).lower() == name.lower()), None
        )
        made = self._once((logical, name.lower()), lambda: self._functions.value(written))
        return None if made is NO_VALUE else made

    def _once(self, key: tuple[str, str], evaluate: Any) -> Any:
        if key not in self._properties:
            self._properties[key] = _BUSY
            self._properties[key] = evaluate()
        made = self._properties[key]
        return Unset(f"${{{'.'.join(key)}}}", (".".join(key),)) if made is _BUSY else made

    def _referent(self, name: str) -> Any:
        if name in self._parameters:
            return self._parameters[name]
        parameter = _section(self._value, "Parameters").get(name)
        if isinstance(parameter, dict):
            default = parameter.get("Default")
            if default is None or str(parameter.get("Type")).startswith("AWS::SSM::"):
                return None
            return str(default).split(",") if "List" in str(parameter.get("Type")) else str(default)
        if name not in self._resources:
            return None
        kind = _TYPES.get(str(self._resources[name].get("Type")))
        if kind is not None and kind is not ResourceKind.MESH:
            own = self._name(name, kind)
            return derived(f"arn:aws:appmesh:::mesh/x/{kind.value}/{own}", own)
        return self._name(name, kind) if kind else None

    def _attribute(self, logical: str, attribute: str) -> Any:
        if f"{logical}.{attribute}" in self._parameters:
            return self._parameters[f"{logical}.{attribute}"]
        if logical not in self._resources:
            return None
        kind = _TYPES.get(str(self._resources[logical].get("Type")))
        if kind and attribute in {_NAME[kind], "Arn"}:
            return self._name(logical, kind) if attribute != "Arn" else self._referent(logical)
        made = self._property(logical, attribute)
        # Lists of lists could double at every resource, so that a small template came to more than anybody can compare.
        is_plain = isinstance(made, str) or (isinstance(made, list) and all(isinstance(item, str) for item in made))
        return made if is_plain else None

    def _imported(self, name: str) -> Any:
        if name in self._parameters:
            return self._parameters[name]
        return next((value for each in self._others if (value := each.export(name)) is not None), None)

    def _mapped(self, name: str, first: str, second: str) -> Any:
        value: Any = _section(self._value, "Mappings")
        for key in (name, first, second):
            value = value.get(key) if isinstance(value, dict) else None
        return value

    def _holds(self, name: str) -> bool | None:
        if name not in self._conditions:
            self._conditions[name] = None
            written = _section(self._value, "Conditions").get(name)
            self._conditions[name] = holds = self._functions.holds(written)
            if holds is None:
                self._report.ask(
                    f"condition {name}"[:80],
                    "nobody says whether it holds: what depends on it is taken as if it did. Does it?",
                    self._place,
                    "--parameter NAME=VALUE for the parameters in it",
                )
        held: bool | None = self._conditions[name]
        return held


def templates(
    values: Sequence[tuple[dict[str, Any], str]], parameters: Mapping[str, str], report: ImportReport
) -> list[MeshResource]:
    """The resources of some templates, each with its place."""
    every: list[Template] = []
    every.extend(Template(value, place, parameters, report, every) for value, place in values)
    images = {node: image for template in every for node, image in template.images()}
    return [
        replace(resource, image=images.get(resource.name, ""))
        if resource.kind is ResourceKind.VIRTUAL_NODE
        else resource
        for template in every
        for resource in template.resources()
    ]


def _section(value: dict[str, Any], name: str) -> dict[str, Any]:
    section = value.get(name)
    return section if isinstance(section, dict) else {}
