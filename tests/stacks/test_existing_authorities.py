"""Under a CA of yours, nothing is made of it, and every right is on exactly that CA."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from evidence.fixtures.pki import Hierarchy
from meshcert.cli.costs.offline import offline_plan
from meshcert.errors import MeshInvalid
from meshcert.mesh import load_mesh
from meshcert.mesh.cells.slices import in_cell
from meshcert.mesh.existing import doubtful_roots, roots_in_files
from meshcert.publishing.declared_roots import root_digest
from tests.meshcert.mesh.cells.yelb import AUTHORITIES, DEPLOYED
from tests.meshcert.mesh.cells.yelb import mesh as yelb
from tests.meshcert.mesh.mesh_slips import changed
from tests.stacks.synthesis import synthesise

if TYPE_CHECKING:
    from pathlib import Path

    from tests.stacks.synthesis import Templates

SHARED = "arn:aws:acm-pca:us-west-1:999988887777:certificate-authority/01234567-89ab-cdef-0123-456789abcdef"
OURS = "arn:aws:acm-pca:us-west-1:111122223333:certificate-authority/11111111-89ab-cdef-0123-456789abcdef"
ROOT = Hierarchy()
KEY = "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEE\n-----END EC PRIVATE KEY-----\n"


def _signed_by_another() -> str:
    """A CA's certificate that has the names of a root, with which another key signed it."""
    own, other = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    name, now = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "root")]), dt.datetime.now(dt.UTC)
    builder = x509.CertificateBuilder(name, name, own.public_key(), 1, now, now + dt.timedelta(days=1))
    made = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    return made.sign(other, SHA256()).public_bytes(Encoding.PEM).decode()


SIGNED_BY_ANOTHER = _signed_by_another()


def existing(arn: str, key: str, **more: Any) -> dict[str, Any]:
    """A hierarchy whose CA is somebody's."""
    return {"existing": {"arn": arn, "root": "root.pem", **more}, "key_algorithm": key}


def written(folder: Path) -> Path:
    """The Color app's mesh file under two CAs of somebody's, with the root beside it."""
    (folder / "root.pem").write_text(ROOT.root_pem)
    file = folder / "mesh.yaml"
    file.write_bytes(
        changed(
            ("hierarchies.colorgateway", existing(OURS, "EC_prime256v1", permit_acm=True)),
            ("hierarchies.colorteller", existing(SHARED, "RSA_2048")),
        )
    )
    return file


@pytest.fixture(scope="module")
def yours(tmp_path_factory: pytest.TempPathFactory) -> Templates:
    """The templates."""
    folder = tmp_path_factory.mktemp("yours")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("stacks.identities.ROOT", folder)
        return synthesise(folder / "out", mesh=str(written(folder)))


def test_no_ca_is_made_and_acm_is_permitted_only_where_the_file_says_so(yours: Templates) -> None:
    """A stack without any resource would not deploy, so there is one that is nothing."""
    made = {resource["Type"] for resource in yours.by_stack["pki"]["Resources"].values()} - {"AWS::CDK::Metadata"}
    (permission,) = yours.resources("AWS::ACMPCA::Permission")

    assert made == {"AWS::ACMPCA::Permission", "AWS::CloudFormation::WaitConditionHandle"}
    assert permission.properties["CertificateAuthorityArn"] == OURS
    assert permission.definition["DeletionPolicy"] == "RetainExceptOnCreate"


def test_every_right_on_a_ca_is_on_exactly_those_that_the_file_names(yours: Templates) -> None:
    """And nobody of the mesh may revoke there: a CA of a company signs for others too."""
    statements = [
        statement
        for statement in yours.statements()
        if any(action.startswith("acm-pca:") for action in statement.actions)
    ]
    actions = {action for statement in statements for action in statement.actions if action.startswith("acm-pca:")}

    assert statements
    assert all(sorted(statement.resources) == sorted([SHARED, OURS]) for statement in statements)
    assert actions == {
        "acm-pca:DescribeCertificateAuthority",
        "acm-pca:GetCertificateAuthorityCertificate",
        "acm-pca:ListPermissions",
    }


def test_certificates_are_asked_for_once_the_ca_was_looked_at(yours: Templates) -> None:
    """The custom resource of the bundle looks, and the certificate waits for it."""
    bundles = yours.resources("Custom::MeshcertTrustBundle")
    looked_at = {bundle.properties["Existing"]["Arn"]: bundle.logical_id for bundle in bundles}
    certificates = yours.resources("AWS::CertificateManager::Certificate")

    assert looked_at.keys() == {SHARED, OURS}
    for certificate in certificates:
        authority = certificate.properties["CertificateAuthorityArn"]
        assert looked_at[authority] in certificate.definition["DependsOn"]


def test_the_functions_know_the_root_that_the_file_names(yours: Templates) -> None:
    """CloudFormation alone writes their environment."""
    roots = {
        function.properties["FunctionName"].rpartition("-")[2]: function.properties["Environment"]["Variables"].get(
            "MESHCERT_ROOTS"
        )
        for function in yours.resources("AWS::Lambda::Function")
    }
    entries = " ".join(f"{arn[-36:]}={root_digest(ROOT.root_pem)}" for arn in (OURS, SHARED))

    assert roots == {"export": entries, "deploy": entries, "verify": entries, "renewal": None, "dispatch": None}


def test_a_plan_prices_no_ca_of_yours(tmp_path: Path) -> None:
    """Its certificates are priced: the mesh has them issued."""
    plan = offline_plan(load_mesh(written(tmp_path)))

    prices = {line.what: line.dollars for line in plan.month.lines}
    assert prices["private CAs"] == 0
    assert plan.issuing.authorities == 0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "cannot be read"),
        ("nothing", "holds no certificate"),
        (ROOT.root_pem * 2, "holds 2 certificates"),
        (Hierarchy(tiers=2).issuing_pem, "is no root CA's"),
        (SIGNED_BY_ANOTHER, "is not signed with its own key"),
        (ROOT.root_pem + KEY, "holds a private key"),
        (KEY, "holds a private key"),
    ],
    ids=["no file", "no certificate", "two", "an issuing CA's", "another's signature", "with a key", "a key alone"],
)
def test_a_file_without_the_root_is_told_with_the_command_that_makes_it(
    tmp_path: Path, text: str | None, words: str
) -> None:
    """Before anything is synthesised."""
    mesh = load_mesh(written(tmp_path))
    (tmp_path / "root.pem").unlink()
    if text is not None:
        (tmp_path / "root.pem").write_text(text)

    with pytest.raises(MeshInvalid, match=words) as told:
        roots_in_files(mesh, tmp_path)
    assert "aws acm-pca get-certificate-authority-certificate" in str(told.value)
    assert "MHcC" not in str(told.value)


@pytest.mark.parametrize(
    ("begins", "ends", "words"),
    [(-20, -1, "holds a root certificate that ended on "), (1, 20, "holds a root certificate that begins on ")],
)
def test_a_root_that_is_not_valid_today_is_a_finding_and_deploys_go_on(
    tmp_path: Path, begins: int, ends: int, words: str
) -> None:
    """The CA's chain may end in one that was reissued on the same key, which is the same root."""
    mesh, now = load_mesh(written(tmp_path)), dt.datetime.now(dt.UTC)
    dates = (now + dt.timedelta(days=days) for days in (begins, ends))
    (tmp_path / "root.pem").write_text(Hierarchy(not_before=next(dates), not_after=next(dates)).root_pem)

    found = list(doubtful_roots(mesh, tmp_path, now))

    assert [each.place for each in found] == [f"hierarchies.{name}.existing.root" for name in mesh.hierarchies]
    assert all(words in each.problem for each in found)
    assert len(roots_in_files(mesh, tmp_path)) == len(found)


def test_the_root_of_another_cells_ca_is_told_where_the_file_names_it(tmp_path: Path) -> None:
    """By check, before anything is synthesised, and by the deploy of the cell that trusts it."""
    mesh = yelb(*DEPLOYED)

    found = list(doubtful_roots(mesh, tmp_path, dt.datetime.now(dt.UTC)))

    assert [each.place for each in found] == [f"hierarchies.{name}.authority.root" for name in AUTHORITIES]
    with pytest.raises(MeshInvalid, match=r"hierarchies\.edge\.authority\.root: edge\.pem cannot be read"):
        roots_in_files(in_cell(mesh, "frontend"), tmp_path)
    assert roots_in_files(in_cell(mesh, "shared"), tmp_path) == {}
