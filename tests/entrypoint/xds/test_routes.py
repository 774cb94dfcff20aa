"""Route configurations as an xDS type: the same messages as the generated code's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from envoy.config.route.v3 import route_pb2
from envoy.extensions.retry.host.previous_hosts.v3 import previous_hosts_pb2
from google.protobuf.json_format import ParseDict

from entrypoint.grpc.wire import field
from entrypoint.xds.routes import route_configuration_body
from evidence.fixtures.proxies import gateway
from meshcert.envoy import route_configurations
from meshcert.proxy import Backend, Route, WayOut
from meshcert.routes import Conditions, HeaderCondition, MatchKind, Retries
from tests.meshcert.documents.test_route_table import CLUSTERS, EVERYTHING, NODE

if TYPE_CHECKING:
    from meshcert.proxy import ProxySettings

KINDS = tuple(HeaderCondition(f"x-{kind}", kind, "v", 1, 2) for kind in MatchKind)
NEGATIVE = HeaderCondition("x-below", MatchKind.RANGE, start=-20, end=0)
ROUTES = (
    EVERYTHING._replace(conditions=EVERYTHING.conditions._replace(port=0)),
    Route("", "blue", conditions=Conditions(path="/exact", headers=(*KINDS, NEGATIVE))),
    Route("", "calls", conditions=Conditions(regex="/a.*", grpc=True), retries=Retries(0, 1.5, ())),
    Route("/none", ""),
    Route("/", "green"),
)
BACKENDS = (*CLUSTERS, Backend("calls", "calls.local", 8080, "grpc"))


@pytest.mark.parametrize(
    "settings",
    [
        gateway(routes=ROUTES, backends=BACKENDS, route_table="routes"),
        NODE._replace(
            backends=BACKENDS, ways_out=(WayOut("colors", ("colors.local",), "http", ROUTES, 15100),), route_table="r"
        ),
    ],
    ids=["gateway", "node"],
)
def test_route_configurations_are_written_as_the_generated_code_reads_them(settings: ProxySettings) -> None:
    """Every kind of condition, target, rewriting and retry arrives over the socket as it stands in the file."""
    assert previous_hosts_pb2.DESCRIPTOR  # so that the generated code knows what its Any holds
    configurations = route_configurations(settings)

    assert configurations
    for name, configuration in configurations.items():
        written = field(1, name) + route_configuration_body(configuration)
        expected = route_pb2.RouteConfiguration()
        ParseDict({key: value for key, value in configuration.items() if key != "@type"}, expected)
        over_socket = route_pb2.RouteConfiguration.FromString(written)
        assert over_socket == expected
        assert over_socket.validate_clusters.value


def test_a_field_without_a_number_is_an_error() -> None:
    """Nothing of what Envoy is meant to get is left out in silence."""
    with pytest.raises(KeyError):
        route_configuration_body({"virtual_hosts": [{"routes": [{"redirect": {}}]}]})
