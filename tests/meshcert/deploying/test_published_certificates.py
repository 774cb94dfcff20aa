"""A CA that signs for identities of AWS Private CA does not answer: what it has signed stays published."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from evidence.simulation.private_ca import AUTHORITY, InMemoryEpochs, SimulatedPrivateCa
from evidence.simulation.tables import InMemoryRoutes
from meshcert.aws.private_ca import PrivateCa
from meshcert.contract.staging_labels import QUARANTINED
from meshcert.deploying.custom_resource import IDENTITY_TYPE, answer
from meshcert.deploying.deployment import Deployment
from meshcert.errors import CertificatePending
from meshcert.identity import IssuerName
from meshcert.issuing.sources import MaterialSources
from meshcert.material import TrustBundle, certificate_version, join_certificates
from meshcert.material.document import write_trust_bundle
from meshcert.publishing.declared_bundles import DeclaredBundle
from meshcert.publishing.declared_roots import DeclaredRoots, roots_entry
from meshcert.publishing.publication import version_labelled
from meshcert.san import Dns
from tests.local.aws.hierarchies import eventually, root
from tests.local.aws.shared_authorities import OTHER, share
from tests.meshcert.issuing.issuing_world import LIFE, NAMES, OF_ACM, SECRET, TERMS, IssuingWorld
from tests.meshcert.publishing.fakes import (
    UNANSWERED,
    InMemoryAuthorities,
    InMemoryCertificates,
    InMemoryListBuckets,
    InMemoryMarks,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.running_aws import LocalAws
    from meshcert.errors import MeshcertError
    from meshcert.issuing.certificate_request import CertificateRequest

SHARED = AUTHORITY.replace("111122223333", "999988887777")
NEXT = SHARED.replace("11111111", "22222222")
MORE_NAMES = (*NAMES, Dns("front.svc.local"))


class Cas:
    """The CAs of another account, each a root, of which some do not answer."""

    def __init__(self, *arns: str, world: IssuingWorld) -> None:
        self.of = {arn: SimulatedPrivateCa(world.clock) for arn in arns}
        self.silent: dict[str, Callable[[str, str], MeshcertError]] = {}

    def issue(self, request: CertificateRequest) -> str:
        """IssueCertificate."""
        return self._answering(request.authority_arn, "IssueCertificate").issue(request)

    def leaf(self, certificate_arn: str) -> tuple[str, str]:
        """GetCertificate."""
        return self._answering(certificate_arn.partition("/certificate/")[0], "GetCertificate").leaf(certificate_arn)

    def chain(self, certificate_authority_arn: str) -> tuple[str, ...]:
        """GetCertificateAuthorityCertificate."""
        return (self.root(certificate_authority_arn),)

    def root(self, certificate_authority_arn: str) -> str:
        """The same."""
        return self._answering(certificate_authority_arn, "GetCertificateAuthorityCertificate").root_pem

    certificate = root

    def _answering(self, arn: str, operation: str) -> SimulatedPrivateCa:
        if arn in self.silent:
            raise self.silent[arn](f"acm-pca:{operation}", arn)
        return self.of[arn]


class Mesh(IssuingWorld):
    """
    A mesh whose CAs another account shares, their roots published, and the deploy function over it.

    Args:
        cas: Private CA; one in memory if it is left out.
        arns: The CAs.
    """

    def __init__(self, cas: Any = None, arns: tuple[str, ...] = (SHARED, NEXT)) -> None:
        super().__init__(authority=object())
        self.authority = self.cas = cas or Cas(*arns, world=self)
        self._arns, roots = arns, {arn: self.cas.root(arn) for arn in arns}
        self.vault.seed("meshcert/color/trust/front")
        bundle = TrustBundle(join_certificates(roots.values()))
        self.vault.put_pending("meshcert/color/trust/front", bundle.version_id, write_trust_bundle(bundle))
        self.vault.secrets["meshcert/color/trust/front"].holders["AWSCURRENT"] = bundle.version_id
        self._roots = DeclaredRoots(" ".join(roots_entry(arn, pem) for arn, pem in roots.items()))
        self._bundles = {"front": DeclaredBundle(frozenset(arn.rpartition("/")[2] for arn in roots), frozenset())}
        self.acm = InMemoryCertificates()

    def ask(self, arn: str, names: Any = NAMES, *, life: dt.timedelta = LIFE, jobs: Any = ()) -> dict[str, Any]:
        """CloudFormation deploys the identity with these terms."""
        self.declarations.declared["front"] = replace(TERMS, authority_arn=arn, names=names, life=life)
        properties = {
            "Mesh": "color",
            "Identity": "front",
            "Issuer": "acm-pca",
            "SecretId": SECRET,
            "RootCertificateAuthorityArn": arn,
            "CertificateAuthorityArns": [arn],
            "ExistingAuthority": "true",
            "Names": [str(name) for name in names],
            "PeerNames": [],
            "TrustedByPeers": list(self._arns),
            "Services": [],
            "Jobs": list(jobs),
        }
        event = {
            "RequestType": "Update",
            "ResourceType": IDENTITY_TYPE,
            "StackId": "stack",
            "RequestId": "1",
            "LogicalResourceId": "Front",
            "PhysicalResourceId": "front",
            "ResourceProperties": properties,
            "OldResourceProperties": properties,
        }
        return answer(event, self._deployment, "log")

    def _deployment(self) -> Deployment:
        sources = self.sources()
        return Deployment(
            mesh="color",
            sources=replace(sources, certificates=MaterialSources(self.acm, sources.certificates)),
            table=self.table,
            marks=InMemoryMarks(),
            routes=InMemoryRoutes(),
            bundles=self._bundles,
            issuing=self.issuing(),
            authorities=InMemoryAuthorities(),
            lists=InMemoryListBuckets(),
            values=self.vault,
            labelled_values=self.vault,
            roots=self._roots,
        )


@pytest.fixture
def mesh() -> Mesh:
    """A deployed one, whose identity has a certificate of the first CA."""
    mesh = Mesh()
    answered = mesh.ask(SHARED)
    assert (answered["Status"], "Reason" in answered) == ("SUCCESS", False), answered
    return mesh


@pytest.mark.parametrize("why", UNANSWERED)
def test_an_update_that_needs_no_signature_keeps_what_is_published_and_says_who_did_not_answer(
    mesh: Mesh, why: str
) -> None:
    """At once, and the row has what the deploy declares."""
    published, certificate, since = mesh.published, mesh.row.certificate_arn, mesh.clock.now()
    mesh.cas.silent[SHARED] = UNANSWERED[why]

    answered = mesh.ask(SHARED, jobs=["nightly"])

    assert answered["Status"] == "SUCCESS", answered
    assert SHARED in answered["Reason"]
    assert (mesh.published, mesh.row.certificate_arn, mesh.clock.now()) == (published, certificate, since)
    assert mesh.row.jobs == ("nightly",)


@pytest.mark.parametrize("why", UNANSWERED)
@pytest.mark.parametrize(("arn", "names"), [(SHARED, MORE_NAMES), (NEXT, NAMES)], ids=["another name", "another ca"])
def test_the_way_back_leads_to_the_certificate_of_before_when_its_ca_does_not_answer(
    mesh: Mesh, arn: str, names: Any, why: str
) -> None:
    """What is left is labelled, for running tasks take an older certificate in no other place."""
    before = mesh.published
    assert mesh.ask(arn, names)["Status"] == "SUCCESS"
    left = mesh.published
    mesh.cas.silent[SHARED] = UNANSWERED[why]

    answers = [mesh.ask(SHARED) for _ in range(2)]

    assert [each["Status"] for each in answers] == ["SUCCESS"] * 2, answers
    assert (mesh.published, mesh.row.names) == (before, NAMES)
    assert version_labelled(mesh.vault.labels(SECRET), QUARANTINED) == left


@pytest.mark.parametrize(("arn", "names"), [(SHARED, MORE_NAMES), (NEXT, NAMES)], ids=["another name", "another ca"])
def test_after_such_a_way_back_the_ca_that_answers_again_signs_the_next_certificate(
    mesh: Mesh, arn: str, names: Any
) -> None:
    """By a look of the lifecycle, without another deploy; and the next deploy finds it."""
    mesh.ask(arn, names)
    mesh.cas.silent[SHARED] = UNANSWERED["its share has ended"]
    mesh.ask(SHARED)
    mesh.cas.silent.clear()
    mesh.pass_time(dt.timedelta(minutes=1))

    mesh.replace(mesh.row.certificate_arn)
    issued = mesh.row.certificate_arn
    answered = mesh.ask(SHARED)

    assert issued.startswith(f"{SHARED}/")
    assert mesh.published == certificate_version(mesh.cas.leaf(issued)[0])
    assert (answered["Status"], "Reason" in answered, mesh.row.certificate_arn) == ("SUCCESS", False, issued)


def test_the_way_back_from_acm_leads_to_the_certificate_of_before(mesh: Mesh) -> None:
    """The identity had changed its issuer; the row names ACM's certificate then."""
    before, row = mesh.published, mesh.row
    mesh.have_it_of_acm()
    mesh.table.rows["front"] = replace(row, certificate_arn=OF_ACM, names=NAMES[:1], issuer=IssuerName.ACM)
    mesh.cas.silent[SHARED] = UNANSWERED["its share has ended"]

    answered = mesh.ask(SHARED)

    assert answered["Status"] == "SUCCESS", answered
    assert (mesh.published, mesh.row) == (before, replace(row, issued_by_deploy=mesh.row.issued_by_deploy))


def test_what_needs_a_signature_is_refused_with_the_remedy_and_its_way_back_succeeds(mesh: Mesh) -> None:
    """Nothing is published."""
    published = mesh.published
    mesh.cas.silent[SHARED] = UNANSWERED["its share has ended"]

    forwards, back = mesh.ask(SHARED, MORE_NAMES), mesh.ask(SHARED)

    assert (forwards["Status"], back["Status"]) == ("FAILED", "SUCCESS"), (forwards, back)
    assert "account 999988887777 does not share the CA with account 111122223333" in forwards["Reason"]
    assert mesh.published == published


def test_a_beginning_with_a_ca_that_does_not_answer_is_refused_with_the_remedy(mesh: Mesh) -> None:
    """The certificate of another CA does not stand for one of its own, though it leads to a root that peers trust."""
    published = mesh.published
    mesh.cas.silent[NEXT] = UNANSWERED["its share has ended"]

    forwards, back = mesh.ask(NEXT), mesh.ask(SHARED)

    assert (forwards["Status"], back["Status"]) == ("FAILED", "SUCCESS"), (forwards, back)
    assert "Have 999988887777 share it by AWS RAM" in forwards["Reason"]
    assert mesh.published == published


def test_an_identity_leaves_a_ca_that_does_not_answer_for_one_that_does(mesh: Mesh) -> None:
    """The ended share is why it leaves."""
    mesh.cas.silent[SHARED] = UNANSWERED["its share has ended"]

    answered = mesh.ask(NEXT)

    assert (answered["Status"], "Reason" in answered) == ("SUCCESS", False), answered
    assert mesh.row.certificate_arn.startswith(f"{NEXT}/")
    assert mesh.published == certificate_version(mesh.cas.leaf(mesh.row.certificate_arn)[0])


def test_a_budget_that_deploys_have_spent_keeps_none_from_going_back(mesh: Mesh) -> None:
    """Each attempt takes one certificate forwards and one back, as long as the CA answers."""
    answers = [mesh.ask(SHARED, names) for _ in range(5) for names in (MORE_NAMES, NAMES)]

    assert [each["Status"] for each in answers[1::2]] == ["SUCCESS"] * 5, answers
    assert "its budget" in answers[-1]["Reason"]
    assert answers[-2]["Status"] == "FAILED"


def test_what_has_ended_is_not_kept(mesh: Mesh) -> None:
    """A deploy that succeeds says that there is a certificate to serve."""
    mesh.cas.silent[SHARED] = UNANSWERED["its share has ended"]
    mesh.pass_time(2 * LIFE)

    assert mesh.ask(SHARED)["Status"] == "FAILED"


def test_a_certificate_that_nobody_asked_for_here_stands_for_none(mesh: Mesh) -> None:
    """What a secret holds is believed only if its request was this identity's."""
    mesh.epochs = InMemoryEpochs()
    mesh.cas.silent[SHARED] = UNANSWERED["its share has ended"]

    assert mesh.ask(SHARED)["Status"] == "FAILED"


def test_a_certificate_on_its_way_stays_the_latest(mesh: Mesh) -> None:
    """A renewal has asked for it and not published it yet: its key is still needed."""
    first = mesh.row.certificate_arn
    mesh.cas.of[SHARED].pending_looks = 1
    mesh.pass_time(LIFE / 2)
    with pytest.raises(CertificatePending):
        mesh.replace(first)
    asked = mesh.row.certificate_arn
    mesh.cas.silent[SHARED] = UNANSWERED["it is throttled, or out"]

    answered = mesh.ask(SHARED)

    assert (answered["Status"], mesh.row.certificate_arn) == ("SUCCESS", asked)
    assert mesh.issuing().has_request("front", asked)


def test_a_share_that_ends_in_aws_stops_what_needs_a_signature_and_nothing_else(fresh_aws: LocalAws) -> None:
    """Another account's CA as the local AWS knows it, with its own words for a denial."""
    arns = tuple(root(fresh_aws.client("acm-pca"), name) for name in ("first", "next"))
    shares = [share(fresh_aws, [arn]) for arn in arns]
    mesh = Mesh(PrivateCa(fresh_aws.client("acm-pca", account=OTHER)), arns)
    eventually(lambda: mesh.ask(arns[0])["Status"] == "SUCCESS", "the first CA's certificate")
    before = mesh.published
    eventually(lambda: mesh.ask(arns[1])["Status"] == "SUCCESS", "the next one's")
    fresh_aws.client("ram").delete_resource_share(resourceShareArn=shares[0])

    back, again, refused = mesh.ask(arns[0]), mesh.ask(arns[0], jobs=["nightly"]), mesh.ask(arns[0], MORE_NAMES)

    assert [each["Status"] for each in (back, again, refused)] == ["SUCCESS", "SUCCESS", "FAILED"], (back, refused)
    assert all(arns[0] in each["Reason"] for each in (back, again))
    assert "no resource-based policy allows" in refused["Reason"]
    assert mesh.published == before
