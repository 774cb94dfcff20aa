"""The one call that this container makes to AWS STS: assume the role with which another cell's tasks are found."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

from entrypoint.aws.credentials import KeptCredentials, expiry
from entrypoint.aws.signature import Credentials, escaped

if TYPE_CHECKING:
    from collections.abc import Callable

    from entrypoint.aws.dynamodb import OneRequestConnection

SESSION_S = 3600
"""How long a session lasts, seconds: the longest for a role that another role assumes (IAM user guide, "Role
chaining"), and the shortest that a role may be limited to."""

_VERSION = "2011-06-15"
_HEADERS = [("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")]
# Read by patterns: what an XML parser would do besides, entities above all, no answer of STS needs.
_PARTS = {
    part: re.compile(rf"<{part}>\s*([!-%'-;=?-~]{{1,16384}})\s*</{part}>".encode())
    for part in ("AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration")
}
_CODE = re.compile(rb"<Code>(\w{1,80})</Code>")
_OK = 200


class AssumedRoleCredentials(KeptCredentials):
    """
    Credentials of a role that this container's own role may assume.

    Args:
        connect: Begins a connection to STS, signed with the container's own credentials. Each request gets a new one:
            there is one an hour.
        role: ARN of the role.
        session: Name of the session, 2 to 64 letters, digits, ``-`` and ``_``; CloudTrail shows it in both accounts.
        now: Returns seconds since 1970, UTC.
    """

    def __init__(
        self,
        connect: Callable[[], OneRequestConnection],
        role: str,
        session: str,
        now: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(now)
        self._connect = connect
        self._role = role
        self._session = session

    def _fetch(self, timeout_s: float) -> tuple[Credentials, float]:
        question = {
            "Action": "AssumeRole",
            "Version": _VERSION,
            "RoleArn": self._role,
            "RoleSessionName": self._session,
            "DurationSeconds": str(SESSION_S),
        }
        body = "&".join(f"{name}={escaped(value)}" for name, value in question.items())
        connection = self._connect()
        try:
            status, answer = connection.post(_HEADERS, body.encode(), timeout_s)
        except ConnectionError as error:
            raise self._none(f"AWS STS: {error}") from error
        finally:
            connection.close()
        if status != _OK:
            code = _CODE.search(answer)
            raise self._none(f"sts:AssumeRole: {code[1].decode() if code else f'HTTP {status}'}")
        return self._read(answer)

    def _read(self, answer: bytes) -> tuple[Credentials, float]:
        try:
            key, secret, token, expires = (_only(pattern.findall(answer)) for pattern in _PARTS.values())
            return Credentials(key, secret, token), expiry(expires)
        except (ArithmeticError, OSError, ValueError):
            # The answer is not quoted, because an unreadable one may still contain part of a credential.
            raise self._none("AWS STS answers something else") from None

    def _none(self, why: str) -> ConnectionError:
        return ConnectionError(f"no credentials of {self._role}: {why}")


def _only(found: list[bytes]) -> str:
    """The one text; raises ValueError if there is none, or another."""
    (text,) = found
    return text.decode("ascii")
