"""A second type beside secrets, on the same socket: it takes a type, a store and a line where services are listed."""

from __future__ import annotations

from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from envoy.config.endpoint.v3 import endpoint_pb2
from envoy.service.discovery.v3 import discovery_pb2
from envoy.service.endpoint.v3 import eds_pb2_grpc
from envoy.service.secret.v3 import sds_pb2_grpc

from entrypoint.grpc.server import ServedSocket
from entrypoint.grpc.wire import field
from entrypoint.xds.endpoints import ENDPOINTS
from entrypoint.xds.resources import ResourceStatus, ResourceStore, VersionedResource
from entrypoint.xds.secrets import SECRETS
from entrypoint.xds.subscriptions import discovery_services
from evidence.fixtures.container import eventually
from tests.entrypoint.grpc.clients import Served
from tests.entrypoint.xds.endpoints import endpoints

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator
    from pathlib import Path

    from entrypoint.log import Log

TELLER, SECRET = "colorteller", "identity/colorteller"


class Both(Served):
    """A server of secrets and endpoints."""

    def __init__(self, path: str, uid: int) -> None:
        self.secrets, self.endpoints = ResourceStore(SECRETS, [SECRET]), ResourceStore(ENDPOINTS, [TELLER])

        def socket_of(wire: socket.socket, _: Log) -> ServedSocket:
            services = [
                discovery_services(one, lambda _: True, lambda _: None) for one in (self.secrets, self.endpoints)
            ]
            return ServedSocket("xds", wire, {**services[0], **services[1]}, {uid})

        super().__init__(path, socket_of)
        for store in (self.secrets, self.endpoints):
            store.on_change(self.server.wake)
        self.secrets.offer(SECRET, VersionedResource("s1", field(2, "of s1")))
        self.endpoints.offer(TELLER, endpoints("e1", "10.0.0.1", 15_000))


@pytest.fixture
def both(tmp_path: Path) -> Both:
    """A server for this process's user."""
    return Both(str(tmp_path / "xds.sock"), tmp_path.stat().st_uid)


@pytest.fixture
def channel(both: Both) -> Iterator[grpc.Channel]:
    """One connection for both types."""
    with grpc.insecure_channel(f"unix:{both.path}") as channel:
        yield channel


def _address(resource: Any) -> str:
    """The address of the only endpoint, read by the generated code."""
    assignment = endpoint_pb2.ClusterLoadAssignment.FromString(resource.value)
    assert assignment.cluster_name == TELLER
    (found,) = (one.endpoint.address.socket_address for one in assignment.endpoints[0].lb_endpoints)
    return f"{found.address}:{found.port_value}"


def test_endpoints_are_streamed_acknowledged_refused_and_taken_back(channel: grpc.Channel, both: Both) -> None:
    """By the rules that secrets have; what is said of the one says nothing of the other."""
    requests: SimpleQueue[Any] = SimpleQueue()
    answers = eds_pb2_grpc.EndpointDiscoveryServiceStub(channel).StreamEndpoints(iter(requests.get, None), timeout=10)
    requests.put(discovery_pb2.DiscoveryRequest(resource_names=[TELLER], type_url=ENDPOINTS.url))
    first = next(answers)
    assert (first.type_url, first.version_info, _address(first.resources[0])) == (ENDPOINTS.url, "e1", "10.0.0.1:15000")
    requests.put(discovery_pb2.DiscoveryRequest(resource_names=[TELLER], response_nonce=first.nonce))
    eventually(lambda: both.endpoints.status(TELLER, "e1") == ResourceStatus(acknowledged=True), "the ACK")

    both.endpoints.offer(TELLER, endpoints("e2", "10.0.0.2", 70_000))
    refusal: Any = {"response_nonce": next(answers).nonce, "error_detail": {"message": "port"}}
    requests.put(discovery_pb2.DiscoveryRequest(resource_names=[TELLER], **refusal))
    eventually(lambda: both.endpoints.status(TELLER, "e2"), "the NACK")

    assert both.endpoints.status(TELLER, "e2") == ResourceStatus(acknowledged=False, reason="port")
    assert both.endpoints.offered(TELLER) == endpoints("e1", "10.0.0.1", 15_000)
    assert both.secrets.status(SECRET) is None
    requests.put(None)


def test_endpoints_are_sent_as_changes_too(channel: grpc.Channel, both: Both) -> None:
    """The delta variant, by gRPC's own client."""
    requests: SimpleQueue[Any] = SimpleQueue()
    answers = eds_pb2_grpc.EndpointDiscoveryServiceStub(channel).DeltaEndpoints(iter(requests.get, None), timeout=10)
    requests.put(discovery_pb2.DeltaDiscoveryRequest(resource_names_subscribe=[TELLER]))
    (first,) = next(answers).resources

    both.endpoints.offer(TELLER, endpoints("e2", "10.0.0.2", 15_000))

    (second,) = next(answers).resources
    assert [(one.name, one.version, _address(one.resource)) for one in (first, second)] == [
        (TELLER, "e1", "10.0.0.1:15000"),
        (TELLER, "e2", "10.0.0.2:15000"),
    ]
    requests.put(None)


def test_each_service_has_its_own_type_only(channel: grpc.Channel) -> None:
    """Secrets are not to be had from the service of endpoints, nor by a cluster's plain name there."""
    secrets = sds_pb2_grpc.SecretDiscoveryServiceStub(channel)
    clusters = eds_pb2_grpc.EndpointDiscoveryServiceStub(channel)
    request = discovery_pb2.DiscoveryRequest

    assert [one.version_info for one in (secrets.FetchSecrets(request()), clusters.FetchEndpoints(request()))] == [
        "s1",
        "e1",
    ]
    assert list(clusters.FetchEndpoints(request(resource_names=[SECRET])).resources) == []
    with pytest.raises(grpc.RpcError) as refusal:
        clusters.FetchEndpoints(request(type_url=SECRETS.url))
    assert refusal.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert ENDPOINTS.url in refusal.value.details()
