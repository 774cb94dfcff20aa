"""What ECS fetches into a container's environment when a task starts, as ``valueFrom`` of a task definition says it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

SECRETS_MANAGER, PARAMETER_STORE = "secretsmanager", "ssm"
_ARN = r"arn:aws[a-z-]*:{}:(?P<region>[a-z0-9-]+):[0-9]{{12}}:{}"
# Secrets Manager appends six characters to a name. ECS: the JSON key, then a version by its label or its id.
_SECRET = re.compile(
    rf"(?P<arn>{_ARN.format(SECRETS_MANAGER, 'secret')}:(?P<name>[A-Za-z0-9/_+=.@!-]{{1,512}})-[A-Za-z0-9]{{6}})"
    r"(:[^:]*:([^:]*:|:[A-Za-z0-9-]{32,64}))?"
)
_PARAMETER = re.compile(rf"(?P<arn>{_ARN.format(PARAMETER_STORE, 'parameter')}/(?P<name>[A-Za-z0-9_./-]{{1,1010}}))")
KMS_KEY = re.compile(rf"{_ARN.format('kms', 'key')}/[A-Za-z0-9-]{{1,128}}")
"""The ARN of a KMS key. Policies do not match one of an alias."""


class FetchedSecret(NamedTuple):
    """
    A secret of Secrets Manager, or a parameter of Systems Manager.

    Args:
        service: ``secretsmanager`` or ``ssm``.
        region: Where it is.
        arn: Its ARN, without the JSON key and version that may follow.
        name: Its name, without a leading slash.
    """

    service: str
    region: str
    arn: str
    name: str

    @classmethod
    def from_value(cls, text: str) -> FetchedSecret | None:
        """
        What ``valueFrom`` names, None if it is nothing that ECS could fetch and IAM could limit.

        Source: ECS developer guide, "Pass Secrets Manager secrets through Amazon ECS environment variables" and the
        same of "Systems Manager parameters". The shorter forms are none: a secret's ARN without its last six
        characters, and a parameter's name alone.
        """
        for service, form in ((SECRETS_MANAGER, _SECRET), (PARAMETER_STORE, _PARAMETER)):
            if found := form.fullmatch(text):
                return cls(service, found["region"], found["arn"], found["name"])
        return None


def are_parameters(values: Iterable[str]) -> bool:
    """Whether any of these values of ``secrets`` is a parameter of Systems Manager."""
    found = map(FetchedSecret.from_value, values)
    return any(secret is not None and secret.service == PARAMETER_STORE for secret in found)
