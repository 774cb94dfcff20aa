"""Whether an Envoy may follow all the files that it gets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshcert.envoy.http.route_configurations import route_names
from meshcert.errors import Fault
from meshcert.mesh.rendering.route_tables import task_settings
from meshcert.proxy import DeliveryMode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshcert.mesh.mesh import Mesh
    from meshcert.proxy import ProxySettings

MOST = 128
"""What a user may follow unless the kernel was told otherwise (inotify(7), ``max_user_instances``)."""


def followed_files(settings: ProxySettings) -> int:
    """
    How many files an Envoy follows, each with an instance of inotify of its own; it aborts if it gets none.

    These are its secrets, the tasks of each backend that Cloud Map names, its route configurations, and its listeners
    if they wait for an application. The last is a file in any case; the others are with delivery ``file``.
    """
    if settings.delivery is DeliveryMode.SDS:
        return int(settings.awaits_application)
    named = sum(bool(backend.cloud_map_service) for backend in settings.backends)
    secrets = len(settings.identities) + len(settings.trust_bundles) + len(settings.foreign_bundles)
    return named + secrets + len(route_names(settings)) + settings.awaits_application


def follows_too_much(mesh: Mesh) -> Iterator[Fault]:
    """A finding for each service whose Envoy would abort as it starts, where the kernel has Linux's usual limit."""
    for name in mesh.services:
        files = followed_files(task_settings(mesh, name))
        if files > MOST:
            yield Fault(
                f"services.{name}.delivery",
                f"its Envoy follows {files} files, and Linux lets a user follow {MOST} unless told otherwise: it would "
                "abort as it starts",
                "Write delivery: sds, which follows no secrets and no backends",
            )
