"""
Secrets Manager: immutable versions, one version a label, limits, and secrets by their ARN.

MiniStack 1.5.33 overwrites a version whose ClientRequestToken comes again with another value, drops all labels but
AWSCURRENT where that is among them, takes values and labels without limit, gives a secret made without a value a
version, answers ``null`` for what is not known, and takes any beginning of an ARN for the whole.

AWS refuses another value under a used token, moves every label it is given, limits a value to 65,536 bytes and a secret
to 20 labels, and takes an ARN without its random suffix, but nothing shorter (Secrets Manager API reference,
"PutSecretValue", "CreateSecret", "ListSecretVersionIds"; user guide, "AWS Secrets Manager quotas").

It can go when PutSecretValue with a used ClientRequestToken and another value answers ResourceExistsException.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ministack.core import responses
from ministack.services import secretsmanager

from local.aws import hooks
from local.aws.json_service import ServiceError
from local.aws.patches import secret_versions

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.aws.json_service import Response

VALUE_LIMIT = 65_536
LABEL_LIMIT = 20
_SUFFIX = len("-AbCdEf")
_CURRENT = "AWSCURRENT"
_OK = 200

Secret = dict[str, Any]
Call = dict[str, Any]


def install() -> None:
    """Replace the operations that deal with versions, and the look-up by ARN."""
    for name in ("_secrets", "_remove_stage_everywhere"):
        hooks.require(secretsmanager, name)
    hooks.wrap(secretsmanager, "_put_secret_value", _put)
    hooks.wrap(secretsmanager, "_get_secret_value", _get)
    hooks.wrap(secretsmanager, "_update_secret", lambda inner: _limit_versions(_limit_size(inner)))
    hooks.wrap(secretsmanager, "_create_secret", lambda inner: _create(_limit_size(inner)))
    hooks.wrap(secretsmanager, "_describe_secret", _without_nulls)
    hooks.wrap(secretsmanager, "_update_secret_version_stage", _move_label)
    hooks.wrap(secretsmanager, "_list_secret_version_ids", _list_versions)
    hooks.wrap(secretsmanager, "_vid_to_stages", _labelled)
    hooks.wrap(secretsmanager, "_resolve", _resolve)
    hooks.wrap(secretsmanager, "_apply_current_promotion", secret_versions.keep_outdated)


def find(secret_id: str) -> Secret | None:
    """MiniStack's record of the secret that a name or ARN means, also one that is scheduled for deletion."""
    _, secret = secretsmanager._resolve(secret_id)
    found: Secret | None = secret
    return found


def _resolve(inner: Callable[..., tuple[str | None, Secret | None]]) -> Callable[..., tuple[str | None, Secret | None]]:
    """An ARN may lack its random suffix and nothing else; MiniStack takes any beginning of it."""

    def resolve(secret_id: str | None, **options: Any) -> tuple[str | None, Secret | None]:
        key, secret = inner(secret_id, **options)
        if secret is None or not secret_id or not secret_id.startswith("arn:") or secret["ARN"] == secret_id:
            return key, secret
        for name, candidate in secretsmanager._secrets.items():
            if candidate["ARN"][:-_SUFFIX] == secret_id:
                return name, candidate
        return None, None

    return resolve


def _put(inner: Callable[[Call], Response]) -> Callable[[Call], Response]:
    """A version never changes: the same token with the same value does nothing, with another value it is refused."""

    def put(call: Call) -> Response:
        secret = find(call.get("SecretId", ""))
        if secret is None or secret.get("DeletedDate"):
            return inner(call)
        try:
            _require_size(call)
            labels = list(call.get("VersionStages") or [_CURRENT])
            if not any(_CURRENT in version["Stages"] for version in secret["Versions"].values()):
                labels = list(dict.fromkeys([*labels, _CURRENT]))
            _require_labels(secret, labels)
            repeated = _repetition(secret, call)
        except ServiceError as error:
            return error.response()
        if repeated is not None:
            return repeated
        try:
            secret_versions.require_room(secret)
        except ServiceError as error:
            return error.response()
        others = [label for label in labels if label != _CURRENT]
        for label in others:
            secretsmanager._remove_stage_everywhere(secret, label)
        answer = inner({**call, "VersionStages": [_CURRENT] if _CURRENT in labels else others})
        return _with_labels(answer, secret, call, others) if _CURRENT in labels and others else answer

    return put


def _repetition(secret: Secret, call: Call) -> Response | None:
    token = call.get("ClientRequestToken")
    version = secret["Versions"].get(token)
    if version is None:
        return None
    value = (call.get("SecretString"), call.get("SecretBinary"))
    if (version.get("SecretString"), version.get("SecretBinary")) != value:
        raise ServiceError(
            "ResourceExistsException",
            f"You can't use ClientRequestToken {token} because that value is already in use for a version of secret "
            f"{secret['ARN']}.",
        )
    return _answer(secret, str(token))


def _with_labels(answer: Response, secret: Secret, call: Call, labels: list[str]) -> Response:
    """MiniStack forgets the other labels when AWSCURRENT is among them."""
    current = [name for name, version in secret["Versions"].items() if _CURRENT in version["Stages"]]
    version_id = call.get("ClientRequestToken") or (current[0] if current else "")
    if answer[0] != _OK or version_id not in secret["Versions"]:
        return answer
    secret["Versions"][version_id]["Stages"] += labels
    return _answer(secret, version_id)


def _answer(secret: Secret, version_id: str) -> Response:
    fields = {
        "ARN": secret["ARN"],
        "Name": secret["Name"],
        "VersionId": version_id,
        "VersionStages": list(secret["Versions"][version_id]["Stages"]),
    }
    answer: Response = responses.json_response(fields)
    return answer


def _get(inner: Callable[[Call], Response]) -> Callable[[Call], Response]:
    def get(call: Call) -> Response:
        secret = find(call.get("SecretId", ""))
        version_id, label = call.get("VersionId"), call.get("VersionStage")
        if secret and version_id in secret["Versions"] and label:
            labels = secret["Versions"][version_id]["Stages"]
            if label not in labels:
                message = "You provided a VersionStage that is not associated to the provided VersionId."
                return ServiceError("InvalidRequestException", message).response()
        return inner(call)

    return get


def _move_label(inner: Callable[[Call], Response]) -> Callable[[Call], Response]:
    def move(call: Call) -> Response:
        secret = find(call.get("SecretId", ""))
        if secret and call.get("MoveToVersionId"):
            try:
                _require_labels(secret, [call.get("VersionStage", "")])
            except ServiceError as error:
                return error.response()
        return inner(call)

    return move


def _list_versions(inner: Callable[[Call], Response]) -> Callable[[Call], Response]:
    """Versions without a label are deprecated and listed only on request."""

    def list_versions(call: Call) -> Response:
        secret = find(call.get("SecretId", ""))
        if secret is None or call.get("IncludeDeprecated"):
            return inner(call)
        hidden = {name: version for name, version in secret["Versions"].items() if not version["Stages"]}
        for name in hidden:
            del secret["Versions"][name]
        try:
            return inner(call)
        finally:
            secret["Versions"].update(hidden)

    return list_versions


def _labelled(inner: Callable[[Secret], dict[str, list[str]]]) -> Callable[[Secret], dict[str, list[str]]]:
    return lambda secret: {version: labels for version, labels in inner(secret).items() if labels}


def _create(inner: Callable[[Call], Response]) -> Callable[[Call], Response]:
    """A secret made without a value has no version, so that the first put becomes current by itself."""

    def create(call: Call) -> Response:
        answer = inner(call)
        secret = find(call.get("Name", ""))
        if answer[0] == _OK and secret and "SecretString" not in call and "SecretBinary" not in call:
            secret["Versions"].clear()
            created: Response = responses.json_response({"ARN": secret["ARN"], "Name": secret["Name"]})
            return created
        return answer

    return create


def _without_nulls(inner: Callable[[Call], Response]) -> Callable[[Call], Response]:
    """AWS leaves out what is not known; a client that reads the JSON itself would trip over null."""

    def describe(call: Call) -> Response:
        answer = inner(call)
        if answer[0] != _OK:
            return answer
        fields = {name: value for name, value in json.loads(answer[2]).items() if value is not None}
        described: Response = responses.json_response(fields)
        return described

    return describe


def _limit_size(inner: Callable[[Call], Response]) -> Callable[[Call], Response]:
    def limited(call: Call) -> Response:
        try:
            _require_size(call)
        except ServiceError as error:
            return error.response()
        return inner(call)

    return limited


def _require_size(call: Call) -> None:
    if len((call.get("SecretString") or "").encode()) > VALUE_LIMIT:
        raise ServiceError(
            "ValidationException",
            "1 validation error detected: Value at 'secretString' failed to satisfy constraint: Member must have "
            f"length less than or equal to {VALUE_LIMIT}",
        )


def _require_labels(secret: Secret, added: list[str]) -> None:
    used = {label for version in secret["Versions"].values() for label in version["Stages"]}
    if len(used | set(added)) > LABEL_LIMIT:
        message = f"secret {secret['Name']} would have more than {LABEL_LIMIT} staging labels"
        raise ServiceError("LimitExceededException", message)


def _limit_versions(inner: Callable[[Call], Response]) -> Callable[[Call], Response]:
    def limited(call: Call) -> Response:
        secret = find(call.get("SecretId", ""))
        if secret and ("SecretString" in call or "SecretBinary" in call):
            try:
                secret_versions.require_room(secret)
            except ServiceError as error:
                return error.response()
        return inner(call)

    return limited
