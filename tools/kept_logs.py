"""The lines of a first deploy's services, copied to files while it runs."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from meshcert.printable import printable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

LONGEST_FILE = 16 * 1024 * 1024
"""Characters kept of one service."""
_PAGES = 50


class KeptLogs:
    """
    The lines of services, copied to a file each.

    Args:
        logs: A boto3 client of CloudWatch Logs.
        places: Service → what FilterLogEvents takes to find its lines: log group, streams, since when.
        folder: Where the files are written; others than this user cannot read them.
    """

    def __init__(self, logs: Any, places: Mapping[str, Mapping[str, Any]], folder: Path) -> None:
        self._logs = logs
        self._places = places
        self._folder = folder
        self._copied: dict[str, set[str]] = {service: set() for service in places}
        self._written = dict.fromkeys(places, 0)

    @property
    def files(self) -> list[Path]:
        """The files that have lines."""
        return [self._file(service) for service, written in self._written.items() if written]

    def copy(self) -> None:
        """Copy the lines that have come since the last time, as far as the disk takes them; a group may be missing."""
        for service, place in self._places.items():
            with suppress(ClientError, BotoCoreError, OSError):
                self._copy(service, place)

    def drop(self) -> None:
        """Delete the files, those of a deploy before this one, too."""
        for service in self._places:
            with suppress(OSError):
                self._file(service).unlink(missing_ok=True)

    def _copy(self, service: str, place: Mapping[str, Any]) -> None:
        more: dict[str, str] = {}
        for _ in range(_PAGES):
            answer = self._logs.filter_log_events(**place, **more)
            for event in answer["events"]:
                self._write(service, event)
            if not answer.get("nextToken"):
                return
            more = {"nextToken": answer["nextToken"]}

    def _write(self, service: str, event: Mapping[str, Any]) -> None:
        line = f"{event['logStreamName']}: {printable(event['message'].rstrip())}\n"
        if event["eventId"] in self._copied[service] or self._written[service] + len(line) > LONGEST_FILE:
            return
        self._copied[service].add(event["eventId"])
        self._folder.mkdir(parents=True, exist_ok=True)
        flags = os.O_CREAT | os.O_WRONLY | os.O_APPEND
        with os.fdopen(os.open(self._file(service), flags, 0o600), "a", encoding="utf-8") as file:
            file.write(line)
        self._written[service] += len(line)

    def _file(self, service: str) -> Path:
        return self._folder / f"{service}.log"
