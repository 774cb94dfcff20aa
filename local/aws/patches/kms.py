"""
KMS behind Secrets Manager.

MiniStack 1.5.33 never asks KMS for secrets under a customer's key.

AWS lets nobody read or write such a secret without rights on the key: kms:Decrypt to read, kms:GenerateDataKey and
kms:Decrypt to write, asked for through Secrets Manager (Secrets Manager user guide, "Secret encryption and decryption
in AWS Secrets Manager", "Permissions for the KMS key").

It can go when GetSecretValue is denied to a role that has no kms:Decrypt.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ministack import app as gateway
from ministack.core import iam_evaluator, responses, router
from ministack.services import kms

from local.aws import hooks
from local.aws.json_service import ServiceError, action_of, fields_of
from local.aws.patches import secrets_manager

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.aws.json_service import Response, ServiceHandler

_OWN_KEY = "alias/aws/secretsmanager"
_ENABLED = "Enabled"


def install() -> None:
    """Check the key in front of Secrets Manager's own handler."""
    hooks.require(kms, "_resolve_key")
    hooks.require(iam_evaluator, "enforce")
    handlers = hooks.require(gateway, "SERVICE_HANDLERS")
    handlers["secretsmanager"] = _with_key(handlers["secretsmanager"])


def _with_key(inner: ServiceHandler) -> ServiceHandler:
    async def handle(
        method: str,
        path: str,
        headers: dict[str, str],
        body: bytes,
        query: dict[str, Any],
    ) -> Response:
        needed = _NEEDED.get(action_of(headers))
        if needed is not None:
            try:
                call = fields_of(body)
                for action in needed(call):
                    _require(action, call, router.extract_access_key_id(headers, query))
            except ServiceError as error:
                return error.response()
        return await inner(method, path, headers, body, query)

    return handle


def _writes(call: dict[str, Any]) -> tuple[str, ...]:
    """Creating or changing a value needs both rights."""
    return ("kms:GenerateDataKey", "kms:Decrypt") if "SecretString" in call or "SecretBinary" in call else ()


_NEEDED: dict[str, Callable[[dict[str, Any]], tuple[str, ...]]] = {
    "GetSecretValue": lambda _: ("kms:Decrypt",),
    "PutSecretValue": _writes,
    "UpdateSecret": _writes,
    "CreateSecret": _writes,
}


def _require(action: str, call: dict[str, Any], access_key_id: str) -> None:
    """
    Make sure that the caller may do ``action`` with the secret's key, through Secrets Manager.

    Raises:
        ServiceError: As Secrets Manager answers when the key is disabled or the caller has no right to it.
    """
    secret = secrets_manager.find(call.get("SecretId", "")) if "SecretId" in call else None
    key_id = call.get("KmsKeyId") or (secret or {}).get("KmsKeyId")
    if not key_id or key_id.endswith(_OWN_KEY):
        return
    key = kms._resolve_key(key_id)
    state = key.get("KeyState", _ENABLED) if key else "missing"
    if key is None or state != _ENABLED:
        code = "DecryptionFailure" if action == "kms:Decrypt" else "EncryptionFailure"
        raise ServiceError(code, f"Secrets Manager can't use the KMS key {key_id}: it is {state}")
    account = responses.get_account_id()
    context = {
        "kms:ViaService": f"secretsmanager.{responses.get_region()}.amazonaws.com",
        "kms:CallerAccount": account,
        "kms:EncryptionContextKeys": ["SecretARN", "SecretVersionId"],
    }
    if secret:
        context["kms:EncryptionContext:SecretARN"] = secret["ARN"]
    region = responses.get_region()
    if iam_evaluator.enforce(access_key_id, action, "kms", region, key["Arn"], context) is not None:
        raise ServiceError("AccessDeniedException", "Access to KMS is not allowed")
