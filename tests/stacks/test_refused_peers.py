"""Refused peers are counted by cause: what CloudWatch is told to look for is what Envoy writes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from evidence.fixtures.proxies import gateway, teller
from local.aws.log_patterns import compile_pattern
from meshcert.envoy.access_log import refused_backends, refused_clients, refused_requests
from tests.stacks.synthesis import ROOT, synthesise

if TYPE_CHECKING:
    from pathlib import Path

    from tests.stacks.synthesis import Templates

LINES: dict[str, dict[str, Any]] = {
    "client": refused_clients("ingress_9080", teller())["typed_config"]["log_format"]["json_format"],
    "backend": refused_backends(gateway())["typed_config"]["log_format"]["json_format"],
}


def _filters(templates: Templates) -> list[dict[str, Any]]:
    return [found.properties for found in templates.resources("AWS::Logs::MetricFilter")]


def test_every_services_log_is_counted_once(templates: Templates) -> None:
    """One filter for each service: together with its other resources it has to fit CloudFormation's limit."""
    groups = {found.logical_id: found.properties for found in templates.resources("AWS::Logs::LogGroup")}

    counted = [groups[properties["LogGroupName"]["Ref"]]["LogGroupName"] for properties in _filters(templates)]

    assert sorted(counted) == ["/meshcert/color/colorgateway", "/meshcert/color/colorteller"]


@pytest.mark.parametrize("peer", LINES)
def test_the_filter_finds_envoys_line_and_its_dimensions(templates: Templates, peer: str) -> None:
    """A misspelt event or field would count nothing, silently."""
    for properties in _filters(templates):
        (metric,) = properties["MetricTransformations"]

        assert compile_pattern(properties["FilterPattern"])(json.dumps(LINES[peer]))
        assert {item["Value"] for item in metric["Dimensions"]} == {"$.mesh", "$.service", "$.cause"}
        assert {item["Key"] for item in metric["Dimensions"]} <= LINES[peer].keys()
        assert (metric["MetricNamespace"], metric["MetricName"], metric["MetricValue"]) == (
            "meshcert",
            "PeersRefused",
            "1",
        )


def test_the_filter_finds_no_other_line(templates: Templates) -> None:
    """Neither the entrypoint's events nor what an application prints."""
    for properties in _filters(templates):
        matches = compile_pattern(properties["FilterPattern"])

        assert not matches('{"event": "secret-installed", "cause": "expired"}')
        assert not matches("connection-refused")


def test_refused_requests_are_counted_where_there_are_allow_rules(tmp_path: Path) -> None:
    """By the same filter; the other service keeps the one of before."""
    mesh = yaml.safe_load((ROOT / "mesh.yaml").read_text())
    mesh["virtual_nodes"]["colorteller"]["listeners"][0]["allow"] = [{"match": {"prefix": "/"}}]
    (tmp_path / "mesh.yaml").write_text(yaml.safe_dump(mesh))
    line = refused_requests("ingress_9080", teller())["typed_config"]["log_format"]["json_format"]

    counts = [
        compile_pattern(properties["FilterPattern"])(json.dumps(line))
        for properties in _filters(synthesise(tmp_path / "out", mesh=str(tmp_path / "mesh.yaml")))
    ]

    assert sorted(counts) == [False, True]
    assert {"mesh", "service", "cause"} <= line.keys()
    assert "%" not in line["cause"]


def test_no_dimension_holds_what_a_peer_has_chosen() -> None:
    """Every value of a dimension is a metric with its price: mesh and service are ours, the cause is one of a few."""
    for line in LINES.values():
        assert "%" not in line["mesh"] + line["service"]
        assert line["cause"].startswith("%CEL(")


def test_the_dashboard_draws_whatever_cause_occurs(templates: Templates) -> None:
    """By search: no list of services or causes has to be kept there."""
    (dashboard,) = templates.resources("AWS::CloudWatch::Dashboard")
    body = "".join(part for part in dashboard.properties["DashboardBody"]["Fn::Join"][1] if isinstance(part, str))

    assert r"SEARCH('{meshcert,mesh,service,cause} MetricName=\"PeersRefused\" mesh=\"color\"', 'Sum', 300)" in body
