"""
The messages of Envoy's Secret Discovery Service: requests read, answers written.

Field numbers are those of ``envoy/service/discovery/v3/discovery.proto`` and
``envoy/extensions/transport_sockets/tls/v3/{common,secret}.proto``; tests compare with the generated messages.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from entrypoint.grpc.wire import WireFault, bytes_of, field, fields, text_of
from meshcert.envoy.api import SECRET

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from meshcert.envoy.api import Json

    _Fields = Mapping[str, "tuple[int, _Fields]"]

MOST_NAMES = 1_000
"""Names in one request, at most."""

_DATA_SOURCE: _Fields = {"inline_string": (3, {})}
_SECRET: _Fields = {
    "name": (1, {}),
    "tls_certificate": (
        2,
        {"certificate_chain": (1, _DATA_SOURCE), "private_key": (2, _DATA_SOURCE), "password": (3, _DATA_SOURCE)},
    ),
    "validation_context": (
        4,
        {"trusted_ca": (1, _DATA_SOURCE), "crl": (7, _DATA_SOURCE), "only_verify_leaf_cert_crl": (14, {})},
    ),
}


class Request(NamedTuple):
    """
    A ``DiscoveryRequest``: what a client wants to know of, and what it made of the last answer.

    Args:
        names: ``resource_names``; none on a first request means all.
        nonce: ``response_nonce``: the answer this is about; empty on a first request.
        refusal: Why it refused that answer; None if it did not.
        type_url: What kind of resource; empty where the service says it.
    """

    names: tuple[str, ...] = ()
    nonce: str = ""
    refusal: str | None = None
    type_url: str = ""


class DeltaRequest(NamedTuple):
    """
    A ``DeltaDiscoveryRequest``.

    Args:
        subscribe: Names it wants to know of from now on.
        unsubscribe: Names it no longer wants to know of.
        nonce: As in :class:`Request`.
        refusal: As in :class:`Request`.
        type_url: As in :class:`Request`.
    """

    subscribe: tuple[str, ...] = ()
    unsubscribe: tuple[str, ...] = ()
    nonce: str = ""
    refusal: str | None = None
    type_url: str = ""


def read_request(message: bytes) -> Request:
    """
    A ``DiscoveryRequest``; what it says it has, its node and the rest are left unread.

    Raises:
        WireFault: If it is none.
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
    return Request(_bounded(names), texts[5], refusal, texts[4])


def read_delta_request(message: bytes) -> DeltaRequest:
    """
    A ``DeltaDiscoveryRequest``; what it says it has, its node and the rest are left unread.

    Raises:
        WireFault: If it is none.
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
    return DeltaRequest(_bounded(names[3]), _bounded(names[4]), texts[6], refusal, texts[2])


def secret_body(resource: Json) -> bytes:
    """
    A secret (``tls.v3.Secret``) without its name, which each client gets as it asked for it.

    Args:
        resource: From :mod:`meshcert.envoy.secrets`.

    Raises:
        KeyError: If it has a field this does not know: leaving one out could make Envoy trust too much.
    """
    return _encoded({key: value for key, value in resource.items() if key not in {"@type", "name"}}, _SECRET)


def named_secret(name: str, body: bytes) -> bytes:
    """The secret as ``google.protobuf.Any`` under this name."""
    return field(1, SECRET) + field(2, field(_SECRET["name"][0], name) + body)


def write_response(version: str, nonce: str, secrets: Iterable[bytes]) -> bytes:
    """
    A ``DiscoveryResponse``.

    Args:
        version: ``version_info``.
        nonce: By which the client will refer to it.
        secrets: From :func:`named_secret`.
    """
    resources = b"".join(field(2, secret) for secret in secrets)
    return field(1, version) + resources + field(4, SECRET) + field(5, nonce)


def write_delta_response(version: str, nonce: str, secrets: Iterable[tuple[str, str, bytes]]) -> bytes:
    """
    A ``DeltaDiscoveryResponse``.

    Args:
        version: ``system_version_info``: what Envoy's statistics show.
        nonce: By which the client will refer to it.
        secrets: Name, version and what :func:`named_secret` makes of each.
    """
    resources = (field(1, own) + field(2, secret) + field(3, name) for name, own, secret in secrets)
    written = b"".join(field(2, resource) for resource in resources)
    return field(1, version) + written + field(4, SECRET) + field(5, nonce)


def _status_message(status: bytes) -> str:
    """``google.rpc.Status.message``."""
    return next((text_of(value) for number, value in fields(status) if number == 2), "")


def _bounded(names: list[str]) -> tuple[str, ...]:
    if len(names) > MOST_NAMES:
        raise WireFault(f"it names more than {MOST_NAMES} resources")
    return tuple(names)


def _encoded(values: Json, known: _Fields) -> bytes:
    message = b""
    for name, value in values.items():
        number, inner = known[name]
        message += field(number, _encoded(value, inner) if isinstance(value, dict) else value)
    return message
