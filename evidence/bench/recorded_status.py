"""``meshcert status`` of a large mesh, from the local AWS's DynamoDB: its seconds and its calls."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import boto3

from local.running_aws import LocalAws
from meshcert import naming
from meshcert.aws.tables.identities import Identities
from meshcert.aws.tables.lifecycle import LifecycleRows
from meshcert.cli import exit_codes
from meshcert.identity import Identity, ServiceUse
from meshcert.lifecycle.last_look import FaultSeen, LastLook
from meshcert.lifecycle.memory import CurrentVersion, KnownCertificate, Memory
from meshcert.proxy import RotationMode
from meshcert.san import Dns

ROOT = Path(__file__).parents[2]
MESH = "large"
_ROLE = "reads-tables"
_KNOWN = 8
"""Certificates in a memory, as after some years."""


class StatusFailed(RuntimeError):
    """
    The command has failed.

    Args:
        said: The end of what it said.
    """

    def __init__(self, said: str) -> None:
        self.said = said
        super().__init__(f"meshcert status failed: {said}")


def measured(folder: Path, identities: int) -> dict[str, Any]:
    """
    Write the rows of so many identities, and run the command as people do.

    Args:
        folder: For the local AWS's files.

    Returns:
        ``status_s``, seconds on the clock with the interpreter's start, and ``status_calls``, calls of DynamoDB.

    Raises:
        StatusFailed: If it fails, or does not tell of all of them.
    """
    with LocalAws(folder / "aws") as aws:
        _write(aws, identities)
        # It needs the right to scan tables, and no other: AWS is asked nothing else.
        session = aws.control("POST", "/_local/iam/session", {"role": _role(aws)})
        environment = {**os.environ, **aws.environment(), **session}
        aws.control("PUT", "/_local/calls", {"role": _ROLE})
        began = time.monotonic()
        ended = subprocess.run(
            [sys.executable, "-m", "meshcert.cli", "--mesh", MESH, "status"],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        took = time.monotonic() - began
        if ended.returncode != exit_codes.NEEDS_A_PERSON or f"{identities:,} identities, " not in ended.stdout:
            raise StatusFailed((ended.stdout + ended.stderr)[-2000:])
        calls = aws.control("GET", "/_local/calls")
        return {"status_s": round(took, 1), "status_calls": len(calls)}


def _role(aws: LocalAws) -> str:
    """A role that may scan tables and do nothing else; its ARN."""
    iam = aws.client("iam")
    trust = [{"Effect": "Allow", "Principal": {"Service": "ecs-tasks.amazonaws.com"}, "Action": "sts:AssumeRole"}]
    scan = [{"Effect": "Allow", "Action": "dynamodb:Scan", "Resource": "*"}]
    trusting, scanning = (json.dumps({"Version": "2012-10-17", "Statement": each}) for each in (trust, scan))
    role = iam.create_role(RoleName=_ROLE, AssumeRolePolicyDocument=trusting)["Role"]
    iam.put_role_policy(RoleName=_ROLE, PolicyName="scan", PolicyDocument=scanning)
    return str(role["Arn"])


def _write(aws: LocalAws, identities: int) -> None:
    environment = aws.environment()
    dynamodb = boto3.resource(
        "dynamodb",
        endpoint_url=aws.endpoint,
        region_name=aws.region,
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
    )
    declared = Identities(_table(dynamodb, naming.identities_table(MESH)), MESH)
    rows = LifecycleRows(_table(dynamodb, naming.lifecycle_table(MESH)))
    now = dt.datetime.now(dt.UTC)
    for number in range(identities):
        identity = _identity(aws, f"service-{number:04}")
        declared.remember(identity)
        lease = rows.take(identity.name, "bench", now, now + dt.timedelta(minutes=2))
        if lease:
            rows.release(lease, _memory(identity, now, fault=number % 100 == 0), None)


def _table(dynamodb: Any, name: str) -> Any:
    return dynamodb.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "name", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "name", "KeyType": "HASH"}],
    )


def _identity(aws: LocalAws, name: str) -> Identity:
    here = f"{aws.region}:{aws.account}"
    authority = f"arn:aws:acm-pca:{here}:certificate-authority/{'0' * 36}"
    return Identity(
        name=name,
        certificate_arn=f"arn:aws:acm:{here}:certificate/{name}",
        secret_id=f"arn:aws:secretsmanager:{here}:secret:{naming.identity_secret(MESH, name)}-AbCdEf",
        root_certificate_authority_arn=authority,
        names=(Dns(f"{name}.large.svc.cluster.local"),),
        certificate_authority_arns=(authority,),
        services=(ServiceUse(name, RotationMode.RELOAD),),
    )


def _memory(identity: Identity, now: dt.datetime, *, fault: bool) -> Memory:
    begin, end = now - dt.timedelta(days=90), now + dt.timedelta(days=300)
    memory = Memory(looked_at=now)
    for number in range(_KNOWN):
        known = KnownCertificate(f"{number:064x}", identity.certificate_arn, begin, end)
        memory = memory.knowing(f"{number:032x}", known)
    faults = (FaultSeen("ServedBehind", "a task serves another version"),) if fault else ()
    last_look = LastLook(now, settled=not fault, action="wait" if fault else "nothing", why="a test", faults=faults)
    publication = CurrentVersion(f"{_KNOWN - 1:064x}", begin, identity.certificate_arn, begin, end)
    return Memory(publication=publication, certificates=memory.certificates, looked_at=now, last_look=last_look)
