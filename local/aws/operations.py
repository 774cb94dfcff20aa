"""API requests, read as far as guards need it: operation, signer, account; and the guards every request passes."""

from __future__ import annotations

import functools
import json
import re
import urllib.parse
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ministack import app as gateway
from ministack.core import iam_actions, iam_evaluator, responses

from local.aws import control, hooks

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from local.aws.control import Application, Receive, Scope, Send

Onward = Callable[[], Awaitable[None]]
Guard = Callable[["Exchange", Onward], Awaitable[None]]

ROOT = "root"
_CREDENTIAL = re.compile(r"Credential=([^/]+)/\d+/([^/]+)/([^/]+)/")
_XML_SERVICES = frozenset({"iam", "sts", "elasticloadbalancing", "cloudformation", "sns", "ec2", "s3"})
# What each service calls "too fast"; botocore retries every one of them. The others say ThrottlingException.
_THROTTLED = {
    "cloudformation": "Throttling",
    "dynamodb": "ProvisionedThroughputExceededException",
    "ec2": "RequestLimitExceeded",
    "elasticloadbalancing": "Throttling",
    "iam": "Throttling",
    "lambda": "TooManyRequestsException",
    "s3": "SlowDown",
    "servicediscovery": "RequestLimitExceeded",
    "sns": "Throttling",
    "sqs": "RequestThrottled",
    "sts": "Throttling",
}
_THROTTLED_STATUS = {"lambda": 429, "s3": 503}

_guards: list[tuple[Callable[[], bool], Guard]] = []


@dataclass(frozen=True)
class Request:
    """
    One API request, as far as guards need to know it.

    Args:
        service: Signing name, for example ``secretsmanager``; CloudWatch's is ``monitoring``.
        action: The operation's name in AWS's API, for example ``GetSecretValue`` or Lambda's ``Invoke``; method and
            path where the API has no such operation.
        role: Name of the role whose session signs; ``root`` for the administrator.
        session: Name of that session; of a function's requests, the function's name.
        account: Twelve-digit account id of the signer; the configured one if nobody has signed.
        region: The region that it is signed for.
        text: Path and body, with form and path encoding undone.
        port: The client's TCP port, 0 if unknown.
    """

    service: str
    action: str
    role: str
    session: str
    account: str
    region: str
    text: str
    port: int

    def is_signed_by(self, signer: str) -> bool:
        """True if ``signer`` is ``*``, the role, or role and session (``ROLE/FUNCTION``: roles may be shared)."""
        return signer in {"*", self.role, f"{self.role}/{self.session}"}


@dataclass
class Exchange:
    """
    A request on its way, and how to answer it.

    Args:
        request: What it asks.
        receive: Delivers the client's further messages; the body is read already.
        send: Takes the answer. A guard may put something else in its place before it lets the request go on.
    """

    request: Request
    receive: Receive
    send: Send

    async def throttle(self, message: str) -> None:
        """Answer with the service's own throttling error."""
        service = self.request.service
        code = _THROTTLED.get(service, "ThrottlingException")
        await self.refuse(_THROTTLED_STATUS.get(service, 400), code, message)

    async def refuse(self, status: int, code: str, message: str) -> None:
        """Answer with an error, in the protocol of the service."""
        if self.request.service in _XML_SERVICES:
            kind = b"text/xml"
            error = f"<Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>"
            body = f"<ErrorResponse>{error}</ErrorResponse>".encode()
        else:
            kind = b"application/x-amz-json-1.1"
            body = json.dumps({"__type": code, "message": message}).encode()
        headers = [(b"content-type", kind), (b"x-amzn-errortype", code.encode())]
        await self.send({"type": "http.response.start", "status": status, "headers": headers})
        await self.send({"type": "http.response.body", "body": body})

    async def gone(self) -> None:
        """Wait until the client hangs up."""
        while (await self.receive())["type"] != "http.disconnect":
            pass


def install() -> None:
    """Put the guards in front of MiniStack's application; control endpoints stay free of them."""
    for name in ("_load_botocore_routes", "_load_botocore_model"):
        hooks.require(iam_actions, name)
    hooks.require(iam_evaluator, "resolve_caller_identity")
    hooks.wrap(gateway, "app", _application)


def guard(active: Callable[[], bool], through: Guard) -> None:
    """
    Let every signed request pass through ``through``; those that came first are the outermost.

    Args:
        active: Whether the guard has anything to do now; without an active guard, requests are not even read.
        through: Gets the exchange, and what lets the request go on.
    """
    _guards.append((active, through))


def _application(inner: Application) -> Application:
    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        guards = [through for active, through in _guards if active()] if scope["type"] == "http" else []
        if not guards:
            await inner(scope, receive, send)
            return
        body = await control.read_body(receive)
        request = read(scope, body)
        exchange = Exchange(request, receive, send)

        async def onward(position: int) -> None:
            if position < len(guards) and request.service:
                await guards[position](exchange, functools.partial(onward, position + 1))
            else:
                await inner(scope, _replay(body, receive), exchange.send)

        await onward(0)

    return serve


def read(scope: Scope, body: bytes) -> Request:
    """Read a request; its service is empty if it is not signed."""
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
    signed = _CREDENTIAL.search(headers.get("authorization", ""))
    key, region, service = signed.groups() if signed else ("", responses.get_region(), "")
    role, session, account = _signer(key)
    is_form = "x-www-form-urlencoded" in headers.get("content-type", "")
    text = body.decode("utf-8", errors="replace")
    path = urllib.parse.unquote(scope["path"])
    return Request(
        service=service,
        action=_action(service, scope, headers, text if is_form else ""),
        role=role,
        session=session,
        account=account,
        region=region,
        text=f"{path}\n{urllib.parse.unquote_plus(text) if is_form else text}",
        port=(scope.get("client") or ("", 0))[1],
    )


def _signer(key: str) -> tuple[str, str, str]:
    """Role, session and account of an access key; from here on that account is the one in force."""
    responses.set_request_account_id(key)
    identity = iam_evaluator.resolve_caller_identity(key) or {}
    arn = str(identity.get("userArn", ""))
    if ":assumed-role/" not in arn:
        return arn.rsplit("/", 1)[-1].rsplit(":", 1)[-1], "", responses.get_account_id()
    _, role, session = arn.split("/", 2)
    return role, session, responses.get_account_id()


def _action(service: str, scope: Scope, headers: dict[str, str], form: str) -> str:
    query = dict(urllib.parse.parse_qsl(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True))
    target = headers.get("x-amz-target", "").rpartition(".")[2]
    named = target or query.get("Action") or dict(urllib.parse.parse_qsl(form)).get("Action")
    if named:
        return str(named)
    path = scope["path"].rstrip("/") or "/"
    matches = [
        # Of two equally literal paths the longer one is meant (S3's bucket and object), then who asks for more.
        ((literals, pattern.pattern.count("/"), len(needed)), name)
        for method, pattern, name, literals, fixed in _routes(service)
        if method == scope["method"] and pattern.match(path) and _has(query, fixed)
        for needed in [_needed(service, name)]
        if needed <= {*query, *headers}
    ]
    return str(max(matches)[1]) if matches else f"{scope['method']} {scope['path']}"


def _has(query: dict[str, str], fixed: dict[str, str]) -> bool:
    return all(name in query and value in {"", query[name]} for name, value in fixed.items())


@functools.cache
def _routes(service: str) -> list[tuple[str, re.Pattern[str], str, int, dict[str, str]]]:
    """The REST operations of a service in botocore's models, where its folder has the signing name."""
    return list(iam_actions._load_botocore_routes(service)) if service else []


@functools.cache
def _model(service: str) -> dict[str, Any]:
    return dict(iam_actions._load_botocore_model(service))


def _needed(service: str, action: str) -> set[str]:
    """Query parameters and headers that an operation cannot do without: what tells CopyObject from PutObject."""
    model = _model(service)
    shape = model["shapes"].get(model["operations"][action].get("input", {}).get("shape"), {})
    members = [shape["members"][name] for name in shape.get("required", ())]
    return {
        member["locationName"].lower() if member["location"] == "header" else member["locationName"]
        for member in members
        if member.get("location") in {"header", "querystring"}
    }


def _replay(body: bytes, receive: Receive) -> Receive:
    pending: list[MutableMapping[str, Any]] = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> MutableMapping[str, Any]:
        return pending.pop() if pending else await receive()

    return again
