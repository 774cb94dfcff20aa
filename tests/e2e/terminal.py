"""``meshcert`` as an operator runs it on the demo: nothing but the environment, and the operator role's rights."""

from __future__ import annotations

import contextlib
import io
import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from meshcert import naming
from meshcert.cli.__main__ import main

if TYPE_CHECKING:
    from local.running_aws import LocalAws

NAME = "alice"
"""The operator's session; AWS names it in everything it does."""


@dataclass(frozen=True)
class Ended:
    """
    How a command ended.

    Args:
        code: Its exit code.
        out: What it wrote to standard output.
        err: What it wrote to standard error.
    """

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The JSON document of a command with ``--json``."""
        return json.loads(self.out)

    def identity(self, name: str) -> dict[str, Any]:
        """One identity of the document of ``plan`` and ``status``."""
        found: dict[str, Any] = next(one for one in self.document["identities"] if one["identity"] == name)
        return found

    def findings(self, name: str) -> list[str]:
        """Kinds of what is wrong with an identity."""
        return [finding["kind"] for finding in self.identity(name)["findings"]]


class OperatorTerminal:
    """
    Runs commands as the operator role.

    Args:
        aws: The local AWS.
        mesh: Name of the mesh.
        account: Whose operator role; by default the local AWS's own account's.
        settings: Further variables of the environment.
    """

    def __init__(self, aws: LocalAws, mesh: str, account: str = "", **settings: str) -> None:
        role = naming.role(mesh, aws.region, naming.OPERATOR_ROLE)
        arn = f"arn:aws:iam::{account or aws.account}:role/{role}"
        session = aws.client("sts", account=account).assume_role(RoleArn=arn, RoleSessionName=NAME)["Credentials"]
        self._environment = {
            "PATH": os.environ["PATH"],
            "AWS_ENDPOINT_URL": aws.endpoint,
            "AWS_REGION": aws.region,
            "AWS_ACCESS_KEY_ID": session["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": session["SecretAccessKey"],
            "AWS_SESSION_TOKEN": session["SessionToken"],
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "MESHCERT_MESH": mesh,
            **settings,
        }

    def run(self, *arguments: str) -> Ended:
        """Run ``meshcert …`` to its end."""
        out, err = io.StringIO(), io.StringIO()
        with (
            pytest.MonkeyPatch.context() as environment,
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            for name in list(os.environ):
                environment.delenv(name)
            for name, value in self._environment.items():
                environment.setenv(name, value)
            code = main(arguments)
        return Ended(code, out.getvalue(), err.getvalue())
