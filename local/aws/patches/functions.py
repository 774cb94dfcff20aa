"""Lambda functions as on AWS: their own interpreter, real exception names, dead letters that are the event."""

from __future__ import annotations

import json
import threading
import uuid
from typing import TYPE_CHECKING, Any

from ministack.core import lambda_runtime
from ministack.services import lambda_svc, sts

from local.aws import control, hooks
from local.aws.iam import service_roles
from local.aws.patches import events

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.aws.config import Config

_REPORTED = '"error": str(e), "trace": traceback.format_exc()}'
_REPORTED_WITH_TYPE = '"error": str(e), "trace": traceback.format_exc(), "error_type": type(e).__name__}'
_GENERIC = "Runtime.HandlerError"
_INIT_FAILED = "Worker init failed: "
_DIED = "Worker process died"

_latest = threading.local()


def install(config: Config) -> None:
    """Replace the interpreter and the error report of Python functions, and end their processes with us."""
    interpreter = str(config.function_python)
    hooks.wrap(lambda_runtime, "_detect_runtime_binary", lambda inner: _runtime(inner, interpreter))
    hooks.wrap(hooks.require(lambda_runtime, "Worker"), "invoke", _remember_error)
    hooks.wrap(lambda_svc, "_execute_function_warm", _report_error)
    hooks.wrap(lambda_svc, "_route_async_failure", _dead_letter)
    hooks.wrap(lambda_runtime, "execution_credentials", _known_by_role_id)
    hooks.require(sts, "_sessions")
    control.at_stop(hooks.require(lambda_runtime, "reset"))
    _runtime(lambda_runtime._detect_runtime_binary, interpreter)("python3.13")


def _runtime(
    inner: Callable[[str], tuple[str, str]],
    interpreter: str,
) -> Callable[[str], tuple[str, str]]:
    """Functions import from an environment with boto3 only, so that what their bundle lacks is missing."""

    def detect(runtime: str) -> tuple[str, str]:
        binary, script = inner(runtime)
        if not runtime.startswith("python"):
            return binary, script
        if _REPORTED not in script and _REPORTED_WITH_TYPE not in script:
            raise hooks.HookMissingError(lambda_runtime, "error report in _PYTHON_WORKER_SCRIPT")
        return interpreter, script.replace(_REPORTED, _REPORTED_WITH_TYPE)

    return detect


def _known_by_role_id(inner: Callable[[dict[str, Any]], dict[str, str]]) -> Callable[[dict[str, Any]], dict[str, str]]:
    """A session's user id begins with the id of its role; MiniStack begins a function's with the role's name."""

    def credentials(config: dict[str, Any]) -> dict[str, str]:
        session = inner(config)
        record = sts._sessions[session["AWS_ACCESS_KEY_ID"]]
        record["UserId"] = service_roles.user_id_of(record["Arn"]) or record["UserId"]
        return session

    return credentials


def _remember_error(inner: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """Keep what the worker said of an exception for :func:`_report_error`, which runs on the same thread."""

    def invoke(self: Any, *arguments: Any, **options: Any) -> dict[str, Any]:
        _latest.result = {}
        result = inner(self, *arguments, **options)
        _latest.result = result
        return result

    return invoke


def _report_error(inner: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """Name the real exception; whoever matches on errorType (Step Functions, alarms, tests) depends on it."""

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


def _dead_letter(inner: Callable[..., None]) -> Callable[..., None]:
    """A function's dead-letter queue gets the event itself; only an OnFailure destination gets the envelope."""

    def route(target_arn: str, name: str, event: Any, result: dict[str, Any]) -> None:
        config = (lambda_svc._functions.get(name) or {}).get("config", {})
        if ":sqs:" not in target_arn or (config.get("DeadLetterConfig") or {}).get("TargetArn") != target_arn:
            inner(target_arn, name, event, result)
            return
        body = result.get("body")
        message = str(body.get("errorMessage", "")) if isinstance(body, dict) else ""
        attributes = {"RequestID": str(uuid.uuid4()), "ErrorCode": "200", "ErrorMessage": message[:1024]}
        events.deliver(target_arn, json.dumps(event), attributes)

    return route
