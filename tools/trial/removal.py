"""Takes the stacks of a mesh away, and what CloudFormation keeps of them; says what stays."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from meshcert.aws.errors import aws_errors
from tools.deployed_stacks import described_stack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

PARTS = ("renewal", "services", "identities", "pki")
"""The stacks, each before those that it needs."""
SHORTEST_WAIT_DAYS = 7
"""The shortest time in which a deleted CA can be restored (acm-pca:DeleteCertificateAuthority) and a key's deletion can
be cancelled (kms:ScheduleKeyDeletion)."""
LOOK_EVERY_S = 5.0
LONGEST_WAIT_S = 3600.0
"""For one stack: CloudFormation gives ECS so long, and a first deploy that fails is taken back meanwhile."""

_GONE = "DELETE_COMPLETE"
_GOES_WITH_ITS_OWNER = {
    "AWS::ACMPCA::Certificate",
    "AWS::ACMPCA::CertificateAuthorityActivation",
    "AWS::ACMPCA::Permission",
    "AWS::SecretsManager::ResourcePolicy",
}


class RemovalFailed(Exception):
    """
    CloudFormation could not take a stack away.

    Args:
        stack: Name of the stack.
        reason: What CloudFormation says.
    """

    def __init__(self, stack: str, reason: str) -> None:
        self.stack = stack
        super().__init__(f"Stack {stack} is still there: {reason}")


@dataclass(frozen=True)
class Remaining:
    """
    Something that stays in the account.

    Args:
        what: What it is, with its name.
        why: Until when, what it costs, or what to do about it.
    """

    what: str
    why: str


@dataclass(frozen=True)
class Removal:
    """
    Takes a mesh away; what is gone already is passed over, so whoever was interrupted calls it again.

    What a stack keeps goes before the stack: as long as the stack stands, it says what that is.

    Args:
        mesh: Name of the mesh.
        client: Makes the boto3 client of a service.
        tell: Called with each line of progress.
        pause: Waits some seconds.
    """

    mesh: str
    client: Callable[[str], Any]
    tell: Callable[[str], None]
    pause: Callable[[float], None] = time.sleep

    def stacks(self) -> list[str]:
        """The mesh's stacks that are there, in the order in which they go."""
        return [stack for part in PARTS if self._described(stack := f"{self.mesh}-{part}")]

    def remove(self) -> list[Remaining]:
        """
        Take everything away.

        Returns:
            What stays for some days, and cannot be taken away sooner.

        Raises:
            RemovalFailed: If a stack does not go. Those that it needs are still there.
            MeshcertError: If AWS refuses a call, or does not answer.
        """
        remaining: list[Remaining] = []
        for stack in self.stacks():
            self._settled(stack)
            self.tell(f"taking {stack} away")
            remaining += self._kept_taken_away(stack)
            with aws_errors("delete the stack", stack):
                cloudformation = self.client("cloudformation")
                cloudformation.update_termination_protection(StackName=stack, EnableTerminationProtection=False)
                cloudformation.delete_stack(StackName=stack)
            left = self._settled(stack)
            if left is not None:
                raise RemovalFailed(stack, f"{left['StackStatus']} {left.get('StackStatusReason', '')}".strip())
        return remaining

    def _settled(self, stack: str) -> Mapping[str, Any] | None:
        """A stack that CloudFormation has finished with, or None if it is gone."""
        waited = 0.0
        while (described := self._described(stack)) and described["StackStatus"].endswith("_IN_PROGRESS"):
            if waited >= LONGEST_WAIT_S:
                raise RemovalFailed(stack, f"{described['StackStatus']} for {waited / 60:.0f} minutes")
            if not waited % 60:
                self.tell(f"{stack}: {described['StackStatus']}")
            self.pause(LOOK_EVERY_S)
            waited += LOOK_EVERY_S
        return described

    def _described(self, stack: str) -> Mapping[str, Any] | None:
        with aws_errors("describe the stack", stack):
            found = described_stack(self.client("cloudformation"), stack)
        return None if found is None or found["StackStatus"] == _GONE else found

    def _kept_taken_away(self, stack: str) -> Iterator[Remaining]:
        cloudformation = self.client("cloudformation")
        with aws_errors("list what is in the stack", stack):
            declared = cloudformation.get_template(StackName=stack)["TemplateBody"]["Resources"]
            pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack)
            resources = [each for page in pages for each in page["StackResourceSummaries"]]
        for resource in resources:
            policy = declared.get(resource["LogicalResourceId"], {}).get("DeletionPolicy", "")
            name, kind = resource.get("PhysicalResourceId", ""), resource["ResourceType"]
            if not policy.startswith("Retain") or not name or resource["ResourceStatus"] == _GONE:
                continue
            if kind in TAKEN_AWAY:
                self.tell(f"deleting {name}")
                with aws_errors("delete", name):
                    remaining = TAKEN_AWAY[kind](self.client, name)
                if remaining:
                    yield remaining
            elif kind not in _GOES_WITH_ITS_OWNER:
                yield Remaining(f"{kind} {name}", "CloudFormation keeps it; delete it by hand")


def _delete_secret(client: Callable[[str], Any], arn: str) -> None:
    secrets = client("secretsmanager")
    try:
        secrets.delete_secret(SecretId=arn, ForceDeleteWithoutRecovery=True)
    except secrets.exceptions.ResourceNotFoundException:
        return


def _delete_log_group(client: Callable[[str], Any], name: str) -> None:
    logs = client("logs")
    try:
        logs.delete_log_group(logGroupName=name)
    except logs.exceptions.ResourceNotFoundException:
        return


def _delete_key(client: Callable[[str], Any], key_id: str) -> Remaining:
    kms = client("kms")
    if kms.describe_key(KeyId=key_id)["KeyMetadata"]["KeyState"] != "PendingDeletion":
        kms.schedule_key_deletion(KeyId=key_id, PendingWindowInDays=SHORTEST_WAIT_DAYS)
    return Remaining(
        f"KMS key {key_id}", f"AWS deletes it within {SHORTEST_WAIT_DAYS} days; it costs nothing until then"
    )


def _delete_authority(client: Callable[[str], Any], arn: str) -> Remaining:
    private_ca = client("acm-pca")
    status = private_ca.describe_certificate_authority(CertificateAuthorityArn=arn)["CertificateAuthority"]["Status"]
    if status == "ACTIVE":
        private_ca.update_certificate_authority(CertificateAuthorityArn=arn, Status="DISABLED")
    if status != "DELETED":
        private_ca.delete_certificate_authority(
            CertificateAuthorityArn=arn, PermanentDeletionTimeInDays=SHORTEST_WAIT_DAYS
        )
    why = f"can be restored for {SHORTEST_WAIT_DAYS} days, is billed no more, and goes then"
    return Remaining(f"certificate authority {arn}", why)


TAKEN_AWAY: Mapping[str, Callable[[Callable[[str], Any], str], Remaining | None]] = {
    "AWS::ACMPCA::CertificateAuthority": _delete_authority,
    "AWS::KMS::Key": _delete_key,
    "AWS::Logs::LogGroup": _delete_log_group,
    "AWS::SecretsManager::Secret": _delete_secret,
}
"""What a mesh's stacks keep, and how it is taken away."""
