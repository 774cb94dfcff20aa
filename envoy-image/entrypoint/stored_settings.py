"""
The proxy's settings that the task definition only names: fetched at start, and kept for this container.

A watcher that is replaced, and the supervisor when it stops, read what is kept: they must need neither Amazon S3 nor
DynamoDB, and a row may have others by then, for which Envoy is not configured.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from entrypoint.aws.endpoint import dynamodb_endpoint
from entrypoint.aws.object_storage import ObjectStorage
from entrypoint.aws.retrying import ProcessClock, until
from entrypoint.aws.signed_connection import SignedConnection
from entrypoint.container.kept_settings import kept_settings
from entrypoint.container.paths import Paths
from entrypoint.envoy.install import write_private
from entrypoint.settings import REGION, read_proxy, start_deadline_s
from meshcert.contract import route_rows as field
from meshcert.contract.environment import MATERIAL_DIR, PROXY_FROM
from meshcert.documents.stored_settings import SettingsObject, stored_at
from meshcert.errors import Fault, SettingsInvalid, SettingsNotPublished, StoredSettingsUnusable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, Protocol

    from entrypoint.aws.endpoint import Endpoint
    from entrypoint.aws.object_storage import ObjectConnection
    from entrypoint.aws.signed_connection import Session
    from meshcert.documents.stored_settings import SettingsRow

    class SettingsRowReader(Protocol):
        """Reads rows; :class:`entrypoint.aws.dynamodb.DynamoDb` in the container."""

        def get(self, table: str, key: Mapping[str, str]) -> dict[str, Any] | None:
            """A row, None if there is none; raises MeshcertError if that fails."""


def fetch_settings(
    environ: Mapping[str, str],
    started: float,
    session: Session,
    clock: ProcessClock | None = None,
    connect: Callable[[Endpoint], ObjectConnection] | None = None,
    *,
    rows: SettingsRowReader | None = None,
) -> str:
    """
    The settings as JSON; empty if the environment is wrong, which the settings report.

    Args:
        started: When the container started, in monotonic time.
        connect: Makes a connection to an endpoint of Amazon S3; None signs with the session's credentials.
        rows: Reads rows; None asks Amazon DynamoDB with the session's credentials.

    Raises:
        AwsUnavailable: If AWS has not answered until the start deadline.
        AwsRefused: If it refuses, as Amazon S3 does for an object that does not exist.
        SettingsNotPublished: If there is no such row until the start deadline.
        StoredSettingsUnusable: If there are others than object or row say.
        SettingsInvalid: If they cannot be kept in the material folder.
    """
    region, paths = environ.get(REGION, ""), Paths(environ)
    try:
        wanted = stored_at(environ[PROXY_FROM])
    except ValueError:
        return ""
    if not region:
        return ""
    try:
        return kept_settings(wanted, paths.stored_settings)
    except (OSError, StoredSettingsUnusable):
        pass  # this is the container's start, or another container of this task had others
    fetch: Callable[[], bytes]
    if isinstance(wanted, SettingsObject):
        fetch = partial(_object, wanted, ObjectStorage(region, environ, connect or _signed(region, "s3", session)))
    else:
        fetch = partial(_row, wanted, rows or _rows(region, environ, session))
    content = until(started + start_deadline_s(environ), fetch, clock or ProcessClock())
    text = wanted.open(content)
    try:
        write_private(paths.stored_settings, content)
    except OSError as error:
        problem = f"{paths.folder} cannot be written: {error.strerror}"
        fault = Fault(MATERIAL_DIR, problem, "Mount a tmpfs there that this user may write, 1 MiB or more")
        raise SettingsInvalid("environment", (fault,)) from error
    return text


def _signed(region: str, service: str, session: Session) -> Callable[[Endpoint], SignedConnection]:
    return lambda endpoint: SignedConnection(endpoint, region, service, session)


def _object(wanted: SettingsObject, storage: ObjectStorage) -> bytes:
    stored = storage.read(wanted.bucket, wanted.key)
    assert stored is not None  # only if the caller has it already
    return stored.body


def _rows(region: str, environ: Mapping[str, str], session: Session) -> SettingsRowReader:
    from entrypoint.aws.dynamodb import DynamoDb  # an object needs none of it

    return DynamoDb(partial(_signed(region, "dynamodb", session), dynamodb_endpoint(region, environ)))


def _row(wanted: SettingsRow, rows: SettingsRowReader) -> bytes:
    row = rows.get(wanted.table, {field.SERVICE: wanted.key})
    newest = (row or {}).get(field.NEWEST)
    if not isinstance(newest, dict):
        raise SettingsNotPublished(wanted.service)
    if row and row.get(field.SCHEMA) != field.SCHEMA_VERSION:
        raise StoredSettingsUnusable(wanted.uri, "the row is of another version of meshcert")
    content = wanted.content(newest.get(field.DOCUMENT), newest.get(field.VERSION))
    before = (row or {}).get(field.BEFORE)
    if isinstance(before, dict) and not _understood(wanted, content):
        # The image is the user's to replace, and older than the mesh. Who ran with those of before runs on with them,
        # and says so; else no task could start until then, one of a scaler at night among them.
        older = wanted.content(before.get(field.DOCUMENT), before.get(field.VERSION))
        return older if _understood(wanted, older) else content
    return content


def _understood(wanted: SettingsRow, content: bytes) -> bool:
    try:
        read_proxy(wanted.open(content))
    except ValueError:
        return False
    return True
