"""
The child that holds keys: fetch, pre-flight and install at start, then look for new versions for ever.

The AWS runtime is loaded first, because it then connects and gets credentials while Python loads the rest.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from entrypoint import exit_codes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from entrypoint.signed_connection import Session, SignedConnection


class Task(NamedTuple):
    """
    What the supervisor tells the watcher.

    Args:
        environ: The container's environment.
        started: When the container started, on the monotonic clock.
        supervisor: Process id of the supervisor.
        installed: Whether an earlier watcher has installed every secret.
        accepted: Whether Envoy has accepted every secret.
        report: Takes :data:`entrypoint.reports.INSTALLED` and ``ACCEPTED``.
    """

    environ: Mapping[str, str]
    started: float
    supervisor: int
    installed: bool
    accepted: bool
    report: Callable[[bytes], object]


def run(task: Task) -> int:
    """
    Watch until something ends it.

    Args:
        task: From the supervisor.

    Returns:
        Why it ended, one of :data:`entrypoint.exit_codes.EXIT_CODES`.
    """
    try:
        return _run(task)
    except Exception as error:  # noqa: BLE001  the last line of defence: no traceback, whose values could be secret
        from entrypoint.log import LOG_LEVEL, Log, place_of  # noqa: PLC0415  only when needed

        Log(task.environ.get(LOG_LEVEL, "")).error("internal-fault", error=type(error).__name__, place=place_of(error))
        return exit_codes.INTERNAL


def _run(task: Task) -> int:
    early = _begin_early(task.environ)

    # Everything else is loaded while the connection is being made and credentials are fetched.
    from entrypoint import process  # noqa: PLC0415  see above
    from entrypoint.delivery import Delivery  # noqa: PLC0415  see above
    from entrypoint.first_delivery import FirstDelivery, exit_code_of  # noqa: PLC0415  see above
    from entrypoint.install import SecretFiles  # noqa: PLC0415  see above
    from entrypoint.log import LOG_LEVEL, Log  # noqa: PLC0415  see above
    from entrypoint.reports import ACCEPTED, INSTALLED  # noqa: PLC0415  see above
    from entrypoint.secrets_manager import SecretsManager  # noqa: PLC0415  see above
    from entrypoint.settings import Settings  # noqa: PLC0415  see above
    from meshcert.errors import MeshcertError  # noqa: PLC0415  see above

    process.end_with_parent(task.supervisor)
    process.hide_memory()
    log = Log(task.environ.get(LOG_LEVEL, ""))
    try:
        settings = Settings.from_environ(task.environ)
        assert early is not None  # noqa: S101  the settings are good, so the endpoint is
        delivery = Delivery(SecretsManager(early.connection), SecretFiles(settings.paths.secrets), time.time)
        first = FirstDelivery(settings, delivery, log)
        if not task.installed:
            first.install(task.started + settings.start_deadline_s)
            task.report(INSTALLED)
        if not task.accepted:
            first.wait_for_envoy()
            task.report(ACCEPTED)
    except MeshcertError as error:
        code = exit_code_of(error)
        log.error("start-failed", error=type(error).__name__, reason=str(error), exit_code=code)  # noqa: TRY400  ours
        return code

    from entrypoint.acknowledgements import acknowledgements_of  # noqa: PLC0415  not needed for the start
    from entrypoint.rotation import Rotation  # noqa: PLC0415  the same

    acknowledgements = acknowledgements_of(settings, task.environ, early.session, log)
    return Rotation(settings, delivery, log, acknowledgements=acknowledgements).run()


class _Early(NamedTuple):
    session: Session
    connection: SignedConnection


def _begin_early(environ: Mapping[str, str]) -> _Early | None:
    """Credentials and the connection to AWS, on their way; None if the environment misleads, as the settings report."""
    from entrypoint.endpoint import secrets_manager_endpoint  # noqa: PLC0415  the supervisor needs none of this
    from entrypoint.signed_connection import Session, SignedConnection  # noqa: PLC0415  the same

    region = environ.get("AWS_REGION", "")
    try:
        endpoint = secrets_manager_endpoint(region, environ)
        session = Session.begin(environ)
    except ValueError:
        return None
    return _Early(session, SignedConnection(endpoint, region, "secretsmanager", session))
