"""The messages of xDS: the same bytes as the generated code's, and nothing but WireFault from bad ones."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest
from envoy.extensions.transport_sockets.tls.v3 import secret_pb2
from envoy.service.discovery.v3 import discovery_pb2

from entrypoint.grpc.wire import WireFault, field
from entrypoint.xds.messages import (
    MOST_NAMES,
    DeltaDiscoveryRequest,
    DiscoveryRequest,
    named_resource,
    read_delta_request,
    read_request,
    write_delta_response,
)
from entrypoint.xds.secrets import secret_body
from meshcert.envoy import identity_resource
from meshcert.envoy.api import SECRET

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshcert.material import Material

READERS = {"request": read_request, "delta request": read_delta_request}


def _full_request() -> Any:
    request = discovery_pb2.DiscoveryRequest(
        version_info="v1", resource_names=["identity/a", "trust/b"], type_url=SECRET, response_nonce="7"
    )
    request.node.id = "mesh/service/name"
    request.node.extensions.add(name="x" * 300)
    request.error_detail.code = 13
    request.error_detail.message = "KEY_VALUES_MISMATCH, nö"
    return request


def _full_delta_request() -> Any:
    request = discovery_pb2.DeltaDiscoveryRequest(
        resource_names_subscribe=["a", "b"],
        resource_names_unsubscribe=["c"],
        initial_resource_versions={"a": "v1", "": ""},
        type_url=SECRET,
        response_nonce="8",
    )
    request.node.id = "mesh/service/name"
    request.error_detail.message = "no"
    return request


def test_a_request_is_read_as_the_generated_code_writes_it() -> None:
    """Everything that counts is read; the node is passed over."""
    assert read_request(_full_request().SerializeToString()) == DiscoveryRequest(
        ("identity/a", "trust/b"), "7", "KEY_VALUES_MISMATCH, nö", SECRET
    )
    assert read_request(b"") == DiscoveryRequest()


def test_a_delta_request_is_read_as_the_generated_code_writes_it() -> None:
    """Everything that counts is read; the node is passed over."""
    read = read_delta_request(_full_delta_request().SerializeToString())

    assert read == DeltaDiscoveryRequest(("a", "b"), ("c",), "8", "no", SECRET)
    assert read_delta_request(b"") == DeltaDiscoveryRequest()


def test_a_refusal_without_words_is_a_refusal() -> None:
    """Only the presence of ``error_detail`` counts."""
    request = discovery_pb2.DiscoveryRequest()
    request.error_detail.SetInParent()

    assert read_request(request.SerializeToString()).refusal == ""


def test_a_delta_answer_is_written_as_the_generated_code_reads_it(material: Material) -> None:
    """Each resource with its own name and version."""
    secret = named_resource(SECRET, "identity/a", secret_body(identity_resource("identity/a", material)))

    response = discovery_pb2.DeltaDiscoveryResponse.FromString(
        write_delta_response(SECRET, "v7", "9", [("identity/a", "v1", secret)])
    )

    (resource,) = response.resources
    assert (response.system_version_info, response.nonce, response.type_url) == ("v7", "9", SECRET)
    assert (resource.name, resource.version) == ("identity/a", "v1")
    assert secret_pb2.Secret.FromString(resource.resource.value).name == "identity/a"


@pytest.mark.parametrize(
    "message",
    [
        b"\x0a",
        b"\x0a\x05abc",
        b"\x00",
        b"\x0b",
        b"\xff" * 11,
        b"\x0a\xff\xff\xff\xff\x0f",
        b"\x0d\x01",
        b"\x09\x01\x02",
        b"\x1a\x02\xc3\x28",
        b"\x18\x01",
        b"\x30\x01\x38\x01",
        field(6, b"\x12\x09a") + field(7, b"\x12\x09a"),
        field(3, "a") * (MOST_NAMES + 1),
    ],
    ids=[
        "no length", "cut", "field 0", "group", "endless number", "longer than all memory", "cut 32 bits",
        "cut 64 bits", "not UTF-8", "number for text", "number for message", "bad status", "too many names",
    ],
)  # fmt: skip
def test_what_is_no_request_is_a_wire_fault_that_quotes_nothing(message: bytes) -> None:
    """Whatever is wrong with it; some of them are fine as the other kind."""
    faults = []
    for read in READERS.values():
        try:
            read(message)
        except WireFault as fault:
            faults.append(str(fault))

    assert faults
    assert all(fault.isascii() and len(fault) < 80 for fault in faults)


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_random_damage_leads_to_nothing_but_wire_faults(read: Callable[[bytes], object]) -> None:
    """5,000 requests with a few bytes changed, cut or doubled."""
    source = random.Random(20261122)  # noqa: S311 -- the same every time
    whole = [_full_request().SerializeToString(), _full_delta_request().SerializeToString()]
    outcomes = {"read": 0, "fault": 0}
    for _ in range(5_000):
        message = bytearray(source.choice(whole))
        for _ in range(source.randrange(1, 6)):
            at = source.randrange(len(message))
            message[at : at + source.randrange(3)] = source.randbytes(source.randrange(3))
        try:
            read(bytes(message[: source.choice([len(message), source.randrange(len(message) + 1)])]))
            outcomes["read"] += 1
        except WireFault:
            outcomes["fault"] += 1

    assert all(count > 100 for count in outcomes.values()), outcomes
