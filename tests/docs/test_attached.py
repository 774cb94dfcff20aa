"""docs/attached.md and the examples of attached services against the code."""

from __future__ import annotations

import json
import re
import shlex
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from evidence.fixtures.own_services import JOB_TEMPLATE, TEMPLATE, lines_of_app, lines_of_template
from meshcert import naming
from meshcert.aws.ecs.strategies import REFUSED
from meshcert.cli.__main__ import cli
from meshcert.mesh.applications.attached import Attachment
from tests.docs.pages import PAGES, ROOT, rows

if TYPE_CHECKING:
    from pathlib import Path

PAGE = "docs/attached.md"
MESH = ROOT / "examples" / "own-cdk-app" / "mesh.yaml"
MODULE = (ROOT / "examples" / "own-terraform" / "stock.tf").read_text()


def test_every_field_of_attached_is_on_the_page() -> None:
    """Default and meaning are the mesh file's own."""
    table = [
        (field.strip("`"), default.strip("`"), meaning)
        for field, default, meaning in rows(PAGE, "| field of `attached` | default | means |")
    ]

    assert table == [
        (name, "" if field.is_required() else str(field.default), field.description)
        for name, field in Attachment.model_fields.items()
    ]


def test_every_deployment_that_is_left_to_its_owner_is_on_the_page() -> None:
    """Controllers by their names, strategies by the console's words."""
    words = {"BLUE_GREEN": "blue/green", "LINEAR": "linear", "CANARY": "canary"}
    (table,) = [part for part in PAGES[PAGE].split("## ") if part.startswith("Deployments of yours")]

    assert all(words.get(name, name) in table for name in REFUSED)


@pytest.mark.parametrize(("service", "template"), [("stock", TEMPLATE), ("report", JOB_TEMPLATE)])
def test_the_templates_lines_are_those_that_the_command_prints(service: str, template: Path) -> None:
    """At most 60 lines of at most 120 characters, between the marks."""
    lines = lines_of_template(template)
    printed = _sidecar(service, "--cloudformation").splitlines()

    assert len(lines) <= 60
    assert max(map(len, template.read_text().splitlines())) <= 120
    assert sorted(line.strip() for line in lines) == sorted(line.strip() for line in printed if line[0] != "#")


def test_the_json_in_the_terraform_module_is_what_the_command_prints() -> None:
    """By the command that the module names, region and image as there."""
    (command,) = re.findall(r"^#   meshcert sidecar (.*)$", MODULE, re.MULTILINE)
    (document,) = re.findall(r"jsondecode\(<<-JSON\n(.*?)\n *JSON\n", MODULE, re.DOTALL)

    printed = json.loads(_sidecar(*shlex.split(command)))

    assert json.loads(document) == printed
    parameters = [naming.sidecar_image("shop", "x86_64"), printed["registry_parameter"]]
    assert re.findall(r'^data "aws_ssm_parameter" "\w+" { name = "(.*)" }$', MODULE, re.MULTILINE) == parameters
    assert max(map(len, MODULE.splitlines())) <= 120


def test_a_cdk_app_adds_at_most_15_lines() -> None:
    """Its import, and what stands between the marks."""
    lines = lines_of_app()

    assert "import EnvoySidecar" in lines[0]
    assert 4 <= len(lines) <= 15


def test_a_service_that_meshcert_makes_has_no_sidecar_to_add_and_the_command_says_what_to_write() -> None:
    """No name that looks like it is suggested instead."""
    result = CliRunner().invoke(cli, ["sidecar", "colorteller", "--mesh", str(ROOT / "mesh.yaml")])

    assert result.exit_code == 2
    assert "meshcert makes it" in result.output
    assert "services.colorteller.attached" in result.output


def _sidecar(*arguments: Any) -> str:
    result = CliRunner().invoke(cli, ["sidecar", *arguments, "--mesh", str(MESH)])
    assert result.exit_code == 0, result.output
    return result.output
