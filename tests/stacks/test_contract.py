"""What the stacks write into an environment is what the program there reads: each with the program's own settings."""

from __future__ import annotations

import ast
import json
from typing import TYPE_CHECKING

from entrypoint.settings import Settings
from meshcert.settings import ExportSettings
from stacks.bundling import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.stacks.synthesis import Resource, Templates

# What ECS or the image sets besides (Fargate: AWS_REGION).
SET_BY_FARGATE = {"AWS_REGION": "eu-west-1"}


def _variables(function: Resource) -> dict[str, str]:
    declared = function.properties["Environment"]["Variables"]
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in declared.items()}


def test_the_export_function_understands_its_environment(templates: Templates) -> None:
    """Every variable it needs is there, under the name it reads."""
    (function,) = templates.resources("AWS::Lambda::Function")

    settings = ExportSettings.from_environ(_variables(function))

    assert settings.mesh == "color"
    assert "Table" in settings.identities_table


def test_functions_retry_as_the_sdk_does_today(templates: Templates) -> None:
    """The SDK's legacy mode does not retry every throttling error."""
    for function in templates.resources("AWS::Lambda::Function"):
        assert _variables(function)["AWS_RETRY_MODE"] == "standard"


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
