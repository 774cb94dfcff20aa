"""The platform: which workload instance this is, and where its AWS credentials come from. Amazon ECS is the first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from entrypoint.aws.credentials import CredentialsEndpoint
    from meshcert.errors import Fault


class ContainerPlatform(Protocol):
    """The platform that runs this container."""

    def faults(self) -> Iterator[Fault]:
        """The faults in the platform's part of the environment."""

    def credentials(self) -> CredentialsEndpoint | None:
        """The endpoint of this instance's credentials, or None; raises ValueError if its URL is not HTTP(S)."""

    def anonymous(self) -> str:
        """The reason why the platform cannot say which instance this is; empty if it can."""

    def instance(self) -> str:
        """This instance's name, which never changes; raises ConnectionError if the platform does not answer now."""


def platform_of(environ: Mapping[str, str]) -> ContainerPlatform:
    """The platform that this container runs on."""
    from entrypoint.platform.ecs import Ecs

    return Ecs(environ)
