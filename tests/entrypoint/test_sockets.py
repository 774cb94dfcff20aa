"""The sockets of the container: Envoy's secrets on theirs, asked for by gRPC's own client."""

from __future__ import annotations

import os
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from envoy.service.discovery.v3 import discovery_pb2
from envoy.service.secret.v3 import sds_pb2_grpc
from h2.config import H2Configuration
from h2.connection import H2Connection

from entrypoint import sockets
from entrypoint.grpc.connection import ClientFault, Limits, ServerConnection
from entrypoint.grpc.framing import frame
from entrypoint.grpc.socket import Peer, is_at
from entrypoint.grpc.wire import field
from entrypoint.log import Log
from entrypoint.xds.endpoints import ENDPOINTS
from entrypoint.xds.resources import ResourceStatus, ResourceStore, VersionedResource
from entrypoint.xds.routes import ROUTES
from entrypoint.xds.secrets import SECRETS
from entrypoint.xds.subscriptions import discovery_services
from evidence.fixtures.container import eventually
from evidence.fixtures.hostile_input import Reader, spoil
from evidence.fixtures.proxies import teller
from meshcert.proxy import DeliveryMode
from tests.entrypoint.grpc.clients import Served

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TELLER, TRUST = "identity/colorteller", "trust/colorgateway"


class Secrets(Served):
    """A running server, and the secrets that it offers."""

    def __init__(self, path: str, envoy: int) -> None:
        self.store = ResourceStore(SECRETS, [TRUST, TELLER])
        stores = sockets.Stores(self.store, ResourceStore(ENDPOINTS, []), ResourceStore(ROUTES, []))
        super().__init__(path, lambda wire, log: sockets.discovery_socket(wire, stores, log, lambda: envoy))
        self.store.on_change(self.server.wake)
        self.store.offer(TELLER, VersionedResource("v1", field(2, "of v1")))


@pytest.fixture
def secrets(tmp_path: Path) -> Secrets:
    """A server to which this process is Envoy."""
    return Secrets(str(tmp_path / "sds.sock"), os.getpid())


@pytest.fixture
def stub(secrets: Secrets) -> Iterator[Any]:
    """The client that gRPC itself has, connected to it."""
    with grpc.insecure_channel(f"unix:{secrets.path}") as channel:
        yield sds_pb2_grpc.SecretDiscoveryServiceStub(channel)


def _request(*names: str, **fields: Any) -> Any:
    return discovery_pb2.DiscoveryRequest(resource_names=names, **fields)


def test_a_stream_is_answered_pushed_to_and_heard(stub: Any, secrets: Secrets) -> None:
    """First answer, ACK, a newer version, NACK: by gRPC's own client."""
    requests: SimpleQueue[Any] = SimpleQueue()
    answers = stub.StreamSecrets(iter(requests.get, None), timeout=10)
    requests.put(_request(TELLER))
    first = next(answers)
    requests.put(_request(TELLER, response_nonce=first.nonce))
    eventually(lambda: secrets.store.status(TELLER, "v1") == ResourceStatus(acknowledged=True), "the ACK")

    secrets.store.offer(TELLER, VersionedResource("v2", field(2, "of v2")))
    second = next(answers)
    requests.put(_request(TELLER, response_nonce=second.nonce, error_detail={"message": "no"}))
    refused = ResourceStatus(acknowledged=False, reason="no")
    eventually(lambda: secrets.store.status(TELLER, "v2") == refused, "the NACK")

    requests.put(None)
    assert [first.version_info, second.version_info] == ["v1", "v2"]
    assert list(answers) == []
    assert answers.code() is grpc.StatusCode.OK


def test_the_delta_variant_is_answered_too(stub: Any, secrets: Secrets) -> None:
    """By gRPC's own client."""
    requests: SimpleQueue[Any] = SimpleQueue()
    answers = stub.DeltaSecrets(iter(requests.get, None), timeout=10)
    requests.put(discovery_pb2.DeltaDiscoveryRequest(resource_names_subscribe=[TELLER]))
    (resource,) = next(answers).resources

    secrets.store.offer(TELLER, VersionedResource("v2", field(2, "of v2")))

    assert [resource.version, next(answers).resources[0].version] == ["v1", "v2"]
    requests.put(None)


def test_a_call_that_cannot_be_served_ends_with_its_status(stub: Any) -> None:
    """Not there yet, another kind of resource, a request that is too long."""
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


@pytest.mark.parametrize("envoy", [os.getppid(), 0], ids=["a sibling of Envoy's", "no Envoy yet"])
def test_a_client_that_is_not_envoy_only_reads(tmp_path: Path, envoy: int) -> None:
    """Its refusal is no reason to go back, whoever its parent is."""
    secrets = Secrets(str(tmp_path / "other.sock"), envoy)
    requests: SimpleQueue[Any] = SimpleQueue()
    with grpc.insecure_channel(f"unix:{secrets.path}") as channel:
        answers = sds_pb2_grpc.SecretDiscoveryServiceStub(channel).StreamSecrets(iter(requests.get, None), timeout=10)
        requests.put(_request(TELLER))
        requests.put(_request(TELLER, response_nonce=next(answers).nonce, error_detail={"message": "no"}))
        requests.put(None)
        assert list(answers) == []

    assert secrets.store.status(TELLER) is None
    assert secrets.store.offered(TELLER)
    assert [line["envoy"] for line in secrets.events("sds-client")] == [False]


def test_an_unknown_name_is_told_once(stub: Any, secrets: Secrets) -> None:
    """However often it is asked for; a long one is cut."""
    for _ in range(3):
        assert list(stub.FetchSecrets(_request("x" * 200), timeout=5).resources) == []

    (line,) = secrets.events("sds-unknown-secret")
    assert line["asked"] == "x" * 100


def test_a_spoiled_conversation_is_the_clients_fault_and_nothing_else() -> None:
    """All three calls of a good one, with bytes changed, cut, moved or doubled, and a new version in the end."""
    http = H2Connection(H2Configuration(client_side=True))
    http.initiate_connection()
    for number, called in enumerate(("StreamSecrets", "DeltaSecrets", "FetchSecrets")):
        headers = {":method": "POST", ":path": f"/{SECRETS.service}/{called}", ":scheme": "http", ":authority": "sds"}
        http.send_headers(2 * number + 1, [*headers.items(), ("content-type", "application/grpc")])
        http.send_data(2 * number + 1, frame(field(3, TELLER)), end_stream=called == "FetchSecrets")

    def converse(data: bytes) -> None:
        store = ResourceStore(SECRETS, [TELLER])
        store.offer(TELLER, VersionedResource("v1", field(2, "of v1")))
        services = discovery_services(store, lambda _: True, lambda _: None)
        connection = ServerConnection(services, Peer(0, 0), Limits())
        connection.receive(data)
        store.offer(TELLER, VersionedResource("v2", field(2, "x" * 100_000)))
        connection.update()

    good = http.data_to_send()
    converse(good)
    assert spoil(Reader("conversation", converse, (ClientFault,), (good,)), 300) > 200


def test_a_socket_is_kept_as_long_as_its_path_leads_to_it(tmp_path: Path) -> None:
    """Then there is a new one; and none where secrets are files."""
    path, wanted = str(tmp_path / "kept.sock"), {"MESHCERT_PROXY": '{"delivery": "sds"}'}
    lines: list[bytes] = []

    def log() -> Log:
        return Log("info", lines.append)

    first = sockets.kept(None, wanted, path, log)
    assert first
    assert sockets.kept(first, wanted, path, log) is first

    os.unlink(path)  # noqa: PTH108 -- one way of the two
    second = sockets.kept(first, wanted, path, log)

    assert second
    assert first.fileno() == -1
    assert is_at(second, path)
    second.close()
    assert sockets.kept(None, {}, path, log) is None
    assert sockets.kept(None, wanted, f"{path}/no-folder", log) is None
    assert b"sds-socket-not-bound" in lines[0]


@pytest.mark.parametrize(
    ("proxy", "wanted"),
    [
        (teller(delivery=DeliveryMode.SDS).to_json(), True),
        (teller().to_json(), False),
        (teller(name="sds", service="sds", mesh='"sds"').to_json(), False),
        ('{ "delivery" : "sds" }', True),
        ('{"delivery": "file", "name": "sds"}', False),
        ('"sds"', False),
        ("[]", False),
        ('{"delivery":"sds"', False),
        ("[" * 100_000 + '"sds"', False),
        ("", False),
    ],
    ids=[
        "socket",
        "files",
        "files of a service called sds",
        "spaces",
        "a name",
        "text",
        "a list",
        "cut",
        "nested",
        "empty",
    ],
)
def test_the_socket_is_wanted_where_the_delivery_mode_says_so(proxy: str, *, wanted: bool) -> None:
    """A name that happens to be the word makes no difference, and what cannot be read is the watcher's to report."""
    assert sockets.is_wanted({"MESHCERT_PROXY": proxy}) is wanted
    assert sockets.is_wanted({}) is False
