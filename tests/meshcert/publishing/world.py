"""One mesh in memory, as a deploy leaves it before the export function has ever run."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Any

from evidence.fixtures.pki import Hierarchy
from evidence.simulation.tables import InMemoryIdentities, InMemoryRoutes
from evidence.simulation.vault import InMemoryVault
from meshcert.contract.staging_labels import CURRENT, QUARANTINED
from meshcert.deploying.custom_resource import IDENTITY_TYPE, TRUST_BUNDLE_TYPE, answer
from meshcert.deploying.deployment import Deployment
from meshcert.identity import Identity
from meshcert.material.document import read_material
from meshcert.publishing.declared_bundles import DeclaredBundle
from meshcert.publishing.declared_roots import DeclaredRoots
from meshcert.publishing.export import Sources, export_issued
from meshcert.publishing.preflight import Expectation, verify_material
from meshcert.publishing.publication import version_labelled
from meshcert.publishing.trust_bundles import TrustBundleRequest
from meshcert.san import Dns
from tests.meshcert.publishing.fakes import (
    CrashAfter,
    FakeClock,
    InMemoryAuthorities,
    InMemoryCertificates,
    InMemoryListBuckets,
    InMemoryMarks,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshcert.material import Material

NAME = "colorteller.mtls.svc.cluster.local"
CERTIFICATE = "arn:aws:acm:eu-west-1:111122223333:certificate/teller"
ROOT = "arn:aws:acm-pca:eu-west-1:111122223333:certificate-authority/teller-root"
ISSUING = "arn:aws:acm-pca:eu-west-1:111122223333:certificate-authority/teller-issuing"
SECRET = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:meshcert/color/identity/colorteller-AbCdEf"
BUNDLE = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:meshcert/color/trust/colorteller-AbCdEf"
STACK = "arn:aws:cloudformation:eu-west-1:111122223333:stack/color-identities/1"

TELLER = Identity("colorteller", CERTIFICATE, SECRET, ROOT, (Dns(NAME),), ((Dns(NAME),),))
TRUST_ORDER = TrustBundleRequest("colorteller", BUNDLE, (ROOT,))

IDENTITY = {
    "ServiceToken": "arn:function",
    "Mesh": "color",
    "Identity": "colorteller",
    "CertificateArn": CERTIFICATE,
    "SecretId": SECRET,
    "RootCertificateAuthorityArn": ROOT,
    "Names": [NAME],
    "PeerNames": [NAME],
    "CertificateAuthorityArns": [ISSUING, ROOT],
    "Services": [{"Name": "colorteller", "Rotation": "reload", "PollIntervalS": "60"}],
}
TRUST = {"Mesh": "color", "Hierarchy": "colorteller", "SecretId": BUNDLE, "RootCertificateAuthorityArn": ROOT}


def declared(*roots: str, listed: Sequence[str] = ()) -> DeclaredBundle:
    """A trust bundle of these CAs, as the stacks declare it."""
    ids = (frozenset(arn.rpartition("/")[2] for arn in arns) for arns in (roots, listed))
    return DeclaredBundle(*ids)


class World:
    """One hierarchy of two tiers, one issued certificate, two seeded secrets, and a CloudFormation that asks."""

    def __init__(self) -> None:
        self.certificates = InMemoryCertificates()
        self.authorities = InMemoryAuthorities()
        self.vault = InMemoryVault()
        self.identities = InMemoryIdentities()
        self.marks = InMemoryMarks()
        self.list_buckets = InMemoryListBuckets()
        self.routes = InMemoryRoutes()
        self.clock = FakeClock()
        self.hierarchy = Hierarchy(tiers=2)
        self.authorities.hierarchies[ROOT] = self.hierarchy
        self.bundles = {"colorteller": declared(ROOT)}
        self.vault.seed(SECRET)
        self.vault.seed(BUNDLE)
        # The same secret by its name.
        self.vault.secrets["meshcert/color/trust/colorteller"] = self.vault.secrets[BUNDLE]
        self.roots = DeclaredRoots()
        self.issue()

    @property
    def sources(self) -> Sources:
        """The ports of :mod:`meshcert.publishing.export`."""
        return Sources(self.certificates, self.authorities, self.vault, self.clock)

    def crashing(self, crash: CrashAfter) -> Sources:
        """The same ports, reached by a function that will not live long."""
        return Sources(
            certificates=crash.around(self.certificates),
            authorities=crash.around(self.authorities),
            vault=crash.around(self.vault),
            clock=self.clock,
        )

    def deployment(self) -> Deployment:
        """What the deploy function is built with."""
        nobody: Any = None
        return Deployment(
            "color",
            self.sources,
            self.identities,
            self.marks,
            self.routes,
            self.bundles,
            nobody,
            self.authorities,
            self.list_buckets,
            self.vault,
            self.vault,
            roots=self.roots,
        )

    def issue(
        self, certificate_arn: str = CERTIFICATE, names: Sequence[str] = (NAME,), *, pending_looks: int = 0
    ) -> Material:
        """ACM issues, or renews: a new certificate and key under an ARN."""
        material = self.hierarchy.issue(names)
        self.certificates.issue(certificate_arn, material, pending_looks=pending_looks)
        return material

    def roll_back(self) -> tuple[str, str]:
        """A good version that is current, and a bad one that is quarantined and that ACM holds: their ids."""
        good, bad = (
            export_issued(TELLER, self.issue().version_id, self.sources, self.vault).version_id for _ in range(2)
        )
        self.vault.move_label(SECRET, QUARANTINED, to=bad, away_from=None)
        self.vault.move_label(SECRET, CURRENT, to=good, away_from=bad)
        return good, bad

    def current(self, secret_id: str = SECRET) -> str | None:
        """The current version of a secret."""
        return version_labelled(self.vault.labels(secret_id), CURRENT)

    def served(self) -> Material:
        """What a proxy would fetch, checked as a proxy would."""
        material = read_material(self.vault.current_value(SECRET).value, SECRET)
        expected = Expectation("colorteller", (Dns(NAME),), (), self.hierarchy.root_pem, dt.datetime.now(dt.UTC))
        return verify_material(material, expected)

    def deploy_bundle(self, request_type: str, properties: dict[str, Any], **fields: Any) -> dict[str, Any]:
        """A deploy of a trust bundle: the stacks declare its CAs, then CloudFormation asks."""
        roots = properties["RootCertificateAuthorityArn"]
        listed = [each["CertificateAuthorityArn"] for each in properties.get("RevocationLists", [])]
        roots = roots if isinstance(roots, list) else [roots]
        self.bundles[properties["Hierarchy"]] = declared(*roots, listed=listed)
        return self.ask(request_type, properties, **fields)

    def ask(self, request_type: str, properties: dict[str, Any], **fields: Any) -> dict[str, Any]:
        """A request of CloudFormation's, answered as it demands."""
        event = {
            "RequestType": request_type,
            "ResourceType": IDENTITY_TYPE if "Identity" in properties else TRUST_BUNDLE_TYPE,
            "ResponseURL": "https://example.com/?signature=credential",
            "StackId": STACK,
            "RequestId": "request-1",
            "LogicalResourceId": "IdentityColortellerPublished",
            "ResourceProperties": properties,
        } | fields
        answered = answer(event, self.deployment, "log stream X, request Y")
        assert len(json.dumps(answered)) <= 4096
        assert (answered["StackId"], answered["RequestId"]) == (STACK, "request-1")
        assert answered["LogicalResourceId"] == event["LogicalResourceId"]
        assert answered["PhysicalResourceId"]
        return answered


def never(*_: Any) -> Any:
    """A call that must not be made."""
    raise AssertionError("this call is not to be made")
