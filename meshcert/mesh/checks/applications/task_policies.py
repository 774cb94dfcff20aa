"""Checks of the policies that an application's task gets: none may reach the keys, secrets and tables of a mesh."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from meshcert.mesh.applications.task_policies import TaskStatement
    from meshcert.mesh.findings import Findings
    from meshcert.mesh.mesh import Mesh

LONGEST_STATEMENTS = 4_000
"""Characters of a task's statements: all inline policies of a role have 10,240 (IAM quotas)."""
_MANAGED = re.compile(r"arn:aws[a-z-]*:iam::(?P<owner>aws|[0-9]{12}):policy/(?P<name>[\w+=,.@/-]{1,512})", re.ASCII)
_ACTION = re.compile(r"[a-z0-9-]+:[A-Za-z0-9*?]+", re.ASCII)
_OF_EVERYTHING = frozenset(
    (
        *("AdministratorAccess", "PowerUserAccess", "ReadOnlyAccess", "IAMFullAccess", "SecretsManagerReadWrite"),
        *("AmazonDynamoDBFullAccess", "AmazonDynamoDBFullAccess_v2", "AmazonDynamoDBReadOnlyAccess"),
        *("AmazonSQSFullAccess", "AmazonSSMFullAccess", "AWSCloudFormationFullAccess", "CloudWatchLogsFullAccess"),
        *("AWSLambda_FullAccess", "AmazonECS_FullAccess", "AmazonS3FullAccess", "AWSCertificateManagerFullAccess"),
        *("AWSPrivateCAFullAccess", "AWSPrivateCAPrivilegedUser", "AWSPrivateCAUser"),
        *("job-function/DataScientist", "job-function/DatabaseAdministrator", "job-function/SystemAdministrator"),
    )
)
"""
Policies of AWS's own that reach every secret, table, queue, function, bucket, role or certificate of an account.

They have the same names in every partition.
"""
_TELLS_NAMES = re.compile(r"[a-z0-9-]+:(List|Describe)[A-Za-z0-9]*", re.ASCII)
"""Actions that tell what there is, and not what is in it."""
_PARTS = 6
"""Of an ARN, with colons between them."""
_NOT_YOURS = "meshcert"
"""Stands for an id that AWS makes up: a literal id of yours is another one, and a wildcard is none."""
_OURS = (
    ("secretsmanager:*", "arn:aws:secretsmanager:*:*:secret:meshcert/*", "the secrets with keys of certificates"),
    ("dynamodb:*", "arn:aws:dynamodb:*:*:table/meshcert-*", "the tables by which certificates are renewed"),
    ("ssm:*", "arn:aws:ssm:*:*:parameter/meshcert/*", "the parameters that say what is issued"),
    ("lambda:*", "arn:aws:lambda:*:*:function:meshcert-*", "the functions that export and renew"),
    ("sqs:*", "arn:aws:sqs:*:*:meshcert-*", "the queues of orders"),
    ("s3:*", "arn:aws:s3:::meshcert-*", "the buckets of revocation lists and bundles"),
    ("s3:*", "arn:aws:s3:::cdk-*", "the bucket that functions are deployed from"),
    *(
        ("ecs:*", f"arn:aws:ecs:*:*:{kind}/meshcert-*", "the tasks and services of meshes")
        for kind in ("cluster", "service", "task", "task-definition")
    ),
    ("sts:AssumeRole*", "arn:aws:iam::*:role/meshcert-*", "the roles of meshcert"),
    ("sts:AssumeRole*", "arn:aws:iam::*:role/cdk-*", "the roles that deploy meshes"),
    ("iam:*", "arn:aws:iam::*:role/meshcert-*", "the roles of meshcert"),
    ("iam:*", "arn:aws:iam::*:role/cdk-*", "the roles that deploy meshes"),
    ("iam:*", "arn:aws:iam::*:policy/meshcert-*", "the policies of attached services"),
    ("logs:*", "arn:aws:logs:*:*:log-group:/meshcert/*", "the audit log, and the logs of tasks and functions"),
    ("cloudwatch:*Alarm*", "arn:aws:cloudwatch:*:*:alarm:meshcert-*", "the alarms"),
    ("scheduler:*", "arn:aws:scheduler:*:*:schedule/*/meshcert-*", "the schedules of looks"),
    ("kms:*", f"arn:aws:kms:*:*:key/{_NOT_YOURS}", "the key that encrypts secrets of meshes"),
    ("acm:*", f"arn:aws:acm:*:*:certificate/{_NOT_YOURS}", "certificates that can be exported with their keys"),
    ("acm-pca:*", f"arn:aws:acm-pca:*:*:certificate-authority/{_NOT_YOURS}", "the CAs that sign for meshes"),
)
"""Actions, resources, and what they are."""
_VARIABLE = re.compile(r"\$\{[^}]*\}")
"""A policy variable: its value, or the default written in it, may be anything (IAM guide, "Variables and tags")."""


def check_task_policies(mesh: Mesh, findings: Findings) -> None:
    """Report policies that are none, or reach what is meshcert's: in this mesh, and in any other of the account."""
    ours = (*_OURS, *_of_this_mesh(mesh))
    for name, service in mesh.services.items():
        if service.application is None:
            continue
        place, policies = f"services.{name}.application.task_policies", service.application.task_policies
        for index, arn in enumerate(policies.managed):
            where = f"{place}.managed[{index}]"
            managed = _MANAGED.fullmatch(arn)
            if not managed:
                findings.add(
                    where,
                    f"{arn!r} is not the ARN of a managed policy",
                    "Write arn:aws:iam::ACCOUNT:policy/NAME",
                )
            elif managed["owner"] == "aws" and managed["name"] in _OF_EVERYTHING:
                findings.add(
                    where,
                    "it reaches everything in the account, the keys of every mesh among it",
                    "Write a policy that names what the application uses",
                )
        for index, statement in enumerate(policies.statements):
            _check_statement(f"{place}.statements[{index}]", statement, ours, findings)
        length = sum(len(statement.model_dump_json()) for statement in policies.statements)
        if length > LONGEST_STATEMENTS:
            findings.add(
                f"{place}.statements",
                f"they take {length:,} characters, and a role has room for {LONGEST_STATEMENTS:,} of yours",
                "Make a managed policy of them, and name its ARN under managed",
            )


def _of_this_mesh(mesh: Mesh) -> Iterator[tuple[str, str, str]]:
    """What has names that the mesh file gives: its stacks, and its services in a cluster of the user's."""
    yield "cloudformation:*", f"arn:aws:cloudformation:*:*:stack/{mesh.name}-*", "the stacks of this mesh"
    for place in dict.fromkeys(mesh.ecs_places.values()):
        yield "ecs:*", f"arn:aws:ecs:*:*:service/{place}", "a service of this mesh"
        cluster = place.partition("/")[0]
        yield "ecs:*", f"arn:aws:ecs:*:*:task/{cluster}/{_NOT_YOURS}", "tasks of this mesh"


def _check_statement(
    place: str, statement: TaskStatement, known: Sequence[tuple[str, str, str]], findings: Findings
) -> None:
    for index, action in enumerate(statement.actions):
        if not _ACTION.fullmatch(action):
            findings.add(
                f"{place}.actions[{index}]",
                f"{action!r} is not an action",
                "Write SERVICE:ACTION, for example s3:GetObject; a bare * would reach the keys of the mesh",
            )
    if statement.effect == "Deny":
        return
    for index, resource in enumerate(statement.resources):
        for action in statement.actions:
            reached = next((what for actions, ours, what in known if _reaches(action, resource, actions, ours)), "")
            if reached:
                findings.add(
                    f"{place}.resources[{index}]",
                    f"with {action} it reaches {reached}",
                    "Name resources of yours, without a wildcard that takes in meshcert's",
                    given=(f"{place}.actions",),
                )
                break


def _reaches(action: str, resource: str, actions: str, ours: str) -> bool:
    if _TELLS_NAMES.fullmatch(action) or not may_meet(action.lower(), actions.lower()):
        return False
    resource = _VARIABLE.sub("*", resource)
    # What is left out is any, and every partition has the same names.
    written = (resource.split(":", _PARTS - 1) + ["*"] * _PARTS)[:_PARTS]
    named = ours.split(":", _PARTS - 1)
    if all(may_meet(mine, other) for mine, other in zip(written[2:], named[2:], strict=True)):
        return True
    # A wildcard at the end of a part reaches over colons (IAM guide, "Resource"); names of meshcert's have none.
    return may_meet(resource, ":".join(("arn", "*", *named[2:])), over=False)


def may_meet(one: str, other: str, *, over: bool = True) -> bool:
    """
    Whether there is a text that matches both patterns, in which ``*`` is any text and ``?`` any character.

    Args:
        over: Whether a ``*`` of the other one may have a colon in it.
    """
    seen, ahead = {(0, 0)}, [(0, 0)]
    while ahead:
        here, there = ahead.pop()
        if (here, there) == (len(one), len(other)):
            return True
        left, right = one[here : here + 1], other[there : there + 1]
        following = set()
        if left == "*":
            following |= {(here + 1, there)} | ({(here, there + 1)} if right else set())
        if right == "*":
            following |= {(here, there + 1)} | ({(here + 1, there)} if left and (over or left != ":") else set())
        if left and right and (left == right or "?" in (left, right)):
            following.add((here + 1, there + 1))
        ahead += following - seen
        seen |= following
    return False
