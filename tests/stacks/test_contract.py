"""The environments that the stacks write, read back with each program's own settings."""

from __future__ import annotations

import ast
import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from entrypoint.settings import Settings
from meshcert.publishing.declared_bundles import read_bundles
from meshcert.settings import DeploySettings, DispatchSettings, ExportSettings, RenewalSettings, VerifySettings
from stacks.bundling import ROOT
from tests.meshcert.mesh.mesh_slips import changed
from tests.stacks.synthesis import synthesise

if TYPE_CHECKING:
    from pathlib import Path

    from tests.stacks.synthesis import Resource, Templates

AnySettings = DeploySettings | DispatchSettings | ExportSettings | RenewalSettings | VerifySettings

# What ECS or the image sets besides (Fargate: AWS_REGION).
HIERARCHIES = ("colorgateway", "colorteller")
BUNDLES = "colorgateway=colorgatewayRoot/ colorteller=colortellerRoot/"
SET_BY_FARGATE = {"AWS_REGION": "eu-west-1"}


def _variables(function: Resource, templates: Templates) -> dict[str, str]:
    """A function's environment, with each reference to a resource replaced by that resource's name."""
    names: dict[str, str] = {}
    for kind, called in (("AWS::DynamoDB::Table", "TableName"), ("AWS::SQS::Queue", "QueueName")):
        names |= {resource.logical_id: resource.properties[called] for resource in templates.resources(kind)}
    declared = function.properties["Environment"]["Variables"]
    return {name: _text(value, names) for name, value in declared.items()}


def _text(value: Any, names: dict[str, str]) -> str:
    """A value without references; the id of a CA is called by the CA's logical id in the stack of the CAs."""
    if isinstance(value, str):
        return value
    if "Fn::Join" in value:
        delimiter, parts = value["Fn::Join"]
        return str(delimiter.join(_text(part, names) for part in parts))
    if "Fn::Select" in value:
        index, split = value["Fn::Select"]
        slash, arn = split["Fn::Split"]
        return _text(arn, names).split(slash)[int(index)]
    if "Fn::ImportValue" in value:
        return "arn/" + "".join(re.findall(r"FnGetAtt(\w+?)[0-9A-F]{8}Arn", value["Fn::ImportValue"]))
    return names[value["Ref"]]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("export", ExportSettings("color", "meshcert-color-identities")),
        ("verify", VerifySettings("color", "meshcert-color-identities")),
        ("deploy", DeploySettings("color", "meshcert-color-identities", "meshcert-color-lifecycle", BUNDLES)),
        (
            "renewal",
            RenewalSettings(
                mesh="color",
                identities_table="meshcert-color-identities",
                lifecycle_table="meshcert-color-lifecycle",
                acknowledgements_table="meshcert-color-acknowledgements",
                export_function="meshcert-color-export",
                cluster="meshcert-color",
                audit_log_group="/meshcert/color/audit",
            ),
        ),
        (
            "dispatch",
            DispatchSettings(
                mesh="color",
                identities_table="meshcert-color-identities",
                lifecycle_table="meshcert-color-lifecycle",
                looks_queue_url="meshcert-color-looks",
            ),
        ),
    ],
)
def test_a_function_understands_its_environment(templates: Templates, name: str, expected: AnySettings) -> None:
    """Every variable it needs is there under the name it reads, and names the part that it means."""
    (function,) = (
        function
        for function in templates.resources("AWS::Lambda::Function")
        if function.properties["FunctionName"] == f"meshcert-color-{name}"
    )

    assert type(expected).from_environ(_variables(function, templates)) == expected


def test_what_a_deploy_asks_for_is_what_the_environment_declares(tmp_path: Path) -> None:
    """With revocation lists, and with a root that is trusted besides: `deploy` refuses any other request."""
    file, lists = tmp_path / "mesh.yaml", [(f"hierarchies.{name}.revocation", "crl") for name in HIERARCHIES]
    file.write_bytes(changed(*lists, ("hierarchies.colorteller.also_trust", ["colorgateway"])))
    templates = synthesise(tmp_path / "out", mesh=str(file))
    (environment,) = (
        _variables(function, templates)
        for function in templates.resources("AWS::Lambda::Function")
        if function.properties["FunctionName"] == "meshcert-color-deploy"
    )
    declared = read_bundles(environment["MESHCERT_TRUST_BUNDLES"])

    asked = [resource.properties for resource in templates.resources("Custom::MeshcertTrustBundle")]

    assert declared.keys() == {properties["Hierarchy"] for properties in asked} == set(HIERARCHIES)
    for properties in asked:
        roots = properties["RootCertificateAuthorityArn"]
        listed = [each["CertificateAuthorityArn"] for each in properties["RevocationLists"]]
        assert declared[properties["Hierarchy"]].is_as_declared(
            [_text(root, {}) for root in (roots if isinstance(roots, list) else [roots])],
            [_text(arn, {}) for arn in listed],
        )
    assert len(declared["colorteller"].roots) == 2


def test_every_function_has_its_settings_tested_here(templates: Templates) -> None:
    """A sixth function needs a line in the table above."""
    names = {function.properties["FunctionName"] for function in templates.resources("AWS::Lambda::Function")}

    assert names == {f"meshcert-color-{name}" for name in ("export", "deploy", "verify", "renewal", "dispatch")}


def test_functions_retry_as_the_sdk_does_today(templates: Templates) -> None:
    """The SDK's legacy mode does not retry every throttling error."""
    for function in templates.resources("AWS::Lambda::Function"):
        assert _variables(function, templates)["AWS_RETRY_MODE"] == "standard"


def test_every_envoy_container_understands_its_environment(templates: Templates, tmp_path: Path) -> None:
    """MESHCERT_PROXY is read back complete, and describes the service whose task it is in."""
    for task in templates.resources("AWS::ECS::TaskDefinition"):
        envoy = next(c for c in task.properties["ContainerDefinitions"] if c["Name"] == "envoy")
        environment = {item["Name"]: item["Value"] for item in envoy["Environment"]}
        settings = Settings.from_environ({**SET_BY_FARGATE, **environment, "MESHCERT_MATERIAL_DIR": str(tmp_path)})

        assert task.properties["Family"] == f"meshcert-color-{settings.proxy.service}"
        assert [listener.port for listener in settings.proxy.listeners] == [
            mapping["ContainerPort"] for mapping in envoy["PortMappings"]
        ]


def test_proxy_settings_fit_an_environment_variable(templates: Templates) -> None:
    """ECS takes a task definition of 64 KiB; a proxy's settings stay far below."""
    for task in templates.resources("AWS::ECS::TaskDefinition"):
        assert len(json.dumps(task.properties)) < 32 * 1024


def test_the_functions_entry_points_exist(templates: Templates) -> None:
    """The handler that the template names is a function in this repository."""
    for function in templates.resources("AWS::Lambda::Function"):
        folder, module, name = function.properties["Handler"].split(".")
        source = ast.parse((ROOT / "lambdas" / folder / f"{module}.py").read_text())

        assert name in {node.name for node in source.body if isinstance(node, ast.FunctionDef)}
