"""
What KMS encrypts under a symmetric key is opened by that key and context alone, and not if a bit of it is changed.

MiniStack 1.5.33 encrypts by exclusive or: of a changed ciphertext, and under another key that the caller names, it
makes another plaintext. It takes plaintexts of any size.

AWS KMS authenticates what it encrypts, and the context with it: a ciphertext that is "corrupted, missing, or otherwise
invalid" is refused with InvalidCiphertextException, one of another key than the caller names with IncorrectKeyException
(KMS API reference, "Decrypt"). A plaintext has 1 to 4,096 bytes ("Encrypt").

It can go when Decrypt refuses a ciphertext with its last bit changed.
"""

from __future__ import annotations

import base64
import hmac
import json
from typing import TYPE_CHECKING, Any

from ministack.core.responses import error_response_json
from ministack.services import kms

from local.aws import hooks

if TYPE_CHECKING:
    from collections.abc import Callable

Key = dict[str, Any]
Request = dict[str, Any]
Response = tuple[int, dict[str, str], bytes]

MOST_PLAINTEXT, MOST_CIPHERTEXT = 4096, 6144
# MiniStack's ciphertext begins with the id of its key.
_KEY_ID, _SEAL = 36, 32
_MATERIAL = "_symmetric_key"
_ANOTHER_KEY = "The key ID in the request does not identify a KMS key that can perform this operation."


def install() -> None:
    """Put a seal behind each of MiniStack's ciphertexts, and take none without it."""
    hooks.require(kms, "_resolve_key")
    hooks.wrap(kms, "_encrypt", _sealing)
    hooks.wrap(kms, "_generate_data_key_common", _sealing_data_key)
    hooks.wrap(kms, "_generate_data_key_pair_common", _sealing_pair)
    hooks.wrap(kms, "_decrypt", _unsealing)


def _sealing(inner: Callable[[Request], Response]) -> Callable[[Request], Response]:
    def encrypt(request: Request) -> Response:
        if not 0 < len(base64.b64decode(request.get("Plaintext") or "")) <= MOST_PLAINTEXT:
            return _out_of_bounds("plaintext", MOST_PLAINTEXT)
        status, headers, body = inner(request)
        key = kms._resolve_key(request.get("KeyId") or "")
        answer = json.loads(body)
        if key is None or _MATERIAL not in key or "CiphertextBlob" not in answer:
            return status, headers, body
        answer["CiphertextBlob"] = _sealed_text(key, answer["CiphertextBlob"])
        return status, headers, json.dumps(answer).encode()

    return encrypt


def _sealing_data_key(inner: Callable[..., tuple[Any, Any, Any]]) -> Callable[..., tuple[Any, Any, Any]]:
    def generate(*arguments: Any) -> tuple[Any, Any, Any]:
        key, data_key, result = inner(*arguments)
        return key, data_key, result if key is None else _sealed(key, result)

    return generate


def _sealing_pair(inner: Callable[..., tuple[Any, Any, Any]]) -> Callable[..., tuple[Any, Any, Any]]:
    def generate(request: Request, action: str) -> tuple[Any, Any, Any]:
        payload, private_key, error = inner(request, action)
        if payload is not None:
            key, name = kms._resolve_key(request["KeyId"]), "PrivateKeyCiphertextBlob"
            payload[name] = _sealed_text(key, payload[name])
        return payload, private_key, error

    return generate


def _unsealing(inner: Callable[[Request], Response]) -> Callable[[Request], Response]:
    def decrypt(request: Request) -> Response:
        text = base64.b64decode(request.get("CiphertextBlob") or "")
        if not 0 < len(text) <= MOST_CIPHERTEXT:
            return _out_of_bounds("ciphertextBlob", MOST_CIPHERTEXT)
        named = kms._resolve_key(request.get("KeyId") or "")
        if request.get("KeyId") and (named is None or _MATERIAL not in named):
            return inner(request)
        key, whole = kms._resolve_key(text[:_KEY_ID].decode("latin-1")), text[:-_SEAL]
        if key is None:
            return _refused("InvalidCiphertextException")
        if named is not None and named is not key:
            return _refused(
                "IncorrectKeyException",
                _ANOTHER_KEY,
            )
        if _MATERIAL in key and not hmac.compare_digest(_sealed(key, whole), text):
            return _refused("InvalidCiphertextException")
        return inner({**request, "CiphertextBlob": base64.b64encode(whole).decode()})

    return decrypt


def _sealed_text(key: Key, blob: str) -> str:
    return base64.b64encode(_sealed(key, base64.b64decode(blob))).decode()


def _sealed(key: Key, text: bytes) -> bytes:
    """``text``, which holds the digest of its context, and what only who holds the key can put behind it."""
    return text + hmac.digest(key[_MATERIAL], text, "sha256")


def _out_of_bounds(member: str, most: int) -> Response:
    return _refused(
        "ValidationException",
        f"1 validation error detected: Value at '{member}' failed to satisfy constraint: Member must have length less "
        f"than or equal to {most} and greater than or equal to 1",
    )


def _refused(code: str, message: str = "") -> Response:
    """AWS says nothing more of a ciphertext that does not open."""
    answer: Response = error_response_json(code, message, 400)
    return answer
