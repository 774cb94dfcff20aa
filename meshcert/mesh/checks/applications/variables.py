"""Checks of what an application's container is given: its command, its environment, and the secrets in it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from meshcert.contract.environment import (
    NO_PROXY,
    NODE_USES_PROXY,
    OF_ECS,
    PORT,
    PREFIX,
    PROXY_ENVIRONMENT,
    SPIFFE_ENDPOINT_SOCKET,
)
from meshcert.errors import Fault
from meshcert.mesh.applications.declared import VARIABLE_NAME
from meshcert.mesh.applications.fetched_secrets import KMS_KEY, FetchedSecret

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshcert.mesh.applications.declared import Application
    from meshcert.mesh.findings import Findings
    from meshcert.mesh.mesh import Mesh
    from meshcert.mesh.services import DeclaredService

LONGEST_CONTAINER = 24_576
"""Bytes of an application's words and variables: a task definition has 64 KiB (Amazon ECS quotas), for all of it."""
_AROUND = 26
"""Bytes around a variable in a task definition: ``{"name":"","valueFrom":""},``."""
_OURS = "meshcert/"
_REFERENCE = "aws/reference/secretsmanager/"
"""A parameter of this name is a secret (Systems Manager guide, "Referencing AWS Secrets Manager secrets")."""
_NAME = re.compile(VARIABLE_NAME)


def check_applications(mesh: Mesh, findings: Findings) -> None:
    """Report variables that are not the application's to set, secrets that ECS cannot fetch, and too much of both."""
    for name, service in mesh.services.items():
        if application := service.application:
            place = f"services.{name}.application"
            _check_variables(place, name, service, application, findings)
            _check_secrets(place, application, findings)
            _check_length(place, application, findings)
        if service.scaler and not service.desired_count:
            findings.add(
                f"services.{name}.desired_count",
                "a scaler has the number of tasks, and 0 says that there are none",
                "Write about how many there will be, or leave it out",
                given=(f"services.{name}.scaler",),
            )


def _check_variables(
    place: str, name: str, service: DeclaredService, application: Application, findings: Findings
) -> None:
    for section in ("environment", "secrets"):
        for variable in getattr(application, section):
            where = f"{place}.{section}.{variable}"
            if not _NAME.fullmatch(variable):
                findings.add(
                    where,
                    f"{variable!r} is not the name of a variable",
                    "Use letters, digits, _, . and -, a letter or _ first",
                )
            elif owner := _owner(variable, service, application):
                ground = f"services.{name}.workload_api" if variable == SPIFFE_ENDPOINT_SOCKET else place
                findings.add(where, f"{variable} is set by {owner}", "Remove it", given=(ground,))
            elif section == "secrets" and variable in application.environment:
                findings.add(
                    where,
                    f"{variable} is written under environment, too",
                    "Remove one of them",
                    given=(f"{place}.environment.{variable}",),
                )


def _owner(variable: str, service: DeclaredService, application: Application) -> str:
    """Who else sets a variable of an application's container; empty if nobody does."""
    if variable.startswith(PREFIX):
        return "meshcert, or not at all"
    if variable == PORT:
        return "meshcert, to application.port"
    if variable.startswith(OF_ECS):
        return "ECS"
    if variable == SPIFFE_ENDPOINT_SOCKET and service.workload_api:
        return "workload_api"
    if variable in (*PROXY_ENVIRONMENT, *NO_PROXY, NODE_USES_PROXY) and application.proxy_environment:
        return "proxy_environment"
    return ""


def _check_secrets(place: str, application: Application, findings: Findings) -> None:
    for variable, text in application.secrets.items():
        # What stands there may be the secret itself: it is not repeated.
        where, secret = f"{place}.secrets.{variable}", FetchedSecret.from_value(text)
        if secret is None:
            findings.add(
                where,
                "it is not the ARN of a secret of Secrets Manager, as a whole, or of an SSM parameter",
                "Write arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME-AbCdEf, with :JSON-KEY:: behind it for one "
                "key of it (or :JSON-KEY:VERSION-STAGE:VERSION-ID), or arn:aws:ssm:REGION:ACCOUNT:parameter/NAME",
            )
        elif secret.name.removeprefix(_REFERENCE).startswith(_OURS):
            findings.add(
                where,
                "it is one of meshcert's own, and no key of a certificate is to be in an environment",
                "Leave certificates to Envoy, or write workload_api: true",
            )
    for index, key in enumerate(application.secret_keys):
        if not KMS_KEY.fullmatch(key):
            findings.add(
                f"{place}.secret_keys[{index}]",
                f"{key!r} is not the ARN of a KMS key",
                "Write arn:aws:kms:REGION:ACCOUNT:key/KEY-ID; an alias cannot be in a policy",
            )
    if application.secret_keys and not application.secrets:
        findings.add(
            f"{place}.secret_keys",
            "there are no secrets that they could encrypt",
            "Remove it, or add secrets",
            given=(f"{place}.secrets",),
        )


def _check_length(place: str, application: Application, findings: Findings) -> None:
    variables = {**application.environment, **application.secrets}
    words = (*application.entry_point, *application.command, application.working_directory)
    length = sum(len(f"{name}{value}".encode()) + _AROUND for name, value in variables.items())
    length += sum(len(word.encode()) for word in words)
    if length > LONGEST_CONTAINER:
        findings.add(
            place,
            f"its words and variables take {length:,} bytes, and a task definition has room for {LONGEST_CONTAINER:,}",
            "Keep long values in Amazon S3 or in the image",
            given=(f"{place}.environment", f"{place}.secrets", f"{place}.command", f"{place}.entry_point"),
        )


def commands_of_one_word(mesh: Mesh) -> Iterator[Fault]:
    """A finding for each command line that is written as one word."""
    for name, service in mesh.services.items():
        for field in ("entry_point", "command"):
            words: tuple[str, ...] = getattr(service.application, field, ())
            if len(words) == 1 and len(parts := words[0].split()) > 1:
                yield Fault(
                    f"services.{name}.application.{field}",
                    f"{words[0]!r} is one word, so a program of this name is looked for",
                    f"Write [{', '.join(parts)}]: each word is an item, as no shell runs",
                )
