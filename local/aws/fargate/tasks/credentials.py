"""The credentials endpoint of ECS tasks: what AWS_CONTAINER_CREDENTIALS_FULL_URI of a container names."""

from __future__ import annotations

import datetime as dt
import hmac
import json
import logging
import secrets
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, ClassVar

from local.aws.iam import evaluation as iam
from local.aws.iam import service_roles

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger(__name__)

ECS_TASKS = "ecs-tasks.amazonaws.com"
"""Who assumes the roles of a task."""

# As on Fargate; a client asks again some minutes before.
_VALID_FOR = dt.timedelta(hours=6)


@dataclass(frozen=True)
class Grant:
    """
    One task's way to its role.

    Args:
        uri: Where it asks.
        token: What it must send as Authorization.
        session: Yields the keys; asked at every request.
    """

    uri: str
    token: str
    role_arn: str
    session: Callable[[], dict[str, str]]


class CredentialsEndpoint:
    """
    Serves role sessions on a loopback port; SDKs accept plain HTTP for 127.0.0.0/8 alone.

    Args:
        host: Loopback address to listen on.
    """

    def __init__(self, host: str) -> None:
        self._grants: dict[str, Grant] = {}
        handler = type("Handler", (_Handler,), {"grants": self._grants})
        self._server = ThreadingHTTPServer((host, 0), handler)
        self._server.daemon_threads = True
        self._base = f"http://{host}:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True, name="task-credentials").start()

    def grant(self, role_arn: str, task_arn: str) -> Grant:
        """
        Open the way to ``role_arn`` for one task.

        Raises:
            ValueError: If the role does not exist or does not trust ECS when it acts for this task.
        """
        keys = {"aws:SourceAccount": task_arn.split(":")[4], "aws:SourceArn": task_arn}
        if not service_roles.trusts(role_arn, ECS_TASKS, keys):
            raise ValueError(f"{ECS_TASKS} was unable to assume the role {role_arn} for {task_arn}")
        session_name = task_arn.rsplit("/", 1)[-1]
        iam.role_session(role_arn, session_name)
        path = f"/v2/credentials/{secrets.token_hex(16)}"
        grant = Grant(
            f"{self._base}{path}",
            secrets.token_urlsafe(32),
            role_arn,
            lambda: iam.role_session(role_arn, session_name),
        )
        self._grants[path] = grant
        return grant

    def revoke(self, grant: Grant) -> None:
        """Close it again; the keys it gave out stay valid, as on AWS."""
        self._grants.pop(grant.uri.removeprefix(self._base), None)


class _Handler(BaseHTTPRequestHandler):
    grants: ClassVar[dict[str, Grant]]
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        grant = self.grants.get(self.path)
        if grant is None:
            self._answer(404, {"code": "NotFound", "message": "no task has these credentials"})
        elif not hmac.compare_digest(self.headers.get("Authorization", ""), grant.token):
            self._answer(401, {"code": "Unauthorized", "message": "Authorization is not this task's token"})
        else:
            try:
                keys = grant.session()
            except ValueError as error:
                self._answer(500, {"code": "InternalServerError", "message": str(error)})
                return
            expiration = dt.datetime.now(dt.UTC) + _VALID_FOR
            self._answer(
                200,
                {
                    "RoleArn": grant.role_arn,
                    "AccessKeyId": keys["AWS_ACCESS_KEY_ID"],
                    "SecretAccessKey": keys["AWS_SECRET_ACCESS_KEY"],
                    "Token": keys["AWS_SESSION_TOKEN"],
                    "Expiration": expiration.strftime("%Y-%m-%dT%H:%M:%SZ"),
                },
            )

    def _answer(self, status: int, value: dict[str, str]) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's parameter name
        logger.debug(format, *args)
