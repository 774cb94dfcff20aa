"""Judgements of what Private CA issues to meshcert itself, by table; and whom AWS is asked about whom."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from evidence.fixtures.pki import Hierarchy, key_usage
from meshcert.mesh import read_mesh
from meshcert.mesh.cells.slices import in_cell
from meshcert.san import Uri
from tests.meshcert.mesh.cells.yelb import BACKEND, DEPLOYED
from tests.meshcert.mesh.cells.yelb import mesh as over_accounts
from tests.meshcert.mesh.mesh_slips import changed
from tests.tools.judgements import NO, OPEN, YES, assert_judged
from tools.aws_checks import authorities, issuances, rights
from tools.aws_checks.account import Account
from tools.aws_checks.certificates import LeafSeen
from tools.aws_checks.deployment import Deployment
from tools.aws_checks.issuances import LifeSeen

if TYPE_CHECKING:
    from meshcert.mesh import Mesh
    from tools.aws_checks.verdicts import Verdict

NAME = "spiffe://color.example/teller"
NOW = dt.datetime.now(dt.UTC).replace(microsecond=0)
HOUR, MINUTE = dt.timedelta(hours=1), dt.timedelta(minutes=1)
LEAF = x509.BasicConstraints(ca=False, path_length=None)
BOTH = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
SERVER = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
CA = "arn:aws:acm-pca:eu-west-1:111122223333:certificate-authority/one"
DESCRIBED_CA = {"Arn": CA, "CertificateAuthorityConfiguration": {"Subject": {"CommonName": "colorgateway root CA"}}}
STACK_CA = {
    "LogicalResourceId": "Root",
    "PhysicalResourceId": CA,
    "ResourceType": "AWS::ACMPCA::CertificateAuthority",
}
USAGE = key_usage(signs=False, enciphers=True)


def _seen(hierarchy: Hierarchy, *, published: bool = True, **more: Any) -> LeafSeen:
    return LeafSeen(hierarchy.issue([NAME], **more).certificate, {}, (Uri(NAME),), published)


@pytest.mark.parametrize(
    ("usages", "verdict", "word"),
    [
        ([LEAF, USAGE, BOTH], YES, "clientAuth, serverAuth"),
        ([x509.BasicConstraints(ca=True, path_length=0), USAGE, BOTH], NO, "a CA"),
        ([USAGE, BOTH], NO, "a CA"),
        ([LEAF, BOTH], NO, "digital signatures"),
        ([LEAF, key_usage(signs=True), BOTH], NO, "may sign"),
        ([LEAF, USAGE, SERVER], NO, "both"),
        ([LEAF, USAGE], NO, "no extended key usage"),
    ],
    ids=["as the template says", "ca", "no constraints", "no usage", "signs", "server alone", "no purposes"],
)
def test_a_leaf_has_the_extensions_of_its_template(
    hierarchy: Hierarchy, usages: list[x509.ExtensionType], verdict: Verdict, word: str
) -> None:
    """What an X509-SVID must have and must not have."""
    assert_judged(issuances.judge_extensions(_seen(hierarchy, usages=usages)), verdict, word)


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        (5 * MINUTE, 24 * HOUR, YES),
        (HOUR, 24 * HOUR, YES),
        (2 * HOUR, 24 * HOUR, NO),
        (5 * MINUTE, 23 * HOUR, NO),
        (5 * MINUTE, 25 * HOUR, NO),
    ],
    ids=str,
)
def test_a_life_is_what_was_declared(
    hierarchy: Hierarchy, before: dt.timedelta, after: dt.timedelta, verdict: Verdict
) -> None:
    """From its issue on; the part before is an hour at most. Of one that is not in use, nothing follows."""
    dates: dict[str, Any] = {"not_before": NOW - before, "not_after": NOW + after}
    judge = issuances.judge_life

    assert_judged(judge(LifeSeen(_seen(hierarchy, **dates), 24 * HOUR)), verdict, "24 h are declared")
    unused = _seen(hierarchy, published=False, **dates)
    assert_judged(judge(LifeSeen(unused, 24 * HOUR)), OPEN if verdict is NO else verdict)


@pytest.mark.parametrize(
    ("points", "verdict", "word"),
    [
        ([], OPEN, "nothing"),
        ([(800, 1200, 3)], YES, "3 certificates took 0.8 s on average, 1.2 s at most"),
        ([(800, 1200, 3), (2000, 5000, 1)], YES, "4 certificates took 1.1 s on average, 5.0 s at most"),
        ([(800, 61_000, 3)], NO, "61.0 s"),
    ],
    ids=["none", "a day", "two days", "slow"],
)
def test_how_long_issuing_takes_is_told(points: list[tuple[float, float, int]], verdict: Verdict, word: str) -> None:
    """Private CA counts it, in milliseconds a day."""
    answer = [{"Average": mean, "Maximum": most, "SampleCount": n} for mean, most, n in points]

    assert_judged(issuances.judge_time(answer), verdict, word)


class _Client:
    """AWS as far as these questions go: prepared answers, and what was asked."""

    def __init__(self, service: str, answers: dict[str, Any], asked: list[Any]) -> None:
        self._service, self._answers, self._asked = service, answers, asked

    def can_paginate(self, _method: str) -> bool:
        """Nothing here comes in pages."""
        return False

    def __getattr__(self, method: str) -> Any:
        def call(**arguments: Any) -> Any:
            self._asked.append((self._service, method, arguments))
            return self._answers[method]

        return call


@pytest.mark.parametrize("issuer", ["acm", "acm-pca"])
def test_a_certificate_is_asked_for_where_it_was_issued(hierarchy: Hierarchy, issuer: str) -> None:
    """By the ARN in the identity's row; Private CA wants its CA's ARN as well, with which the certificate's begins."""
    arn = f"{CA}/certificate/2f" if issuer == "acm-pca" else "arn:aws:acm:eu-west-1:111122223333:certificate/one"
    answer = {"Certificate": hierarchy.issue([NAME]).certificate}
    answers = {"get_item": {"Item": {"certificate_arn": {"S": arn}}}, "get_certificate": answer}
    asked: list[Any] = []
    account = Account(lambda service: _Client(service, answers, asked))
    mesh = mesh_with(("identities.colorgateway.issuer", issuer))
    deployment = Deployment(mesh, account, "aws", "eu-west-1", "111122223333", NOW)

    issued = deployment.issued("colorgateway")

    call = {"CertificateAuthorityArn": CA} if issuer == "acm-pca" else {}
    assert (issued, asked[-1]) == (answer, (issuer, "get_certificate", {**call, "CertificateArn": arn}))
    assert "colorgateway" in deployment.identities(issuer)


def test_how_long_issuing_takes_is_asked_of_the_ca_that_signs() -> None:
    """Two weeks by the day; hierarchies that ACM alone uses are not asked about."""
    asked: list[Any] = []
    answers = {
        "list_stack_resources": {"StackResourceSummaries": [STACK_CA]},
        "describe_certificate_authority": {"CertificateAuthority": DESCRIBED_CA},
        "get_metric_statistics": {"Datapoints": [{"Average": 800.0, "Maximum": 1200.0, "SampleCount": 3.0}]},
    }
    account = Account(lambda service: _Client(service, answers, asked))
    mesh = mesh_with(("identities.colorgateway.issuer", "acm-pca"))
    deployment = Deployment(mesh, account, "aws", "eu-west-1", "111122223333", NOW)
    (check,) = [each for each in issuances.CHECKS if each.name == "issuing-time"]

    (finding,) = check.findings(deployment)

    assert (finding.subject, finding.verdict) == ("colorgateway", YES)
    dimensions = [{"Name": "PrivateCAArn", "Value": CA}]
    assert asked[-1][2] == {
        "Namespace": "AWS/ACMPrivateCA",
        "MetricName": "Time",
        "Dimensions": dimensions,
        "StartTime": NOW - dt.timedelta(days=14),
        "EndTime": NOW,
        "Period": 86_400,
        "Statistics": ["Average", "Maximum", "SampleCount"],
    }


@pytest.mark.parametrize(("issuer", "verdict"), [("acm", NO), ("acm-pca", YES)])
def test_a_ca_has_to_outlive_what_it_signs_and_no_more(issuer: str, verdict: Verdict) -> None:
    """ACM's thirteen months, or the longest of the lives that the mesh file declares: here seven days."""
    described = {**DESCRIBED_CA, "NotAfter": NOW + dt.timedelta(days=30)}
    answers = {
        "list_stack_resources": {"StackResourceSummaries": [STACK_CA]},
        "describe_certificate_authority": {"CertificateAuthority": described},
    }
    mesh = mesh_with(("identities.colorgateway.issuer", issuer))
    account = Account(lambda service: _Client(service, answers, []))
    deployment = Deployment(mesh, account, "aws", "eu-west-1", "111122223333", NOW)
    (check,) = [each for each in authorities.CHECKS if each.name == "ca-life"]

    (finding,) = [each for each in check.findings(deployment) if each.subject == "colorgateway"]

    assert finding.verdict == verdict


def test_the_export_role_may_issue_by_tag_and_template_both() -> None:
    """Of a mesh with both issuers: what each needs is asked for of this mesh, of another, and of nobody's."""
    asked: list[Any] = []
    answers = {
        "list_stack_resources": {"StackResourceSummaries": [STACK_CA]},
        "describe_certificate_authority": {"CertificateAuthority": DESCRIBED_CA},
        "get_item": {"Item": {"certificate_arn": {"S": "arn:aws:acm:eu-west-1:111122223333:certificate/one"}}},
        "simulate_principal_policy": {"EvaluationResults": [{"EvalDecision": "implicitDeny"}]},
        "simulate_custom_policy": {"EvaluationResults": [{"EvalDecision": "allowed"}]},
    }
    account = Account(lambda service: _Client(service, answers, asked))
    mesh = mesh_with(("identities.colorgateway.issuer", "acm-pca"))
    deployment = Deployment(mesh, account, "aws", "eu-west-1", "111122223333", NOW)
    (check,) = [each for each in rights.CHECKS if each.name == "rights-tagged"]

    (finding,) = check.findings(deployment)

    seen = check.look(deployment, finding.subject)
    leaf = {"acm-pca:TemplateArn": "arn:aws:acm-pca:::template/EndEntityCertificate/V1"}
    own, foreign = ({"aws:ResourceTag/meshcert:mesh": mesh} for mesh in (deployment.name, "another-mesh"))
    issuing = [each.case for each in seen.decisions if each.case.action == "acm-pca:IssueCertificate"]
    assert [(dict(case.context), case.allowed) for case in issuing[:3]] == [
        (leaf | own, True),
        (leaf, False),
        (leaf | foreign, False),
    ]
    assert (issuing[3].context["acm-pca:TemplateArn"].split("/")[1], issuing[3].allowed) == (
        "SubordinateCACertificate_PathLen0",
        False,
    )
    actions = {each.case.action for each in seen.decisions}
    assert actions == {
        "acm:ExportCertificate",
        "acm-pca:GetCertificate",
        "acm-pca:GetCertificateAuthorityCertificate",
        "acm-pca:IssueCertificate",
    }
    assert finding.verdict == NO


def mesh_with(*changes: tuple[str, object]) -> Mesh:
    """The Color app's mesh with changes."""
    mesh = read_mesh(changed(*changes)).mesh
    assert mesh is not None
    return mesh


def test_cas_of_another_account_are_not_asked_about_by_tag() -> None:
    """The rights on them name the CA itself: the mesh's tag is the certificate's alone there."""
    answers = {
        "get_item": {"Item": {"certificate_arn": {"S": "arn:aws:acm:eu-west-1:333344445555:certificate/one"}}},
        "simulate_principal_policy": {"EvaluationResults": [{"EvalDecision": "implicitDeny"}]},
        "simulate_custom_policy": {"EvaluationResults": [{"EvalDecision": "allowed"}]},
    }
    account = Account(lambda service: _Client(service, answers, []))
    part = in_cell(over_accounts(*DEPLOYED), "backend")
    deployment = Deployment(part, account, "aws", "eu-west-1", BACKEND, NOW, cell="backend")
    (check,) = [each for each in rights.CHECKS if each.name == "rights-tagged"]

    (finding,) = check.findings(deployment)

    seen = check.look(deployment, finding.subject)
    assert {each.case.action for each in seen.decisions} == {"acm:ExportCertificate"}
    assert deployment.stack("pki") == "yelb-backend-pki"


@pytest.mark.parametrize("of_another_account", [True, False])
def test_trust_bundles_are_read_where_they_hold_a_root_of_yours(of_another_account: bool) -> None:  # noqa: FBT001
    """A deploy compares what is published with the file; roots of the mesh's own CAs it asks them for."""
    answers = {
        "describe_secret": {"ARN": "arn:aws:secretsmanager:eu-west-1:333344445555:secret:one-AbCdEf"},
        "simulate_principal_policy": {"EvaluationResults": [{"EvalDecision": "implicitDeny"}]},
        "simulate_custom_policy": {"EvaluationResults": [{"EvalDecision": "allowed"}]},
    }
    account = Account(lambda service: _Client(service, answers, []))
    mesh = in_cell(over_accounts(*DEPLOYED), "backend") if of_another_account else mesh_with()
    deployment = Deployment(mesh, account, "aws", "eu-west-1", BACKEND, NOW)
    (check,) = [each for each in rights.CHECKS if each.name == "rights-export"]

    cases = [each.case for each in check.look(deployment, "export").decisions]

    (bundle,) = [case for case in cases if case.circumstances == "of a trust bundle"]
    assert bundle.allowed is of_another_account
