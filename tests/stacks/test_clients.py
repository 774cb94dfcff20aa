"""The role of a client outside the mesh: it reads its own secret and the roots that it was given, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from meshcert import naming
from meshcert.mesh.mesh import LONGEST_MESH_NAME, LONGEST_NAME
from tests.meshcert.mesh.test_clients import DECLARED, PRINCIPAL
from tests.stacks.synthesis import CONTEXT, Resource, Templates, synthesise
from tests.stacks.test_applications import LONGEST_ROLE

OTHER = "arn:aws:iam::444455556666:role/another"


@pytest.fixture(scope="module")
def templates(tmp_path_factory: pytest.TempPathFactory) -> Templates:
    """The Color app with two clients: one trusts the gateway's hierarchy."""
    mesh: dict[str, Any] = yaml.safe_load(Path(CONTEXT["mesh"]).read_text())
    mesh["identities"]["partner"] = DECLARED | {"client": {"principals": [PRINCIPAL, OTHER], "trust": ["colorgateway"]}}
    mesh["identities"]["batch"] = DECLARED | {
        "dns_names": ["batch.example.com"],
        "client": {"principals": [OTHER]},
    }
    mesh["identities"]["nobody"] = DECLARED | {"dns_names": ["nobody.example.com"]}
    folder = tmp_path_factory.mktemp("clients")
    (folder / "mesh.yaml").write_text(yaml.safe_dump(mesh, sort_keys=False))
    return synthesise(folder / "out", mesh=str(folder / "mesh.yaml"))


def _role(templates: Templates, identity: str) -> Resource:
    (role,) = (
        each for each in templates.resources("AWS::IAM::Role") if f"-{identity}.cl" in json.dumps(each.properties)
    )
    return role


def _secret_names(templates: Templates, resources: tuple[str, ...]) -> list[str]:
    names = {each.logical_id: each.properties["Name"] for each in templates.resources("AWS::SecretsManager::Secret")}
    return sorted(names[json.loads(resource)["Ref"]] for resource in resources)


@pytest.mark.parametrize(
    ("identity", "read"),
    [
        ("partner", ["meshcert/color/identity/partner", "meshcert/color/trust/colorgateway"]),
        ("batch", ["meshcert/color/identity/batch"]),
    ],
)
def test_the_role_reads_exactly_its_secret_and_the_roots_it_was_given(
    templates: Templates, identity: str, read: list[str]
) -> None:
    """By their whole ARNs, and decrypts nothing else under the mesh's key, through Secrets Manager alone."""
    role = _role(templates, identity).logical_id
    rights = {action: each for each in templates.statements() if each.role == role for action in each.actions}

    assert set(rights) == {"secretsmanager:GetSecretValue", "kms:Decrypt"}
    assert _secret_names(templates, rights["secretsmanager:GetSecretValue"].resources) == read
    limits = rights["kms:Decrypt"].conditions["StringEquals"]
    assert "secretsmanager." in json.dumps(limits["kms:ViaService"])
    of = limits["kms:EncryptionContext:SecretARN"]
    of = tuple(json.dumps(each, sort_keys=True) for each in (of if isinstance(of, list) else [of]))
    assert _secret_names(templates, of) == read


def test_the_role_is_assumed_by_whom_the_file_names_and_nobody_else(templates: Templates) -> None:
    """Each by its ARN, of whatever account."""
    trusts = [
        statement
        for identity in ("partner", "batch")
        for statement in _role(templates, identity).properties["AssumeRolePolicyDocument"]["Statement"]
    ]

    assert {each["Action"] for each in trusts} == {"sts:AssumeRole"}
    assert [each["Principal"] for each in trusts] == [{"AWS": [PRINCIPAL, OTHER]}, {"AWS": OTHER}]


def test_an_identity_that_does_not_ask_has_no_role(templates: Templates) -> None:
    """Nobody outside reads it."""
    assert "nobody.cl" not in json.dumps(templates.by_stack)


def test_the_longest_name_of_such_a_role_fits() -> None:
    """Of the region with the longest name."""
    name = naming.client_role("m" * LONGEST_MESH_NAME, "ap-southeast-1", "i" * LONGEST_NAME)

    assert len(name) <= LONGEST_ROLE


@pytest.mark.parametrize("issuer", ["acm", "acm-pca"])
def test_a_mesh_may_have_clients_alone(tmp_path: Path, issuer: str) -> None:
    """Nobody has rights on ECS then, and no statement is without a resource or a value."""
    mesh: dict[str, Any] = yaml.safe_load(Path(CONTEXT["mesh"]).read_text())
    declared = {"issuer": issuer, **({"validity": "7d"} if issuer == "acm-pca" else {})}
    alone = {
        **{key: mesh[key] for key in ("schema", "mesh", "hierarchies")},
        "services": {},
        "identities": {"partner": DECLARED | declared | {"client": {"principals": [PRINCIPAL]}}},
    }
    (tmp_path / "mesh.yaml").write_text(yaml.safe_dump(alone, sort_keys=False))

    templates = synthesise(tmp_path / "out", mesh=str(tmp_path / "mesh.yaml"))

    statements = templates.statements()
    assert not [action for each in statements for action in each.actions if action.startswith("ecs:")]
    assert all(each.resources and all(each.conditions.values()) for each in statements)
    assert not [rule for rule in templates.resources("AWS::Events::Rule") if "[]" in json.dumps(rule.properties)]
