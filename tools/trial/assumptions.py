"""What is assumed of AWS and has not been seen there, and what tells it: the lines of docs/aws-unconfirmed.md."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tools.aws_checks.deployment import ACM, PRIVATE_CA
from tools.aws_checks.verdicts import Verdict

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from tools.aws_checks.verdicts import Finding

NOT_TRIED = "not tried"
_ISSUERS = {"ACM": ACM, "Private CA": PRIVATE_CA}
"""Parts of AWS that only a certificate of their own tells about."""


@dataclass(frozen=True)
class Assumed:
    """
    Something that is assumed of AWS.

    Args:
        about: The part of AWS.
        what: What is assumed.
        checks: The checks of ``make verify-aws`` that tell it.
        steps: The steps of a trial that do not succeed without it.
    """

    about: str
    what: str
    checks: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()

    @property
    def told_by(self) -> str:
        """What tells it, in words; empty if nothing of ours does."""
        checks = ", ".join(f"`{check}`" for check in self.checks)
        steps = ", ".join(self.steps)
        return "; ".join(filter(None, (checks, f"the trial's {steps}" if steps else "")))


ASSUMED = (
    Assumed("ACM", "clientAuth in private certificates", ("certificate-purposes",)),
    Assumed("ACM", "order and completeness of exported chains", ("certificate-chain",)),
    Assumed(
        "ACM",
        "exporting private certificates whose template leaves `CertificateExport` out",
        ("certificate-export", "certificate-renewable"),
    ),
    Assumed("ACM", "details of its events and of AWS Health's", ("renewal-events",)),
    Assumed("ACM", "how it words a renewal that does not come"),
    Assumed("ACM", "whether it renews a revoked certificate"),
    Assumed(
        "EventBridge, Scheduler",
        "deliveries into queues with SQS's own encryption and a policy that demands TLS",
        ("renewal-rule", "schedule"),
        ("renewal",),
    ),
    Assumed("ACM", "how IAM evaluates tag conditions for `acm:ExportCertificate`", ("rights-tagged",)),
    Assumed("IAM", "how tag conditions are evaluated for `acm:ListTagsForCertificate` and `acm-pca:RevokeCertificate`"),
    Assumed(
        "IAM",
        "`ecs:cluster` for `ecs:ListTasks`, and `dynamodb:LeadingKeys`",
        ("rights-renewal", "rights-task"),
        ("settling",),
    ),
    Assumed("ECS", "the built image on Fargate", ("service-steady",), ("deploy", "settling")),
    Assumed("ECS", "tmpfs mount options with an owner", ("service-tmpfs",)),
    Assumed("ECS", "that a service revision has the number of its deployment (`ecs-svc/…`)", (), ("renewal",)),
    Assumed("ECS", "that containers stop in the reverse order of their dependencies, each within its own stop timeout"),
    Assumed("ECS", "how soon it reports a failed task"),
    Assumed("ECS", "that a start period and `healthCheckGracePeriodSeconds` keep a slow application's task"),
    Assumed(
        "ECS",
        "that `startTimeout` ends a task whose application waits for a container that is not healthy, and that nothing "
        "does for one that has ended (a job) or has no such timeout",
    ),
    Assumed("ECS", "that an update without `DesiredCount` keeps a service's number of tasks (`scaler`)"),
    Assumed(
        "ECS",
        "that a bind mount's folder belongs to the user that the image gave it to before its `VOLUME`, and that a "
        "container sees the user of another one's process behind a socket (`workload_api`)",
    ),
    Assumed(
        "Revocation",
        "when Private CA writes its first list and whether it lists what was issued or revoked before; that it accepts "
        "a bucket with `BucketOwnerEnforced` and our policy; that leaves without a distribution point are listed",
    ),
    Assumed(
        "CloudWatch",
        "the metric filter for refused peers (the local AWS reads its pattern as CloudWatch's documentation words it)",
    ),
    Assumed(
        "Cloud Map",
        "that its API names a task as soon as ECS has registered it, and without the 30 seconds that a change of "
        "custom health takes; that the namespace's HTTP name is its own",
        ("service-discovery",),
        ("settling",),
    ),
    Assumed(
        "Cloud Map",
        "the conditions `servicediscovery:NamespaceName` and `ServiceName`",
        ("rights-task",),
        ("settling",),
    ),
    Assumed(
        "Cloud Map",
        "that Cloud Map takes services in a shared namespace from CloudFormation, made without tags of ours, and "
        "updates and deletes them by what it has of them; that ECS registers tasks there; that DiscoverInstances is "
        "allowed by the caller's conditions and the share together (`namespace_id` by ARN)",
        ("network-namespace", "service-discovery"),
    ),
    Assumed(
        "IAM",
        "that `aws:PrincipalArn` in the trust of a cell's role `cells.discovery` is the role of the caller's task, of "
        "an account that the principal names by its root (`discovery: role`)",
    ),
    Assumed("STS", "how it writes a session (`discovery: role`): its reference's example is read"),
    Assumed(
        "S3",
        "that a policy for one CloudFront distribution is not public in the sense of Block Public Access; conditional "
        "writes (`If-Match`, `If-None-Match`) of the published SPIFFE bundle",
        ("own-bundle", "own-bundle-readers"),
    ),
    Assumed(
        "CloudFormation",
        "that it takes an update back in the order of dependencies, the deploy function's environment before the trust "
        "bundles that are compared with it",
    ),
    Assumed(
        "CloudFormation",
        "that every presigned response URL is at one of Amazon S3's documented endpoints",
        (),
        ("deploy",),
    ),
    Assumed("CloudFormation", "RetainExceptOnCreate on Private CA types", (), ("deploy", "removal")),
    Assumed("CloudFormation", "adopting kept resources with `cdk import`"),
    Assumed(
        "Private CA",
        "the same request with the same token, within five minutes, gives the same certificate and is paid for once",
    ),
    Assumed("Private CA", "one token with other parameters: nothing"),
    Assumed("Private CA", "a certificate is made within seconds of its ARN", ("issuing-time",), ("settling",)),
    Assumed(
        "Private CA",
        "a certificate has the names of its signing request, the extensions of the template's table and the dates that "
        "were asked for, to the second",
        ("certificate-names", "issued-extensions", "issued-life"),
    ),
    Assumed(
        "Private CA",
        "GetCertificate's chain begins with the issuing CA and ends with the root, which is in it",
        ("certificate-chain",),
    ),
    Assumed("Private CA", "a certificate's ARN ends with its serial number"),
    Assumed(
        "Private CA",
        "what is refused is refused with `ValidationException` (path length, seven days, the CA's end) or "
        "`InvalidArgsException` (a CA below a short-lived one)",
    ),
    Assumed(
        "Private CA",
        "`aws:ResourceTag` and `acm-pca:TemplateArn` hold together for IssueCertificate, and the CA's tag for "
        "GetCertificate",
        (),
        ("settling",),
    ),
    Assumed("Private CA", "a short-lived CA may have revocation lists, which the API's reference leaves open"),
    Assumed("KMS", "KMS counts the 4,096 bytes of a plaintext without its context"),
    Assumed("Systems Manager", "a standard parameter holds 4,096 bytes, not characters"),
)
"""In the order of the report."""


def told(assumed: Assumed, findings: Collection[Finding], done: Collection[str], issuers: Mapping[str, str]) -> str:
    """
    What a trial says of an assumption: a verdict, or :data:`NOT_TRIED`, also if only one of its checks found nothing.

    Args:
        findings: Those of the checks.
        done: Names of the trial's steps that have succeeded.
        issuers: The issuer of each identity of the trial's mesh.
    """
    issuer = _ISSUERS.get(assumed.about)
    if issuer and issuer not in issuers.values():
        return NOT_TRIED
    about = [
        finding
        for finding in findings
        if finding.check in assumed.checks and issuer in (None, issuers.get(finding.subject, issuer))
    ]
    verdicts = {finding.verdict for finding in about}
    if Verdict.CONTRADICTED in verdicts:
        return Verdict.CONTRADICTED
    looked = {finding.check for finding in about}
    if looked != set(assumed.checks) or not (assumed.checks or assumed.steps):
        return NOT_TRIED
    missing = Verdict.UNDECIDED in verdicts or not set(assumed.steps) <= set(done)
    return Verdict.UNDECIDED if missing else Verdict.CONFIRMED


def latest(runs: Iterable[Iterable[Finding]]) -> list[Finding]:
    """
    The findings of several runs of the checks, each as the last run has it that could tell.

    A certificate that has been replaced is judged with its successor; what only an earlier run could tell stays told.
    """
    found: dict[tuple[str, str], Finding] = {}
    for run in runs:
        for finding in run:
            key = (finding.check, finding.subject)
            if key not in found or finding.verdict is not Verdict.UNDECIDED:
                found[key] = finding
    return list(found.values())
