"""The command that asks an account: it only reads, no answer stops it, and it says what to do."""

from __future__ import annotations

import datetime as dt
import io
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Never

import pytest
from rich.console import Console

from meshcert.errors import AccessDenied, AwsRefused, AwsUnavailable, IdentityMissing
from meshcert.mesh import load_mesh
from tests.meshcert.mesh.cells.yelb import FILE as CELLS
from tools import verify_aws
from tools.aws_checks import CHECKS
from tools.aws_checks.account import READS, Account, CallNotListed
from tools.aws_checks.deployment import Deployment
from tools.aws_checks.report import as_json, print_table
from tools.aws_checks.verdicts import Check, Finding, Verdict, confirmed, contradicted

if TYPE_CHECKING:
    from collections.abc import Callable

MESH = Path(__file__).resolve().parent.parent.parent / "mesh.yaml"


def _no_client(service: str) -> Never:
    raise AssertionError(service)


@pytest.fixture
def deployment() -> Deployment:
    """The demo's mesh in an account that nobody asks."""
    return Deployment(
        mesh=load_mesh(MESH),
        account=Account(_no_client),
        partition="aws",
        region="eu-west-1",
        account_id="111122223333",
        now=dt.datetime.now(dt.UTC),
    )


def _check(look: Callable[[Deployment, str], Any]) -> Check[Any]:
    return Check("water", "Water is wet", lambda _: ["lake"], look, lambda seen: confirmed(str(seen)))


def test_every_call_is_a_read_and_none_returns_a_key() -> None:
    """The list that the account is limited to holds reads by their names, and not the two that show material."""
    reading = re.compile(r"[a-z0-9-]+:(Describe|Discover|Get|List|Simulate)[A-Za-z]+")

    assert [action for action in READS if not reading.fullmatch(action)] == []
    assert READS.isdisjoint({"secretsmanager:GetSecretValue", "secretsmanager:BatchGetSecretValue"})
    assert not any("Export" in action or "GetRandomPassword" in action for action in READS)


def test_another_call_is_not_possible() -> None:
    """A call that is not listed never gets as far as a client."""
    with pytest.raises(CallNotListed, match="acm:ExportCertificate"):
        Account(_no_client).read("acm:ExportCertificate", CertificateArn="arn")


def test_the_documentation_lists_exactly_the_calls() -> None:
    """Whoever reads the command's help grants neither too little nor too much."""
    listed = {
        f"{service}:{operation}"
        for service, operations in re.findall(r"^- ([a-z0-9-]+): (.+)$", verify_aws.__doc__ or "", re.MULTILINE)
        for operation in operations.split(", ")
    }

    assert listed == READS


def test_the_same_question_is_asked_once() -> None:
    """Many checks look at one certificate; AWS's rates are low."""

    class Client:
        asked = 0

        def can_paginate(self, _operation: str) -> bool:
            return False

        def describe_certificate(self, **arguments: str) -> dict[str, Any]:
            self.asked += 1
            return arguments

    client = Client()
    account = Account(lambda _: client)

    answers = [account.read("acm:DescribeCertificate", CertificateArn=arn) for arn in ("a", "a", "b")]

    assert answers == [{"CertificateArn": "a"}, {"CertificateArn": "a"}, {"CertificateArn": "b"}]
    assert client.asked == 2


def test_every_check_has_a_name_and_an_assumption_of_its_own() -> None:
    """Programs tell the checks apart by their names, people by their sentences."""
    assert len({check.name for check in CHECKS}) == len({check.assumption for check in CHECKS}) == len(CHECKS)


@pytest.mark.parametrize(
    ("error", "verdict", "remedy"),
    [
        (AccessDenied("acm:GetCertificate", "arn", "AccessDeniedException"), Verdict.UNDECIDED, "acm:GetCertificate"),
        (
            AwsRefused("sns:GetTopicAttributes", "arn", "AuthorizationError"),
            Verdict.UNDECIDED,
            "sns:GetTopicAttributes",
        ),
        (AwsUnavailable("acm:GetCertificate", "arn", "ThrottlingException"), Verdict.UNDECIDED, "again"),
        (AwsRefused("x:Y", "z", "InvalidAction", "Unknown action"), Verdict.UNDECIDED, ""),
        (IdentityMissing("secret", "Deploy it"), Verdict.CONTRADICTED, "Deploy"),
        (AwsRefused("iam:SimulatePrincipalPolicy", "role", "NoSuchEntity"), Verdict.CONTRADICTED, "Deploy"),
        (KeyError("Status"), Verdict.UNDECIDED, "report"),
        (StopIteration(), Verdict.UNDECIDED, "report"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_no_answer_of_aws_stops_the_command(
    deployment: Deployment, error: Exception, verdict: Verdict, remedy: str
) -> None:
    """What is missing is a contradiction; what cannot be had leaves the question open, with the reason."""

    def look(_deployment: Deployment, _subject: str) -> Never:
        raise error

    (finding,) = _check(look).findings(deployment)

    assert (finding.check, finding.subject, finding.verdict) == ("water", "lake", verdict)
    assert remedy in finding.remedy
    assert finding.seen


def test_subjects_that_cannot_be_listed_are_one_open_question(deployment: Deployment) -> None:
    """For example queues, when the stack's resources may not be listed."""

    def subjects(_deployment: Deployment) -> Never:
        raise AccessDenied("cloudformation:ListStackResources", "color-identities", "AccessDenied")

    (finding,) = Check("queues", "Empty", subjects, lambda *_: 0, lambda _: confirmed("")).findings(deployment)

    assert (finding.subject, finding.verdict) == ("color", Verdict.UNDECIDED)


def _findings() -> list[Finding]:
    judgements = [("lake", confirmed("wet")), ("sea", confirmed("wet")), ("ice", contradicted("dry [0 °C]", "Melt it"))]
    return [
        Finding("water", "Water is wet", subject, each.seen, each.verdict, each.remedy) for subject, each in judgements
    ]


def test_the_table_shows_assumption_answer_verdict_and_remedy(deployment: Deployment) -> None:
    """Subjects with the same answer share a row; brackets in AWS's words are no markup."""
    text = io.StringIO()
    print_table(Console(file=text, width=160), deployment, _findings())

    for words in ("Water is wet (water)", "lake, sea", "dry [0 °C]", "│ contradicted", "Melt it"):
        assert text.getvalue().count(words) == 1, words
    assert "2 confirmed, 1 contradicted, 0 cannot tell" in text.getvalue()


def test_the_json_has_every_finding_and_the_counts(deployment: Deployment) -> None:
    """For CI, and to attach to a report."""
    document = json.loads(as_json(deployment, _findings()))

    assert (document["mesh"], document["account"], document["region"]) == ("color", "111122223333", "eu-west-1")
    assert document["verdicts"] == {"confirmed": 2, "contradicted": 1, "cannot tell": 0}
    assert document["findings"][2] == {
        "check": "water",
        "assumption": "Water is wet",
        "subject": "ice",
        "seen": "dry [0 °C]",
        "verdict": "contradicted",
        "remedy": "Melt it",
    }


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--mesh", "no-such.yaml"], "no-such.yaml"),
        (["--mesh", str(MESH)], "region"),
        (["--mesh", str(MESH), "--region", "eu-west-1"], "credentials"),
        (["--mesh", str(MESH), "--profile", "no-such"], "names no profile of yours"),
        (["--mesh", str(CELLS)], "each cell is deployed to its own account"),
        (["--mesh", str(CELLS), "--cell", "backend"], "deploy the cell that makes the cas first"),
        (["--mesh", str(MESH), "--cell", "backend"], "this mesh file has no cells"),
    ],
    ids=["mesh file", "region", "credentials", "profile", "cell", "authorities", "no cells"],
)
def test_what_the_command_lacks_ends_it_with_2(
    arguments: list[str], words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A person reads what is missing; nothing has been asked of anybody."""
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "no-such-config")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "no-such-credentials")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")

    assert verify_aws.main(arguments) == 2

    assert words in capsys.readouterr().err.lower()
