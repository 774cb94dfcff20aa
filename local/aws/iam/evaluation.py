"""IAM as the local AWS evaluates it: role sessions, missing condition keys, and a log of every decision."""

from __future__ import annotations

import contextvars
import hashlib
import hmac
import json
import secrets
from typing import TYPE_CHECKING, Any

from ministack import app as gateway
from ministack.core import iam_actions, iam_evaluator
from ministack.core.responses import get_account_id, get_region
from ministack.services import acm, sts, tagging
from ministack.services import iam as iam_service

from local.aws import caller, control, hooks
from local.aws.iam import cloud_map as iam_cloud_map
from local.aws.iam import dynamodb as iam_dynamodb
from local.aws.iam import ecs as iam_ecs
from local.aws.iam import kms as iam_kms
from local.aws.iam import quotas as iam_quotas
from local.aws.iam import role_chains
from local.aws.iam import s3 as iam_s3
from local.aws.iam import ssm as iam_ssm

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.aws.certificates.authorities import Authorities
    from local.aws.certificates.private_certificates import PrivateCertificates
    from local.aws.config import Config
    from local.aws.per_account import PerAccount

    Decisions = dict[tuple[str, str, str, bool], None]

_ROOT = "root"
# Carries the parsed request from where MiniStack collects condition keys to where it evaluates; no policy sees it.
_REQUEST = "meshcert:request"
_process_secret = secrets.token_bytes(32)


def role_session(role_arn: str, name: str, service: str | None = "ecs-tasks.amazonaws.com") -> dict[str, str]:
    """
    Credentials that the API accepts and evaluates as the role.

    Two calls with the same arguments return the same credentials; they do not expire.

    Args:
        role_arn: ARN of an existing role.
        name: Session name, at most 64 characters of it are used.
        service: The service that assumes the role; the role's trust policy must name it. None: nobody assumes it, as if
            its credentials had been stolen from whoever did.

    Returns:
        AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN.

    Raises:
        ValueError: If there is no such role, or its trust policy does not let ``service`` assume it.
    """
    role = iam_service._roles.get_scoped(role_arn.split(":")[4], None, role_arn.rsplit("/", 1)[-1])
    if role is None or role["Arn"] != role_arn:
        raise ValueError(f"{service} was unable to assume the role {role_arn}: there is no such role")
    if service is not None and not _trusts(role["AssumeRolePolicyDocument"], service):
        raise ValueError(
            f"{service} was unable to assume the role {role_arn}: its trust policy does not name the service",
        )
    session = name[:64]
    digest = hmac.new(_process_secret, f"{role_arn}\n{session}".encode(), hashlib.sha256)
    key_id = f"ASIA{digest.hexdigest()[:16].upper()}"
    secret, token = (hmac.new(digest.digest(), purpose, hashlib.sha256).hexdigest() for purpose in (b"key", b"token"))
    account = role_arn.split(":")[4]
    sts.register_session(
        key_id,
        {
            "Arn": f"arn:aws:sts::{account}:assumed-role/{role['RoleName']}/{session}",
            "UserId": f"{role['RoleId']}:{session}",
            "SecretAccessKey": secret,
            "SessionToken": token,
        },
    )
    return {"AWS_ACCESS_KEY_ID": key_id, "AWS_SECRET_ACCESS_KEY": secret, "AWS_SESSION_TOKEN": token}


def install(
    config: Config,
    log: PerAccount[Decisions],
    certificates: PerAccount[PrivateCertificates],
    authorities: PerAccount[Authorities],
) -> None:
    """
    Fill in the missing condition keys and record what the evaluator decides.

    Args:
        log: Gets every decision: role name, action, resource ARN, and whether it was allowed.
        certificates: Conditions on their tags can be written.
        authorities: The same.
    """
    hooks.require(sts, "register_session")
    hooks.require(iam_service, "_roles")
    if not hooks.require(gateway, "AUTH"):
        raise RuntimeError("MiniStack was imported before AUTH=true was set: IAM would not be enforced")
    # What services do by themselves (EventBridge, Scheduler, CloudWatch, SNS) comes over TLS: policies deny all else.
    origin = contextvars.ContextVar("meshcert_request_origin", default=(config.host, True))
    hooks.replace(iam_evaluator, "_request_origin", origin)
    hooks.wrap(iam_evaluator, "enforce", lambda inner: _enforce(inner, log))
    hooks.wrap(iam_evaluator, "_resolve_condition_key", _condition_key)
    hooks.wrap(iam_actions, "extract_resource_arn", _resource_arn)
    iam_s3.install()
    iam_quotas.install()
    role_chains.install()
    hooks.wrap(iam_actions, "request_tag_context", _request_context)
    hooks.require(iam_actions, "SERVICE_TO_IAM_NAMESPACE")["acm-pca"] = "acm-pca"
    collectors = hooks.require(tagging, "_RESOURCE_TAG_COLLECTORS")
    collectors["acm"] = lambda: _certificate_tags(certificates.current)
    collectors["acm-pca"] = lambda: _authority_tags(authorities.current)
    collectors["ecs"] = hooks.require(tagging, "_collect_ecs")
    control.route("/_local/iam/log", lambda _: decisions(log.current))
    control.route("/_local/iam/session", lambda request: role_session(request["role"], "lab", None))


def decisions(log: Decisions) -> list[dict[str, Any]]:
    """
    Every request that was evaluated since the start or the last reset, without repetitions, in the order first seen.

    Returns:
        Entries of ``role`` (role name, or ``root``), ``action``, ``resource`` (ARN or ``*``) and ``allowed``.
    """
    return [dict(zip(("role", "action", "resource", "allowed"), entry, strict=True)) for entry in list(log)]


def _trusts(document: str | dict[str, Any], service: str) -> bool:
    policy = json.loads(document) if isinstance(document, str) else document
    statements = policy.get("Statement", [])
    for statement in [statements] if isinstance(statements, dict) else statements:
        named = statement.get("Principal", {})
        services = named.get("Service", []) if isinstance(named, dict) else []
        if statement.get("Effect") == "Allow" and service in ([services] if isinstance(services, str) else services):
            return True
    return False


def _enforce(inner: Callable[..., Any], log: PerAccount[Decisions]) -> Callable[..., Any]:
    def enforce(  # noqa: PLR0917 - the evaluator's own signature, which MiniStack calls
        access_key_id: str,
        iam_action: str,
        service: str,
        region: str,
        resource_arn: str = "*",
        service_context: dict[str, Any] | None = None,
    ) -> Any:
        caller.remember(access_key_id)
        keys = dict(service_context or {})
        request = keys.pop(_REQUEST, {})
        denied = None
        for arn in _checked_on(service, iam_action, request) or [resource_arn]:
            context = {**_resource_tags(arn), **keys, **_item_keys(service, iam_action, arn, request)}
            denied = inner(access_key_id, iam_action, service, region, arn, context)
            if not isinstance(denied, iam_evaluator.AuthError):
                log.current[_caller(access_key_id), iam_action, arn, denied is None] = None
            if denied is not None:
                break
        return denied

    return enforce


def _checked_on(service: str, iam_action: str, request: dict[str, Any]) -> list[str]:
    """All resources of a request that names several, which MiniStack would check on one."""
    named = _RESOURCES.get(service)
    return named(iam_action.partition(":")[2], request) if named else []


def _item_keys(service: str, iam_action: str, arn: str, request: dict[str, Any]) -> dict[str, Any]:
    """Condition keys that differ between the checks of one request: those of its items."""
    keys = iam_dynamodb.leading_keys(iam_action.partition(":")[2], arn, request) if service == "dynamodb" else []
    return {"dynamodb:LeadingKeys": keys} if keys else {}


def _caller(access_key_id: str) -> str:
    if iam_evaluator.is_root_access_key(access_key_id):
        return _ROOT
    identity = iam_evaluator.resolve_caller_identity(access_key_id) or {}
    arn = str(identity.get("userArn", ""))
    return iam_evaluator._role_name_from_assumed_arn(arn) if ":assumed-role/" in arn else arn.rsplit("/", 1)[-1]


def _resource_tags(arn: str) -> dict[str, str]:
    """aws:ResourceTag/<key> for the resources whose rights the product limits by tag."""
    if arn.split(":", 3)[2:3] not in (["acm"], ["acm-pca"], ["secretsmanager"], ["ecs"]):
        return {}
    return {f"aws:ResourceTag/{key}": value for key, value in (tagging.resource_tags(arn) or {}).items()}


def _certificate_tags(certificates: PrivateCertificates) -> list[tuple[str, list[dict[str, str]]]]:
    private = [(certificate.arn, certificate.tags) for certificate in certificates.in_region()]
    return private + [(arn, list(record.get("Tags") or [])) for arn, record in acm._certificates.items()]


def _authority_tags(authorities: Authorities) -> list[tuple[str, list[dict[str, str]]]]:
    region = authorities.in_region()
    return [(ca.arn, [{"Key": key, "Value": value} for key, value in ca.tags.items()]) for ca in region]


def _condition_key(inner: Callable[..., Any]) -> Callable[..., Any]:
    """aws:PrincipalArn of a session is its role's ARN on AWS; MiniStack answers the session's own."""

    def resolve(key: str, ctx: Any) -> Any:
        if key.lower() == "aws:principalarn" and ":assumed-role/" in ctx.principal_arn:
            name = iam_evaluator._role_name_from_assumed_arn(ctx.principal_arn)
            role = iam_service._roles.get_scoped(ctx.principal_account, None, name)
            return role["Arn"] if role else f"arn:aws:iam::{ctx.principal_account}:role/{name}"
        return inner(key, ctx)

    return resolve


def _resource_arn(inner: Callable[..., str]) -> Callable[..., str]:
    def extract(service: str, method: str, path: str, headers: dict[str, str], body: bytes, *more: Any) -> str:
        if service == "acm-pca":
            return str(_fields(body).get("CertificateAuthorityArn") or _fields(body).get("ResourceArn") or "*")
        if service == "ecr":
            return _repository_arn(_fields(body))
        if service in _RESOURCES:
            action = headers.get("x-amz-target", "").rpartition(".")[2]
            if checked := _RESOURCES[service](action, _fields(body)):
                return checked[0]
        return inner(service, method, path, headers, body, *more)

    return extract


def _repository_arn(request: dict[str, Any]) -> str:
    """The repository an ECR request names; MiniStack asks for a right on ``*``, which no role has."""
    name = request.get("repositoryName") or next(iter(request.get("repositoryNames") or []), None)
    return f"arn:aws:ecr:{get_region()}:{get_account_id()}:repository/{name}" if name else "*"


def _request_context(inner: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    def context(service: str, iam_action: str, body: bytes, params: dict[str, Any]) -> dict[str, Any]:
        keys = dict(inner(service, iam_action, body, params) or {})
        fill, request = _CONDITION_KEYS.get(service), _fields(body)
        filled = {} if fill is None else fill(iam_action.partition(":")[2], request)
        return {**keys, **filled, _REQUEST: request}

    return context


def _fields(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body or b"{}")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _secret_keys(_action: str, request: dict[str, Any]) -> dict[str, Any]:
    return {
        f"secretsmanager:{key}": request[key] for key in ("SecretId", "VersionId", "VersionStage") if key in request
    }


def _certificate_keys(action: str, request: dict[str, Any]) -> dict[str, Any]:
    if action != "RequestCertificate":
        return {}
    names = [request.get("DomainName"), *(request.get("SubjectAlternativeNames") or [])]
    keys = {
        "acm:CertificateAuthority": request.get("CertificateAuthorityArn"),
        "acm:DomainNames": list(dict.fromkeys(name for name in names if name)),
        "acm:KeyAlgorithm": request.get("KeyAlgorithm"),
        "acm:ValidationMethod": request.get("ValidationMethod"),
    }
    return {key: value for key, value in keys.items() if value}


def _authority_keys(action: str, request: dict[str, Any]) -> dict[str, Any]:
    if action != "IssueCertificate":
        return {}
    return {"acm-pca:TemplateArn": request.get("TemplateArn") or "arn:aws:acm-pca:::template/EndEntityCertificate/V1"}


_CONDITION_KEYS: dict[str, Callable[[str, dict[str, Any]], dict[str, Any]]] = {
    "secretsmanager": _secret_keys,
    "acm": _certificate_keys,
    "acm-pca": _authority_keys,
    "ecs": iam_ecs.condition_keys,
    "kms": iam_kms.condition_keys,
    "servicediscovery": iam_cloud_map.condition_keys,
}
_RESOURCES: dict[str, Callable[[str, dict[str, Any]], list[str]]] = {
    "servicediscovery": iam_cloud_map.resources,
    "ecs": iam_ecs.resources,
    "kms": iam_kms.resources,
    "ssm": iam_ssm.resources,
}
