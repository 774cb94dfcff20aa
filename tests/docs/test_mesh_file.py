"""``docs/mesh-file.md`` and ``docs/limits.md`` say what the mesh model takes."""

from __future__ import annotations

import re

import pytest
import yaml
from pydantic import BaseModel

from entrypoint.readiness import ASK_AGAIN_EVERY_S
from meshcert.cli.__main__ import cli
from meshcert.contract.container import USER_ID
from meshcert.contract.lifetimes import CERTIFICATE_DAYS
from meshcert.mesh.applications.declared import Application, ApplicationHealthCheck, EgressRule
from meshcert.mesh.applications.task_policies import TaskPolicies, TaskStatement
from meshcert.mesh.applications.volumes import ApplicationVolume
from meshcert.mesh.checks.network.reach import MOST_RULES
from meshcert.mesh.federation.declared import BundleEndpoint, DeclaredTrustDomain
from meshcert.mesh.federation.published import PublishedBundle
from meshcert.mesh.issuance import MOST_NAMES, DeclaredClient, DeclaredIdentity, ExistingAuthority
from meshcert.mesh.load_balancers import LoadBalancer
from meshcert.mesh.mesh import LONGEST_MESH_NAME, LONGEST_NAME, Mesh
from meshcert.mesh.rendering.containers import LONGEST_START_PERIOD_S
from meshcert.mesh.routing.allow_rules import AllowMatch, DeclaredAllowRule
from meshcert.mesh.services import DeclaredProxyContainer, DeclaredService
from meshcert.routes import deciding_rule
from meshcert.san import Uri
from tests.docs.pages import PAGES, rows
from tests.stacks.test_sizes import SERVICES

PAGE = "docs/mesh-file.md"
LIMITS = PAGES["docs/limits.md"]
IN_TABLES = {"health_check", "task_policies"}
"""Fields of an application that have tables of their own."""
IN_WORDS = {"virtual_gateway", "virtual_node", "attached", "application", "proxy"}
FOR_MESH_FILES = {"check", "schema", "map", "why", "import", "envoy", "sidecar"}


def test_every_part_of_the_file_is_on_the_page() -> None:
    """In the file's order."""
    parts = [field.alias or name for name, field in Mesh.model_fields.items()]

    assert [part.strip("`") for part, _ in rows(PAGE, "| part | says |")] == parts


def test_every_field_of_a_service_is_on_the_page() -> None:
    """Default and meaning are the mesh file's own."""
    table = {
        field.strip("`"): (default.strip("`"), meaning)
        for field, default, meaning in rows(PAGE, "| field of a service | default | means |")
    }

    assert table == {
        name: (str(field.default), field.description)
        for name, field in DeclaredService.model_fields.items()
        if name not in IN_WORDS
    }
    for name in IN_WORDS:
        assert f"`{name}`" in PAGES[PAGE]


def test_every_field_of_a_load_balancer_is_on_the_page() -> None:
    """Default and meaning are the mesh file's own."""
    table = [
        (field.strip("`"), default.strip("`"), meaning)
        for field, default, meaning in rows(PAGE, "| field of `load_balancer` | default | means |")
    ]

    assert table == [(name, str(field.default), field.description) for name, field in LoadBalancer.model_fields.items()]


def test_every_field_of_a_ca_of_yours_is_on_the_page() -> None:
    """Default and meaning are the mesh file's own."""
    table = [
        (field.strip("`"), default.strip("`"), meaning)
        for field, default, meaning in rows(PAGE, "| field of `existing` | default | means |")
    ]

    assert table == [
        (name, "" if field.is_required() else str(field.default), field.description)
        for name, field in ExistingAuthority.model_fields.items()
    ]


def test_every_field_of_an_application_is_on_the_page() -> None:
    """Default and meaning are the mesh file's own."""
    table = [
        (field.strip("`"), default.strip("`"), meaning)
        for field, default, meaning in rows(PAGE, "| field of `application` | default | means |")
    ]

    assert table == [
        (name, "" if field.is_required() or name in IN_TABLES else str(field.default), field.description)
        for name, field in Application.model_fields.items()
    ]


def test_every_field_of_an_identity_is_on_the_page() -> None:
    """Default and meaning are the mesh file's own."""
    table = [
        (field.strip("`"), default.strip("`"), meaning)
        for field, default, meaning in rows(PAGE, "| field of an identity | default | means |")
    ]

    assert table == [
        (name, "" if field.is_required() else str(field.default), field.description)
        for name, field in DeclaredIdentity.model_fields.items()
    ]


def test_every_field_of_an_applications_volume_is_on_the_page() -> None:
    """Default and meaning are the mesh file's own."""
    table = [
        (field.strip("`"), default.strip("`"), meaning)
        for field, default, meaning in rows(PAGE, "| field of a volume of `application` | default | means |")
    ]

    assert table == [
        (name, "" if field.is_required() else str(field.default), field.description)
        for name, field in ApplicationVolume.model_fields.items()
    ]


@pytest.mark.parametrize(
    ("head", "part"), [("field of `task_policies`", TaskPolicies), ("field of a statement", TaskStatement)]
)
def test_every_field_of_an_applications_policies_is_on_the_page(head: str, part: type[BaseModel]) -> None:
    """Default and meaning are the mesh file's own."""
    table = [
        (field.strip("`"), default.strip("`"), meaning)
        for field, default, meaning in rows(PAGE, f"| {head} | default | means |")
    ]

    assert table == [
        (name, "" if field.is_required() else str(field.default), field.description)
        for name, field in part.model_fields.items()
    ]


def test_every_field_of_a_client_is_on_its_page() -> None:
    """Default and meaning are the mesh file's own."""
    table = [
        (field.strip("`"), default.strip("`"), meaning)
        for field, default, meaning in rows("docs/outside-clients.md", "| field of `client` | default | means |")
    ]

    assert table == [
        (name, "" if field.is_required() else str(field.default), field.description)
        for name, field in DeclaredClient.model_fields.items()
    ]


def test_every_field_of_a_services_proxy_is_on_the_page() -> None:
    """Default and meaning are the mesh file's own; the user who has to read the files, too."""
    table = [
        (field.strip("`"), default.strip("`"), meaning)
        for field, default, meaning in rows(PAGE, "| field of `proxy` | default | means |")
    ]

    assert table == [
        (name, str(field.default), field.description) for name, field in DeclaredProxyContainer.model_fields.items()
    ]
    assert f"has the number {USER_ID}" in PAGES[PAGE]


@pytest.mark.parametrize(
    ("head", "part"),
    [
        ("| field of a trust domain | default | means |", DeclaredTrustDomain),
        ("| field of `bundle_endpoint` | default | means |", BundleEndpoint),
        ("| field of `mesh.published_bundle` | default | means |", PublishedBundle),
    ],
    ids=["trust domain", "bundle endpoint", "published bundle"],
)
def test_every_field_of_federation_is_on_the_page(head: str, part: type[BaseModel]) -> None:
    """Default and meaning are the mesh file's own."""
    table = [(field.strip("`"), default.strip("`"), meaning) for field, default, meaning in rows(PAGE, head)]

    assert table == [
        (name, "" if field.is_required() else str(field.default), field.description)
        for name, field in part.model_fields.items()
    ]


def test_every_field_of_a_health_check_is_on_the_page() -> None:
    """Default and meaning are the mesh file's own; the grace at which ECS's start period no longer is enough, too."""
    table = [
        (field.strip("`"), default.strip("`"), meaning)
        for field, default, meaning in rows(PAGE, "| field of `health_check` | default | means |")
    ]

    assert table == [
        (name, str(field.default), field.description) for name, field in ApplicationHealthCheck.model_fields.items()
    ]
    assert f"every {ASK_AGAIN_EVERY_S:g} seconds" in PAGES[PAGE]
    assert f"above {LONGEST_START_PERIOD_S} seconds" in PAGES[PAGE]


def test_every_field_of_an_egress_rule_is_on_the_page() -> None:
    """Default and meaning are the mesh file's own; how many rules a group holds, too."""
    table = [
        (field.strip("`"), default.strip("`"), meaning)
        for field, default, meaning in rows(PAGE, "| field of a rule | default | means |")
    ]

    assert table == [
        (name, "" if field.is_required() else str(field.default), field.description)
        for name, field in EgressRule.model_fields.items()
    ]
    assert f"A security group holds {MOST_RULES} outbound rules" in PAGES[PAGE]


@pytest.mark.parametrize(
    ("head", "part"),
    [
        ("| field of an allow rule | default | means |", DeclaredAllowRule),
        ("| field of its match | default | means |", AllowMatch),
    ],
)
def test_every_field_of_an_allow_rule_is_on_the_page(head: str, part: type[BaseModel]) -> None:
    """Default and meaning are the mesh file's own."""
    table = [(field.strip("`"), default.strip("`"), meaning) for field, default, meaning in rows(PAGE, head)]

    assert table == [
        (
            name,
            "" if field.is_required() or isinstance(field.default, BaseModel) else str(field.default),
            field.description,
        )
        for name, field in part.model_fields.items()
    ]


def test_the_example_of_allow_rules_means_what_the_page_says() -> None:
    """Who may ask for what, by the three rules of the page."""
    (text,) = re.findall(r"        allow:\n((?:          .*\n)+)", PAGES[PAGE])
    rules = [DeclaredAllowRule.model_validate(each).rule for each in yaml.safe_load(text)]
    operator, cart = (Uri(f"spiffe://shop.example/ns/{path}") for path in ("ops/sa/operator", "shop/cart"))

    def may(name: Uri, path: str) -> bool:
        rule = deciding_rule(rules, path)
        return rule is not None and rule.admits([name])

    paths = ("/healthz", "/admin", "/admin/x", "/", "/orders")
    assert [path for path in paths if may(operator, path)] == ["/healthz", "/admin", "/admin/x"]
    assert [path for path in paths if may(cart, path)] == ["/healthz", "/", "/orders"]


def test_every_command_for_mesh_files_is_on_the_page_and_no_other() -> None:
    """The operator's commands are on a page of their own."""
    told = {re.findall(r"meshcert (\w+)", command)[0] for command, _ in rows(PAGE, "| command | does |")}

    assert told == FOR_MESH_FILES
    assert set(cli.commands) >= FOR_MESH_FILES


def test_the_limits_are_those_of_the_code() -> None:
    """A limit that goes is taken from the page, and from the README's first screen."""
    assert f"| services in a mesh | {SERVICES}, " in LIMITS
    assert f"| {LONGEST_MESH_NAME} characters, {LONGEST_NAME} characters |" in LIMITS
    assert f"more than {MOST_NAMES} names" in LIMITS
    assert f"live {CERTIFICATE_DAYS} days" in LIMITS
