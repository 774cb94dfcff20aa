"""Containers' output: a file each, and CloudWatch Logs where the definition asks for the awslogs driver."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, BinaryIO

from ministack.core.responses import request_scope
from ministack.services import ecs

if TYPE_CHECKING:
    from pathlib import Path

logger = logging.getLogger(__name__)


class LogGroupMissingError(RuntimeError):
    """
    The awslogs driver has no log group to write to, so the task cannot start.

    Args:
        group: Name of the missing log group.
    """

    def __init__(self, group: str) -> None:
        self.group = group
        super().__init__(
            "ResourceInitializationError: failed to validate logger args: "
            f"the specified log group {group} does not exist; create it or set awslogs-create-group"
        )


class ContainerLog:
    """
    One container's output.

    Args:
        file: Where a copy of it is written.
        definition: The container definition; its logConfiguration says where to.
        task_arn: The task's ARN.

    Raises:
        LogGroupMissingError: If the log group does not exist.
    """

    def __init__(self, file: Path, definition: dict[str, Any], task_arn: str) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self._file: BinaryIO = file.open("ab", buffering=0)
        _, _, _, region, account, _ = task_arn.split(":", 5)
        task_id = task_arn.rsplit("/", 1)[-1]
        self._stream: dict[str, Any] | None = ecs._awslogs_config(definition, task_id, task_id)
        self._scope = (account, (self._stream or {}).get("region") or region)
        if self._stream is not None:
            with request_scope(*self._scope):
                if not ecs._ensure_awslogs_stream(self._stream):
                    raise LogGroupMissingError(self._stream["group"])

    def write(self, line: bytes) -> None:
        """Add one line, given without its end. Never raises: a lost line must not end the container."""
        try:
            self._file.write(line + b"\n")
            if self._stream is not None and line:
                with request_scope(*self._scope):
                    ecs._emit_awslogs_event(self._stream, line.decode(errors="replace"))
        except Exception:
            logger.exception("a line of container output is lost")

    def close(self) -> None:
        """Close the file."""
        self._file.close()
