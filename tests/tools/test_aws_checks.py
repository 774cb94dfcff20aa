"""Each judgement by table: what AWS may answer, and what follows from it."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from evidence.fixtures.pki import Hierarchy
from meshcert.material import join_certificates, split_certificates
from meshcert.san import Dns, Uri
from tests.tools.judgements import NO, OPEN, YES, assert_judged
from tools.aws_checks import authorities, certificates, rights, secrets
from tools.aws_checks.authorities import StatesSeen
from tools.aws_checks.certificates import ChainSeen, LeafSeen
from tools.aws_checks.rights import Case, Decision, RightsSeen

if TYPE_CHECKING:
    from meshcert.material import Material
    from tools.aws_checks.verdicts import Judgement, Verdict

NAME = "colorteller.mtls.svc.cluster.local"
NOW = dt.datetime.now(dt.UTC).replace(microsecond=0)
DAY = dt.timedelta(days=1)
HOUR = dt.timedelta(hours=1)
VERSION = "a" * 64


def _seen(material: Material, *, published: bool = True, **description: Any) -> LeafSeen:
    return LeafSeen(material.certificate, description, (Dns(NAME),), published)


def test_both_purposes_are_needed(hierarchy: Hierarchy) -> None:
    """A certificate for servers only is what ACM's public ones have become."""
    server_only = hierarchy.issue([NAME], extended_key_usages=["serverAuth"])

    assert_judged(certificates.judge_purposes(_seen(hierarchy.issue([NAME]))), YES, "clientAuth")
    assert_judged(certificates.judge_purposes(_seen(server_only)), NO, "serverAuth", "report")


def test_the_names_are_the_mesh_files(hierarchy: Hierarchy) -> None:
    """One name too many belongs to another mesh file."""
    assert_judged(certificates.judge_names(_seen(hierarchy.issue([NAME]))), YES)
    assert_judged(certificates.judge_names(_seen(hierarchy.issue([NAME, "b.example"]))), NO, "b.example")
    assert_judged(certificates.judge_names(_seen(hierarchy.issue([NAME, "spiffe://b/w"]))), NO, "spiffe://b/w")
    both = replace(_seen(hierarchy.issue(["spiffe://b/w", NAME])), declared=(Dns(NAME), Uri("spiffe://b/w")))
    assert_judged(certificates.judge_names(both), YES, "spiffe://b/w")


def test_the_chain_ends_with_its_root() -> None:
    """In two tiers a missing root would take the issuing CA away from peers; a wrong order breaks the handshake."""
    hierarchy, other = Hierarchy(tiers=2), Hierarchy(tiers=2)
    leaf = hierarchy.issue([NAME]).certificate
    issuing, root = split_certificates(hierarchy.certificate_chain)
    single = Hierarchy(tiers=1)

    def judge(*chain: str, trusted: str = hierarchy.root_pem) -> Judgement:
        return certificates.judge_chain(ChainSeen(leaf, join_certificates(chain), trusted))

    assert_judged(judge(issuing, root), YES, "2, root last")
    assert_judged(judge(issuing), NO, "the root is missing")
    assert_judged(judge(), NO, "empty chain")
    assert_judged(judge(root, issuing), NO, "did not sign")
    assert_judged(judge(issuing, root, trusted=other.root_pem), NO, "not the hierarchy's root")
    alone = ChainSeen(single.issue([NAME]).certificate, single.certificate_chain, single.root_pem)
    assert_judged(certificates.judge_chain(alone), YES)


@pytest.mark.parametrize(("days", "verdict"), [(395, YES), (397, YES), (198, NO), (400, NO)])
def test_a_life_is_thirteen_months(hierarchy: Hierarchy, days: int, verdict: Verdict) -> None:
    """Counted from an hour after NotBefore."""
    leaf = hierarchy.issue([NAME], not_before=NOW - HOUR, not_after=NOW + days * DAY)

    assert_judged(certificates.judge_lifetime(_seen(leaf)), verdict, f"{days}.00 days")


def test_the_back_dating_shows_in_a_first_certificate(hierarchy: Hierarchy) -> None:
    """A renewal's time of issue is not told."""
    leaf = hierarchy.issue([NAME], not_before=NOW - HOUR)

    assert_judged(certificates.judge_back_dating(_seen(leaf, CreatedAt=NOW)), YES, "60.0 min")
    assert_judged(certificates.judge_back_dating(_seen(leaf, CreatedAt=NOW - 20 * HOUR, IssuedAt=NOW)), YES)
    assert_judged(certificates.judge_back_dating(_seen(leaf, CreatedAt=NOW - HOUR)), NO, "0.0 min")
    assert_judged(certificates.judge_back_dating(_seen(leaf, CreatedAt=NOW, RenewalSummary={})), OPEN)
    assert_judged(certificates.judge_back_dating(_seen(leaf)), OPEN)


def test_what_is_published_was_exported_and_can_be_renewed(hierarchy: Hierarchy) -> None:
    """Before that, nothing follows from what ACM says."""
    leaf = hierarchy.issue([NAME])

    assert_judged(certificates.judge_export(_seen(leaf)), YES)
    assert_judged(certificates.judge_export(_seen(leaf, published=False)), OPEN, "secret-version")
    assert_judged(certificates.judge_renewable(_seen(leaf, RenewalEligibility="ELIGIBLE")), YES)
    assert_judged(certificates.judge_renewable(_seen(leaf, RenewalEligibility="INELIGIBLE")), NO)
    assert_judged(certificates.judge_renewable(_seen(leaf, RenewalEligibility="INELIGIBLE", published=False)), OPEN)


@pytest.mark.parametrize(
    ("summary", "verdict", "word"),
    [
        (None, OPEN, "not renewed yet"),
        ({"RenewalStatus": "SUCCESS"}, YES, "SUCCESS"),
        ({"RenewalStatus": "PENDING_AUTO_RENEWAL"}, OPEN, "under way"),
        ({"RenewalStatus": "PENDING_AUTO_RENEWAL", "RenewalStatusReason": "PCA_ACCESS_DENIED"}, NO, "ca-permission"),
        ({"RenewalStatus": "FAILED", "RenewalStatusReason": "OTHER"}, NO, "guide"),
    ],
)
def test_a_renewal_that_hangs_is_told(
    hierarchy: Hierarchy, summary: dict[str, str] | None, verdict: Verdict, word: str
) -> None:
    """Without the permission on the CA its status stays PENDING for ever, and only the reason tells."""
    description: dict[str, Any] = {} if summary is None else {"RenewalSummary": summary}

    assert_judged(certificates.judge_renewal(_seen(hierarchy.issue([NAME]), **description)), verdict, word)


def test_certificates_and_cas_carry_the_meshs_tag() -> None:
    """The export function's rights hang on it."""
    assert_judged(certificates.judge_tag(("color", {"meshcert:mesh": "color"})), YES)
    assert_judged(certificates.judge_tag(("color", {})), NO, "absent")
    assert_judged(authorities.judge_tags(("color", ["color", "absent"])), NO)


def test_cas_are_active_permitted_and_live_long_enough() -> None:
    """The end of the CA's life comes thirteen months before its certificate ends."""
    active = {"Type": "ROOT", "Status": "ACTIVE"}
    acm = {"acm.amazonaws.com": frozenset(authorities.ACM_ACTIONS)}

    disabled, short = {**active, "Status": "DISABLED"}, {**active, "UsageMode": "SHORT_LIVED_CERTIFICATE"}

    assert_judged(authorities.judge_state(StatesSeen([active, active])), YES)
    assert_judged(authorities.judge_state(StatesSeen([active, disabled])), NO, "DISABLED")
    assert_judged(authorities.judge_state(StatesSeen([short])), NO, "general_purpose")
    assert_judged(authorities.judge_state(StatesSeen([short], authorities.SHORT)), YES)
    assert_judged(authorities.judge_state(StatesSeen([active, short], authorities.SHORT)), YES)
    assert_judged(authorities.judge_state(StatesSeen([short, short], authorities.SHORT)), NO)
    assert_judged(authorities.judge_state(StatesSeen([active], authorities.SHORT)), NO, "short_lived")
    assert_judged(authorities.judge_life(authorities.LivesSeen((NOW + 8 * DAY,), NOW, 7 * DAY)), YES)
    assert_judged(authorities.judge_life(authorities.LivesSeen((NOW + 6 * DAY,), NOW, 7 * DAY)), NO, "reissue")
    assert_judged(authorities.judge_life(authorities.LivesSeen((NOW + 500 * DAY,), NOW)), YES)
    assert_judged(authorities.judge_life(authorities.LivesSeen((NOW + 900 * DAY, NOW + 390 * DAY), NOW)), NO, "reissue")
    assert_judged(
        authorities.judge_life(authorities.LivesSeen((NOW + 500 * DAY, NOW + 900 * DAY), NOW)), NO, "root ends"
    )
    assert_judged(authorities.judge_permission(acm), YES)
    assert_judged(authorities.judge_permission({"acm.amazonaws.com": frozenset({"GetCertificate"})}), NO)
    assert_judged(authorities.judge_permission({}), NO, "nothing", "CreatePermission")


@pytest.mark.parametrize(
    ("current", "verdict", "word"),
    [
        (VERSION, YES, "64 characters"),
        ("b" * 64, NO, "is issued"),
        ("97844a70-1a4d-45cb-93c2-74599be74121", NO, "plac"),
    ],
)
def test_the_current_version_is_what_is_issued(current: str, verdict: Verdict, word: str) -> None:
    """An older certificate and the placeholder are told apart."""
    assert_judged(
        secrets.judge_version(secrets.VersionSeen(VERSION, {current: frozenset({"AWSCURRENT"})})), verdict, word
    )


def test_labels_and_stored_versions() -> None:
    """Nothing half published, and far from the quota."""
    assert_judged(secrets.judge_pending({VERSION: frozenset({"AWSCURRENT"})}), YES)
    assert_judged(secrets.judge_pending({VERSION: frozenset({"AWSCURRENT", "AWSPENDING"})}), NO, "AWSPENDING")
    assert_judged(secrets.judge_stored(3), YES)
    assert_judged(secrets.judge_stored(80), NO)


def _denial(action: str, role: str | list[str], **changes: Any) -> dict[str, Any]:
    condition = {"ArnNotLike": {"aws:PrincipalArn": role}}
    return {"Effect": "Deny", "Principal": "*", "Action": action, "Resource": "*", "Condition": condition, **changes}


@pytest.mark.parametrize(
    ("statements", "verdict"),
    [
        ([_denial("a:Put", "role/x")], YES),
        ([_denial("a:Put", "role/x", Principal={"AWS": "*"}, Action=["a:Put"])], YES),
        ([_denial("a:Put", ["role/x"])], YES),
        ([_denial("a:Put", ["role/x", "role/y"])], NO),
        ([], NO),
        ([_denial("a:Put", "role/x", Effect="Allow")], NO),
        ([_denial("a:Put", "*")], NO),
        ([_denial("a:Put", "role/x"), {"Sid": "Mine", "Effect": "Allow", "Action": "a:*"}], NO),
        ([_denial("a:Put", "role/x", Condition={"ArnNotLike": {"aws:PrincipalArn": "role/x"}, "Bool": {}})], NO),
    ],
    ids=[
        "as deployed",
        "as AWS may write it",
        "a list of one",
        "one role too many",
        "none",
        "allowing",
        "everybody exempt",
        "one more",
        "one more condition",
    ],
)
def test_the_resource_policy_is_the_templates(statements: list[dict[str, Any]], verdict: Verdict) -> None:
    """However AWS writes it back, and with nothing added."""
    document = json.dumps({"Statement": statements}) if statements else ""

    assert_judged(secrets.judge_policy(secrets.PolicySeen(document, {"a:Put": frozenset({"role/x"})})), verdict)


def test_two_roles_may_move_labels_in_any_order_of_theirs() -> None:
    """AWS may write the roles back in another order; one that is missing is a contradiction."""
    writers = {"a:Move": frozenset({"role/export", "role/renewal"})}

    def judge(*roles: str) -> Judgement:
        document = json.dumps({"Statement": [_denial("a:Move", list(roles))]})
        return secrets.judge_policy(secrets.PolicySeen(document, writers))

    assert_judged(judge("role/renewal", "role/export"), YES)
    assert_judged(judge("role/export"), NO, "role/export and role/renewal")


def test_the_secrets_key_is_the_meshs() -> None:
    """By ARN or by id, enabled, with rotation."""
    seen = secrets.KeySeen("arn:aws:kms:x:1:key/k1", {"KeyId": "k1", "KeyState": "Enabled"}, rotates=True)

    assert_judged(secrets.judge_key(seen), YES)
    assert_judged(secrets.judge_key(replace(seen, key_id="")), NO, "aws/secretsmanager")
    assert_judged(secrets.judge_key(replace(seen, rotates=False)), NO, "rotation off")
    assert_judged(secrets.judge_key(replace(seen, key={"KeyId": "k1", "KeyState": "PendingDeletion"})), NO)


TAGGED = Case("acm:ExportCertificate", "arn", True, "of this mesh", {"aws:ResourceTag/meshcert:mesh": "color"})
UNTAGGED = replace(TAGGED, allowed=False, circumstances="without a tag", context={})


@pytest.mark.parametrize(
    ("decisions", "reads_context", "verdict", "word"),
    [
        ([Decision(TAGGED, "allowed"), Decision(UNTAGGED, "implicitDeny", ("tag",))], True, YES, "allowed: acm"),
        ([Decision(TAGGED, "allowed"), Decision(UNTAGGED, "allowed")], True, NO, "without a tag"),
        ([Decision(TAGGED, "implicitDeny"), Decision(UNTAGGED, "implicitDeny")], False, OPEN, "condition keys"),
        ([Decision(TAGGED, "implicitDeny"), Decision(UNTAGGED, "allowed")], False, NO, "without a tag"),
        ([Decision(TAGGED, "implicitDeny")], True, NO, "should be allowed"),
        ([Decision(TAGGED, "implicitDeny", ("aws:SourceVpc",))], True, OPEN, "aws:SourceVpc"),
        ([Decision(TAGGED, "explicitDeny", by_organization=True)], True, NO, "organization"),
    ],
    ids=["intended", "too much", "no context", "no context, too much", "too little", "other keys", "organization"],
)
def test_rights_are_as_intended(decisions: list[Decision], reads_context: bool, verdict: Verdict, word: str) -> None:  # noqa: FBT001 -- a table's column
    """Too much is always a contradiction; too little only if the simulator could tell."""
    assert_judged(rights.judge_rights(RightsSeen(decisions, reads_context)), verdict, word)
