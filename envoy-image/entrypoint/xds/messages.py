"""
The messages of xDS: requests read, responses written.

Field numbers are those of ``envoy/service/discovery/v3/discovery.proto``; tests compare with the generated messages.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from entrypoint.grpc.wire import WireFault, bytes_of, field, fields, text_of

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST_NAMES = 1_000
"""Most names in one request."""


class DiscoveryRequest(NamedTuple):
    """
    A client's subscriptions, and its answer to the last response.

    Args:
        names: ``resource_names``; none in a first request means all.
        nonce: ``response_nonce``: identifies the response that this answers; empty in a first request.
        refusal: Why the client refused that response; None if it did not.
        type_url: May be empty where the service serves one type.
    """

    names: tuple[str, ...] = ()
    nonce: str = ""
    refusal: str | None = None
    type_url: str = ""


class DeltaDiscoveryRequest(NamedTuple):
    """
    A change of a client's subscriptions, and its answer to a response.

    Args:
        subscribe: Names that it wants from now on.
        unsubscribe: Names that it no longer wants.
        nonce: As in :class:`DiscoveryRequest`, like the other fields.
    """

    subscribe: tuple[str, ...] = ()
    unsubscribe: tuple[str, ...] = ()
    nonce: str = ""
    refusal: str | None = None
    type_url: str = ""


def read_request(message: bytes) -> DiscoveryRequest:
    """
    Read a ``DiscoveryRequest``, without the versions that the client has and its node.

    Raises:
        WireFault: If it cannot be read.
    """
    texts = {4: "", 5: ""}
    names: list[str] = []
    refusal = None
    for number, value in fields(message):
        if number in texts:
            texts[number] = text_of(value)
        elif number == 3:
            names.append(text_of(value))
        elif number == 6:
            refusal = _status_message(bytes_of(value))
    return DiscoveryRequest(_bounded(names), texts[5], refusal, texts[4])


def read_delta_request(message: bytes) -> DeltaDiscoveryRequest:
    """
    Read a ``DeltaDiscoveryRequest``, without the versions that the client has and its node.

    Raises:
        WireFault: If it cannot be read.
    """
    texts = {2: "", 6: ""}
    names: dict[int, list[str]] = {3: [], 4: []}
    refusal = None
    for number, value in fields(message):
        if number in texts:
            texts[number] = text_of(value)
        elif number in names:
            names[number].append(text_of(value))
        elif number == 7:
            refusal = _status_message(bytes_of(value))
    return DeltaDiscoveryRequest(_bounded(names[3]), _bounded(names[4]), texts[6], refusal, texts[2])


def named_resource(type_url: str, name: str, body: bytes) -> bytes:
    """Write a resource as ``google.protobuf.Any``. The name is field 1 of every xDS type."""
    return field(1, type_url) + field(2, field(1, name) + body)


def write_response(type_url: str, version: str, nonce: str, resources: Iterable[bytes]) -> bytes:
    """
    Write a ``DiscoveryResponse``.

    Args:
        version: ``version_info``.
        nonce: The client's answer will refer to it.
        resources: From :func:`named_resource`.
    """
    written = b"".join(field(2, resource) for resource in resources)
    return field(1, version) + written + field(4, type_url) + field(5, nonce)


def write_delta_response(type_url: str, version: str, nonce: str, resources: Iterable[tuple[str, str, bytes]]) -> bytes:
    """
    Write a ``DeltaDiscoveryResponse``.

    Args:
        version: ``system_version_info``: Envoy's statistics show it.
        nonce: The client's answer will refer to it.
        resources: Name, version and :func:`named_resource` of each.
    """
    messages = (field(1, own) + field(2, resource) + field(3, name) for name, own, resource in resources)
    written = b"".join(field(2, message) for message in messages)
    return field(1, version) + written + field(4, type_url) + field(5, nonce)


def _status_message(status: bytes) -> str:
    """Read ``google.rpc.Status.message``."""
    return next((text_of(value) for number, value in fields(status) if number == 2), "")


def _bounded(names: list[str]) -> tuple[str, ...]:
    if len(names) > MOST_NAMES:
        raise WireFault(f"it names more than {MOST_NAMES} resources")
    return tuple(names)
