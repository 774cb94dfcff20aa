"""
The error that a failed invocation answers with.

MiniStack 1.5.33 calls every exception ``Runtime.HandlerError``, and has no words of its own for a module that cannot be
imported and for a process that has ended.

AWS names the exception's class, and ``Runtime.ImportModuleError`` and ``Runtime.ExitError`` (Lambda developer guide,
"AWS Lambda function errors in Python"). Whoever matches on errorType depends on it.

It can go when a function that raises ValueError answers errorType ``ValueError``.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from ministack.core import lambda_runtime
from ministack.services import lambda_svc

from local.aws import hooks

if TYPE_CHECKING:
    from collections.abc import Callable

_REPORTED = '"error": str(e), "trace": traceback.format_exc()}'
_REPORTED_WITH_TYPE = '"error": str(e), "trace": traceback.format_exc(), "error_type": type(e).__name__}'
_GENERIC = "Runtime.HandlerError"
_INIT_FAILED = "Worker init failed: "
_DIED = "Worker process died"

_latest = threading.local()


def install() -> None:
    """Have workers tell the exception's class, and answer with it."""
    hooks.wrap(lambda_runtime, "_detect_runtime_binary", _telling_the_class)
    hooks.wrap(hooks.require(lambda_runtime, "Worker"), "invoke", _remember_error)
    hooks.wrap(lambda_svc, "_execute_function_warm", _report_error)
    lambda_runtime._detect_runtime_binary("python3.13")


def _telling_the_class(inner: Callable[[str], tuple[str, str]]) -> Callable[[str], tuple[str, str]]:
    def detect(runtime: str) -> tuple[str, str]:
        binary, script = inner(runtime)
        if not runtime.startswith("python"):
            return binary, script
        if _REPORTED not in script and _REPORTED_WITH_TYPE not in script:
            raise hooks.HookMissingError(lambda_runtime, "error report in _PYTHON_WORKER_SCRIPT")
        return binary, script.replace(_REPORTED, _REPORTED_WITH_TYPE)

    return detect


def _remember_error(inner: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """Keep what the worker said of an exception for :func:`_report_error`, which runs on the same thread."""

    def invoke(self: Any, *arguments: Any, **options: Any) -> dict[str, Any]:
        _latest.result = {}
        result = inner(self, *arguments, **options)
        _latest.result = result
        return result

    return invoke


def _report_error(inner: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    def execute(function: dict[str, Any], event: Any, request_id: str) -> dict[str, Any]:
        _latest.result = {}
        answer = inner(function, event, request_id)
        body = answer.get("body")
        if not answer.get("error") or not isinstance(body, dict):
            return answer
        if body.get("errorType") == _GENERIC and "error_type" in _latest.result:
            trace = str(_latest.result.get("trace", "")).splitlines()
            body["errorType"] = _latest.result["error_type"]
            body["requestId"] = request_id
            body["stackTrace"] = [f"{line}\n" for line in trace if line.startswith("  ")]
        message = str(body.get("errorMessage", ""))
        if message == _DIED:
            body["errorType"] = "Runtime.ExitError"
            body["errorMessage"] = f"RequestId: {request_id} Error: Runtime exited without providing a reason"
        if message.startswith(_INIT_FAILED):
            config = function.get("config") or function
            module = str(config.get("Handler", "")).rpartition(".")[0]
            body["errorType"] = "Runtime.ImportModuleError"
            body["errorMessage"] = f"Unable to import module '{module}': {message.removeprefix(_INIT_FAILED)}"
        return answer

    return execute
