"""Whether an Envoy may follow all the files that it gets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshcert.envoy.followed_files import MOST, followed_files
from meshcert.errors import Fault
from meshcert.mesh.rendering.route_tables import task_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshcert.mesh.mesh import Mesh


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
