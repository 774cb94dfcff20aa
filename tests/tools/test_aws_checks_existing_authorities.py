"""A CA of yours is asked about before a deploy makes anything that needs it."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from evidence.fixtures.account_at_home import make_issuing_ca, permit_acm
from meshcert.issuing.existing_authority import ACM_ACTIONS, SeenAuthority, WantedAuthority
from tests.meshcert.mesh.mesh_slips import changed
from tests.tools.judgements import NO, OPEN, YES, assert_judged
from tools import first_deploy
from tools.aws_checks.existing_authorities import AuthoritySeen, judge_authority

if TYPE_CHECKING:
    from pathlib import Path

    from local.running_aws import LocalAws
    from tools.aws_checks.verdicts import Verdict

NOW = dt.datetime(2026, 6, 1, tzinfo=dt.UTC)
ACCOUNT = "111122223333"
ARN = f"arn:aws:acm-pca:eu-west-1:{ACCOUNT}:certificate-authority/01234567-89ab-cdef-0123-456789abcdef"
LEAF = dt.timedelta(days=395)
WANTED = WantedAuthority("colorteller", ARN, "RSA_2048", "GENERAL_PURPOSE", LEAF, for_acm=True)
SEEN = SeenAuthority("ACTIVE", "RSA_2048", "GENERAL_PURPOSE", NOW + 3 * LEAF, frozenset(ACM_ACTIONS))
LOOK = AuthoritySeen(WANTED, SEEN, "eu-west-1", ACCOUNT, is_permitted_by_deploy=False, now=NOW)
SHUT = SEEN._replace(acm_actions=frozenset())
DENIED = "User: deployer is not authorized to perform: acm-pca:DescribeCertificateAuthority on resource: ca"


@pytest.mark.parametrize(
    ("look", "verdict", "words"),
    [
        (LOOK, YES, ("ACTIVE, RSA_2048",)),
        (LOOK._replace(seen=SHUT), NO, ("no renewal ever is", "permit_acm: true")),
        (LOOK._replace(seen=SHUT, is_permitted_by_deploy=True), YES, ("ACTIVE",)),
        (LOOK._replace(is_permitted_by_deploy=True), NO, ("permitted already", "Remove permit_acm")),
        (LOOK._replace(seen=SHUT, account="444455556666"), YES, ("ACTIVE",)),
        (
            LOOK._replace(seen=SHUT, account="444455556666", is_permitted_by_deploy=True),
            NO,
            ("needs no permission",),
        ),
        (LOOK._replace(seen=None, region="us-east-1"), NO, ("the CA is in eu-west-1", "Name a CA in us-east-1")),
        (LOOK._replace(seen=SEEN._replace(status="DISABLED")), NO, ("is DISABLED, and signs nothing",)),
        (LOOK._replace(seen=SEEN._replace(not_after=NOW + LEAF / 2)), NO, ("would outlive it",)),
        (LOOK._replace(seen=SEEN._replace(usage_mode="SHORT_LIVED_CERTIFICATE")), NO, ("Write usage: short_lived",)),
        (LOOK._replace(seen=None, denied=DENIED), NO, (DENIED, "share it by AWS RAM in eu-west-1")),
        *(
            (LOOK._replace(seen=None, denied=f"{DENIED} {why}"), verdict, (why, word))
            for why, verdict, word in (
                ("because no resource-based policy allows the action", NO, "share it by AWS RAM"),
                ("with an explicit deny in a resource control policy", NO, "share it by AWS RAM"),
                ("because no identity-based policy allows the action", OPEN, "Run this with credentials that may"),
                ("with an explicit deny in a service control policy", OPEN, "credentials"),
                ("because no permissions boundary allows the action", OPEN, "credentials"),
                ("because no session policy allows the action", OPEN, "credentials"),
                ("because no VPC endpoint policy allows the action", OPEN, "credentials"),
            )
        ),
    ],
    ids=[
        "as it should be",
        "ACM shut out",
        "ACM let in by the deploy",
        "ACM let in twice",
        "shared",
        "shared, and to be let in",
        "another region",
        "disabled",
        "ends too soon",
        "another usage",
        "not shared",
        "not shared, as AWS says",
        "withheld by its organization",
        "a deployer without the right",
        "its organization denies it",
        "beyond its boundary",
        "beyond its session",
        "beyond its network",
    ],
)
def test_a_ca_of_yours_signs_what_the_file_declares(
    look: AuthoritySeen, verdict: Verdict, words: tuple[str, ...]
) -> None:
    """Else a deploy would fail half an hour in, or a renewal a year later."""
    assert_judged(judge_authority(look), verdict, *words)


@dataclass
class Account:
    """A deploy under a CA of the local AWS's."""

    aws: LocalAws
    folder: Path
    arn: str

    def deployed(self, **existing: Any) -> bool:
        """Whether the command that deploys has run."""
        file, mark = self.folder / "mesh.yaml", self.folder / "deployed"
        hierarchy = {"existing": {"arn": self.arn, "root": "root.pem", **existing}, "key_algorithm": "RSA_2048"}
        file.write_bytes(changed(("hierarchies.colorteller", hierarchy)))
        first_deploy.main(["sh", "-c", 'touch "$1"', "sh", str(mark), "-c", f"mesh={file}"], self.folder / "kept")
        return mark.exists()


def test_a_deploy_under_a_ca_that_cannot_renew_makes_nothing(
    aws: LocalAws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without ACM's permission, disabled, or under another root; as it should be, the same command deploys."""
    for name, value in aws.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("tools.aws_checks.existing_authorities.ROOT", tmp_path)
    ours, other = make_issuing_ca(aws), make_issuing_ca(aws)
    account, client = Account(aws, tmp_path, ours.arn), aws.client("acm-pca")

    (tmp_path / "root.pem").write_text(other.root)
    assert not account.deployed()
    said = capsys.readouterr().out
    assert "no renewal ever is" in said
    assert "does not end in the root certificate" in said
    (tmp_path / "root.pem").write_text(ours.root)
    permit_acm(aws, ours.arn)
    client.update_certificate_authority(CertificateAuthorityArn=ours.arn, Status="DISABLED")
    assert not account.deployed()
    assert "is DISABLED" in capsys.readouterr().out
    client.update_certificate_authority(CertificateAuthorityArn=ours.arn, Status="ACTIVE")
    assert account.deployed()
