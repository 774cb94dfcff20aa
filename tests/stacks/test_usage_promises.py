"""What the CAs of a hierarchy are for: all that ACM issues from, or short-lived certificates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from aws_cdk import App

from local.aws.replacing_properties import REPLACING
from meshcert.mesh import read_mesh
from meshcert.mesh.checks.limits import resources
from stacks.pki import PkiStack
from tests.meshcert.mesh.mesh_slips import REMOVED, changed

if TYPE_CHECKING:
    from pathlib import Path

    from meshcert.mesh import Mesh

HIERARCHY = "hierarchies.colorteller"
FROM_PRIVATE_CA = (("identities.colorteller.issuer", "acm-pca"),)
TIERS = {
    2: ((f"{HIERARCHY}.tiers", 2),),
    1: ((f"{HIERARCHY}.tiers", 1), (f"{HIERARCHY}.issuing_validity_years", REMOVED)),
}


def mesh_of(tiers: int, usage: str) -> Mesh:
    """The Color app's mesh, the teller's CAs of one usage; the gateway's are ACM's."""
    reading = read_mesh(changed(*FROM_PRIVATE_CA, *TIERS[tiers], (f"{HIERARCHY}.usage", usage)))
    assert reading.mesh is not None, reading.faults
    return reading.mesh


def authorities(mesh: Mesh, folder: Path) -> dict[str, Any]:
    """The resources of the stack of CAs."""
    app = App(outdir=str(folder))
    PkiStack(app, "color-pki", mesh=mesh)
    template: dict[str, Any] = app.synth().get_stack_by_name("color-pki").template
    found: dict[str, Any] = template["Resources"]
    return found


def of_type(found: dict[str, Any], kind: str) -> dict[str, dict[str, Any]]:
    """Properties of the resources of one type of the teller's hierarchy, by id."""
    return {
        name: each["Properties"]
        for name, each in found.items()
        if each["Type"] == f"AWS::ACMPCA::{kind}" and name.startswith("colorteller")
    }


@pytest.mark.parametrize(
    ("tiers", "usage", "modes"),
    [
        (1, "short_lived", {"ROOT": "SHORT_LIVED_CERTIFICATE"}),
        (2, "short_lived", {"ROOT": "GENERAL_PURPOSE", "SUBORDINATE": "SHORT_LIVED_CERTIFICATE"}),
        (1, "general_purpose", {"ROOT": "GENERAL_PURPOSE"}),
        (2, "general_purpose", {"ROOT": "GENERAL_PURPOSE", "SUBORDINATE": "GENERAL_PURPOSE"}),
    ],
)
def test_the_ca_that_signs_leaves_is_of_the_hierarchys_usage(
    tiers: int, usage: str, modes: dict[str, str], tmp_path: Path
) -> None:
    """A short-lived CA must be the last of its hierarchy, so a root above one is for general purpose."""
    found = of_type(authorities(mesh_of(tiers, usage), tmp_path), "CertificateAuthority")

    assert {each["Type"]: each["UsageMode"] for each in found.values()} == modes


@pytest.mark.parametrize("tiers", [1, 2])
def test_acm_has_no_permission_on_a_short_lived_ca(tiers: int, tmp_path: Path) -> None:
    """ACM issues from general-purpose CAs only; on these it keeps its permission, whoever the issuer is."""
    short, general = (
        of_type(authorities(mesh_of(tiers, usage), tmp_path / usage), "Permission")
        for usage in ("short_lived", "general_purpose")
    )

    assert short == {}
    assert [each["Principal"] for each in general.values()] == ["acm.amazonaws.com"]


def test_a_short_lived_roots_own_certificate_lives_for_years(tmp_path: Path) -> None:
    """Seven days are the bound of what it signs for others."""
    (certificate,) = of_type(authorities(mesh_of(1, "short_lived"), tmp_path), "Certificate").values()

    assert certificate["Validity"] == {"Type": "YEARS", "Value": 10}
    assert "template/RootCACertificate/V1" in str(certificate["TemplateArn"])


def test_a_mesh_file_of_before_has_general_purpose_cas(tmp_path: Path) -> None:
    """It says no usage, and neither the issuer nor the word itself changes its CAs."""
    before = read_mesh(changed()).mesh
    assert before is not None

    assert authorities(before, tmp_path / "before") == authorities(mesh_of(2, "general_purpose"), tmp_path / "said")


@pytest.mark.parametrize(("tiers", "usage"), [(1, "short_lived"), (2, "short_lived"), (2, "general_purpose")])
def test_resources_of_cas_are_counted_as_the_stack_has_them(tiers: int, usage: str, tmp_path: Path) -> None:
    """What `meshcert check` refuses a mesh by."""
    mesh = mesh_of(tiers, usage)

    assert resources(mesh)["pki"] == len(authorities(mesh, tmp_path))


def test_another_usage_is_another_ca_as_another_key_or_subject_is() -> None:
    """So it is refused as they are: the stacks above import the old one's ARN, which cannot go."""
    assert {"UsageMode", "KeyAlgorithm", "Subject"} <= set(REPLACING["AWS::ACMPCA::CertificateAuthority"])
