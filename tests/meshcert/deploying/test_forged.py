"""
Forged requests, from somebody who may invoke ``deploy``: nothing is exported, nothing is published, no row is written.

IAM cannot say that only CloudFormation may invoke a function, so what a request names is not believed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from evidence.fixtures.pki import Hierarchy
from meshcert.errors import CertificateNotOwned
from meshcert.publishing.export import export_identity, export_issued
from tests.meshcert.publishing.world import (
    BUNDLE,
    CERTIFICATE,
    IDENTITY,
    NAME,
    ROOT,
    SECRET,
    TELLER,
    TRUST,
    declared,
)

if TYPE_CHECKING:
    from tests.meshcert.publishing.world import World

INTRUDERS = SECRET.replace("colorteller", "intruder")
INTRUDERS_CERTIFICATE = CERTIFICATE.replace("teller", "intruder")
OTHER_ROOT = ROOT.replace("teller", "gateway")
BUCKET = "meshcert-color-crl-111122223333-eu-west-1"
FORGED_IDENTITIES = {
    "another identity's certificate into one's own secret": {"Identity": "intruder", "SecretId": INTRUDERS},
    "one's own certificate into another's secret": {"CertificateArn": INTRUDERS_CERTIFICATE},
    "one's own certificate with another's name": {"CertificateArn": INTRUDERS_CERTIFICATE, "Names": ["x.mtls.local"]},
    "another's secret": {"Identity": "intruder"},
    "a secret of another mesh": {"SecretId": SECRET.replace("color/", "other/")},
    "a secret that is not the mesh's": {"SecretId": SECRET.replace("meshcert/color/identity/", "")},
    "the trust bundle's secret": {"SecretId": BUNDLE},
    "a secret by its name": {"SecretId": "meshcert/color/identity/colorteller"},
    "a secret whose ARN is not complete": {"SecretId": SECRET.removesuffix("-AbCdEf")},
    "a secret with a name that begins the same": {"SecretId": f"{SECRET}-AbCdEf"},
    "no secret's ARN": {"SecretId": SECRET.replace("secretsmanager", "ssm")},
    "a path in the identity's name": {"Identity": "intruder/../colorteller"},
    "names that the certificate lacks": {"Names": [NAME, "admin.mtls.svc.cluster.local"]},
    "names that are not all of the certificate's": {"Names": ["admin.mtls.svc.cluster.local"]},
    "another mesh": {"Mesh": "other"},
}
FORGED_BUNDLES = {
    "an identity's secret": {"SecretId": SECRET},
    "another hierarchy's secret": {"Hierarchy": "intruder"},
    "another root of the mesh": {"RootCertificateAuthorityArn": OTHER_ROOT},
    "another root beside its own": {"RootCertificateAuthorityArn": [ROOT, OTHER_ROOT]},
    "a hierarchy that nobody declares": {"Hierarchy": "spare", "SecretId": BUNDLE.replace("colorteller", "spare")},
    "the meshs own bucket, for lists that nobody declares": {
        "RevocationLists": [{"Bucket": BUCKET, "CertificateAuthorityArn": ROOT}]
    },
    "a bucket of somebody else's": {"RevocationLists": [{"Bucket": "mine", "CertificateAuthorityArn": ROOT}]},
    "a bucket of another account's": {
        "RevocationLists": [{"Bucket": BUCKET.replace("111122223333", "999999999999"), "CertificateAuthorityArn": ROOT}]
    },
    "one bucket of two": {
        "RevocationLists": [
            {"Bucket": BUCKET, "CertificateAuthorityArn": ROOT},
            {"Bucket": f"{BUCKET}x", "CertificateAuthorityArn": ROOT},
        ]
    },
}
REASONS = {
    "another identity's certificate into one's own secret": "was requested for identity colorteller",
    "one's own certificate into another's secret": "was requested for identity intruder",
    "one's own certificate with another's name": "was requested for identity intruder",
    "names that the certificate lacks": "certificate names",
    "names that are not all of the certificate's": "certificate names",
    "another mesh": "Mesh: it is other",
    "another root of the mesh": "Hierarchy: the CAs",
    "another root beside its own": "Hierarchy: the CAs",
    "a hierarchy that nobody declares": "Hierarchy: the CAs",
    "the meshs own bucket, for lists that nobody declares": "Hierarchy: the CAs",
    "a bucket of somebody else's": "RevocationLists: mine is not the mesh's own bucket",
    "a bucket of another account's": "RevocationLists: meshcert-color-crl-999999999999",
    "one bucket of two": f"RevocationLists: {BUCKET}x is not",
}
"""What is wrong; where nothing is said, the secret."""


@pytest.fixture
def lurking(world: World) -> World:
    """The mesh, with an identity of the intruder's in it: a secret, and a certificate that it may use."""
    world.vault.seed(INTRUDERS)
    world.issue(INTRUDERS_CERTIFICATE, ["x.mtls.local"])
    world.certificates.owners[INTRUDERS_CERTIFICATE] = "intruder"
    world.authorities.hierarchies[OTHER_ROOT] = Hierarchy(tiers=1)
    world.vault.seed(BUNDLE.replace("colorteller", "spare"))
    return world


@pytest.mark.parametrize("kind", ["Create", "Update"])
@pytest.mark.parametrize("name", [*FORGED_IDENTITIES, *FORGED_BUNDLES])
def test_a_forged_request_changes_nothing(lurking: World, kind: str, name: str) -> None:
    """Whatever else it says, and whoever it says it is: refused before anything is taken out or written, for that."""
    honest: dict[str, Any] = IDENTITY if name in FORGED_IDENTITIES else TRUST
    change: Any = {**FORGED_IDENTITIES, **FORGED_BUNDLES}[name]
    before = {arn: dict(secret.values) for arn, secret in lurking.vault.secrets.items()}

    answered = lurking.ask(kind, honest | change)

    assert answered["Status"] == "FAILED"
    assert REASONS.get(name, "SecretId: it is not the secret of") in answered["Reason"]
    assert {arn: dict(secret.values) for arn, secret in lurking.vault.secrets.items()} == before
    assert lurking.identities.rows == {}
    assert not any(map(lurking.certificates.is_renewable, (CERTIFICATE, INTRUDERS_CERTIFICATE)))


@pytest.mark.parametrize("owner", ["intruder", ""])
def test_a_row_that_names_another_identitys_certificate_exports_nothing(world: World, owner: str) -> None:
    """The export function reads rows; the certificate's own tag says for whom CloudFormation requested it."""
    world.certificates.owners[CERTIFICATE] = owner
    before = dict(world.vault.secrets[SECRET].values)

    with pytest.raises(CertificateNotOwned, match="requested for"):
        export_identity(TELLER, world.sources, world.vault)
    with pytest.raises(CertificateNotOwned, match="requested for"):
        export_issued(TELLER, "0" * 64, world.sources, world.vault)

    assert dict(world.vault.secrets[SECRET].values) == before
    assert not world.certificates.is_renewable(CERTIFICATE)


def test_the_meshs_own_bucket_is_believed(world: World) -> None:
    """As the stacks name it."""
    world.bundles["colorteller"] = declared(ROOT, listed=[ROOT])
    lists = [{"Bucket": BUCKET, "CertificateAuthorityArn": ROOT}]

    assert world.ask("Create", TRUST | {"RevocationLists": lists})["Status"] == "SUCCESS"


def test_declared_revocation_lists_cannot_be_left_out(world: World) -> None:
    """Else whoever was revoked would come back."""
    world.bundles["colorteller"] = declared(ROOT, listed=[ROOT])

    assert world.ask("Update", TRUST)["Status"] == "FAILED"
