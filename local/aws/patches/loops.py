"""
Lambda's recursive loop detection for chains that run through SQS.

MiniStack 1.5.33 has none: a function that writes to its own queue runs for ever.

AWS stops a chain that comes back to the same function after approximately 16 invocations, here it is exactly 16 (Lambda
developer guide, "Use Lambda recursive loop detection to prevent infinite loops"). Lambda gives each invocation a trace
header (``_X_AMZN_TRACE_ID``), the SDK sends it with every call of the function, SQS keeps it on the message, and the
next invocation begins with it. Its ``Lineage`` counts how often each function has run in this chain of requests. As on
AWS nothing is counted across EventBridge, tables or streams. How AWS merges the chains of one batch is not documented:
the highest counts go on, so that no chain can hide in a batch.

It can go when such a function stops by itself, and the message lies in the queue's dead-letter queue.
"""

from __future__ import annotations

import contextvars
import hashlib
import json
import logging
import re
import secrets
import time
import urllib.parse
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ministack import app as gateway
from ministack.services import lambda_svc, sqs

from local.aws import control, hooks, messages

if TYPE_CHECKING:
    from local.aws.json_service import Response, ServiceHandler
    from local.aws.per_account import PerAccount

logger = logging.getLogger(__name__)

LIMIT = 16
_HEADER = "x-amzn-trace-id"
_LINEAGE = re.compile(r"Lineage=([0-9a-f:,]*)")

Lineage = Mapping[str, int]

_inbound: contextvars.ContextVar[Lineage] = contextvars.ContextVar("lambda_lineage", default={})  # noqa: B039 - a Mapping, never changed
_header: contextvars.ContextVar[str] = contextvars.ContextVar("sqs_trace_header", default="")


def install(stopped: PerAccount[list[dict[str, Any]]]) -> None:
    """
    Carry the lineage from function to message to function, and stop a chain that comes back too often.

    Args:
        stopped: Gets the chains that were stopped, in order.
    """
    hooks.require(sqs, "_queue_by_arn")
    handlers = hooks.require(gateway, "SERVICE_HANDLERS")
    handlers["sqs"] = _noting(handlers["sqs"], _header.set)
    handlers["lambda"] = _noting(handlers["lambda"], lambda header: _inbound.set(lineage_of(header)))
    hooks.wrap(sqs, "_build_send_sys_attrs", _with_header)
    hooks.wrap(lambda_svc, "_xray_trace_id_for_invocation", _traced)
    hooks.wrap(lambda_svc, "_run_sqs_batch", lambda inner: _stop_loops(inner, stopped))
    control.route("/_local/lambda/loops", lambda _: {"limit": LIMIT, "stopped": list(stopped.current)})


def lineage_of(header: str) -> dict[str, int]:
    """The number of times each function has run, by the hash of its ARN, as a trace header says."""
    found = _LINEAGE.search(urllib.parse.unquote(header))
    pairs = [entry.partition(":") for entry in found.group(1).split(",")] if found else []
    return {function: int(count) for function, _, count in pairs if count.isdecimal()}


def with_lineage(header: str, lineage: Lineage) -> str:
    """A trace header with its lineage replaced."""
    kept = [field for field in header.split(";") if field and not field.startswith("Lineage=")]
    return ";".join([*kept, "Lineage=" + ",".join(f"{function}:{count}" for function, count in lineage.items())])


def _noting(inner: ServiceHandler, note: Callable[[str], Any]) -> ServiceHandler:
    async def handle(method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]) -> Response:
        note(headers.get(_HEADER, ""))
        return await inner(method, path, headers, body, query)

    return handle


def _with_header(inner: Callable[..., dict[str, str]]) -> Callable[..., dict[str, str]]:
    """SQS keeps the trace header of the request on the message, unless the sender gives one itself."""

    def build(now: float, given: dict[str, Any]) -> dict[str, str]:
        attributes = inner(now, given)
        return {"AWSTraceHeader": urllib.parse.unquote(_header.get()), **attributes} if _header.get() else attributes

    return build


def _traced(inner: Callable[..., str | None]) -> Callable[..., str | None]:
    """Each invocation has a trace header, sampled or not; MiniStack sets none without active tracing."""

    def trace_id(config: dict[str, Any], inbound: str | None = None) -> str:
        fresh = f"Root=1-{int(time.time()):08x}-{secrets.token_hex(12)};Parent={secrets.token_hex(8)};Sampled=0"
        name, before = _hash(config), _inbound.get()
        return with_lineage(inner(config, inbound) or fresh, {**before, name: before.get(name, 0) + 1})

    return trace_id


def _stop_loops(inner: Callable[..., None], stopped: PerAccount[list[dict[str, Any]]]) -> Callable[..., None]:
    def run(mapping: Any, function: dict[str, Any], event: dict[str, Any], batch: list[Any], *queue: str) -> None:
        chains = {message["id"]: lineage_of((message.get("sys") or {}).get("AWSTraceHeader", "")) for message in batch}
        name = _hash(function["config"])
        looping = [] if _may_loop(function) else [one for one in batch if chains[one["id"]].get(name, 0) >= LIMIT]
        for message in looping:
            stopped.current.append(_stop(mapping, function, message))
        going = [message for message in batch if message not in looping]
        ids = {message["id"] for message in going}
        records = [record for record in event["Records"] if record["messageId"] in ids]
        if not records:
            return
        merged: dict[str, int] = {}
        for chain in (chains[message] for message in ids):
            merged.update({key: max(count, merged.get(key, 0)) for key, count in chain.items()})
        token = _inbound.set(merged)
        try:
            inner(mapping, function, {**event, "Records": records}, going, *queue)
        finally:
            _inbound.reset(token)

    return run


def _may_loop(function: dict[str, Any]) -> bool:
    """True if PutFunctionRecursionConfig has turned the detection off."""
    return bool(function.get("recursive_loop") == "Allow")


def _stop(mapping: dict[str, Any], function: dict[str, Any], message: dict[str, Any]) -> dict[str, Any]:
    """
    Take a message out of its queue and put it where the queue, or else the function, keeps what has failed.

    Returns:
        What was stopped, as the control endpoint tells it.
    """
    arn, config = mapping["EventSourceArn"], function["config"]
    queue = sqs._queue_by_arn(arn)
    policy = json.loads((queue or {}).get("attributes", {}).get("RedrivePolicy") or "{}")
    redriven = sqs._queue_by_arn(policy.get("deadLetterTargetArn", ""))
    own = (config.get("DeadLetterConfig") or {}).get("TargetArn")
    if queue is not None:
        queue["messages"] = [other for other in queue["messages"] if other["id"] != message["id"]]
    if redriven is not None:
        attributes = {**(message.get("sys") or {}), "DeadLetterQueueSourceArn": arn}
        moved = {**message, "receipt_handle": None, "visible_at": time.time(), "sys": attributes}
        redriven["messages"].append(moved)
    elif own:
        messages.deliver(own, message["body"], {"ErrorMessage": "recursive loop detected"})
    stopped = {
        "function": config["FunctionName"],
        "queue": arn,
        "message": message["id"],
        "body": message["body"],
        "count": LIMIT,
        "dead_letters": policy["deadLetterTargetArn"] if redriven is not None else own or None,
        "at": time.time(),
    }
    logger.warning(
        "recursive loop: %(function)s has run %(count)d times in one chain of requests; "
        "message %(message)s of %(queue)s is dropped to %(dead_letters)s",
        stopped,
    )
    return stopped


def _hash(config: dict[str, Any]) -> str:
    arn = str(config.get("FunctionArn", ""))
    # An alias or a version is the same function in a loop.
    return hashlib.sha256(":".join(arn.split(":")[:7]).encode()).hexdigest()[:8]
