"""Endpoints as an xDS type: the same messages as the generated code's."""

from __future__ import annotations

import pytest
from envoy.config.endpoint.v3 import endpoint_pb2

from entrypoint.grpc.wire import field
from entrypoint.xds.endpoints import endpoints_body
from meshcert.envoy.endpoints import TaskAddress, endpoints_resource

TASKS = [TaskAddress("10.0.1.7", "eu-west-1b"), TaskAddress("10.0.0.9", "eu-west-1a"), TaskAddress("10.0.1.6")]


@pytest.mark.parametrize("tasks", [TASKS, TASKS[:1], []], ids=["many", "one", "none"])
def test_endpoints_are_written_as_the_generated_code_reads_them(tasks: list[TaskAddress]) -> None:
    """The message over the socket is the one in the file: each task once, grouped by zone."""
    resource = endpoints_resource("colorteller", 9443, [*tasks, *tasks])

    over_socket = endpoint_pb2.ClusterLoadAssignment.FromString(field(1, "colorteller") + endpoints_body(resource))

    assert over_socket == endpoint_pb2.ClusterLoadAssignment(
        **{name: value for name, value in resource.items() if name != "@type"}
    )
    hosts = [(each.locality.zone, end) for each in over_socket.endpoints for end in each.lb_endpoints]
    found = {TaskAddress(end.endpoint.address.socket_address.address, zone) for zone, end in hosts}
    assert found == set(tasks)
    assert len(hosts) == len(tasks)
    assert {end.endpoint.address.socket_address.port_value for _, end in hosts} <= {9443}


def test_an_unknown_field_is_an_error() -> None:
    """Nothing of what Envoy is meant to get is left out in silence."""
    with pytest.raises(KeyError):
        endpoints_body({"endpoints": [{"priority": 1}]})
