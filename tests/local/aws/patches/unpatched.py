"""MiniStack as it is, without any patch: what the patches are measured against."""

from __future__ import annotations

import os
import socket
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3
import httpx

from local.aws.__main__ import environment
from local.aws.config import Config
from local.running_aws import ROOT
from tests.local.aws.hierarchies import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROOT_KEY = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
HOST = "127.0.0.1"


@dataclass(frozen=True)
class Unpatched:
    """
    A MiniStack that runs as it comes, IAM switched on.

    Args:
        config: How it was started.
    """

    config: Config

    def client(self, service: str, config: Any = None) -> Any:
        """A boto3 client with an administrator's rights."""
        return self.client_with(ROOT_KEY, service, config)

    def client_as(self, role_arn: str, service: str) -> Any:
        """A boto3 client with a role's rights."""
        session = self.client("sts").assume_role(RoleArn=role_arn, RoleSessionName="probe")["Credentials"]
        keys = {
            "aws_access_key_id": session["AccessKeyId"],
            "aws_secret_access_key": session["SecretAccessKey"],
            "aws_session_token": session["SessionToken"],
        }
        return self.client_with(keys, service)

    def client_with(self, keys: dict[str, str], service: str, config: Any = None) -> Any:
        """A boto3 client with these credentials."""
        return boto3.client(
            service, endpoint_url=self.config.endpoint, region_name=self.config.region, config=config, **keys
        )


@contextmanager
def running(folder: Path) -> Iterator[Unpatched]:
    """MiniStack with the settings that the local AWS gives it, as long as the ``with`` block runs."""
    config = Config(
        directory=folder / "state",
        images=folder / "images",
        bundles=folder / "bundles",
        host=HOST,
        port=_free_port(),
        dns_port=0,
        account="123456789012",
        region="eu-west-1",
        function_python=ROOT / "build" / "venv-lambda" / "bin" / "python",
    )
    (config.directory / "tmp").mkdir(parents=True)
    with (folder / "ministack.log").open("w") as log:
        process = subprocess.Popen(
            [str(ROOT / "build" / "venv-local" / "bin" / "python"), "-m", "ministack"],
            cwd=config.directory,
            env=environment(config, os.environ),
            stdout=log,
            stderr=log,
        )
    try:
        eventually(lambda: _is_up(config), "MiniStack up", within_s=30)
        yield Unpatched(config)
    finally:
        process.kill()
        process.wait()


def _is_up(config: Config) -> bool:
    try:
        return httpx.get(f"{config.endpoint}/_ministack/health", timeout=5).is_success
    except httpx.HTTPError:
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
