"""
The proxy's settings that the task definition only names: fetched from Amazon S3 at start, and kept for this container.

A watcher that is replaced, and the supervisor when it stops, read what is kept: they must not need Amazon S3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from entrypoint.aws.object_storage import ObjectStorage
from entrypoint.aws.retrying import ProcessClock, until
from entrypoint.aws.signed_connection import SignedConnection
from entrypoint.container.kept_settings import kept_settings
from entrypoint.container.paths import Paths
from entrypoint.envoy.install import write_private
from entrypoint.settings import REGION, start_deadline_s
from meshcert.contract.environment import MATERIAL_DIR, PROXY_FROM
from meshcert.documents.stored_settings import SettingsObject
from meshcert.errors import Fault, SettingsInvalid, StoredSettingsUnusable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from entrypoint.aws.endpoint import Endpoint
    from entrypoint.aws.object_storage import ObjectConnection
    from entrypoint.aws.signed_connection import Session


def fetch_settings(
    environ: Mapping[str, str],
    started: float,
    session: Session,
    clock: ProcessClock | None = None,
    connect: Callable[[Endpoint], ObjectConnection] | None = None,
) -> str:
    """
    The settings as JSON; empty if the environment is wrong, which the settings report.

    Args:
        started: When the container started, in monotonic time.
        connect: Makes a connection to an endpoint; None signs with the session's credentials.

    Raises:
        AwsUnavailable: If Amazon S3 has not answered until the start deadline.
        AwsRefused: If it refuses, as it does for an object that does not exist.
        StoredSettingsUnusable: If it has other content than its name says.
        SettingsInvalid: If they cannot be kept in the material folder.
    """
    region, paths = environ.get(REGION, ""), Paths(environ)
    try:
        wanted = SettingsObject.from_uri(environ[PROXY_FROM])
    except ValueError:
        return ""
    if not region:
        return ""
    try:
        return kept_settings(wanted, paths.stored_settings)
    except (OSError, StoredSettingsUnusable):
        pass  # this is the container's start, or another container of this task had others
    storage = ObjectStorage(
        region, environ, connect or (lambda endpoint: SignedConnection(endpoint, region, "s3", session))
    )

    def fetch() -> bytes:
        stored = storage.read(wanted.bucket, wanted.key)
        assert stored is not None  # only if the caller has it already
        return stored.body

    content = until(started + start_deadline_s(environ), fetch, clock or ProcessClock())
    text = wanted.open(content)
    try:
        write_private(paths.stored_settings, content)
    except OSError as error:
        problem = f"{paths.folder} cannot be written: {error.strerror}"
        fault = Fault(MATERIAL_DIR, problem, "Mount a tmpfs there that this user may write, 1 MiB or more")
        raise SettingsInvalid("environment", (fault,)) from error
    return text
