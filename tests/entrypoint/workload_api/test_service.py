"""The methods of the Workload API on their socket, called by gRPC's own client and by one that breaks rules."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection

from entrypoint import sockets
from entrypoint.grpc.connection import ClientFault, Limits, ServerConnection
from entrypoint.grpc.framing import frame
from entrypoint.grpc.socket import Peer, is_at
from entrypoint.grpc.wire import fields
from entrypoint.log import Log
from entrypoint.workload_api.messages import X509Svid
from entrypoint.workload_api.service import workload_services
from entrypoint.workload_api.store import SvidStore
from entrypoint.xds.endpoints import ENDPOINTS
from entrypoint.xds.resources import ResourceStore
from entrypoint.xds.routes import ROUTES
from entrypoint.xds.secrets import SECRETS
from evidence.fixtures.hostile_input import Reader, spoil
from tests.entrypoint.grpc.clients import GREETING, Polite, Raw, Served

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SVIDS, BUNDLES = "/SpiffeWorkloadAPI/FetchX509SVID", "/SpiffeWorkloadAPI/FetchX509Bundles"
OTHERS = ("FetchJWTSVID", "FetchJWTBundles", "ValidateJWTSVID", "FetchWITSVID", "FetchWITBundles")
HEADER = (("workload.spiffe.io", "true"),)
DOMAIN = "color.example"
FRONT = X509Svid(f"spiffe://{DOMAIN}/front", b"chain", b"key", 0, "front")
BACK = X509Svid(f"spiffe://{DOMAIN}/back", b"another", b"other key", 0, "back")


class Workloads(Served):
    """A running server, and what it answers."""

    def __init__(self, path: str) -> None:
        self.store = SvidStore()
        super().__init__(path, lambda wire, _: sockets.workload_socket(wire, self.store, {os.getuid()}))
        self.store.on_change(self.server.wake)


@pytest.fixture
def workloads(tmp_path: Path) -> Workloads:
    """A server that has nothing to tell yet."""
    return Workloads(str(tmp_path / "workload.sock"))


@pytest.fixture
def channel(workloads: Workloads) -> Iterator[grpc.Channel]:
    """The client that gRPC itself has, connected to it."""
    with grpc.insecure_channel(f"unix:{workloads.path}") as channel:
        yield channel


def _call(channel: grpc.Channel, path: str, metadata: Any = HEADER) -> Any:
    return channel.unary_stream(path)(b"", metadata=metadata, timeout=10)


def _code(call: Any) -> grpc.StatusCode:
    with pytest.raises(grpc.RpcError) as refusal:
        next(call)
    code: grpc.StatusCode = refusal.value.code()
    return code


def _read(message: bytes) -> dict[int, list[Any]]:
    found: dict[int, list[Any]] = {}
    for number, value in fields(message):
        found.setdefault(number, []).append(value)
    return found


def test_a_call_is_answered_at_once_and_stays_open_for_what_comes(channel: grpc.Channel, workloads: Workloads) -> None:
    """Though gRPC's client says with its request that it has no other: no answer is the last one."""
    workloads.store.offer(DOMAIN, b"root", [FRONT])
    call = _call(channel, SVIDS)
    first = _read(next(call))
    workloads.store.offer(DOMAIN, b"roots", [FRONT, BACK])
    second = _read(next(call))

    (svid,) = map(_read, first[1])
    assert svid == {1: [b"spiffe://color.example/front"], 2: [b"chain"], 3: [b"key"], 4: [b"root"], 5: [b"front"]}
    assert [_read(each)[1] for each in second[1]] == [
        [b"spiffe://color.example/front"],
        [b"spiffe://color.example/back"],
    ]
    assert [_read(each)[4] for each in second[1]] == [[b"roots"], [b"roots"]]
    assert call.is_active()


def test_the_bundle_is_told_by_its_trust_domain_and_when_it_changes(
    channel: grpc.Channel, workloads: Workloads
) -> None:
    """A new certificate of the same root is no news there."""
    workloads.store.offer(DOMAIN, b"root", [FRONT])
    call = _call(channel, BUNDLES)
    told = [next(call)]
    workloads.store.offer(DOMAIN, b"root", [BACK])
    workloads.store.offer(DOMAIN, b"roots", [BACK])
    told.append(next(call))

    entries = [_read(_read(message)[2][0]) for message in told]
    assert entries == [{1: [b"spiffe://color.example"], 2: [roots]} for roots in (b"root", b"roots")]


@pytest.mark.parametrize("path", [SVIDS, BUNDLES])
def test_who_comes_before_there_is_anything_has_to_come_again(
    channel: grpc.Channel, workloads: Workloads, path: str
) -> None:
    """Unavailable, which every client tries again after; PermissionDenied would be final for some."""
    assert _code(_call(channel, path)) is grpc.StatusCode.UNAVAILABLE

    workloads.store.offer(DOMAIN, b"root", [FRONT])

    assert next(_call(channel, path))


def test_an_identity_that_has_expired_is_taken_from_nobody_and_given_to_nobody(
    channel: grpc.Channel, workloads: Workloads
) -> None:
    """A stream that stands says nothing until there is a new one; the bundle is good all the while."""
    workloads.store.offer(DOMAIN, b"root", [FRONT])
    call = _call(channel, SVIDS)
    next(call)
    workloads.store.offer(DOMAIN, b"root", [])

    assert _code(_call(channel, SVIDS)) is grpc.StatusCode.UNAVAILABLE
    assert next(_call(channel, BUNDLES))
    workloads.store.offer(DOMAIN, b"root", [BACK])
    assert _read(_read(next(call))[1][0])[5] == [b"back"]


@pytest.mark.parametrize("metadata", [(), (("workload.spiffe.io", "false"),), (("workload.spiffe.io", "True"),)])
def test_a_call_without_the_security_header_is_refused(
    channel: grpc.Channel, workloads: Workloads, metadata: Any
) -> None:
    """Whatever method it is."""
    workloads.store.offer(DOMAIN, b"root", [FRONT])
    paths = (SVIDS, BUNDLES, *(f"/SpiffeWorkloadAPI/{name}" for name in OTHERS))

    codes = {_code(_call(channel, path, metadata)) for path in paths}

    assert codes == {grpc.StatusCode.INVALID_ARGUMENT}


def test_other_profiles_are_not_implemented(channel: grpc.Channel, workloads: Workloads) -> None:
    """Nor is reflection, which no client needs."""
    workloads.store.offer(DOMAIN, b"root", [FRONT])
    paths = (*(f"/SpiffeWorkloadAPI/{name}" for name in OTHERS), "/grpc.reflection.v1.ServerReflection/Info")

    assert {_code(_call(channel, path)) for path in paths} == {grpc.StatusCode.UNIMPLEMENTED}


def test_each_socket_has_its_own_service_and_not_the_others(
    channel: grpc.Channel, workloads: Workloads, tmp_path: Path
) -> None:
    """An application cannot ask for what Envoy is offered, and nobody gets a key in clear from Envoy's socket."""
    workloads.store.offer(DOMAIN, b"root", [FRONT])
    stores = sockets.Stores(*(ResourceStore(kind, []) for kind in (SECRETS, ENDPOINTS, ROUTES)))
    envoys = Served(str(tmp_path / "sds.sock"), lambda wire, log: sockets.discovery_socket(wire, stores, log, int))
    paths = [f"/{SECRETS.service}/{variant}Secrets" for variant in ("Stream", "Delta", "Fetch")]

    assert {_code(_call(channel, path)) for path in paths} == {grpc.StatusCode.UNIMPLEMENTED}
    with grpc.insecure_channel(f"unix:{envoys.path}") as other:
        assert {_code(_call(other, path)) for path in (SVIDS, BUNDLES)} == {grpc.StatusCode.UNIMPLEMENTED}


def test_a_call_has_one_request(workloads: Workloads) -> None:
    """With two, or none, it ends with what is wrong."""
    workloads.store.offer(DOMAIN, b"root", [FRONT])
    for requests in (0, 2):
        with Polite(workloads.path) as client:
            stream = client.call(SVIDS, **{"workload.spiffe.io": "true"}, end=not requests)
            for _ in range(requests):
                client.http.send_data(stream, frame(b""))
            client.send()

            assert b"takes one request" in _until_it_ends(client)


def _until_it_ends(client: Polite) -> bytes:
    """What the server says of a call's end, in the clear of its header compression."""
    while True:
        for event in client.http.receive_data(client.wire.recv(65_536)):
            headers = dict(getattr(event, "headers", None) or ())
            if b"grpc-status" in headers:
                return bytes(headers[b"grpc-message"])


def test_an_application_has_a_limit_of_its_own(workloads: Workloads) -> None:
    """Sixty-four connections: as many as a server of many processes needs, and no more than the watcher can hold."""
    clients = [Raw(workloads.path) for _ in range(64)]
    for client in clients:
        client.wire.sendall(GREETING)

    with Raw(workloads.path) as one_more:
        assert one_more.is_closed_by_the_server()
    (line,) = workloads.events("workload-api-client-refused")
    assert line["reason"] == "there are 64 connections already"
    for client in clients:
        client.wire.close()


def test_a_spoiled_conversation_is_the_clients_fault_and_nothing_else() -> None:
    """Bytes of a good one changed, cut, moved or doubled, and a new version in the end."""
    http = H2Connection(H2Configuration(client_side=True))
    http.initiate_connection()
    for number, path in enumerate((SVIDS, BUNDLES, f"/SpiffeWorkloadAPI/{OTHERS[0]}")):
        headers = {":method": "POST", ":path": path, ":scheme": "http", ":authority": "workload"}
        headers |= {"content-type": "application/grpc", "workload.spiffe.io": "true"}
        http.send_headers(2 * number + 1, list(headers.items()))
        http.send_data(2 * number + 1, frame(b""), end_stream=True)

    def converse(data: bytes) -> None:
        store = SvidStore()
        store.offer(DOMAIN, b"root", [FRONT])
        connection = ServerConnection(workload_services(store), Peer(0, 0), Limits())
        connection.receive(data)
        store.offer(DOMAIN, b"root", [BACK])
        connection.update()

    good = http.data_to_send()
    converse(good)
    assert spoil(Reader("conversation", converse, (ClientFault,), (good,)), 300) > 200


def test_the_socket_is_kept_as_long_as_its_path_leads_to_it(tmp_path: Path) -> None:
    """Where it is asked for, and nowhere else; others than this user may connect, and are judged then."""
    path, lines = str(tmp_path / "kept.sock"), list[bytes]()
    wanted = {"MESHCERT_WORKLOAD_API_SOCKET": path}

    def log() -> Log:
        return Log("info", lines.append)

    first = sockets.kept_for_workloads(None, wanted, log)
    assert first
    assert (tmp_path / "kept.sock").stat().st_mode & 0o777 == 0o666
    assert sockets.kept_for_workloads(first, wanted, log) is first
    (tmp_path / "kept.sock").unlink()
    second = sockets.kept_for_workloads(first, wanted, log)

    assert second
    assert is_at(second, path)
    second.close()
    assert sockets.kept_for_workloads(None, {}, log) is None
    assert sockets.kept_for_workloads(None, {"MESHCERT_WORKLOAD_API_SOCKET": f"{path}/no/folder"}, log) is None
    assert b"workload-api-socket-not-bound" in lines[0]


def test_what_is_printed_of_an_identity_is_its_name() -> None:
    """No key reaches a log by being part of something."""
    assert f"{FRONT!r} {FRONT} {[FRONT]}".count("key") == 0
    assert repr(FRONT) == "<X509Svid spiffe://color.example/front>"
