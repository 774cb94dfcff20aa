"""The server on its sockets with the tests' own service: gRPC's own client, and clients that break the rules."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from contextlib import suppress
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection

from entrypoint.grpc import server as grpc_server
from entrypoint.grpc import socket as grpc_socket
from entrypoint.grpc.connection import ClientFault, Limits, ServerConnection
from entrypoint.grpc.framing import frame
from entrypoint.grpc.server import ServedSocket
from entrypoint.grpc.socket import Peer
from evidence.fixtures.container import eventually
from evidence.fixtures.hostile_input import Reader, spoil
from tests.entrypoint.grpc.clients import GREETING, READ, TALK, WATCH, News, Polite, Raw, Served, news_socket, read

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator
    from pathlib import Path

LIMITS = Limits()
WITH_HEADER = [("workload.spiffe.io", "true")]


@pytest.fixture
def news() -> News:
    """The service."""
    return News()


@pytest.fixture
def served(tmp_path: Path, news: News) -> Served:
    """A server for this process's user."""
    return Served(str(tmp_path / "grpc.sock"), news_socket(news))


@pytest.fixture
def channel(served: Served) -> Iterator[grpc.Channel]:
    """A connection of gRPC's own client to it."""
    with grpc.insecure_channel(f"unix:{served.path}") as channel:
        yield channel


def _code_of(call: Any) -> grpc.StatusCode:
    """The status code of a call that ends with an error."""
    with pytest.raises(grpc.RpcError) as refusal:
        list(call)
    code = refusal.value.code()
    assert isinstance(code, grpc.StatusCode)
    return code


def test_a_call_may_have_one_request_and_one_answer(channel: grpc.Channel) -> None:
    """No request is too few, and two are too many."""
    assert channel.unary_unary(READ)(b"", timeout=5) == b"first"
    stream = channel.stream_unary(READ)
    for requests in ([], [b"", b""]):
        with pytest.raises(grpc.RpcError) as refusal:
            stream(iter(requests), timeout=5)
        assert refusal.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_a_call_may_have_requests_and_answers_at_will(channel: grpc.Channel, served: Served, news: News) -> None:
    """It is answered, told what is new, and ended with OK when the client has said everything."""
    requests: SimpleQueue[Any] = SimpleQueue()
    answers = channel.stream_stream(TALK)(iter(requests.get, None), timeout=10)
    requests.put(b"")
    assert next(answers) == b"first"

    news.headline = b"second"
    served.server.wake()
    assert next(answers) == b"second"

    requests.put(None)
    assert list(answers) == []
    assert answers.code() is grpc.StatusCode.OK


def test_a_call_may_stay_open_after_the_clients_only_request(channel: grpc.Channel, served: Served, news: News) -> None:
    """Answered at once, then told all that is new, until the client goes."""
    with grpc.insecure_channel(f"unix:{served.path}", [("grpc.use_local_subchannel_pool", 1)]) as another:
        calls = [one.unary_stream(WATCH)(b"", metadata=WITH_HEADER, timeout=10) for one in (channel, another)]
        assert [next(call) for call in calls] == [b"first"] * 2
        for headline in (b"second", b"third"):
            news.headline = headline
            served.server.wake()
            assert [next(call) for call in calls] == [headline] * 2
        for call in calls:
            call.cancel()

    assert {peer.pid for _, peer in news.calls} == {os.getpid()}
    assert len(served.events("sds-client")) == 2
    assert read(served.path) == b"third"


def test_a_call_is_judged_by_its_metadata_before_its_first_request(channel: grpc.Channel, news: News) -> None:
    """It may also be refused because there is nothing to tell yet."""
    watch = channel.unary_stream(WATCH)

    assert _code_of(watch(b"", timeout=5)) is grpc.StatusCode.INVALID_ARGUMENT
    assert _code_of(watch(b"", metadata=[("workload.spiffe.io", "1")], timeout=5)) is grpc.StatusCode.INVALID_ARGUMENT
    news.headline = b""
    assert _code_of(watch(b"", metadata=WITH_HEADER, timeout=5)) is grpc.StatusCode.UNAVAILABLE
    assert not any(name.startswith(":") for metadata, _ in news.calls for name in metadata)


def test_a_method_that_does_not_exist_is_not_implemented(channel: grpc.Channel) -> None:
    """For example one of a control plane; the client is told which methods exist."""
    with pytest.raises(grpc.RpcError) as refusal:
        channel.unary_unary("/envoy.service.cluster.v3.ClusterDiscoveryService/FetchClusters")(b"", timeout=5)

    assert refusal.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert READ in refusal.value.details()


def test_each_socket_has_its_own_services_users_and_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One server in one thread, but each socket serves only its own."""
    uid, secret, public = os.getuid(), News(b"secret"), News(b"public")
    path = str(tmp_path / "public.sock")
    shared = ServedSocket(
        "workload",
        grpc_socket.bind(path, 0o666),
        {READ: public.services()[READ], WATCH: public.watch},
        {uid + 1, uid + 2},
        Limits(connections=1, message=100),
    )
    served = Served(str(tmp_path / "private.sock"), news_socket(secret), shared)
    users = iter([uid, uid + 1, uid + 2, uid + 3, uid + 2])
    monkeypatch.setattr(grpc_server, "peer_of", lambda _: Peer(os.getpid(), next(users)))

    assert read(served.path) == b"secret"
    options = [("grpc.use_local_subchannel_pool", 1)]
    with (
        grpc.insecure_channel(f"unix:{path}", options) as first,
        grpc.insecure_channel(f"unix:{path}", options) as second,
    ):
        assert first.unary_unary(READ)(b"", timeout=5) == b"public"
        assert second.unary_unary(READ)(b"", timeout=5) == b"public"
        calls = [one.unary_stream(WATCH)(b"", metadata=WITH_HEADER, timeout=10) for one in (first, second)]
        assert [next(call) for call in calls] == [b"public"] * 2
        assert {peer.uid for _, peer in public.calls} == {uid + 1, uid + 2}
        assert _code_of(first.stream_stream(TALK)(iter([b""]), timeout=5)) is grpc.StatusCode.UNIMPLEMENTED
        too_long = first.unary_stream(WATCH)(b"x" * 101, metadata=WITH_HEADER, timeout=5)
        assert _code_of(too_long) is grpc.StatusCode.RESOURCE_EXHAUSTED
        with Raw(path) as stranger, Raw(path) as one_more:
            assert stranger.wire.recv(1) == one_more.wire.recv(1) == b""

    assert [line["reason"] for line in served.events("workload-client-refused")] == [
        "it is another user's",
        "there are 1 connections already",
    ]
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o666  # noqa: PTH116 -- one way of the two


def test_the_server_knows_nothing_of_what_it_serves() -> None:
    """Neither xDS nor secrets nor Envoy is loaded with it."""
    program = "import sys, entrypoint.grpc.server; print(*(name for name in sys.modules if 'entrypoint' in name))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env={"PYTHONPATH": _path()}
    )

    parts = {name.split(".")[1] for name in done.stdout.split() if "." in name}
    assert parts == {"grpc", "log"}


def _path() -> str:
    return os.pathsep.join(sys.path)


def test_a_large_answer_passes_a_client_that_takes_little_at_a_time(served: Served, news: News) -> None:
    """HTTP/2's windows are respected: 300 KB through 64 KiB of them."""
    news.headline = b"x" * 300_000
    options = [("grpc.http2.lookahead_bytes", 0), ("grpc.http2.bdp_probe", 0)]
    with grpc.insecure_channel(f"unix:{served.path}", options=options) as channel:
        assert channel.unary_unary(READ)(b"", timeout=5) == news.headline


def test_a_socket_is_for_its_user_alone_and_replaces_an_old_one(served: Served) -> None:
    """Mode 0600; a file that an earlier container left is replaced."""
    assert stat.S_IMODE(os.stat(served.path).st_mode) == 0o600  # noqa: PTH116 -- one way of the two
    assert grpc_socket.is_at(served.listener, served.path)

    with grpc_socket.bind(served.path) as newer:
        assert grpc_socket.is_at(newer, served.path)
        os.unlink(served.path)  # noqa: PTH108 -- the same
        assert not grpc_socket.is_at(newer, served.path)


def test_the_kernels_word_on_the_peer_is_asked(served: Served) -> None:
    """It names process and user."""
    with Raw(served.path) as client:
        assert grpc_socket.peer_of(client.wire) == Peer(os.getpid(), os.getuid())


def test_another_users_connection_is_closed_unheard(tmp_path: Path, news: News) -> None:
    """It is logged once, with the user's id."""
    served = Served(str(tmp_path / "other.sock"), news_socket(news, users={os.getuid() + 1}))

    for _ in range(3):
        with Raw(served.path) as client:
            assert client.wire.recv(1) == b""

    (line,) = served.events("sds-client-refused")
    assert (line["uid"], line["reason"]) == (os.getuid(), "it is another user's")


def test_who_breaks_http2_is_hung_up_on_and_the_others_are_served(served: Served) -> None:
    """Garbage, HTTP/1.1, a greeting and then garbage, a frame larger than allowed."""
    endless = GREETING + b"\xff\xff\xff\x04\0\0\0\0\0" + b"\xff" * 200_000
    for data in (b"\0" * 64, b"GET / HTTP/1.1\r\n\r\n", GREETING + b"\0\0\x01\x04\0\0\0\0\0a", endless):
        with Raw(served.path) as client, suppress(ConnectionError):
            client.wire.sendall(data)
            assert client.is_closed_by_the_server()

    assert served.events("sds-client-closed")
    assert read(served.path)


@pytest.mark.parametrize(
    "data",
    [b"\0\0\0\0\x02\x1a\x05", b"\x01\0\0\0\x01a", b"\0\xff\xff\xff\xff",
     b"\0" + (LIMITS.message + 1).to_bytes(4, "big")],
    ids=["no message", "compressed", "4 GB", "too large"],
)  # fmt: skip
def test_who_breaks_grpc_loses_the_call_alone(served: Served, data: bytes) -> None:
    """The connection's other streams go on."""
    with Polite(served.path) as client:
        good, bad = client.call(), client.call()
        client.http.send_data(bad, data)
        client.http.send_data(good, frame(b""))
        client.send()
        seen: dict[str, list[int]] = {"DataReceived": [], "TrailersReceived": [], "StreamReset": []}
        while not (seen["DataReceived"] and seen["TrailersReceived"]):
            for event in client.http.receive_data(client.wire.recv(65_536)):
                if (kind := type(event).__name__) in seen:
                    seen[kind].append(event.stream_id)  # type: ignore[attr-defined]  # these have one

    assert seen["DataReceived"] == [good]
    assert seen["TrailersReceived"] == [bad]
    assert read(served.path)


def test_what_is_no_grpc_call_is_answered_so(served: Served) -> None:
    """415, as gRPC over HTTP/2 demands."""
    with Polite(served.path) as client:
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
    with Polite(served.path) as client:
        for _ in range(LIMITS.streams + 1):
            client.call()
        client.send()
        assert client.is_closed_by_the_server()

    clients = [Polite(served.path) for _ in range(LIMITS.connections)]
    for client in clients:
        client.send()
    with Raw(served.path) as one_more:
        assert one_more.is_closed_by_the_server()
    assert [line["reason"] for line in served.events("sds-client-refused")] == ["there are 16 connections already"]
    for client in clients:
        client.wire.close()
    eventually(lambda: len(served.events("sds-client")) >= LIMITS.connections, "seen")
    assert read(served.path)


def test_every_stream_that_is_allowed_may_come_before_our_settings_are_read() -> None:
    """As Envoy's do at its start: one for each secret and each backend."""
    http = H2Connection(H2Configuration(client_side=True))
    http.initiate_connection()
    headers = {":method": "POST", ":path": TALK, ":scheme": "http", ":authority": "tests"}
    headers |= {"content-type": "application/grpc"}
    for number in range(Limits().streams):
        http.send_headers(2 * number + 1, list(headers.items()))
    connection = ServerConnection(News().services(), Peer(0, 0), Limits())

    assert connection.receive(http.data_to_send())

    http.send_headers(2 * Limits().streams + 1, list(headers.items()))
    with pytest.raises(ClientFault, match="TooManyStreams"):
        connection.receive(http.data_to_send())


def test_connections_of_peers_that_differ_are_counted_apart(tmp_path: Path, news: News) -> None:
    """A client that fills the socket shuts out only clients of its own kind."""
    kinds = iter([True, False, True])
    limits = Limits(connections=1)
    found = news_socket(news, limits=limits, attributes_of=lambda _: {"envoy": next(kinds)})
    served = Served(str(tmp_path / "kinds.sock"), found)

    with Polite(served.path) as envoy, Polite(served.path) as other, Raw(served.path) as one_more:
        assert one_more.is_closed_by_the_server()
        for client in (envoy, other):
            client.call()
            client.send()
            assert client.wire.recv(1)

    assert [line["envoy"] for line in served.events("sds-client")] == [True, False]


def test_a_flood_of_frames_is_hung_up_on(served: Served) -> None:
    """Thousands of pings in one piece, and answers that nobody reads."""
    ping = b"\0\0\x08\x06\0\0\0\0\0" + b"p" * 8
    with Polite(served.path) as client:
        client.send()
        with suppress(ConnectionError, TimeoutError):
            for _ in range(200):
                client.wire.sendall(ping * 3_000)
        assert client.is_closed_by_the_server()

    assert any("too many frames" in line["reason"] for line in served.events("sds-client-closed"))
    assert read(served.path)


@pytest.mark.parametrize("part", ["nothing", "half a greeting", "half a request", "no request"])
def test_who_does_not_finish_is_hung_up_on(tmp_path: Path, news: News, part: str) -> None:
    """After a while; a client that is silent between two requests may stay for ever."""
    served = Served(str(tmp_path / "grpc.sock"), news_socket(news, limits=Limits(patience_s=0.3)))
    with Polite(served.path) as quiet, Polite(served.path) as client:
        stream = quiet.call()
        quiet.http.send_data(stream, frame(b""))
        quiet.send()
        if part == "no request":
            client.call(READ)
        else:
            client.http.send_data(client.call(), b"\0\0\0\0\x09a")
        whole = client.http.data_to_send()
        client.wire.sendall({"nothing": b"", "half a greeting": GREETING[:9]}.get(part, whole))

        assert client.is_closed_by_the_server()

        assert [line["reason"] for line in served.events("sds-client-closed")] == ["it takes too long"]
        news.headline = b"of v2"
        served.server.wake()
        eventually(lambda: b"of v2" in quiet.wire.recv(65_536), "the news")


def test_a_fault_of_the_server_ends_neither_the_thread_nor_the_next_client(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its type and place are logged; its text could be secret."""
    monkeypatch.setattr(grpc_server, "_AFTER_A_FAULT_S", 0.01)
    real = grpc_socket.peer_of
    faults = iter([TypeError("sesame"), KeyError("sesame")])

    def peer_of(wire: socket.socket) -> Peer:
        if fault := next(faults, None):
            raise fault
        return real(wire)

    monkeypatch.setattr(grpc_server, "peer_of", peer_of)
    with Raw(served.path), Raw(served.path):
        eventually(lambda: len(served.events("sds-fault")) == 2, "both told")

    assert read(served.path)
    assert b"sesame" not in b"".join(served.lines)


def test_a_fault_of_a_service_ends_the_connection_that_met_it(
    served: Served, news: News, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its type and place are logged; its text could be secret."""
    monkeypatch.setattr(news, "headline", 7)
    with pytest.raises(grpc.RpcError) as refusal:
        read(served.path)
    monkeypatch.undo()

    assert refusal.value.code() is grpc.StatusCode.UNAVAILABLE
    assert any(line["reason"].startswith("TypeError at ") for line in served.events("sds-client-closed"))
    assert read(served.path) == b"first"


def test_random_bytes_after_a_good_greeting_never_stop_the_service(served: Served) -> None:
    """200 clients, each with frames of random kinds, lengths and contents."""
    import random  # noqa: PLC0415 -- of this test only

    source = random.Random(20261122)  # noqa: S311 -- the same every time
    for _ in range(200):
        with Polite(served.path) as client:
            client.call()
            data = client.http.data_to_send()
            for _ in range(source.randrange(1, 8)):
                content = source.randbytes(source.choice([0, 4, 8, source.randrange(300)]))
                kind, flags, stream = source.randrange(12), source.randrange(64), source.choice([0, 1, 3])
                data += len(content).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + content
            with suppress(ConnectionError):
                client.wire.sendall(data)

    assert read(served.path)
    assert not served.events("sds-fault")
    assert not [line for line in served.events("sds-client-closed") if " at " in line["reason"]]


def test_a_spoiled_conversation_is_the_clients_fault_and_nothing_else() -> None:
    """Calls of all three kinds, with bytes changed, cut, moved or doubled, then news."""
    http = H2Connection(H2Configuration(client_side=True))
    http.initiate_connection()
    for number, path in enumerate((TALK, WATCH, READ)):
        headers = {":method": "POST", ":path": path, ":scheme": "http", ":authority": "tests"}
        headers |= {"content-type": "application/grpc", "workload.spiffe.io": "true"}
        http.send_headers(2 * number + 1, list(headers.items()))
        http.send_data(2 * number + 1, frame(b"\x0a\x01a"), end_stream=path != TALK)

    def converse(data: bytes) -> None:
        news = News()
        connection = ServerConnection(news.services(), Peer(0, 0), LIMITS)
        connection.receive(data)
        news.headline = b"x" * 100_000
        connection.update()

    good = http.data_to_send()
    converse(good)
    assert spoil(Reader("conversation", converse, (ClientFault,), (good,)), 300) > 200
