"""
The discoveries of one proxy: one for each namespace its backends are registered in.

Each has a thread and pauses of its own. Another cell that does not answer, or whose role may not be assumed, makes no
answer of this cell late.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from entrypoint.aws.cloud_map import CloudMapReader
from entrypoint.aws.endpoint import cloud_map_endpoint
from entrypoint.aws.signed_connection import Session, SignedConnection
from entrypoint.discovery.connecting import accepting
from entrypoint.discovery.discovery import Discovery
from meshcert.contract.discovery import ANSWER_WITHIN_S

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from entrypoint.envoy.handover import Handover
    from entrypoint.log import Log
    from entrypoint.settings import Settings
    from meshcert.proxy import RemoteNamespace


class Discoveries:
    """
    The endpoints of every backend that Cloud Map knows.

    Args:
        environ: May name other endpoints of AWS, for tests.
        session: Of this container.
        handover: Takes them to Envoy.
        resumes: True if Envoy has endpoints from an earlier watcher: only Cloud Map's answer replaces them.

    Raises:
        ValueError: If an endpoint in the environment is no URL.
    """

    def __init__(
        self,
        settings: Settings,
        environ: Mapping[str, str],
        session: Session,
        handover: Handover,
        *,
        resumes: bool,
        log: Log,
    ) -> None:
        def resolve(host: str) -> tuple[str, ...]:
            from entrypoint.trial.addresses import addresses_of  # only while Cloud Map does not answer

            try:
                return tuple(addresses_of(host, settings.addresses.dns_resolver, ANSWER_WITHIN_S))
            except (OSError, ValueError):
                return ()

        self._each = [
            Discovery(
                backends,
                _reader(settings, environ, session, where),
                resolve,
                handover,
                accepting=accepting,
                resumes=resumes,
                log=log,
            )
            for where, backends in settings.proxy.discovered_in.items()
        ]

    def __iter__(self) -> Iterator[Discovery]:
        return iter(self._each)

    def wait(self, seconds: float) -> None:
        """Wait until there was an answer about every backend, or time is up for it; not longer than that."""
        deadline = time.monotonic() + seconds
        for each in self:
            each.wait(max(0.0, deadline - time.monotonic()))

    def found_by_dns(self) -> tuple[str, ...]:
        """The backends that only DNS has named so far, sorted."""
        return tuple(sorted(name for each in self for name in each.found_by_dns()))


def _reader(
    settings: Settings, environ: Mapping[str, str], session: Session, where: RemoteNamespace | None
) -> CloudMapReader:
    """A reader of the proxy's own namespace (None), or of another cell's."""
    region, namespace, owner = settings.region, settings.proxy.cloud_map_namespace, settings.proxy.cloud_map_owner
    if where is not None:
        region, namespace, owner = where.region, where.name, ""
        session = _in_role(settings, environ, session, where.role)
    endpoint = cloud_map_endpoint(region, environ)
    return CloudMapReader(SignedConnection(endpoint, region, "servicediscovery", session), namespace, owner)


def _in_role(settings: Settings, environ: Mapping[str, str], session: Session, role: str) -> Session:
    from entrypoint.aws.assumed_role import AssumedRoleCredentials  # few proxies call other cells
    from entrypoint.aws.endpoint import sts_endpoint

    endpoint = sts_endpoint(settings.region, environ)

    def connect() -> SignedConnection:
        return SignedConnection(endpoint, settings.region, "sts", session)

    credentials = AssumedRoleCredentials(connect, role, f"meshcert-{settings.proxy.service}")
    return session._replace(credentials=credentials)
