"""Amazon ECS, whose containers learn from the environment where the task's credentials and metadata are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from entrypoint.aws.credentials import credentials_endpoint
from meshcert.contract.environment import METADATA_URI

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from entrypoint.aws.credentials import CredentialsEndpoint
    from meshcert.errors import Fault

RELATIVE_URI = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"
FULL_URI = "AWS_CONTAINER_CREDENTIALS_FULL_URI"
TOKEN = "AWS_CONTAINER_AUTHORIZATION_TOKEN"  # noqa: S105  the name of a variable
TOKEN_FILE = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"  # noqa: S105  the same
ECS_HOST = "http://169.254.170.2"


class Ecs:
    """An Amazon ECS task; see :class:`entrypoint.platform.ContainerPlatform`."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def faults(self) -> Iterator[Fault]:
        """A fault if credentials must not be fetched where the environment says, unless it holds keys itself."""
        if not self._environ.get("AWS_ACCESS_KEY_ID") and (url := self._environ.get(FULL_URI)):
            try:
                credentials_endpoint(url, self._token)
            except ValueError as error:
                from meshcert.errors import Fault  # loaded by the settings

                yield Fault(FULL_URI, str(error), "ECS sets it; do not override it")

    def credentials(self) -> CredentialsEndpoint | None:
        """The endpoint that ECS gives every task with a task role."""
        path = self._environ.get(RELATIVE_URI)
        url = ECS_HOST + path if path else self._environ.get(FULL_URI)
        return credentials_endpoint(url, self._token) if url else None

    def anonymous(self) -> str:
        """The reason, if there is no metadata endpoint; otherwise empty."""
        if self._environ.get(METADATA_URI):
            return ""
        return f"{METADATA_URI} is not set, so this is no task of ECS"

    def instance(self) -> str:
        """
        The task's ARN.

        Raises:
            ConnectionError: If the metadata endpoint does not answer, or not with a task's ARN.
        """
        from entrypoint.platform.task_metadata import task_arn  # not part of a start

        return task_arn(self._environ.get(METADATA_URI, ""))

    def _token(self) -> str:
        if file := self._environ.get(TOKEN_FILE):
            try:
                with open(file, encoding="ascii") as text:
                    return text.read().strip()
            except (OSError, UnicodeError) as error:
                raise ConnectionError(f"no credentials: {TOKEN_FILE} cannot be read") from error
        return self._environ.get(TOKEN, "")
