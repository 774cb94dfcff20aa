"""Checks of the roles' rights, by IAM's own policy simulator. No action is carried out."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from meshcert import naming
from meshcert.errors import IdentityMissing
from meshcert.mesh import proxy_settings
from tools.aws_checks.deployment import ACM, PRIVATE_CA
from tools.aws_checks.services import task_definition
from tools.aws_checks.verdicts import Check, Judgement, confirmed, contradicted, undecided

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from tools.aws_checks.deployment import Deployment

TAGGED = f"aws:ResourceTag/{naming.TAG}"
VIA = "kms:ViaService"
ENCRYPTED_FOR = "kms:EncryptionContext:SecretARN"
"""Secrets Manager tells it to KMS (Secrets Manager user guide, "Secret encryption and decryption")."""
TEMPLATE = "acm-pca:TemplateArn"
ANOTHER = "another-mesh"
_READERS = (naming.EXPORT_ROLE, naming.VERIFY_ROLE)


@dataclass(frozen=True)
class Case:
    """
    A request for the simulator, and the answer that we intend.

    Args:
        action: For example ``acm:ExportCertificate``.
        resource: ARN of the resource.
        allowed: The intended answer.
        circumstances: In words, for example ``of another mesh``.
        context: Condition keys that the request has.
    """

    action: str
    resource: str
    allowed: bool
    circumstances: str = ""
    context: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.action} {self.circumstances}".strip()


@dataclass(frozen=True)
class Decision:
    """
    The simulator's answer to a case.

    Args:
        case: The request.
        outcome: ``allowed``, ``implicitDeny`` or ``explicitDeny``.
        missing: Condition keys that policies ask for and the request does not have.
        by_organization: True if a policy of the organization denies it.
    """

    case: Case
    outcome: str
    missing: tuple[str, ...] = ()
    by_organization: bool = False

    @property
    def as_intended(self) -> bool:
        """True if the answer is the intended one."""
        return (self.outcome == "allowed") == self.case.allowed


@dataclass(frozen=True)
class RightsSeen:
    """
    All answers about one role.

    Args:
        reads_context: True if the simulator heeds condition keys: it allowed what a policy of our own surely allows.
        remedy: What to do where a decision is another.
    """

    decisions: Sequence[Decision]
    reads_context: bool = True
    remedy: str = "Compare the role's policies with the template (drift), and deploy the stack again"


def _roles(deployment: Deployment) -> list[str]:
    return [naming.EXPORT_ROLE, naming.VERIFY_ROLE, naming.RENEWAL_ROLE, *deployment.mesh.services]


def _identity_secret(deployment: Deployment, identity: str) -> str:
    name = naming.identity_secret(deployment.name, identity)
    return str(deployment.account.read("secretsmanager:DescribeSecret", SecretId=name)["ARN"])


def _made(deployment: Deployment) -> Iterator[str]:
    """The hierarchies whose CAs are the mesh's own: only these have its tag. Rights on another's name that CA alone."""
    return (name for name, declared in deployment.mesh.hierarchies.items() if not declared.existing)


def _with_tags(deployment: Deployment) -> Iterable[str]:
    """The export function's role, if it reaches anything by the mesh's tag."""
    return [naming.EXPORT_ROLE] if deployment.identities(ACM) or any(_made(deployment)) else []


def _tag_limits(deployment: Deployment, _role: str) -> RightsSeen:
    authority = next((deployment.authority(name, "root")["Arn"] for name in _made(deployment)), "")
    leaf, issues = naming.leaf_template(deployment.partition), bool(authority and deployment.identities(PRIVATE_CA))
    reached: list[tuple[str, str, dict[str, str]]] = [
        *(
            ("acm:ExportCertificate", deployment.certificate_arn(identity), {})
            for identity in deployment.identities(ACM)[:1]
        ),
        *([("acm-pca:GetCertificateAuthorityCertificate", authority, {})] if authority else []),
    ]
    if issues:
        reached += [
            ("acm-pca:IssueCertificate", authority, {TEMPLATE: leaf}),
            ("acm-pca:GetCertificate", authority, {}),
        ]
    cases = [
        Case(
            action,
            resource,
            tag == deployment.name,
            f"of something {circumstances}",
            {**more, TAGGED: tag} if tag else more,
        )
        for action, resource, more in reached
        for tag, circumstances in (
            (deployment.name, "of this mesh"),
            ("", "without a tag"),
            (ANOTHER, "of another mesh"),
        )
    ]
    if issues:
        ca = leaf.replace("EndEntityCertificate", "SubordinateCACertificate_PathLen0")
        context = {TAGGED: deployment.name, TEMPLATE: ca}
        cases.append(
            Case("acm-pca:IssueCertificate", authority, allowed=False, circumstances="as a CA", context=context)
        )
    return _simulate(deployment, naming.EXPORT_ROLE, cases)


def _some_identity_secret(deployment: Deployment) -> str:
    return _identity_secret(deployment, next(iter(deployment.mesh.identities)))


def _export_secrets(deployment: Deployment, _role: str) -> RightsSeen:
    own = _some_identity_secret(deployment)
    mesh = deployment.mesh
    hierarchy = next(iter(mesh.hierarchies))
    # What is published of a CA of the user's is read again: its owner may not answer any more.
    holds_yours = any(mesh.hierarchies[name].existing for name in mesh.trusted(hierarchy))
    bundle = deployment.arn("secretsmanager", f"secret:{naming.trust_bundle_secret(deployment.name, hierarchy)}-AbCdEf")
    foreign = deployment.arn("secretsmanager", f"secret:{naming.identity_secret(ANOTHER, 'theirs')}-AbCdEf")
    cases = [
        Case("secretsmanager:PutSecretValue", own, allowed=True, circumstances="into this mesh's secret"),
        Case("secretsmanager:PutSecretValue", foreign, allowed=False, circumstances="into another mesh's secret"),
        Case("secretsmanager:GetSecretValue", own, allowed=True, circumstances="of an identity, to compare it"),
        Case("secretsmanager:GetSecretValue", foreign, allowed=False, circumstances="of another mesh"),
        Case("secretsmanager:GetSecretValue", bundle, allowed=holds_yours, circumstances="of a trust bundle"),
        Case("secretsmanager:DeleteSecret", own, allowed=False),
        Case("acm-pca:IssueCertificate", deployment.arn("acm-pca", "certificate-authority/any"), allowed=False),
    ]
    return _simulate(deployment, naming.EXPORT_ROLE, cases)


def _renewal(deployment: Deployment, _role: str) -> RightsSeen:
    own = _some_identity_secret(deployment)
    certificate = deployment.certificate_arn(next(iter(deployment.mesh.identities)))
    service = f"service/{next(iter(deployment.mesh.ecs_places.values()))}"
    cases = [
        Case("secretsmanager:UpdateSecretVersionStage", own, allowed=True),
        Case("secretsmanager:PutSecretValue", own, allowed=False),
        Case("secretsmanager:GetSecretValue", own, allowed=False),
        Case("secretsmanager:PutResourcePolicy", own, allowed=False),
        Case("acm:ExportCertificate", certificate, allowed=False),
        Case("lambda:UpdateFunctionCode", _function(deployment, "export"), allowed=False),
        Case("lambda:InvokeFunction", _function(deployment, "export"), allowed=True, circumstances="on export"),
        Case("lambda:InvokeFunction", _function(deployment, "deploy"), allowed=False, circumstances="on deploy"),
        Case("lambda:InvokeFunction", _function(deployment, "verify"), allowed=False, circumstances="on verify"),
        Case("ecs:UpdateService", deployment.arn("ecs", service), allowed=True, circumstances="of this mesh"),
        Case("ecs:UpdateService", deployment.arn("ecs", "service/other/any"), allowed=False, circumstances="elsewhere"),
    ]
    return _simulate(deployment, naming.RENEWAL_ROLE, cases)


def _verify(deployment: Deployment, _role: str) -> RightsSeen:
    own = _some_identity_secret(deployment)
    foreign = deployment.arn("secretsmanager", f"secret:{naming.identity_secret(ANOTHER, 'theirs')}-AbCdEf")
    certificate = deployment.certificate_arn(next(iter(deployment.mesh.identities)))
    cases = [
        Case("secretsmanager:GetSecretValue", own, allowed=True, circumstances="of an identity"),
        Case("secretsmanager:GetSecretValue", foreign, allowed=False, circumstances="of another mesh"),
        Case("secretsmanager:PutSecretValue", own, allowed=False),
        Case("secretsmanager:UpdateSecretVersionStage", own, allowed=False),
        Case("acm:ExportCertificate", certificate, allowed=False),
        Case("lambda:InvokeFunction", _function(deployment, "export"), allowed=False, circumstances="on export"),
    ]
    return _simulate(deployment, naming.VERIFY_ROLE, cases)


def _operator(deployment: Deployment, _role: str) -> RightsSeen:
    own = _some_identity_secret(deployment)
    cases = [
        Case("lambda:InvokeFunction", _function(deployment, name), allowed=name == "verify", circumstances=f"on {name}")
        for name in ("verify", "export", "deploy", "renewal")
    ]
    cases += [
        Case("secretsmanager:GetSecretValue", own, allowed=False),
        Case("secretsmanager:PutSecretValue", own, allowed=False),
    ]
    return _simulate(deployment, naming.OPERATOR_ROLE, cases)


def _function(deployment: Deployment, name: str) -> str:
    return deployment.arn("lambda", f"function:{naming.function(deployment.name, name)}")


def _task(deployment: Deployment, service: str) -> RightsSeen:
    own = list(proxy_settings(deployment.mesh, service).identities)
    # One of the others stands for all: a mesh may have hundreds, and the simulator's rate is low.
    others = [identity for identity in deployment.mesh.identities if identity not in own][:1]
    cases = [Case("acm:ExportCertificate", deployment.arn("acm", "certificate/any"), allowed=False)]
    for identity in own + others:
        secret, mine = _identity_secret(deployment, identity), identity in own
        cases += [
            Case("secretsmanager:GetSecretValue", secret, allowed=mine, circumstances=f"of {identity}"),
            Case("secretsmanager:PutSecretValue", secret, allowed=False, circumstances=f"of {identity}"),
            Case("secretsmanager:UpdateSecretVersionStage", secret, allowed=False, circumstances=f"of {identity}"),
        ]
    return _simulate(deployment, service, cases)


def _key(deployment: Deployment, role: str) -> RightsSeen:
    key = deployment.account.read("kms:DescribeKey", KeyId=naming.key_alias(deployment.name))["KeyMetadata"]["Arn"]
    settings = proxy_settings(deployment.mesh, role) if role in deployment.mesh.services else None
    reads = bool(settings.identities or settings.trust_bundles) if settings else role in _READERS
    suffix = "amazonaws.com.cn" if deployment.partition == "aws-cn" else "amazonaws.com"
    via = {VIA: f"secretsmanager.{deployment.region}.{suffix}"}
    if settings and reads:
        secret = next(iter((*settings.identities.values(), *settings.trust_bundles.values()))).secret
        via[ENCRYPTED_FOR] = str(deployment.account.read("secretsmanager:DescribeSecret", SecretId=secret)["ARN"])
    cases = [
        Case("kms:Decrypt", key, allowed=reads, circumstances="through Secrets Manager", context=via),
        Case("kms:Decrypt", key, allowed=False, circumstances="directly"),
    ]
    return _simulate(deployment, role, cases)


def _simulate(deployment: Deployment, role: str, cases: Sequence[Case]) -> RightsSeen:
    declared = deployment.mesh.services.get(role)
    if declared is None or not declared.attached:
        return simulate(deployment, deployment.role_arn(role), cases)
    policy = naming.role(deployment.name, deployment.region, role)
    remedy = f"Attach the policy {policy} to the task role of yours, and nothing that reads more of the mesh"
    if not (arn := task_definition(deployment, role).get("taskRoleArn")):
        raise IdentityMissing(f"A task role of service {role}", remedy)
    return replace(simulate(deployment, arn, cases), remedy=remedy)


def simulate(deployment: Deployment, role_arn: str, cases: Sequence[Case]) -> RightsSeen:
    """What IAM's simulator says to each case of one role."""
    decisions = [_decide(deployment, role_arn, case) for case in cases]
    doubtful = next((each for each in decisions if each.case.context and not each.as_intended), None)
    # A control: a policy that surely allows it. A simulator that denies this too does not heed condition keys.
    return RightsSeen(decisions, doubtful is None or _allowed_by_its_own_policy(deployment, doubtful.case))


def _decide(deployment: Deployment, role_arn: str, case: Case) -> Decision:
    answer = deployment.account.read(
        "iam:SimulatePrincipalPolicy",
        PolicySourceArn=role_arn,
        ActionNames=[case.action],
        ResourceArns=[case.resource],
        ContextEntries=_entries(case),
    )
    result = answer["EvaluationResults"][0]
    organization = result.get("OrganizationsDecisionDetail", {}).get("AllowedByOrganizations", True)
    missing = tuple(result.get("MissingContextValues", []))
    return Decision(case, result["EvalDecision"], missing, by_organization=not organization)


def _allowed_by_its_own_policy(deployment: Deployment, case: Case) -> bool:
    statement = {
        "Effect": "Allow",
        "Action": case.action,
        "Resource": "*",
        "Condition": {"StringEquals": dict(case.context)},
    }
    answer = deployment.account.read(
        "iam:SimulateCustomPolicy",
        PolicyInputList=[json.dumps({"Version": "2012-10-17", "Statement": [statement]})],
        ActionNames=[case.action],
        ResourceArns=[case.resource],
        ContextEntries=_entries(case),
    )
    return bool(answer["EvaluationResults"][0]["EvalDecision"] == "allowed")


def _entries(case: Case) -> list[dict[str, Any]]:
    return [
        {"ContextKeyName": key, "ContextKeyValues": [value], "ContextKeyType": "string"}
        for key, value in case.context.items()
    ]


def judge_rights(seen: RightsSeen) -> Judgement:
    """Judge whether every answer is the intended one; an answer that the simulator cannot know decides nothing."""
    wrong = [decision for decision in seen.decisions if not decision.as_intended]
    if not wrong:
        allowed = [str(each.case) for each in seen.decisions if each.case.allowed]
        denied = [str(each.case) for each in seen.decisions if not each.case.allowed]
        return confirmed(f"allowed: {', '.join(allowed) or 'nothing'}; denied: {', '.join(denied)}")
    too_much = [decision for decision in wrong if not decision.case.allowed]
    if not too_much and all(decision.case.context for decision in wrong) and not seen.reads_context:
        return undecided("the simulator here does not evaluate condition keys")
    text = "; ".join(_told(decision) for decision in wrong)
    if not too_much and all(decision.missing for decision in wrong):
        return undecided(text, "A policy asks for condition keys that only a real request has: read that policy")
    return contradicted(text, seen.remedy)


def _told(decision: Decision) -> str:
    text = f"{decision.case}: {decision.outcome}, should be {'allowed' if decision.case.allowed else 'denied'}"
    if decision.by_organization:
        text += " (a policy of the organization)"
    return text + (f" (missing {', '.join(decision.missing)})" if decision.missing else "")


def _export_role(_deployment: Deployment) -> Iterable[str]:
    return [naming.EXPORT_ROLE]


CHECKS: tuple[Check[Any], ...] = (
    Check(
        "rights-tagged",
        "The export function reaches what this mesh's tag marks, and nothing else",
        _with_tags,
        _tag_limits,
        judge_rights,
    ),
    Check(
        "rights-export",
        "The export function writes this mesh's secrets, reads those of identities and issues nothing elsewhere",
        _export_role,
        _export_secrets,
        judge_rights,
    ),
    Check(
        "rights-verify",
        "The verify function reads identities' secrets, and changes nothing",
        lambda _deployment: [naming.VERIFY_ROLE],
        _verify,
        judge_rights,
    ),
    Check(
        "rights-operator",
        "Operators have secrets verified, and reach neither them nor the other functions",
        lambda _deployment: [naming.OPERATOR_ROLE],
        _operator,
        judge_rights,
    ),
    Check(
        "rights-renewal",
        "The renewal function moves labels and deploys, and has no way to a private key",
        lambda _deployment: [naming.RENEWAL_ROLE],
        _renewal,
        judge_rights,
    ),
    Check(
        "rights-task",
        "A task reads its own identity's secret and writes none",
        lambda deployment: deployment.mesh.services,
        _task,
        judge_rights,
    ),
    Check("rights-key", "A role decrypts through Secrets Manager only", _roles, _key, judge_rights),
)
