"""Which key a KMS request is checked on, and under which conditions; MiniStack knows no condition key of KMS."""

from __future__ import annotations

from typing import Any

from ministack.core.responses import get_account_id
from ministack.services import kms

Call = dict[str, Any]

_CRYPTOGRAPHIC = ("Encrypt", "Decrypt", "ReEncrypt", "GenerateDataKey")
_ALIAS = "alias/"


def resources(_action: str, request: Call) -> list[str]:
    """
    The ARN of the key that a request names by its id or by an alias: policies never match an alias' ARN for it.

    Source: KMS developer guide, "Specifying KMS keys in IAM policy statements".

    Returns:
        Empty if MiniStack's own choice stands: the key's ARN, or the key that a ciphertext names.
    """
    key = kms._resolve_key(request.get("KeyId") or "")
    return [str(key["Arn"])] if key else []


def condition_keys(action: str, request: Call) -> Call:
    """
    The condition keys of a direct call (KMS developer guide, "AWS KMS condition keys").

    kms:ViaService is not among them: :mod:`local.aws.patches.kms` adds it where a service asks on a caller's behalf.
    """
    keys: Call = {"kms:CallerAccount": get_account_id()}
    name = str(request.get("KeyId") or "").rpartition(":")[2]
    if name.startswith(_ALIAS):
        keys["kms:RequestAlias"] = name
    if not action.startswith(_CRYPTOGRAPHIC):
        return keys
    if action in {"Encrypt", "Decrypt"}:
        keys["kms:EncryptionAlgorithm"] = request.get("EncryptionAlgorithm") or "SYMMETRIC_DEFAULT"
    context = request.get("EncryptionContext") or {}
    keys.update({f"kms:EncryptionContext:{key}": value for key, value in context.items()})
    return {**keys, "kms:EncryptionContextKeys": list(context)} if context else keys
