"""What an import meets in the wild: the forms in which people have their definitions, one row each."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from meshcert.appmesh.converting.draft import Answers
from meshcert.appmesh.importing import import_sources
from meshcert.appmesh.report import Fate
from tests.meshcert.appmesh.definitions import ANSWERED, calls, color, imported, node, route, router, service, write

if TYPE_CHECKING:
    from pathlib import Path

    from meshcert.appmesh.importing import Imported

BLUE = node("blue")["spec"]


def manifest(kind: str, name: str, spec: str, namespace: str = "shop", version: str = "v1beta2") -> str:
    """A manifest of App Mesh's controller; the specification is YAML in flow style."""
    head = f"apiVersion: appmesh.k8s.aws/{version}\nkind: {kind}\nmetadata: {{name: {name}, namespace: {namespace}}}\n"
    return f"{head}spec: {spec}\n---\n"


def template(name: str, spec: str, more: str = "") -> str:
    """A template with one virtual node."""
    properties = f"{{MeshName: color, VirtualNodeName: {name}, Spec: {spec}}}"
    return f"{more}Resources:\n  Node: {{Type: 'AWS::AppMesh::VirtualNode', Properties: {properties}}}\n"


POD = "{listeners: [{portMapping: {port: 80, protocol: http}}], serviceDiscovery: {dns: {hostname: a.shop.local}}"
PASCAL = "{Listeners: [{PortMapping: {Port: '8080', Protocol: http}}], ServiceDiscovery: {DNS: {Hostname: %s}}}"

FORMS: dict[str, tuple[str, str, str]] = {
    "JSON with names and spec": ("blue.json", json.dumps(node("blue")), "virtual_nodes.blue"),
    "JSON of describe": ("x.json", json.dumps({"virtualNode": {**node("blue"), "status": {}}}), "virtual_nodes.blue"),
    "a list of describes": ("x.json", json.dumps([{"virtualNode": node("blue")}]), "virtual_nodes.blue"),
    "spec alone has the file's name": ("blue.json", json.dumps({"spec": BLUE}), "virtual_nodes.blue"),
    "not even spec": ("blue.json", json.dumps(BLUE), "virtual_nodes.blue"),
    "any case of keys": (
        "blue.json",
        json.dumps(node("blue")).replace("portMapping", "PORTMAPPING"),
        "virtual_nodes.blue",
    ),
    "comments in JSON": ("blue.json", "{# mine\n" + json.dumps(node("blue"))[1:], "virtual_nodes.blue"),
    "a comma too many": ("blue.json", json.dumps(node("blue"))[:-1] + ",}", "virtual_nodes.blue"),
    "YAML of the API": ("blue.yaml", yaml.safe_dump(node("blue")), "virtual_nodes.blue"),
    "template in YAML": ("s.yaml", template("blue", PASCAL % "blue.color.local"), "virtual_nodes.blue"),
    "template in JSON": (
        "s.template",
        json.dumps(yaml.safe_load(template("blue", PASCAL % "blue.color.local"))),
        "virtual_nodes.blue",
    ),
    "Ref of a parameter's default": (
        "s.yaml",
        template("!Ref Name", PASCAL % "blue.color.local", "Parameters: {Name: {Type: String, Default: blue}}\n"),
        "virtual_nodes.blue",
    ),
    "Sub": (
        "s.yaml",
        template("!Sub '${Name}-vn'", PASCAL % "!Sub '${Name}.color.local'", "Parameters: {Name: {Default: blue}}\n"),
        "virtual_nodes.blue-vn",
    ),
    "Join and Select": (
        "s.yaml",
        template("!Join ['-', [blue, !Select [1, [a, vn]]]]", PASCAL % "blue.color.local"),
        "virtual_nodes.blue-vn",
    ),
    "Fn:: in the long form": (
        "s.yaml",
        template("{'Fn::Join': ['-', [blue, vn]]}", PASCAL % "blue.color.local"),
        "virtual_nodes.blue-vn",
    ),
    "If with a condition": (
        "s.yaml",
        template("!If [Prod, blue, green]", PASCAL % "b.color.local", "Conditions: {Prod: !Equals [a, a]}\n"),
        "virtual_nodes.blue",
    ),
    "GetAtt of another resource's property": (
        "s.yaml",
        template("blue", PASCAL % "!GetAtt Registry.Name")
        + "  Registry: {Type: 'AWS::X::Y', Properties: {Name: b.color.local}}\n",
        "services.b",
    ),
    "a manifest": ("k.yaml", manifest("VirtualNode", "blue", POD + "}"), "virtual_nodes.blue-shop"),
    "awsName": ("k.yaml", manifest("VirtualNode", "x", POD + ", awsName: blue}"), "virtual_nodes.blue"),
    "a manifest of Helm": (
        "k.yaml",
        manifest("VirtualNode", "{{ .Values.name }}", POD + "}").replace("shop}", "{{ .Values.space }}}"),
        "virtual_nodes.values-name-val-",
    ),
    "$X in quotes": ("blue.json", json.dumps(node("blue")).replace("blue.color.local", "$HOST"), "virtual_nodes.blue"),
    "$X bare": ("blue.json", json.dumps(node("blue")).replace('"blue.color.local"', "$HOST"), "virtual_nodes.blue"),
    "${X} bare for a number": ("blue.json", json.dumps(node("blue")).replace("8080", "${PORT}"), "virtual_nodes.blue"),
    "{{X}} as a value": ("blue.json", json.dumps(node("blue")).replace("8080", "{{PORT}}"), "virtual_nodes.blue"),
    "<X>": ("blue.json", json.dumps(node("blue")).replace("blue.color", "<HOST>"), "virtual_nodes.blue"),
}
"""Name of the file, its text, and a place that the mesh file then has."""


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_read(form: str, tmp_path: Path) -> None:
    """And nothing in it is lost."""
    name, text, place = FORMS[form]

    made = imported(tmp_path, {name: text})

    section, _, key = place.partition(".")
    assert any(found.startswith(key) for found in yaml.safe_load(made.text)[section]), made.text
    assert made.report.of(Fate.LOST) == ()


QUESTIONS: dict[str, tuple[dict[str, Any], str]] = {
    "a placeholder that reaches the file": (
        {"blue": json.dumps(node("blue")).replace("8080", "$PORT")},
        "PORT: what is it, in $PORT?",
    ),
    "a whole part as a placeholder": (
        {"blue": node("blue"), "r": router("r"), "t": route("t", "r", {"blue": 1}, action="${ACTION}")},
        "httpRoute.action: ${ACTION} stands for a whole part of it",
    ),
    "a list as a placeholder in YAML": (
        {"k.yaml": manifest("VirtualNode", "x", POD + ", backends: ['${BACKENDS}']}")},
        "backends: ${BACKENDS} stands for a whole part of it",
    ),
    "a name from nowhere": ({"blue": {"spec": BLUE}}, "mesh.name: what is the mesh called?"),
    "a provider that is not there": (
        {"s": service("s.local", node="gone")},
        "the virtual node gone is not in these files",
    ),
    "a router that is not there": ({"s": service("s.local", router="gone")}, "the virtual router gone is not in these"),
    "a backend that is not there": (
        {"n": node("n", backends=calls("gone.local"))},
        "virtual service gone.local: it is",
    ),
    "a target that is not there": (
        {"r": router("r"), "t": route("t", "r", {"gone": 1})},
        "the virtual node gone is not",
    ),
    "a route without its router": (
        {"t": route("t", "gone", {"n": 1}), "n": node("n")},
        "its virtual router gone is not",
    ),
    "a router without routes": ({"r": router("r")}, "none of these files has a route of it"),
    "a gateway without routes": ({"g": color()["gateway"]}, "none of these files has a gateway route of it"),
    "listeners and nothing else": ({"x": {"spec": router("r")["spec"]}}, "a virtual router, or a virtual gateway?"),
    "one resource twice": ({"a": node("n"), "b": node("n", 9090)}, "which of them holds?"),
    "states of one node in several files": (
        {"blue": {"spec": BLUE}, "blue-timeout": {"spec": {**BLUE, "backends": []}}},
        "are they two states of one virtual node",
    ),
    "files of two meshes": (
        {"a": node("a"), "b": {**node("b"), "meshName": "other"}},
        "these files are of several meshes",
    ),
    "a node that nobody can reach": (
        {"n": {"virtualNodeName": "n", "spec": {"backends": calls("x")}}},
        "it has no listener",
    ),
    "a host of somebody else": (
        {"n": node("n"), "x": json.dumps(node("x")).replace("x.color.local", "api.example.com")},
        "api.example.com is outside of color.local",
    ),
    "v1beta1": (
        {"k.yaml": manifest("VirtualNode", "x", "{}", version="v1beta1"), "n": node("n")},
        "this version nests",
    ),
    "a backend group that is not there": (
        {"k.yaml": manifest("VirtualNode", "x", POD + ", backendGroups: [{name: gone}]}")},
        "backend group gone: it is not in these files",
    ),
    "directives of Helm": (
        {"k.yaml": "{{- if .Values.on }}\n" + manifest("VirtualNode", "x", POD + "}") + "{{- end }}\n"},
        "2 of its lines are directives",
    ),
    "a condition that nobody can decide": (
        {"s.yaml": template("!If [P, a, b]", PASCAL % "b.local", "Conditions: {P: !Equals [!Ref 'AWS::Region', x]}\n")},
        "condition P: nobody says whether it holds",
    ),
    "an export of a stack that is not there": (
        {"s.yaml": template("!ImportValue 'prod:node'", PASCAL % "b.local")},
        "its name is ${prod:node}: what is that?",
    ),
    "weights of nothing": ({"n": node("n"), "r": router("r"), "t": route("t", "r", {"n": 0})}, "all its weights are 0"),
    "an account of before July 2020": (
        {"n": node("n"), "s": service("s.local", node="n"), "c": node("c", backends=calls("s.local"))},
        "had a default policy on every route",
    ),
    "an image": ({"n": node("n")}, "which image runs behind it?"),
}


@pytest.mark.parametrize("case", QUESTIONS)
def test_what_stands_open_is_a_question_with_an_answer(case: str, tmp_path: Path) -> None:
    """Each says how it is answered."""
    documents, said = QUESTIONS[case]

    made = imported(tmp_path, documents, Answers())

    asked = [f"{told.what}: {told.why}" for told in made.report.of(Fate.DECISION)]
    assert any(said in each for each in asked), asked
    assert all(told.remedy for told in made.report.of(Fate.DECISION))


@pytest.mark.parametrize(
    ("said", "response_type"),
    [("", "LOADBALANCER"), ("ENDPOINTS", "ENDPOINTS"), ("LOADBALANCER", "LOADBALANCER")],
    ids=["App Mesh's default", "each address a task", "a load balancer"],
)
def test_a_host_outside_the_mesh_is_found_as_it_was(said: str, response_type: str, tmp_path: Path) -> None:
    """Nothing of it runs here, so nothing changes."""
    outside = node("x")
    dns = {"hostname": "api.example.com", **({"responseType": said} if said else {})}
    outside["spec"]["serviceDiscovery"] = {"dns": dns}

    made = imported(tmp_path, {"n": node("n"), "x": outside})

    written = yaml.safe_load(made.text)
    dns = written["virtual_nodes"]["x"]["service_discovery"]["dns"]
    assert dns == {"hostname": "api.example.com", "response_type": response_type}
    assert set(written["services"]) == {"n"}


LOSSES: dict[str, tuple[dict[str, Any], str]] = {
    "a field of nobody's": (
        {"n": json.dumps(node("n")).replace('"protocol"', '"protocoll"')},
        "App Mesh has no such field",
    ),
    "a value of another kind": ({"n": json.dumps(node("n")).replace("8080", '"many"')}, "expected a whole number"),
    "a second listener": ({"n": node("n") | {"spec": {**BLUE, "listeners": BLUE["listeners"] * 2}}}, "one listener"),
    "a virtual service of nobody": ({"s": {"virtualServiceName": "s.x", "spec": {"provider": {}}}}, "callers got 503"),
    "tags": ({"n": {**node("n"), "tags": [{"key": "a", "value": "b"}]}}, "others are set by a CDK app"),
    "the output of list": (
        {"l": {"virtualNodes": [{"arn": "a", "virtualNodeName": "n"}]}, "n": node("n")},
        "bring that of describe",
    ),
    "a program": ({"s.yaml": "#!/bin/sh\n", "n": node("n")}, "it is a program"),
    "broken YAML": ({"k.yaml": manifest("VirtualNode", "x", "{"), "n": node("n")}, "neither JSON nor YAML"),
}


@pytest.mark.parametrize("case", LOSSES)
def test_nothing_is_dropped_in_silence(case: str, tmp_path: Path) -> None:
    """It is told with its reason, and the rest is imported."""
    documents, said = LOSSES[case]

    made = imported(tmp_path, documents)

    assert any(said in told.why for told in made.report.of(Fate.LOST)), made.report.of(Fate.LOST)


def test_an_answer_takes_the_place_of_a_placeholder(tmp_path: Path) -> None:
    """In JSON without quotes, too, and whatever the field holds."""
    text = json.dumps(node("blue")).replace("8080", "${PORT}").replace('"blue.color.local"', "$HOST")

    answers = Answers({"PORT": "9090", "HOST": "teller.color.local"}, images={"": "i"}, default_retries=False)
    made = imported(tmp_path, {"blue": text}, answers)

    assert made.is_complete, made.report.of(Fate.DECISION)
    assert yaml.safe_load(made.text)["services"]["teller"]["application"]["port"] == 9090


def test_templates_resolve_each_others_exports(tmp_path: Path) -> None:
    """As CloudFormation did, whichever file comes first."""
    shared = "Resources: {M: {Type: 'AWS::AppMesh::Mesh', Properties: {MeshName: color}}}\n"
    exports = "Outputs: {D: {Value: color.local, Export: {Name: !Sub '${Env}:domain'}}}\n"
    env = "Parameters: {Env: {Type: String}}\n"
    node_ = template("blue", PASCAL % "!Join [., [blue, !ImportValue {'Fn::Sub': '${Env}:domain'}]]", env)

    answers = Answers({"Env": "prod"}, images={"": "i"}, default_retries=False)
    made = imported(tmp_path, {"a.yaml": node_, "b.yaml": env + shared + exports}, answers)

    assert yaml.safe_load(made.text)["mesh"] == {"name": "color", "namespace": "color.local"}
    assert made.is_complete


def test_manifests_resolve_each_others_names(tmp_path: Path) -> None:
    """By namespace and awsName, across files; a backend group's name * is all of a namespace."""
    targets = "[{virtualNodeRef: {name: blue, namespace: shop}, weight: 1}]"
    files = {
        "front.yaml": manifest("VirtualNode", "front", POD + ", backendGroups: [{name: '*'}]}"),
        "blue.yaml": manifest("VirtualNode", "blue", POD.replace("a.shop", "b.shop") + "}"),
        "service.yaml": manifest(
            "VirtualService",
            "color",
            "{awsName: color.shop.local, provider: {virtualRouter: {virtualRouterRef: {name: r}}}}",
        ),
        "router.yaml": manifest(
            "VirtualRouter",
            "r",
            "{listeners: [{portMapping: {port: 80, protocol: http}}], routes: [{name: all, httpRoute: "
            f"{{match: {{prefix: /}}, action: {{weightedTargets: {targets}}}}}}}]}}",
        ),
        "mesh.yaml": manifest("Mesh", "color", "{}"),
    }

    made = imported(tmp_path, files)

    values = yaml.safe_load(made.text)
    assert values["virtual_nodes"]["front-shop"]["backends"] == [{"virtual_service": "color.shop.local"}]
    assert values["virtual_services"] == {"color.shop.local": {"provider": {"virtual_router": "r-shop"}}}
    assert values["virtual_routers"]["r-shop"]["routes"][0]["http_route"]["action"] == {
        "weighted_targets": [{"virtual_node": "blue-shop", "weight": 1}]
    }
    assert made.is_complete, made.report.of(Fate.DECISION)


def test_the_forms_of_one_mesh_come_to_one_file(tmp_path: Path) -> None:
    """JSON of the API and of describe, a bare specification, a template."""
    documents = color()
    for name in ("blue", "green"):
        documents[name] = {"virtualNode": documents[name]}
    one = imported(tmp_path / "one", color())
    properties = {"MeshName": "color", "VirtualRouterName": "colors", "Spec": documents.pop("colors")["spec"]}
    stack = {"Resources": {"R": {"Type": "AWS::AppMesh::VirtualRouter", "Properties": properties}}}

    other = import_sources(
        [write(tmp_path / "other", documents), write(tmp_path / "stack", {"stack": stack})], ANSWERED
    )

    assert _sorted(one) == _sorted(other)


def _sorted(made: Imported) -> str:
    return json.dumps(yaml.safe_load(made.text), sort_keys=True)


TASK = (
    "  Task: {Type: 'AWS::ECS::TaskDefinition', Properties: {ContainerDefinitions: ["
    "{Name: envoy, Image: aws-appmesh-envoy:v1, Environment: [{Name: APPMESH_RESOURCE_ARN, "
    "Value: !Sub 'mesh/color/virtualNode/${Node.VirtualNodeName}'}]}, {Name: app, Image: acme/blue:1}]}}\n"
)
DEPLOYMENT = (
    "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x, namespace: shop}\nspec: {template: {metadata: {labels: "
    "{app: blue, v: '1'}}, spec: {containers: [{image: 'acme/blue:1'}, {image: aws-xray-daemon}]}}}\n---\n"
)


@pytest.mark.parametrize(
    "text",
    [
        template("blue", PASCAL % "blue.color.local") + TASK,
        DEPLOYMENT + manifest("VirtualNode", "blue", POD + ", podSelector: {matchLabels: {app: blue}}}"),
    ],
    ids=["task definition", "workload"],
)
def test_the_image_is_that_of_what_ran_the_node(text: str, tmp_path: Path) -> None:
    """Beside the definitions stands what ran them, often in the same file."""
    made = imported(tmp_path, {"all.yaml": text}, Answers())

    (run,) = yaml.safe_load(made.text)["services"].values()
    assert run["application"]["image"] == "acme/blue:1"
    assert "image" not in {told.what for told in made.report.of(Fate.DECISION)}


def test_files_of_other_things_are_skipped(tmp_path: Path) -> None:
    """A folder has them, and their keys may look alike."""
    others = {"a.json": '{"provider": "aws", "region": "x"}', "b.yaml": "listeners: [1]\nname: x\n", "c.yaml": "- 1\n"}

    made = imported(tmp_path, {**others, "blue": node("blue")})

    assert len(made.report.skipped) == len(others)
    assert made.counts == {"virtual node": 1}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (80, 10_080),
        (5_001, 15_002),
        (8_080, 18_080),
        (9_999, 19_999),
        (15_000, 25_000),
        (22_767, 32_767),
        (22_768, 12_768),
        (50_051, 10_051),
        (51_000, 61_000),
        (55_536, 15_536),
        (65_535, 15_535),
    ],
)
def test_envoy_listens_beside_the_application_where_no_outgoing_connection_is(
    tmp_path: Path, old: int, new: int
) -> None:
    """Linux takes ports from 32768 on for those, and an egress listener has 15001."""
    made = imported(tmp_path, {"node.json": node("blue", port=old)})

    values = yaml.safe_load(made.text)
    assert values["services"]["blue"]["application"]["port"] == old
    assert values["virtual_nodes"]["blue"]["listeners"][0]["port_mapping"]["port"] == new
