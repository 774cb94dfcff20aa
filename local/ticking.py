"""Ticks and sweeps, more often than the schedules send them: for demos and tests that cannot wait a minute."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any, Self

from meshcert import naming

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from local.running_aws import LocalAws


def dispatch(aws: LocalAws, mesh: str, what: str, account: str = "") -> None:
    """
    Send a tick or a sweep at once, as EventBridge Scheduler does: an ordinary message.

    Args:
        what: ``tick`` or ``sweep``.
        account: Whose mesh it is; by default the local AWS's own account's.
    """
    _send(aws.client("sqs", account=account), mesh, what)


def _send(sqs: Any, mesh: str, what: str) -> None:
    url = sqs.get_queue_url(QueueName=naming.queue(mesh, "dispatch"))["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody=json.dumps({"dispatch": what}))


class Ticking:
    """
    Sends ticks while its ``with`` block runs, beside the schedules' own.

    Args:
        every_s: Pause between two ticks, seconds.
        sweep_every_s: Pause between two sweeps, seconds; 0 leaves them to the Scheduler.
        accounts: Those in which the mesh runs; by default the local AWS's own.
    """

    def __init__(
        self,
        aws: LocalAws,
        mesh: str,
        every_s: float = 1.0,
        sweep_every_s: float = 0.0,
        accounts: Sequence[str] = ("",),
    ) -> None:
        self._queues = [aws.client("sqs", account=account) for account in accounts]
        self._mesh = mesh
        self._paces = {"tick": every_s} | ({"sweep": sweep_every_s} if sweep_every_s else {})
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=pace, daemon=True, name=f"local-{pace[0]}")
            for pace in self._paces.items()
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self, what: str, every_s: float) -> None:
        while not self._stop.wait(every_s):
            for sqs in self._queues:
                _send(sqs, self._mesh, what)
