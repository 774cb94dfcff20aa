"""Promises of the templates of three steps: add a root, move identities, drop the old root."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.meshcert.mesh.mesh_slips import CLIENT, COLOR, changed
from tests.stacks.synthesis import synthesise

if TYPE_CHECKING:
    from pathlib import Path

    from tests.stacks.synthesis import Templates

NEW = ("hierarchies.colorteller-2", COLOR["hierarchies"]["colorteller"])
ADD = ("hierarchies.colorteller.also_trust", ["colorteller-2"])
MOVE = ("identities.colorteller.hierarchy", "colorteller-2")
TRUST_NEW = (f"{CLIENT}.validation.trust.hierarchy", "colorteller-2")
STEPS = {"added": (NEW, ADD), "moved": (NEW, ADD, MOVE), "dropped": (NEW, ADD, MOVE, TRUST_NEW)}


@pytest.fixture(scope="session")
def steps(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Templates]:
    """The templates after each step, by its name."""
    return {name: _synthesised(tmp_path_factory.mktemp(name), *changes) for name, changes in STEPS.items()}


def _synthesised(folder: Path, *changes: tuple[str, object]) -> Templates:
    path = folder / "mesh.yaml"
    path.write_bytes(changed(*changes))
    return synthesise(folder / "out", mesh=str(path))


def _bundle(templates: Templates, hierarchy: str) -> dict[str, Any]:
    (found,) = (
        bundle.properties
        for bundle in templates.resources("Custom::MeshcertTrustBundle")
        if bundle.properties["Hierarchy"] == hierarchy
    )
    return found


def _identity(templates: Templates, name: str) -> dict[str, Any]:
    (found,) = (
        identity.properties
        for identity in templates.resources("Custom::MeshcertIdentity")
        if identity.properties["Identity"] == name
    )
    return found


def _named(value: object) -> list[str]:
    """The hierarchies whose root CAs these are, in their order."""
    texts = [json.dumps(each) for each in (value if isinstance(value, list) else [value])]
    return ["colorteller-2" if "colorteller2Root" in text else "colorteller" for text in texts]


def test_a_bundle_has_the_roots_of_all_that_is_trusted_together(
    templates: Templates, steps: dict[str, Templates]
) -> None:
    """Its own root comes first; a single root stays a string, so that nothing changes for a bundle that adds none."""
    assert isinstance(_bundle(templates, "colorteller")["RootCertificateAuthorityArn"], dict)
    for step in STEPS:
        bundle = _bundle(steps[step], "colorteller")
        assert _named(bundle["RootCertificateAuthorityArn"]) == ["colorteller", "colorteller-2"]
        assert bundle["Reissue"] == [1, 1]
    assert _named(_bundle(steps["dropped"], "colorteller-2")["RootCertificateAuthorityArn"]) == ["colorteller-2"]


def test_a_bundle_says_whose_certificates_running_tasks_check_against_it(steps: dict[str, Templates]) -> None:
    """By this the deploy function refuses to take a root out too early."""
    read_by = {
        step: {name: _bundle(of, name)["Identities"] for name in ("colorteller", "colorteller-2")}
        for step, of in steps.items()
    }

    assert read_by["added"] == read_by["moved"] == {"colorteller": ["colorteller"], "colorteller-2": []}
    assert read_by["dropped"] == {"colorteller": [], "colorteller-2": ["colorteller"]}


def test_an_identity_says_whom_its_peers_trust_at_each_step(templates: Templates, steps: dict[str, Templates]) -> None:
    """The deploy function refuses steps that are done at once by comparing these."""
    trusted = {name: _identity(of, "colorteller")["TrustedByPeers"] for name, of in steps.items()}

    assert _named(_identity(templates, "colorteller")["TrustedByPeers"]) == ["colorteller"]
    assert {name: _named(roots) for name, roots in trusted.items()} == {
        "added": ["colorteller", "colorteller-2"],
        "moved": ["colorteller", "colorteller-2"],
        "dropped": ["colorteller-2"],
    }


def test_a_moved_identity_gets_a_certificate_of_the_new_ca_in_the_secret_it_had(steps: dict[str, Templates]) -> None:
    """Another CA makes CloudFormation replace the ACM certificate; proxies read the same secret."""

    def issuer(templates: Templates) -> str:
        certificates = templates.resources("AWS::CertificateManager::Certificate")
        (found,) = (item for item in certificates if item.logical_id.startswith("Identitycolorteller"))
        return json.dumps(found.properties["CertificateAuthorityArn"])

    def secret(templates: Templates) -> str:
        return json.dumps(_identity(templates, "colorteller")["SecretId"])

    assert "colorteller2Issuing" not in issuer(steps["added"])
    assert "colorteller2Issuing" in issuer(steps["moved"])
    assert secret(steps["added"]) == secret(steps["moved"]) == secret(steps["dropped"])


def test_adding_and_dropping_a_root_start_new_tasks_of_those_who_trust_it(
    templates: Templates, steps: dict[str, Templates]
) -> None:
    """A deploy ends when they are there: then every peer knows the roots, whatever its rotation."""

    def gateway(of: Templates) -> str:
        tasks = of.resources("AWS::ECS::TaskDefinition")
        (found,) = (item for item in tasks if item.properties["Family"] == "meshcert-color-colorgateway")
        variables = found.properties["ContainerDefinitions"][0]["Environment"]
        return json.dumps([each for each in variables if each["Name"] == "MESHCERT_PROXY"])

    definitions = [gateway(of) for of in (templates, steps["added"], steps["moved"], steps["dropped"])]

    assert definitions[0] != definitions[1]
    assert definitions[1] == definitions[2]
    assert definitions[2] != definitions[3]
