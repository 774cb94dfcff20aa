"""Crash points: a function's process is killed at one of its own calls, and Lambda behaves as on AWS."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ministack.core import lambda_runtime
from ministack.services import lambda_svc

from local.aws import hooks

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.aws.operations import Request
    from local.aws.per_account import PerAccount

logger = logging.getLogger(__name__)

_EXITED = "Runtime.ExitError"
_CONNECTIONS = Path("/proc/net/tcp")
_LOCAL, _INODE = 1, 9


def install(killed_functions: PerAccount[set[str]]) -> None:
    """Make sure that the workers can be found, and report how they died."""
    for name in ("_workers", "_lock"):
        hooks.require(lambda_runtime, name)
    hooks.wrap(lambda_svc, "_execute_function_warm", lambda inner: _report_signal(inner, killed_functions))


def kill(killed_functions: set[str], request: Request) -> bool:
    """
    Kill the process that sent a request, as the kernel does when memory runs out (SIGKILL).

    Args:
        killed_functions: Gets the name of the function.
        request: Signed by a function's role; the process is found by the function, and among several by its
            connection.

    Returns:
        False if there was none: tasks, tests and administrators have no such process.
    """
    with lambda_runtime._lock:
        busy = [
            worker for pool in lambda_runtime._workers.values() for worker in pool if _may_have_sent(worker, request)
        ]
    processes = [worker._proc for worker in busy if worker._proc is not None]
    senders = [process for process in processes if _holds(process.pid, request.port)] or processes
    for process in senders:
        killed_functions.add(request.session)
        logger.warning("killed %s (pid %d) at %s:%s", request.session, process.pid, request.service, request.action)
        process.kill()
    return bool(senders)


def _may_have_sent(worker: Any, request: Request) -> bool:
    config = worker.config
    role, name = str(config.get("Role", "")).rsplit("/", 1)[-1], str(config.get("FunctionName", ""))
    return bool(worker.in_use) and (role, name[:64]) == (request.role, request.session)


def _holds(pid: int, port: int) -> bool:
    """True if a process holds the connection with this local port."""
    try:
        fields = [line.split() for line in _CONNECTIONS.read_text().splitlines()[1:]]
        sockets = {f"socket:[{field[_INODE]}]" for field in fields if field[_LOCAL].endswith(f":{port:04X}")}
        return any(str(entry.readlink()) in sockets for entry in Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return False


def _report_signal(
    inner: Callable[..., dict[str, Any]], killed_functions: PerAccount[set[str]]
) -> Callable[..., dict[str, Any]]:
    """Lambda's words for a killed process: :mod:`local.aws.patches.functions.errors` knows only that it ended."""

    def execute(function: dict[str, Any], event: Any, request_id: str) -> dict[str, Any]:
        answer = inner(function, event, request_id)
        body = answer.get("body")
        name = str((function.get("config") or function).get("FunctionName", ""))[:64]
        killed = killed_functions.current
        if isinstance(body, dict) and body.get("errorType") == _EXITED and name in killed:
            killed.discard(name)
            body["errorMessage"] = f"RequestId: {request_id} Error: Runtime exited with error: signal: killed"
        return answer

    return execute
