"""Somebody who has got hold of a role's credentials."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

from evidence.fixtures.grants import Role

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local.running_aws import LocalAws


class Intruder:
    """
    Calls AWS as a role; each attribute is a boto3 client, ``lambda_`` that of Lambda, ``acm_pca`` that of Private CA.

    Args:
        aws: The local AWS.
        mesh: Name of the mesh.
        owner: Whose role it is.
    """

    def __init__(self, aws: LocalAws, mesh: str, owner: str) -> None:
        self._aws = aws
        self._role = Role(aws, mesh, owner)
        self._clients: dict[str, Any] = {}

    def __getattr__(self, service: str) -> Any:
        name = service.removesuffix("_").replace("_", "-")
        if name not in self._clients:
            self._clients[name] = self._aws.client_as(self._role.arn, name)
        return self._clients[name]

    def asks(self, function: str, event: Mapping[str, Any]) -> tuple[str, str]:
        """What was asked, and all that a function lets its caller see: the answer, and the end of its log."""
        answer = self.lambda_.invoke(FunctionName=function, LogType="Tail", Payload=json.dumps(event).encode())
        log = base64.b64decode(answer["LogResult"]).decode()
        return f"{function}, asked {event}", answer["Payload"].read().decode() + log
