"""The discovery service on its socket: asked by gRPC's own client, and by clients that keep to no rule."""

from __future__ import annotations

import json
import os
import socket
import stat
import threading
from contextlib import suppress
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Self

import grpc
import pytest
from envoy.service.discovery.v3 import discovery_pb2
from envoy.service.secret.v3 import sds_pb2_grpc
from h2.config import H2Configuration
from h2.connection import H2Connection

from entrypoint.envoy.handover import Verdict
from entrypoint.grpc import server as sds_server
from entrypoint.grpc import socket as sds_socket
from entrypoint.grpc.connection import MOST_STREAMS, SERVICE, Client, ClientFault, Connection
from entrypoint.grpc.framing import LARGEST_MESSAGE, frame
from entrypoint.grpc.server import MOST_CLIENTS, Owner, Server
from entrypoint.grpc.wire import field
from entrypoint.log import Log
from entrypoint.xds.board import Board, Offer
from evidence.fixtures.container import eventually
from evidence.fixtures.hostile_input import Reader, spoil

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TELLER, TRUST = "identity/colorteller", "trust/colorgateway"
STREAM = f"{SERVICE}StreamSecrets"
GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


class Served:
    """A running server, its board, and what it logs."""

    def __init__(self, path: str, owner: Owner) -> None:
        self.path = path
        self.lines: list[bytes] = []
        self.board = Board([TRUST, TELLER])
        self.listener = sds_socket.bind(path)
        server = Server(self.listener, self.board, Log("debug", self.lines.append), owner)
        threading.Thread(target=server.run, daemon=True).start()
        self.board.put_up(TELLER, Offer("v1", field(2, "of v1")))

    def events(self, event: str) -> list[dict[str, Any]]:
        """The log's lines with this event."""
        return [line for line in map(json.loads, self.lines) if line["event"] == event]

    def still_serves(self) -> None:
        """Fails unless a well-behaved client gets its answer."""
        with grpc.insecure_channel(f"unix:{self.path}") as channel:
            answer = sds_pb2_grpc.SecretDiscoveryServiceStub(channel).FetchSecrets(_request(TELLER), timeout=5)
        assert answer.version_info == self.board.up(TELLER).version  # type: ignore[union-attr]  # it is up


@pytest.fixture
def served(tmp_path: Path) -> Served:
    """A server to which this process is Envoy."""
    return Served(str(tmp_path / "sds.sock"), Owner(os.getuid(), os.getppid()))


@pytest.fixture
def stub(served: Served) -> Iterator[Any]:
    """The client that gRPC itself has, connected to it."""
    with grpc.insecure_channel(f"unix:{served.path}") as channel:
        yield sds_pb2_grpc.SecretDiscoveryServiceStub(channel)


class Raw:
    """A client that sends what it is told, byte by byte if need be; a context."""

    def __init__(self, served: Served) -> None:
        self.wire = socket.socket(socket.AF_UNIX)
        self.wire.connect(served.path)  # before the timeout is set: then it waits for its turn in the queue
        self.wire.settimeout(5)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.wire.close()

    def is_closed_by_the_server(self) -> bool:
        """Whether the other end hangs up; it reads whatever comes before."""
        with suppress(ConnectionError):
            while self.wire.recv(65_536):
                pass
        return True


class Polite(Raw):
    """A client that speaks HTTP/2."""

    def __init__(self, served: Served) -> None:
        super().__init__(served)
        self.http = H2Connection(H2Configuration(client_side=True))
        self.http.initiate_connection()

    def call(self, path: str = STREAM, *, end: bool = False, **headers: str) -> int:
        """A new stream's number."""
        stream = self.http.get_next_available_stream_id()
        plain = {":method": "POST", ":path": path, ":scheme": "http", ":authority": "sds", "te": "trailers"}
        plain |= {"content-type": "application/grpc"} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        self.http.send_headers(stream, list(plain.items()), end_stream=end)
        return stream

    def send(self) -> None:
        """Send what has been prepared."""
        with suppress(ConnectionError):
            self.wire.sendall(self.http.data_to_send())


def _request(*names: str, **fields: Any) -> Any:
    return discovery_pb2.DiscoveryRequest(resource_names=names, **fields)


def test_a_stream_is_answered_pushed_to_and_heard(stub: Any, served: Served) -> None:
    """First answer, ACK, a newer version, NACK: by gRPC's own client."""
    requests: SimpleQueue[Any] = SimpleQueue()
    answers = stub.StreamSecrets(iter(requests.get, None), timeout=10)
    requests.put(_request(TELLER))
    first = next(answers)
    requests.put(_request(TELLER, response_nonce=first.nonce))
    eventually(lambda: served.board.word(TELLER, "v1") == Verdict(accepted=True), "the ACK")

    served.board.put_up(TELLER, Offer("v2", field(2, "of v2")))
    second = next(answers)
    requests.put(_request(TELLER, response_nonce=second.nonce, error_detail={"message": "no"}))
    eventually(lambda: served.board.word(TELLER, "v2") == Verdict(accepted=False, reason="no"), "the NACK")

    requests.put(None)
    assert [first.version_info, second.version_info] == ["v1", "v2"]
    assert list(answers) == []
    assert answers.code() is grpc.StatusCode.OK


def test_the_delta_variant_is_answered_too(stub: Any, served: Served) -> None:
    """By gRPC's own client."""
    requests: SimpleQueue[Any] = SimpleQueue()
    answers = stub.DeltaSecrets(iter(requests.get, None), timeout=10)
    requests.put(discovery_pb2.DeltaDiscoveryRequest(resource_names_subscribe=[TELLER]))
    (resource,) = next(answers).resources

    served.board.put_up(TELLER, Offer("v2", field(2, "of v2")))

    assert [resource.version, next(answers).resources[0].version] == ["v1", "v2"]
    requests.put(None)


def test_a_call_that_cannot_be_served_ends_with_its_status(stub: Any) -> None:
    """Not there yet, another kind of resource, another method."""
    codes = []
    for call, request in (
        (stub.FetchSecrets, _request(TRUST)),
        (stub.FetchSecrets, _request(type_url="type.googleapis.com/a.B")),
        (stub.FetchSecrets, _request(*["x" * 300] * 1000)),
    ):
        with pytest.raises(grpc.RpcError) as refusal:
            call(request, timeout=5)
        codes.append(refusal.value.code())

    assert codes == [
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
    ]


def test_another_service_is_not_implemented(served: Served) -> None:
    """A control plane's, for example."""
    with grpc.insecure_channel(f"unix:{served.path}") as channel:
        call = channel.unary_unary("/envoy.service.cluster.v3.ClusterDiscoveryService/FetchClusters")
        with pytest.raises(grpc.RpcError) as refusal:
            call(b"", timeout=5)

    assert refusal.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_a_large_secret_passes_a_client_that_takes_little_at_a_time(served: Served) -> None:
    """HTTP/2's windows are respected: 300 KB through 64 KiB of them."""
    body = field(2, "x" * 300_000)
    served.board.put_up(TELLER, Offer("v2", body))
    options = [("grpc.http2.lookahead_bytes", 0), ("grpc.http2.bdp_probe", 0)]
    with grpc.insecure_channel(f"unix:{served.path}", options=options) as channel:
        answer = sds_pb2_grpc.SecretDiscoveryServiceStub(channel).FetchSecrets(_request(TELLER), timeout=5)

    assert answer.resources[0].value.endswith(body)


def test_the_socket_is_for_its_user_alone_and_replaces_an_old_one(served: Served) -> None:
    """0600; a file that a container of the past left is in nobody's way."""
    assert stat.S_IMODE(os.stat(served.path).st_mode) == 0o600  # noqa: PTH116 -- one way of the two
    assert sds_socket.is_at(served.listener, served.path)

    with sds_socket.bind(served.path) as newer:
        assert sds_socket.is_at(newer, served.path)
        os.unlink(served.path)  # noqa: PTH108 -- the same
        assert not sds_socket.is_at(newer, served.path)


def test_a_socket_is_kept_as_long_as_its_path_leads_to_it(tmp_path: Path) -> None:
    """Then there is a new one; and none where secrets are files."""
    path, wanted = str(tmp_path / "kept.sock"), {"MESHCERT_PROXY": '{"delivery": "sds"}'}
    first = sds_socket.kept(None, wanted, path)
    assert first
    assert sds_socket.kept(first, wanted, path) is first

    os.unlink(path)  # noqa: PTH108 -- one way of the two
    second = sds_socket.kept(first, wanted, path)

    assert second
    assert first.fileno() == -1
    assert sds_socket.is_at(second, path)
    second.close()
    assert sds_socket.kept(None, {}, path) is None
    assert sds_socket.kept(None, wanted, f"{path}/no-folder") is None


def test_the_kernels_word_on_the_peer_is_asked(served: Served) -> None:
    """Process and user."""
    with Raw(served) as client:
        assert sds_socket.peer_of(client.wire) == (os.getpid(), os.getuid())
    assert sds_socket.parent_of(os.getpid()) == os.getppid()
    assert sds_socket.parent_of(2**22 + 1) == 0


def test_another_users_connection_is_closed_unheard(tmp_path: Path) -> None:
    """Told once, with the user's number."""
    served = Served(str(tmp_path / "other.sock"), Owner(os.getuid() + 1, os.getppid()))

    for _ in range(3):
        with Raw(served) as client:
            assert client.wire.recv(1) == b""

    (line,) = served.events("sds-client-refused")
    assert (line["uid"], line["reason"]) == (os.getuid(), "it is another user's")


def test_a_client_that_is_not_envoy_only_reads(tmp_path: Path) -> None:
    """Its refusal is no reason to go back."""
    served = Served(str(tmp_path / "other.sock"), Owner(os.getuid(), os.getpid()))
    requests: SimpleQueue[Any] = SimpleQueue()
    with grpc.insecure_channel(f"unix:{served.path}") as channel:
        answers = sds_pb2_grpc.SecretDiscoveryServiceStub(channel).StreamSecrets(iter(requests.get, None), timeout=10)
        requests.put(_request(TELLER))
        requests.put(_request(TELLER, response_nonce=next(answers).nonce, error_detail={"message": "no"}))
        requests.put(None)
        assert list(answers) == []

    assert served.board.word(TELLER) is None
    assert served.board.up(TELLER)


def test_an_unknown_name_is_told_once(stub: Any, served: Served) -> None:
    """However often it is asked for; a long one is cut."""
    for _ in range(3):
        assert list(stub.FetchSecrets(_request("x" * 200), timeout=5).resources) == []

    (line,) = served.events("sds-unknown-secret")
    assert line["asked"] == "x" * 100


def test_who_breaks_http2_is_hung_up_on_and_the_others_are_served(served: Served) -> None:
    """Garbage, HTTP/1.1, a greeting and then garbage, a frame larger than allowed."""
    endless = GREETING + b"\xff\xff\xff\x04\0\0\0\0\0" + b"\xff" * 200_000
    for data in (b"\0" * 64, b"GET / HTTP/1.1\r\n\r\n", GREETING + b"\0\0\x01\x04\0\0\0\0\0a", endless):
        with Raw(served) as client, suppress(ConnectionError):
            client.wire.sendall(data)
            assert client.is_closed_by_the_server()

    assert served.events("sds-client-closed")
    served.still_serves()


@pytest.mark.parametrize(
    "data",
    [b"\0\0\0\0\x02\x1a\x05", b"\x01\0\0\0\x01a", b"\0\xff\xff\xff\xff",
     b"\0" + (LARGEST_MESSAGE + 1).to_bytes(4, "big")],
    ids=["no message", "compressed", "4 GB", "too large"],
)  # fmt: skip
def test_who_breaks_grpc_loses_the_call_alone(served: Served, data: bytes) -> None:
    """The connection's other streams go on."""
    with Polite(served) as client:
        good, bad = client.call(), client.call()
        client.http.send_data(bad, data)
        client.http.send_data(good, frame(_request(TELLER).SerializeToString()))
        client.send()
        seen: dict[str, list[int]] = {"DataReceived": [], "TrailersReceived": [], "StreamReset": []}
        while not (seen["DataReceived"] and seen["TrailersReceived"]):
            for event in client.http.receive_data(client.wire.recv(65_536)):
                if (kind := type(event).__name__) in seen:
                    seen[kind].append(event.stream_id)  # type: ignore[attr-defined]  # these have one

    assert seen["DataReceived"] == [good]
    assert seen["TrailersReceived"] == [bad]
    served.still_serves()


def test_what_is_no_grpc_call_is_answered_so(served: Served) -> None:
    """415, as gRPC over HTTP/2 demands."""
    with Polite(served) as client:
        client.call(content_type="text/html", end=True)
        client.send()
        statuses: list[bytes | str] = []
        while not statuses:
            for event in client.http.receive_data(client.wire.recv(65_536)):
                statuses += [
                    value for name, value in getattr(event, "headers", None) or () if name in {b":status", ":status"}
                ]

    assert [os.fsdecode(status) for status in statuses] == ["415"]


def test_streams_and_connections_have_limits(served: Served) -> None:
    """One more than allowed is refused; the others stay."""
    with Polite(served) as client:
        for _ in range(MOST_STREAMS + 1):
            client.call()
        client.send()
        assert client.is_closed_by_the_server()

    clients = [Polite(served) for _ in range(MOST_CLIENTS)]
    for client in clients:
        client.send()
    with Raw(served) as one_more:
        assert one_more.is_closed_by_the_server()
    assert [line["reason"] for line in served.events("sds-client-refused")] == ["there are 16 connections already"]
    for client in clients:
        client.wire.close()
    eventually(lambda: len(served.events("sds-client")) >= MOST_CLIENTS, "seen")
    served.still_serves()


def test_a_flood_of_frames_is_hung_up_on(served: Served) -> None:
    """Thousands of pings in one piece, and answers that nobody reads."""
    ping = b"\0\0\x08\x06\0\0\0\0\0" + b"p" * 8
    with Polite(served) as client:
        client.send()
        with suppress(ConnectionError, TimeoutError):
            for _ in range(200):
                client.wire.sendall(ping * 3_000)
        assert client.is_closed_by_the_server()

    assert any("too many frames" in line["reason"] for line in served.events("sds-client-closed"))
    served.still_serves()


@pytest.mark.parametrize("part", ["nothing", "half a greeting", "half a request"])
def test_who_does_not_finish_is_hung_up_on(served: Served, part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a while; who says nothing between two requests may stay for ever."""
    monkeypatch.setattr(sds_server, "PATIENCE_S", 0.3)
    monkeypatch.setattr(sds_server, "_LOOK_EVERY_S", 0.05)
    with Polite(served) as quiet, Polite(served) as client:
        for one in (quiet, client):
            stream = one.call()
            one.http.send_data(stream, frame(_request(TELLER).SerializeToString()))
        quiet.send()
        client.http.send_data(stream, b"\0\0\0\0\x09a")
        whole = client.http.data_to_send()
        client.wire.sendall({"nothing": b"", "half a greeting": GREETING[:9], "half a request": whole}[part])

        assert client.is_closed_by_the_server()

        assert [line["reason"] for line in served.events("sds-client-closed")] == ["it takes too long"]
        served.board.put_up(TELLER, Offer("v2", field(2, "of v2")))
        quiet.wire.settimeout(5)
        eventually(lambda: b"of v2" in quiet.wire.recv(65_536), "the news")


def test_a_fault_of_the_server_ends_neither_the_thread_nor_the_next_client(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Told by kind and place; its words could be secret."""
    monkeypatch.setattr(sds_server, "_AFTER_A_FAULT_S", 0.01)
    real = sds_socket.peer_of
    faults = iter([TypeError("sesame"), KeyError("sesame")])

    def peer_of(wire: socket.socket) -> sds_socket.Peer:
        if fault := next(faults, None):
            raise fault
        return real(wire)

    monkeypatch.setattr(sds_server, "peer_of", peer_of)
    with Raw(served), Raw(served):
        eventually(lambda: len(served.events("sds-fault")) == 2, "both told")

    served.still_serves()
    assert b"sesame" not in b"".join(served.lines)


def test_random_bytes_after_a_good_greeting_never_stop_the_service(served: Served) -> None:
    """200 clients, each with frames of random kinds, lengths and contents."""
    import random  # noqa: PLC0415 -- of this test only

    source = random.Random(20261122)  # noqa: S311 -- the same every time
    for _ in range(200):
        with Polite(served) as client:
            client.call()
            data = client.http.data_to_send()
            for _ in range(source.randrange(1, 8)):
                content = source.randbytes(source.choice([0, 4, 8, source.randrange(300)]))
                kind, flags, stream = source.randrange(12), source.randrange(64), source.choice([0, 1, 3])
                data += len(content).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + content
            with suppress(ConnectionError):
                client.wire.sendall(data)

    served.still_serves()
    assert not served.events("sds-fault")
    assert not [line for line in served.events("sds-client-closed") if " at " in line["reason"]]


def test_a_spoiled_conversation_is_the_clients_fault_and_nothing_else() -> None:
    """All three calls of a good one, with bytes changed, cut, moved or doubled, and news in the end."""
    http = H2Connection(H2Configuration(client_side=True))
    http.initiate_connection()
    for number, called in enumerate(("StreamSecrets", "DeltaSecrets", "FetchSecrets")):
        headers = {":method": "POST", ":path": f"{SERVICE}{called}", ":scheme": "http", ":authority": "sds"}
        http.send_headers(2 * number + 1, [*headers.items(), ("content-type", "application/grpc")])
        http.send_data(2 * number + 1, frame(field(3, TELLER)), end_stream=called == "FetchSecrets")

    def converse(data: bytes) -> None:
        board = Board([TELLER])
        board.put_up(TELLER, Offer("v1", field(2, "of v1")))
        connection = Connection(board, Client(is_envoy=True, on_unknown=lambda _: None))
        connection.receive(data)
        board.put_up(TELLER, Offer("v2", field(2, "x" * 100_000)))
        connection.news()

    good = http.data_to_send()
    converse(good)
    assert spoil(Reader("conversation", converse, (ClientFault,), (good,)), 300) > 200


def test_only_settings_that_ask_for_it_have_a_socket() -> None:
    """Broken ones are told by the watcher."""
    wanted = {"MESHCERT_PROXY": '{"schema": 1, "delivery": "sds"}'}

    assert sds_socket.is_wanted(wanted)
    for text in ("", "sds", "[]", '"sds"', '{"delivery": "file", "name": "sds"}', "{"):
        assert not sds_socket.is_wanted({"MESHCERT_PROXY": text})
    assert not sds_socket.is_wanted({})
